package recorder

import (
	"net/netip"
	"testing"
)

func TestSettingsFromEnv(t *testing.T) {
	env := map[string]string{}
	get := func(k string) string { return env[k] }
	s, err := SettingsFromEnv(get)
	if err != nil || s.Egress.Allow != nil || s.Quality != "" || s.MP4Length != 0 || s.MP4Bytes != 0 {
		t.Errorf("nothing set: %+v, %v", s, err)
	}
	env = map[string]string{EnvEgress: "127.0.0.0/8, ::1/128", EnvQuality: "high", EnvMP4Length: "90m", EnvMP4Bytes: "3000000"}
	s, err = SettingsFromEnv(get)
	if err != nil || s.Quality != "high" || s.MP4Length != 5400*second || s.MP4Bytes != 3000000 {
		t.Errorf("%+v, %v", s, err)
	}
	if s.Egress.Check(netip.MustParseAddr("127.0.0.1")) != nil || s.Egress.Check(netip.MustParseAddr("10.0.0.1")) == nil {
		t.Errorf("%+v", s.Egress)
	}
	for k, v := range map[string]string{EnvEgress: "10.0.0.1", EnvQuality: "best", EnvMP4Length: "2", EnvMP4Bytes: "x"} {
		env = map[string]string{k: v}
		if _, err := SettingsFromEnv(get); err == nil {
			t.Errorf("%s=%s is taken", k, v)
		}
	}
}
