package session

import "log/slog"

// Target is where a recording's files go: storageConfig of rest-api.md 3.7 with
// its defaults filled in. It holds the caller's credentials: it exists in memory
// or sealed by the key ring, never in a log, a plan or a worker. Its JSON form is
// what the session record carries sealed.
type Target struct {
	Vendor        int    `json:"vendor"` // rest-api.md 3.7.1
	Region        int    `json:"region"` // index in the vendor's list, 3.7.2
	Bucket        string `json:"bucket"`
	AccessKey     string `json:"accessKey"`
	SecretKey     string `json:"secretKey"`
	STSToken      string `json:"stsToken,omitempty"`
	STSExpiration int64  `json:"stsExpiration,omitempty"` // Unix seconds; 0 = not said
	Prefix        string `json:"prefix,omitempty"`        // "" or "d1/d2/"
	SSE           string `json:"sse,omitempty"`           // "kms", "aes256" or ""
	Tag           string `json:"tag,omitempty"`           // object tags, "KEY=value"
	Endpoint      string `json:"endpoint,omitempty"`      // host or URL, vendor 11
}

// String names the destination without its credentials.
func (t Target) String() string { return "storage " + t.Bucket + "/" + t.Prefix }

// GoString keeps the credentials out of %#v as well.
func (t Target) GoString() string { return t.String() }

// LogValue keeps the credentials out of the logs.
func (t Target) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int("vendor", t.Vendor), slog.Int("region", t.Region),
		slog.String("bucket", t.Bucket), slog.String("prefix", t.Prefix),
		slog.String("endpoint", t.Endpoint),
	)
}
