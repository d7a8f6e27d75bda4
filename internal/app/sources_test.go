package app

import (
	"net/netip"
	"slices"
	"testing"

	"tapedeck/internal/config"
)

func TestSources(t *testing.T) {
	want := []string{"192.0.2.10", "2001:db8::1"}
	if got := sources(config.Config{WebhookSources: want}); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	own := sources(config.Config{})
	if len(own) == 0 {
		t.Error("this machine has no address")
	}
	for _, a := range own {
		if _, err := netip.ParseAddr(a); err != nil {
			t.Error(err)
		}
	}
	c := config.Default()
	c.WebhookSources = []string{"hooks.example.com"}
	if c.Validate() == nil {
		t.Error("a name is taken for an address")
	}
}
