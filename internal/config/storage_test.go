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

func TestValidateHLS(t *testing.T) {
	secret := strings.Repeat("5a", 32)
	for _, c := range []struct {
		hls  config.HLS
		says string
	}{
		{config.HLS{}, ""},
		{config.HLS{Encrypt: true, KeyFile: true}, ""},
		{config.HLS{Encrypt: true, KeyFile: true, Secret: secret, Clear: true}, ""},
		{config.HLS{Encrypt: true, Secret: secret, KeyURI: "https://keys.example.com/{sid}"}, ""},
		{config.HLS{Secret: secret}, "is off"},
		{config.HLS{Encrypt: true}, "either key_uri or key_file"},
		{config.HLS{Encrypt: true, Secret: secret}, "either key_uri or key_file"},
		{config.HLS{Encrypt: true, Secret: secret, KeyFile: true, KeyURI: "https://a/{sid}"}, "either key_uri or key_file"},
		{config.HLS{Encrypt: true, KeyURI: "https://a/{sid}"}, "hls.secret"},
		{config.HLS{Encrypt: true, Secret: "5a5a", KeyFile: true}, "64 hex digits"},
		{config.HLS{Encrypt: true, Secret: secret, KeyURI: "keys"}, "key_uri"},
	} {
		app := config.App{ID: "a", LiveKit: config.Room{URL: "ws://a", Key: "k", Secret: "s"}, HLS: c.hls}
		if err := app.Validate(); (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c.hls, err)
		}
	}
	h := config.HLS{Encrypt: true, Secret: secret}
	if s := fmt.Sprintf("%v %+v %#v", h, h, h); strings.Contains(s, secret) {
		t.Errorf("printed: %s", s)
	}
}
