package config

import (
	"log/slog"
	"net/url"
	"time"
)

// Backup is the operator's own store for files that a caller's store does not
// take for the moment. Without a bucket there is none and the spool keeps them.
type Backup struct {
	Vendor    int           `koanf:"vendor"` // as in storageConfig
	Region    int           `koanf:"region"`
	Bucket    string        `koanf:"bucket"`
	AccessKey string        `koanf:"access_key"` // must be able to read, write and delete
	SecretKey string        `koanf:"secret_key"`
	Endpoint  string        `koanf:"endpoint"` // http(s)://host[:port] or file:///folder instead of the vendor's own
	Prefix    string        `koanf:"prefix"`   // before its keys, such as "tapedeck"
	After     time.Duration `koanf:"after"`    // how long a store must be out of order before; 0: 2 min
}

// String leaves the credentials out.
func (b Backup) String() string { return "bucket " + b.Bucket + " " + b.Endpoint }

// GoString keeps them out of %#v as well.
func (b Backup) GoString() string { return b.String() }

// LogValue keeps them out of the logs.
func (b Backup) LogValue() slog.Value { return slog.StringValue(b.String()) }

// Upload bounds what a node sends to stores.
type Upload struct {
	Parallel int     `koanf:"parallel"` // files at the same time, over all recordings; 0: 128
	Mbit     float64 `koanf:"mbit"`     // megabits a second, over all recordings; 0: no bound
}

func (c Config) validateStorage(bad func(key, format string, args ...any)) {
	if c.Spool.MaxMB < 0 || c.Spool.MinFreeMB < 0 {
		bad("spool", "min_free_mb and max_mb must not be below zero")
	}
	if c.Upload.Parallel < 0 || c.Upload.Mbit < 0 {
		bad("upload", "parallel and mbit must not be below zero")
	}
	b := c.Backup
	if b.Bucket == "" {
		if b != (Backup{}) {
			bad("backup.bucket", "is empty although other keys of backup are set")
		}
		return
	}
	if b.After < 0 {
		bad("backup.after", "must not be below zero")
	}
	u, err := url.Parse(b.Endpoint)
	local := err == nil && u.Scheme == "file" && u.Host == "" && len(u.Path) > 1
	remote := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
	if b.Endpoint != "" && !local && !remote {
		bad("backup.endpoint", "%q is neither http(s)://host[:port] nor file:///folder", b.Endpoint)
	}
	if !local && (b.AccessKey == "" || b.SecretKey == "") {
		bad("backup", "access_key and secret_key are needed")
	}
}
