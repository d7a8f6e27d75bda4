package upload

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"tapedeck/internal/session"
	"tapedeck/internal/upload/vendor"
)

// TestRegions compares vendors.json with the table of spec/rest-api.md 3.7.2,
// a copy of which is in testdata: every number has the label it has there.
func TestRegions(t *testing.T) {
	table, err := os.ReadFile("testdata/regions.md")
	if err != nil {
		t.Fatal(err)
	}
	pair := regexp.MustCompile(`\b(\d+) ([A-Za-z][A-Za-z_0-9]+)`)
	row := regexp.MustCompile(`^\| (\d+) [^|]*\| (.*) \|$`)
	rows := 0
	for line := range strings.SplitSeq(strings.TrimSpace(string(table)), "\n") {
		m := row.FindStringSubmatch(line)
		if m == nil || m[2] == "0" {
			continue // Azure and its like: no regions
		}
		rows++
		number, _ := strconv.Atoi(m[1])
		p, err := platformOf(number)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, r := range p.Regions {
			got[strconv.Itoa(r.Index)] = r.Label
		}
		cells := strings.ReplaceAll(m[2], "(26, 27 unverified)", "")
		cells = strings.ReplaceAll(cells, "DOC22 also", "")
		found := pair.FindAllStringSubmatch(cells, -1)
		for _, f := range found {
			if got[f[1]] != f[2] {
				t.Errorf("vendor %d region %s: %q, the specification says %q", number, f[1], got[f[1]], f[2])
			}
			delete(got, f[1])
		}
		if len(found) < 8 || len(got) != 0 {
			t.Errorf("vendor %d: %d regions in the specification, beside them %v", number, len(found), got)
		}
	}
	if rows != 6 {
		t.Errorf("%d rows", rows)
	}
}

// TestHosts pins where a request goes. The hosts are the providers' own rules.
func TestHosts(t *testing.T) {
	for _, c := range []struct {
		vendor, region int
		host, signed   string
	}{
		{0, 0, "bkt.s3.cn-east-1.qiniucs.com", "cn-east-1"},
		{1, 0, "bkt.s3.dualstack.us-east-1.amazonaws.com", "us-east-1"},
		{1, 15, "bkt.s3.dualstack.cn-north-1.amazonaws.com.cn", "cn-north-1"},
		{1, 28, "bkt.s3.dualstack.il-central-1.amazonaws.com", "il-central-1"},
		{2, 0, "bkt.s3.oss-cn-hangzhou.aliyuncs.com", "cn-hangzhou"},
		{2, 27, "bkt.s3.oss-ap-southeast-7.aliyuncs.com", "ap-southeast-7"},
		{3, 6, "bkt.cos.ap-shenzhen-fsi.myqcloud.com", "ap-shenzhen-fsi"},
		{4, 5, "bkt.ks3-cn-hk-1.ksyuncs.com", "cn-hk-1"},
		{6, 0, "bkt.storage.googleapis.com", "auto"},
		{6, 77, "bkt.storage.googleapis.com", "auto"},
		{7, 14, "bkt.obs.la-south-2.myhuaweicloud.com", "la-south-2"},
		{8, 1, "bkt.s3.bd.bcebos.com", "bd"},
	} {
		p, err := platformOf(c.vendor)
		if err != nil {
			t.Fatal(err)
		}
		host, region, err := p.place(c.region)
		if err != nil {
			t.Fatal(err)
		}
		net := &recorder{}
		st, err := openS3(
			session.Target{Vendor: c.vendor, Bucket: "bkt", AccessKey: "key", SecretKey: "secret", STSToken: "sts", SSE: "aes256", Tag: "A=b"},
			service{platform: p, endpoint: "https://" + host, region: region}, net)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = st.Put(t.Context(), vendor.Object{Key: "k.ts", Size: 1}, strings.NewReader("x"))
		if net.last == nil {
			t.Fatalf("vendor %d: nothing was sent", c.vendor)
		}
		r := net.last
		if r.URL.Host != c.host || !strings.Contains(r.Header.Get("Authorization"), "/"+c.signed+"/s3/") || r.URL.Path != "/k.ts" {
			t.Errorf("vendor %d region %d: %s %s", c.vendor, c.region, r.URL, r.Header.Get("Authorization"))
		}
		for header, wants := range map[string][]int{
			"X-Amz-Security-Token": {1, 2, 3}, "X-Amz-Server-Side-Encryption": {1}, "X-Amz-Tagging": {1}, "X-Oss-Tagging": {2},
		} {
			want := false
			for _, v := range wants {
				want = want || v == c.vendor
			}
			if got := r.Header.Get(header) != ""; got != want {
				t.Errorf("vendor %d: %s: %t", c.vendor, header, got)
			}
		}
	}
}

// recorder keeps the last request and answers that the bucket is not there.
type recorder struct{ last *http.Request }

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.last = req
	return &http.Response{StatusCode: http.StatusNotFound, Body: io.NopCloser(strings.NewReader("")), Header: http.Header{}, Request: req}, nil
}

func TestHostAllowed(t *testing.T) {
	list := []string{"s3.example.com", "*.minio.example", "other.example:9000"}
	for endpoint, want := range map[string]bool{
		"https://s3.example.com": true, "http://S3.Example.com:9000": true, "https://a.minio.example": true, "https://a.b.minio.example": true,
		"https://other.example:9000": true, "https://other.example": false, "https://minio.example": false, "https://evilminio.example": false,
		"https://s3.example.com.evil.example": false, "https://s3.example.com@evil.example": false, "%": false,
	} {
		if got := hostAllowed(list, endpoint); got != want {
			t.Errorf("%s: %t", endpoint, got)
		}
	}
	if !hostAllowed(nil, "https://anything.example") {
		t.Error("no list allows all")
	}
	_, err := OpenStore(session.Target{Vendor: 11, Bucket: "bucket", AccessKey: "a", SecretKey: "s", Endpoint: "evil.example"}, Rules{Hosts: list})
	if vendor.FaultOf(err) != vendor.Caller {
		t.Errorf("another endpoint: %v", err)
	}
}
