package recorder

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/outbound"
)

// Settings are what the operator of a node tells all its workers, in their
// environment (docs/formats/link.md). The zero value works.
type Settings struct {
	Egress  outbound.Policy // what the pictures of a layout may be fetched from
	Quality string          // of the mix's pictures: "" or "s1", "high"

	MP4Length media.Time // a mix begins its next MP4 at the first slice that begins this long after the last; 0: two hours
	MP4Bytes  int64      // or at the first slice after this many bytes; 0: 2 GB

	KnownBrowser string // file that remembers how this machine's browser draws; "": tried for every recording
}

// Names of the worker's environment.
const (
	EnvEgress    = "TAPEDECK_EGRESS_ALLOW" // address ranges (CIDR), separated by commas
	EnvQuality   = "TAPEDECK_MIX_QUALITY"
	EnvMP4Length = "TAPEDECK_MIX_MP4_LENGTH" // as Go writes durations
	EnvMP4Bytes  = "TAPEDECK_MIX_MP4_BYTES"
	EnvBrowser   = "TAPEDECK_KNOWN_BROWSER" // a file
)

// SettingsFromEnv reads the settings.
func SettingsFromEnv(get func(string) string) (s Settings, err error) {
	for p := range strings.SplitSeq(get(EnvEgress), ",") {
		if p == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(strings.TrimSpace(p))
		if err != nil {
			return s, fmt.Errorf("recorder: %s: %w", EnvEgress, err)
		}
		s.Egress.Allow = append(s.Egress.Allow, prefix)
	}
	s.KnownBrowser = get(EnvBrowser)
	switch s.Quality = get(EnvQuality); s.Quality {
	case "", "s1", "high":
	default:
		return s, fmt.Errorf("recorder: %s is %q, want s1 or high", EnvQuality, s.Quality)
	}
	if v := get(EnvMP4Length); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d < time.Second {
			return s, fmt.Errorf("recorder: %s is %q, want a duration of a second or more, such as 2h", EnvMP4Length, v)
		}
		s.MP4Length = media.Time(d.Microseconds())
	}
	if v := get(EnvMP4Bytes); v != "" {
		if s.MP4Bytes, err = strconv.ParseInt(v, 10, 64); err != nil || s.MP4Bytes < 1<<20 {
			return s, fmt.Errorf("recorder: %s is %q, want a number of bytes, a million or more", EnvMP4Bytes, v)
		}
	}
	return s, nil
}
