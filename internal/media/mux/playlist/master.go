package playlist

import (
	"fmt"
	"strings"
)

// Master is a playlist of playlists: one of pictures and, if there is sound,
// one of sound that belongs to them (RFC 8216 4.3.4).
type Master struct {
	Video, Audio string // names of playlists; Audio may be ""
	Bandwidth    int64  // highest bit rate of both together, bit/s
	W, H         int    // pixels, 0 = not told
}

// Render returns the whole file. Codecs are left to the slices: a user's may
// change, and players find them there.
func (m Master) Render() []byte {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n")
	if m.Audio != "" {
		fmt.Fprintf(&b, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"audio\",DEFAULT=YES,AUTOSELECT=YES,URI=\"%s\"\n", m.Audio)
	}
	fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d", m.Bandwidth)
	if m.W > 0 && m.H > 0 {
		fmt.Fprintf(&b, ",RESOLUTION=%dx%d", m.W, m.H)
	}
	if m.Audio != "" {
		b.WriteString(",AUDIO=\"audio\"")
	}
	fmt.Fprintf(&b, "\n%s\n", m.Video)
	return []byte(b.String())
}
