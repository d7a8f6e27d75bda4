package upload

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tapedeck/internal/outbound"
	"tapedeck/internal/session"
	"tapedeck/internal/upload/azure"
	"tapedeck/internal/upload/local"
	"tapedeck/internal/upload/s3"
	"tapedeck/internal/upload/vendor"
)

// vendorCompatible is any S3-compatible service; the caller names the endpoint
// (rest-api.md 3.7.1).
const vendorCompatible = 11

// Endpoints is an app's storage.endpoints: vendor number, or "*" for all but
// 11, to http(s)://host[:port] or file:///folder. "*" leads to an S3-compatible
// service, a number to one that speaks that vendor's protocol. It comes from the
// operator and is trusted.
type Endpoints map[string]string

func (e Endpoints) of(vendor int) (endpoint string, own bool) {
	if v := e[strconv.Itoa(vendor)]; v != "" {
		return v, true
	}
	if vendor == vendorCompatible {
		return "", false // the caller said where; "*" does not overrule that
	}
	return e["*"], false
}

// Rules are what an operator says about where an app's files may go.
type Rules struct {
	Endpoints Endpoints
	// Hosts, if any, are the only hosts that a caller may name as an endpoint:
	// "s3.example.com", "s3.example.com:9000", "*.example.com".
	Hosts  []string
	Policy outbound.Policy // for endpoints of callers and vendors; not for those of Endpoints
	Meter  *Meter          // bounds what is sent each second; nil = no bound
}

// OpenStore returns the store that a recording's files go to. Nothing is sent.
// Errors carry a vendor.Fault: a target that cannot work is the caller's.
func OpenStore(t session.Target, rules Rules) (vendor.Store, error) {
	p, err := platformOf(t.Vendor)
	if err != nil {
		return nil, refuse(vendor.Caller, "%v", err)
	}
	pol := rules.Policy
	endpoint, own := rules.Endpoints.of(t.Vendor)
	if endpoint != "" {
		u, err := url.Parse(endpoint)
		if err != nil {
			return nil, refuse(vendor.Ours, "storage.endpoints: %q is no URL", endpoint)
		}
		if u.Scheme == "file" {
			return openLocal(u, t.Bucket)
		}
		pol.Trusted = true
		if !own || p.Protocol == protocolS3 {
			return openS3(t, p.led(endpoint), rules.Meter.throttle(pol.Transport()))
		}
		return openAzure(t, strings.TrimSuffix(endpoint, "/")+"/"+t.AccessKey, rules.Meter.throttle(pol.Transport()))
	}
	rt := rules.Meter.throttle(pol.Transport())
	if t.Vendor == vendorCompatible {
		if endpoint, err = callersEndpoint(t.Endpoint, rules.Hosts); err != nil {
			return nil, err
		}
		return openS3(t, p.led(endpoint), rt)
	}
	host, region, err := p.place(t.Region)
	if err != nil {
		return nil, refuse(vendor.Caller, "%v", err)
	}
	if p.Protocol == protocolAzure {
		return openAzure(t, "https://"+strings.ReplaceAll(host, "{account}", t.AccessKey), rt)
	}
	return openS3(t, service{
		endpoint: "https://" + host, region: region, platform: p,
		// Certificates of the services cover one label below their host.
		path: p.Style != "virtual" || strings.Contains(t.Bucket, "."),
	}, rt)
}

// service is where and how an S3-compatible service is spoken to.
type service struct {
	platform
	endpoint, region string
	path             bool // the bucket is in the path
}

// led is the service at an endpoint that is not the vendor's own.
func (p platform) led(endpoint string) service {
	p.STS, p.SSE, p.Tags = true, true, amazonTags
	return service{platform: p, endpoint: strings.TrimSuffix(endpoint, "/"), path: !wantsVirtualHost(endpoint)}
}

func callersEndpoint(endpoint string, allow []string) (string, error) {
	if endpoint == "" {
		return "", refuse(vendor.Caller, "vendor %d needs extensionParams.endpoint", vendorCompatible)
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	if !hostAllowed(allow, endpoint) {
		return "", refuse(vendor.Caller, "the operator of this service does not allow storage at that endpoint (storage.hosts)")
	}
	return endpoint, nil
}

func openS3(t session.Target, s service, rt http.RoundTripper) (vendor.Store, error) {
	cfg := s3.Config{
		Endpoint: s.endpoint, Region: s.region, PathStyle: s.path, Bucket: t.Bucket,
		AccessKey: t.AccessKey, SecretKey: t.SecretKey, Transport: rt,
	}
	if s.STS {
		cfg.STSToken = t.STSToken
	}
	if s.SSE {
		cfg.SSE = t.SSE
	}
	if s.Tags != "" {
		cfg.Tag = t.Tag
		if s.Tags != amazonTags {
			cfg.TagHeader = s.Tags
		}
	}
	st, err := s3.New(cfg)
	if err != nil {
		return nil, err
	}
	return expiring(st, t), nil
}

func openAzure(t session.Target, endpoint string, rt http.RoundTripper) (vendor.Store, error) {
	st, err := azure.New(azure.Config{
		Endpoint: endpoint, Account: t.AccessKey, Key: t.SecretKey, Container: t.Bucket, Transport: rt,
	})
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
