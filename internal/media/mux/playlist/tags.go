// Package playlist writes the index files of recordings: M3U8 in the exact
// syntax of spec/files.md 4, the master playlist and the MPD of standard mode.
// It formats text only; who calls it stores it.
package playlist

import (
	"fmt"
	"strings"
	"time"
)

const trackEvent = "#EXT-X-AGORA-TRACK-EVENT:"

// Kinds of a track event.
const (
	Audio = "AUDIO"
	Video = "VIDEO"
)

// Stamp formats t as the 17 digits YYYYMMDDhhmmssSSS in UTC that names of
// slices and custom tags carry (files.md 2). The time is cut to milliseconds,
// never rounded up, so that two instants a microsecond apart never differ by
// more than a millisecond in their stamps.
func Stamp(t time.Time) string {
	t = t.UTC()
	return fmt.Sprintf("%s%03d", t.Format("20060102150405"), t.Nanosecond()/int(time.Millisecond))
}

// ParseStamp is the inverse of Stamp.
func ParseStamp(s string) (time.Time, error) {
	if len(s) != 17 {
		return time.Time{}, fmt.Errorf("playlist: %q is not a 17-digit time", s)
	}
	t, err := time.Parse("20060102150405.000", s[:14]+"."+s[14:])
	if err != nil {
		return time.Time{}, fmt.Errorf("playlist: %q is not a 17-digit time: %w", s, err)
	}
	return t, nil
}

// Discontinuity is the tag before the first slice, after an interruption and
// where the size changes.
func Discontinuity() string { return "#EXT-X-DISCONTINUITY" }

// TrackEvent is the tag before the first slice of a stream that began or came
// back at the given time. kind is Audio or Video.
func TrackEvent(kind string, at time.Time) string {
	return fmt.Sprintf("%sEVENT=START,TRACK_TYPE=%s,TIME=%s", trackEvent, kind, Stamp(at))
}

// Rotate is the tag before the first video slice and before each slice whose
// size differs from the one before. rot is 0, 90, 180 or 270 degrees anticlockwise.
func Rotate(w, h, rot int, at time.Time) string {
	return fmt.Sprintf("#EXT-X-AGORA-ROTATE:WIDTH=%d,HEIGHT=%d,ROTATE=%d,TIME=%s", w, h, rot, Stamp(at))
}

// IsTrackEvent reports whether a tag line is a TrackEvent.
func IsTrackEvent(tag string) bool { return strings.HasPrefix(tag, trackEvent) }

// MapTag is what a Map begins with.
const MapTag = "#EXT-X-MAP:"

// Map is the tag before a slice in fragmented MP4, which begins with its own
// initialisation of so many bytes (RFC 8216 4.3.2.5).
func Map(slice string, head int64) string {
	return fmt.Sprintf("%sURI=\"%s\",BYTERANGE=\"%d@0\"", MapTag, slice, head)
}

// MapFile is Map where the initialisation is a file of its own.
func MapFile(name string) string { return fmt.Sprintf("%sURI=\"%s\"", MapTag, name) }

const rangeTag = "#EXT-X-BYTERANGE:"

// Behind is the tag that leaves the initialisation out of a slice of so many
// bytes (RFC 8216 4.3.2.2): readers have it from Map.
func Behind(head, size int64) string { return fmt.Sprintf("%s%d@%d", rangeTag, size-head, head) }

// IsMap reports whether a tag line is a Map or a Behind.
func IsMap(tag string) bool {
	return strings.HasPrefix(tag, MapTag) || strings.HasPrefix(tag, rangeTag)
}
