package wire

import (
	"net/url"
	"slices"
	"strings"

	"tapedeck/internal/session"
)

// storageConfig of rest-api.md 3.7.
type storageConfig struct {
	Vendor        *int     `json:"vendor"`
	Region        *int     `json:"region"`
	Bucket        *string  `json:"bucket"`
	AccessKey     *string  `json:"accessKey"`
	SecretKey     *string  `json:"secretKey"`
	STSToken      *string  `json:"stsToken"`
	STSExpiration *uint64  `json:"stsExpiration"`
	Prefix        []string `json:"fileNamePrefix"`
	Extension     *struct {
		SSE      *string `json:"sse"`
		Tag      *string `json:"tag"`
		Endpoint *string `json:"endpoint"`
	} `json:"extensionParams"`
}

// Vendors that need something of their own (rest-api.md 3.7.1).
const (
	vendorAmazon     = 1
	vendorAlibaba    = 2
	vendorTencent    = 3
	vendorCompatible = 11 // anything that speaks S3
)

const (
	maxPrefix = 128 // characters, with all slashes
	maxBucket = 255
)

// vendor is what is known of a storage platform (rest-api.md 3.7.2; what older
// lists have counts too).
type vendor struct {
	number   int
	last     int   // the highest region
	gaps     []int // regions below it that do not exist
	anywhere bool  // the region has no effect and may be absent
}

func vendors() []vendor {
	return []vendor{
		{number: 0, last: 99}, // Qiniu: its list is not known any more
		{number: vendorAmazon, last: 28, gaps: []int{26, 27}},
		{number: vendorAlibaba, last: 27},
		{number: vendorTencent, last: 19},
		{number: 4, last: 9},        // Kingsoft
		{number: 5, anywhere: true}, // Azure
		{number: 6, anywhere: true}, // Google
		{number: 7, last: 15},       // Huawei
		{number: 8, last: 7},        // Baidu
		{number: vendorCompatible, last: 0},
	}
}

func (v vendor) has(region int) bool {
	return v.anywhere || region >= 0 && region <= v.last && !slices.Contains(v.gaps, region)
}

// target checks the storage and fills in its defaults. What a vendor has no use
// for (R19) is left out.
func (s *storageConfig) target() (session.Target, error) {
	if s == nil {
		return session.Target{}, absent("storageConfig")
	}
	if err := s.checkPlace(); err != nil {
		return session.Target{}, err
	}
	prefix, err := s.prefix()
	if err != nil {
		return session.Target{}, err
	}
	t := session.Target{
		Vendor: *s.Vendor, Region: or(s.Region, 0), Bucket: *s.Bucket,
		AccessKey: *s.AccessKey, SecretKey: *s.SecretKey, Prefix: prefix,
	}
	if t.Vendor >= vendorAmazon && t.Vendor <= vendorTencent {
		t.STSToken = text(s.STSToken)
		t.STSExpiration = int64(min(or(s.STSExpiration, 0), 1<<53))
		if !plain(t.STSToken) {
			return session.Target{}, bad("stsToken")
		}
	}
	return t, s.extend(&t)
}

func (s *storageConfig) checkPlace() error {
	if s.Vendor == nil {
		return absent("vendor")
	}
	list := vendors()
	at := slices.IndexFunc(list, func(v vendor) bool { return v.number == *s.Vendor })
	switch {
	case at < 0:
		return bad("vendor")
	case s.Region == nil && !list[at].anywhere:
		return absent("region")
	case s.Region != nil && !list[at].has(*s.Region):
		return bad("region")
	case text(s.Bucket) == "":
		return absent("bucket")
	case text(s.AccessKey) == "":
		return absent("accessKey")
	case text(s.SecretKey) == "":
		return absent("secretKey")
	case !bucketName(*s.Bucket):
		return bad("bucket")
	case !plain(*s.AccessKey):
		return bad("accessKey")
	case !plain(*s.SecretKey):
		return bad("secretKey")
	}
	return nil
}

// bucketName is wider than the rules of any vendor, and narrow enough to be the
// name of a folder: letters, digits, dot, hyphen, underscore, no dot in front.
func bucketName(s string) bool {
	return len(s) <= maxBucket && s[0] != '.' && every(s, func(c byte) bool {
		return alphanumeric(c) || c == '.' || c == '-' || c == '_'
	})
}

// prefix joins fileNamePrefix: "" or "d1/d2/".
func (s *storageConfig) prefix() (string, error) {
	var b strings.Builder
	for _, part := range s.Prefix {
		if !every(part, alphanumeric) {
			return "", bad("fileNamePrefix")
		}
		b.WriteString(part)
		b.WriteByte('/')
	}
	if b.Len() > maxPrefix {
		return "", bad("fileNamePrefix")
	}
	return b.String(), nil
}

// extend applies extensionParams.
func (s *storageConfig) extend(t *session.Target) error {
	var sse, tag, endpoint string
	if e := s.Extension; e != nil {
		sse, tag, endpoint = text(e.SSE), text(e.Tag), text(e.Endpoint)
	}
	if t.Vendor == vendorAmazon {
		if sse != "" && !oneOf(sse, "kms", "aes256") {
			return bad("sse")
		}
		t.SSE = sse
	}
	if t.Vendor == vendorAmazon || t.Vendor == vendorAlibaba {
		if !objectTag(tag) {
			return bad("tag")
		}
		t.Tag = tag
	}
	if t.Vendor == vendorCompatible {
		if endpoint == "" {
			return absent("endpoint")
		}
		if !endpointName(endpoint) {
			return bad("endpoint")
		}
		t.Endpoint = endpoint
	}
	return nil
}

// objectTag accepts one tag "KEY=value", or none.
func objectTag(s string) bool {
	key, _, found := strings.Cut(s, "=")
	return s == "" || found && key != "" && plain(key) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// endpointName accepts a host, with or without port, or its http(s) URL.
func endpointName(s string) bool {
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	return err == nil && oneOf(u.Scheme, "http", "https") && u.Hostname() != "" && plain(u.Host) &&
		u.User == nil && u.RawQuery == "" && u.Fragment == "" && oneOf(u.Path, "", "/")
}
