package upload

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"tapedeck/internal/outbound"
	"tapedeck/internal/session"
	"tapedeck/internal/upload/local"
	"tapedeck/internal/upload/s3"
	"tapedeck/internal/upload/vendor"
)

// Vendor numbers of rest-api.md 3.7.1 that are named here.
const (
	vendorAmazon     = 1
	vendorCompatible = 11 // any S3-compatible service; the caller names the endpoint
)

// Endpoints is an app's storage.endpoints: vendor number, or "*" for all but
// 11, to http(s)://host[:port] of an S3-compatible service or file:///folder.
// It comes from the operator and is trusted.
type Endpoints map[string]string

func (e Endpoints) of(vendor int) string {
	if v := e[strconv.Itoa(vendor)]; v != "" {
		return v
	}
	if vendor == vendorCompatible {
		return "" // the caller said where; "*" does not overrule that
	}
	return e["*"]
}

// OpenStore returns the store that a recording's files go to. Nothing is sent.
// Endpoints of callers are reached under pol, those of rules without it. Errors
// carry a vendor.Fault: a target that cannot work is the caller's.
func OpenStore(t session.Target, rules Endpoints, pol outbound.Policy) (vendor.Store, error) {
	cfg := s3.Config{
		Bucket: t.Bucket, AccessKey: t.AccessKey, SecretKey: t.SecretKey, STSToken: t.STSToken,
		SSE: t.SSE, Tag: t.Tag,
	}
	if override := rules.of(t.Vendor); override != "" {
		u, err := url.Parse(override)
		if err != nil {
			return nil, refuse(vendor.Ours, "storage.endpoints: %q is no URL", override)
		}
		if u.Scheme == "file" {
			return openLocal(u, t.Bucket)
		}
		pol.Trusted = true
		cfg.Endpoint, cfg.PathStyle = strings.TrimSuffix(override, "/"), true
		return open(cfg, pol)
	}
	switch t.Vendor {
	case vendorAmazon:
		region, ok := amazonRegion(t.Region)
		if !ok {
			return nil, refuse(vendor.Caller, "vendor 1 has no region %d", t.Region)
		}
		cfg.Region = region
		cfg.Endpoint = "https://" + amazonHost(region)
		// The certificate of the service covers one label below it.
		cfg.PathStyle = strings.Contains(t.Bucket, ".")
	case vendorCompatible:
		if t.Endpoint == "" {
			return nil, refuse(vendor.Caller, "vendor 11 needs extensionParams.endpoint")
		}
		cfg.Endpoint = strings.TrimSuffix(t.Endpoint, "/")
		if !strings.Contains(cfg.Endpoint, "://") {
			cfg.Endpoint = "https://" + cfg.Endpoint
		}
		cfg.PathStyle = !virtualHost(cfg.Endpoint)
	default:
		return nil, refuse(vendor.Caller, "storage vendor %d is not supported yet; an operator can lead it to an S3-compatible service with storage.endpoints", t.Vendor)
	}
	return open(cfg, pol)
}

func open(cfg s3.Config, pol outbound.Policy) (vendor.Store, error) {
	cfg.Transport = pol.Transport()
	st, err := s3.New(cfg)
	if err != nil {
		return nil, err
	}
	return st, nil
}

func openLocal(u *url.URL, bucket string) (vendor.Store, error) {
	if u.Host != "" || u.Path == "" {
		return nil, refuse(vendor.Ours, "storage.endpoints: write a folder as file:///folder, not %q", u)
	}
	st, err := local.New(u.Path, bucket)
	if err != nil {
		return nil, err
	}
	return st, nil
}

func refuse(f vendor.Fault, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	return vendor.NewError("open", "", f, "", errors.New(text))
}
