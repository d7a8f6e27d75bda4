package playlist

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/media"
)

// Entry is one slice of a playlist.
type Entry struct {
	Name string     // bare file name
	Dur  media.Time // µs
	Tags []string   // whole lines that stand before its EXTINF
}

// slack is what the target duration exceeds the wanted slice length by, as in
// the samples of files.md 4.1: slices of 15.019 s stand under a target of 18.
const slack = 3 * time.Second

// List is a cumulative media playlist. The zero value is usable.
type List struct {
	Comma  bool          // a comma after EXTINF's number (privateParams.correctEXTINF)
	Length time.Duration // the wanted slice length; keeps the target duration steady

	entries []Entry
	longest media.Time
	mapped  bool // slices have Map tags, which version 3 does not know
}

// mapVersion is the least version with EXT-X-MAP in a playlist of pictures and
// sound (RFC 8216 7).
const mapVersion = 6

// Mapped reports whether a slice has a Map tag.
func (l *List) Mapped() bool { return l.mapped }

// Add appends a slice.
func (l *List) Add(e Entry) {
	l.mapped = l.mapped || slices.ContainsFunc(e.Tags, IsMap)
	l.entries = append(l.entries, e)
	l.longest = max(l.longest, e.Dur)
}

// target is the longest slice rounded up, but at least the wanted length with
// some slack, so that it changes as seldom as possible (RFC 8216 4.3.3.1).
func (l *List) target() int64 {
	const second = 1_000_000
	longest := (int64(l.longest) + second - 1) / second
	return max(longest, int64((l.Length+slack)/time.Second), 1)
}

// Render returns the whole playlist. ended says that nothing will be added.
func (l *List) Render(ended bool) []byte {
	var b strings.Builder
	b.Grow(160 + 160*len(l.entries))
	version := 3
	if l.mapped {
		version = mapVersion
	}
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:%d\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-ALLOW-CACHE:YES\n#EXT-X-TARGETDURATION:%d\n", version, l.target())
	comma := ""
	if l.Comma {
		comma = ","
	}
	for _, e := range l.entries {
		for _, t := range e.Tags {
			b.WriteString(t)
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "#EXTINF:%s%s\n%s\n", seconds(e.Dur), comma, e.Name)
	}
	if ended {
		b.WriteString("#EXT-X-ENDLIST\n")
	}
	return []byte(b.String())
}

// seconds formats d with six decimals; a decimal point is mandatory (files.md 4.3).
func seconds(d media.Time) string {
	d = max(d, 0)
	return fmt.Sprintf("%d.%06d", d/1_000_000, d%1_000_000)
}
