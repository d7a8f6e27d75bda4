package wire

import (
	"strings"

	"tapedeck/internal/session"
)

// storageConfig of rest-api.md 3.7, as the table leaves it.
type storageConfig struct {
	Vendor        int      `json:"vendor"`
	Region        *int     `json:"region"`
	Bucket        string   `json:"bucket"`
	AccessKey     string   `json:"accessKey"`
	SecretKey     string   `json:"secretKey"`
	STSToken      string   `json:"stsToken"`
	STSExpiration uint64   `json:"stsExpiration"`
	Prefix        []string `json:"fileNamePrefix"`
	Extension     struct {
		SSE      string `json:"sse"`
		Tag      string `json:"tag"`
		Endpoint string `json:"endpoint"`
	} `json:"extensionParams"`
}

// maxExpiration keeps stsExpiration within what every JSON reader understands.
const maxExpiration = 1 << 53

// target checks the region (R20) and makes the target. What a vendor has no use
// for (R19) the table has left out.
func (r *Rules) target(s *storageConfig) (session.Target, error) {
	vendor, _ := r.vendor(s.Vendor)
	t := session.Target{
		Vendor: s.Vendor, Bucket: s.Bucket, AccessKey: s.AccessKey, SecretKey: s.SecretKey,
		STSToken: s.STSToken, STSExpiration: int64(min(s.STSExpiration, maxExpiration)),
		SSE: s.Extension.SSE, Tag: s.Extension.Tag, Endpoint: s.Extension.Endpoint,
	}
	switch {
	case s.Region == nil && !vendor.Anywhere:
		return session.Target{}, absent("region")
	case s.Region != nil && !vendor.Has(*s.Region):
		return session.Target{}, bad("region")
	case s.Region != nil:
		t.Region = *s.Region
	}
	if len(s.Prefix) > 0 {
		t.Prefix = strings.Join(s.Prefix, "/") + "/"
	}
	return t, nil
}
