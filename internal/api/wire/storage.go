package wire

import (
	"net/url"
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
	vendorAzure      = 5
	vendorGoogle     = 6
	vendorCompatible = 11 // anything that speaks S3
)

const (
	maxPrefix = 128 // characters, with all slashes
	maxBucket = 255
)

// regions reports whether a vendor exists, and whether it has the region
// (rest-api.md 3.7.2; older lists count too).
func regions(vendor int) (known bool, has func(int) bool) {
	switch vendor {
	case 0: // Qiniu: its list is not known any more
		return true, between(0, 99)
	case vendorAmazon:
		return true, func(n int) bool { return between(0, 25)(n) || n == 28 }
	case vendorAlibaba:
		return true, between(0, 27)
	case vendorTencent:
		return true, between(0, 19)
	case 4: // Kingsoft
		return true, between(0, 9)
	case vendorAzure, vendorGoogle:
		return true, func(int) bool { return true }
	case 7: // Huawei
		return true, between(0, 15)
	case 8: // Baidu
		return true, between(0, 7)
	case vendorCompatible:
		return true, between(0, 0)
	}
	return false, nil
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
	known, has := regions(*s.Vendor)
	switch {
	case !known:
		return bad("vendor")
	case s.Region == nil && *s.Vendor != vendorAzure && *s.Vendor != vendorGoogle:
		return absent("region")
	case s.Region != nil && !has(*s.Region):
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
