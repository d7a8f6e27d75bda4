package config_test

import (
	"fmt"
	"strings"
	"testing"

	"tapedeck/internal/config"
)

func TestValidateStorage(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*config.Config)
		says   string
	}{
		"nothing":  {func(*config.Config) {}, ""},
		"a folder": {func(c *config.Config) { c.Backup = config.Backup{Bucket: "b", Endpoint: "file:///var/backup"} }, ""},
		"a service": {func(c *config.Config) {
			c.Backup = config.Backup{Bucket: "b", Vendor: 1, AccessKey: "a", SecretKey: "s"}
		}, ""},
		"no keys":    {func(c *config.Config) { c.Backup = config.Backup{Bucket: "b", Vendor: 1} }, "access_key"},
		"no bucket":  {func(c *config.Config) { c.Backup = config.Backup{AccessKey: "a"} }, "backup.bucket"},
		"a path":     {func(c *config.Config) { c.Backup = config.Backup{Bucket: "b", Endpoint: "/var/backup"} }, "backup.endpoint"},
		"below zero": {func(c *config.Config) { c.Upload.Mbit = -1 }, "upload"},
		"quota":      {func(c *config.Config) { c.Spool.MaxMB = -1 }, "spool"},
	} {
		cfg := config.Default()
		c.change(&cfg)
		err := cfg.Validate()
		if (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := config.Backup{Bucket: "b", AccessKey: "the-key", SecretKey: "the-secret"}
	if s := fmt.Sprintf("%v %+v %#v", b, b, b); strings.Contains(s, "the-key") || strings.Contains(s, "the-secret") {
		t.Errorf("printed: %s", s)
	}
}
