package upload

import (
	"net/url"
	"strings"
)

// amazonRegion returns the name of a region of vendor 1 (spec/rest-api.md
// 3.7.2, by Amazon's public naming).
func amazonRegion(index int) (name string, ok bool) {
	names := map[int]string{
		0: "us-east-1", 1: "us-east-2", 2: "us-west-1", 3: "us-west-2",
		4: "eu-west-1", 5: "eu-west-2", 6: "eu-west-3", 7: "eu-central-1",
		8: "ap-southeast-1", 9: "ap-southeast-2", 10: "ap-northeast-1", 11: "ap-northeast-2",
		12: "sa-east-1", 13: "ca-central-1", 14: "ap-south-1",
		15: "cn-north-1", 16: "cn-northwest-1", 17: "us-gov-west-1",
		18: "af-south-1", 19: "ap-east-1", 20: "ap-northeast-3", 21: "eu-north-1",
		22: "me-south-1", 23: "us-gov-east-1", 24: "ap-southeast-3", 25: "eu-south-1",
		28: "il-central-1",
	}
	name, ok = names[index]
	return name, ok
}

// amazonHost returns the service's host name in a region.
func amazonHost(region string) string {
	host := "s3." + region + ".amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		host += ".cn"
	}
	return host
}

// virtualHost reports whether a caller's own endpoint belongs to a service that
// wants the bucket in the host name. All others take it in the path.
func virtualHost(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	for _, suffix := range []string{".amazonaws.com", ".amazonaws.com.cn", ".aliyuncs.com", ".myqcloud.com", ".myhuaweicloud.com"} {
		if strings.HasSuffix(u.Hostname(), suffix) {
			return true
		}
	}
	return false
}
