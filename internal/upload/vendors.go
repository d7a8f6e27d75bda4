package upload

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

//go:embed vendors.json
var vendorsJSON []byte

// platform is what is known of a storage vendor: a row of vendors.json. Numbers
// and labels are those of spec/rest-api.md 3.7.1 and 3.7.2; hosts and region
// names are the providers' own public ones.
type platform struct {
	Vendor   int    `json:"vendor"`
	Name     string `json:"name"`
	Protocol string `json:"protocol"` // s3, azure
	Host     string `json:"host"`     // {region}, {account} are filled in; "" = the caller names it
	Hosts    []struct {
		Prefix string `json:"prefix"` // of region names that have another host
		Host   string `json:"host"`
	} `json:"hosts"`
	Style   string `json:"style"`   // virtual: the bucket is in the host name; path
	Signing string `json:"signing"` // region that requests are signed for, where there are none to choose
	STS     bool   `json:"sts"`     // takes session tokens
	SSE     bool   `json:"sse"`     // takes a request for server-side encryption
	Tags    string `json:"tags"`    // header of object tags, "" = has none
	Regions []struct {
		Index int    `json:"index"`
		Label string `json:"label"`
		Name  string `json:"name"`
	} `json:"regions"` // none = the region has no effect
}

const (
	protocolS3    = "s3"
	protocolAzure = "azure"
	amazonTags    = "x-amz-tagging"
)

// platforms reads the table. It is asked once for a recording.
func platforms() ([]platform, error) {
	var all []platform
	if err := json.Unmarshal(vendorsJSON, &all); err != nil {
		return nil, fmt.Errorf("upload: vendors.json: %w", err)
	}
	return all, nil
}

// platformOf finds the row of a vendor number.
func platformOf(vendor int) (platform, error) {
	all, err := platforms()
	if err != nil {
		return platform{}, err
	}
	for _, p := range all {
		if p.Vendor == vendor {
			return p, nil
		}
	}
	return platform{}, fmt.Errorf("there is no storage vendor %d", vendor)
}

// place returns the host of the service and the region that requests are signed
// for. The index is the caller's.
func (p platform) place(index int) (host, region string, err error) {
	if p.Host == "" {
		return "", "", errors.New("extensionParams.endpoint is missing")
	}
	if len(p.Regions) == 0 {
		return p.Host, p.Signing, nil
	}
	for _, r := range p.Regions {
		if r.Index == index {
			region = r.Name
		}
	}
	if region == "" {
		return "", "", fmt.Errorf("vendor %d (%s) has no region %d", p.Vendor, p.Name, index)
	}
	host = p.Host
	for _, other := range p.Hosts {
		if strings.HasPrefix(region, other.Prefix) {
			host = other.Host
		}
	}
	return strings.ReplaceAll(host, "{region}", region), region, nil
}

// wantsVirtualHost reports whether an endpoint belongs to a service that takes
// the bucket in the host name only. All unknown ones take it in the path.
func wantsVirtualHost(endpoint string) bool {
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

// hostAllowed reports whether the app's allow list has the endpoint's host, with
// or without its port. An empty list allows all; "*.example.com" stands for every
// name below it.
func hostAllowed(allow []string, endpoint string) bool {
	if len(allow) == 0 {
		return true
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	for _, a := range allow {
		a = strings.ToLower(a)
		below, wild := strings.CutPrefix(a, "*")
		if a == host || a == strings.ToLower(u.Host) || wild && below != "" && strings.HasSuffix(host, below) && len(host) > len(below) {
			return true
		}
	}
	return false
}
