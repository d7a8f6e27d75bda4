package playlist

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"strings"
	"time"

	"tapedeck/internal/media"
)

// MPD is the joint index of WebM slices (ISO/IEC 23009-1): one period, one
// stream of pictures and one of sound, each a list of slices with a timeline.
// The beginning of the first slice sets up the decoder, of the others only what
// follows it is fetched. For readers that go line by line (files.md 4.3) each
// slice, change of size and discontinuity has a line of its own.
type MPD struct {
	Start   time.Time     // UTC of the presentation's first instant
	Origin  media.Time    // timestamp of that instant in the slices
	Update  time.Duration // how often the file is replaced while it grows
	Streams []Stream
}

// Stream is one kind of media.
type Stream struct {
	Kind      string // "video" or "audio"
	Codecs    string // "vp8", "opus", ...
	Bandwidth int64  // highest bit rate, bit/s
	W, H      int    // pixels, video
	Segments  []Segment
}

// Segment is a slice. Start counts in the slices' timestamps.
type Segment struct {
	Name       string
	Start, Dur media.Time
	Head, Size int64    // bytes: of what sets up a decoder, and of all; 0 = not known
	Tags       []string // as in the playlist
}

// rotation takes the values of a Rotate tag.
func rotation(tag string) []string {
	return regexp.MustCompile(`^#EXT-X-AGORA-ROTATE:WIDTH=(\d+),HEIGHT=(\d+),ROTATE=(\d+),TIME=(\d+)$`).FindStringSubmatch(tag)
}

// Render returns the whole file. ended says that nothing will be added.
func (m MPD) Render(ended bool) []byte {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:full:2011\" minBufferTime=\"PT2S\"")
	if ended {
		fmt.Fprintf(&b, " type=\"static\" mediaPresentationDuration=\"%s\">\n", period(m.length()))
	} else {
		fmt.Fprintf(&b, " type=\"dynamic\" availabilityStartTime=\"%s\" minimumUpdatePeriod=\"%s\">\n",
			m.Start.UTC().Format("2006-01-02T15:04:05.000Z"), period(media.Time(m.Update.Microseconds())))
	}
	b.WriteString("  <Period id=\"0\" start=\"PT0S\">\n")
	for _, s := range m.Streams {
		if len(s.Segments) > 0 {
			m.stream(&b, s)
		}
	}
	b.WriteString("  </Period>\n</MPD>\n")
	return []byte(b.String())
}

// length is from the first instant to the end of the last slice.
func (m MPD) length() media.Time {
	end := m.Origin
	for _, s := range m.Streams {
		for _, g := range s.Segments {
			end = max(end, g.Start+g.Dur)
		}
	}
	return end - m.Origin
}

func (m MPD) stream(b *strings.Builder, s Stream) {
	size := ""
	if s.Kind == "video" {
		size = fmt.Sprintf(" width=\"%d\" height=\"%d\"", s.W, s.H)
	}
	fmt.Fprintf(b, "    <AdaptationSet contentType=\"%s\" mimeType=\"%s/webm\">\n      <Representation id=\"%s\" codecs=\"%s\" bandwidth=\"%d\"%s>\n",
		s.Kind, s.Kind, s.Kind, s.Codecs, s.Bandwidth, size)
	fmt.Fprintf(b, "        <SegmentList timescale=\"1000\" presentationTimeOffset=\"%d\">\n", m.Origin/1000)
	if g := s.Segments[0]; g.Head > 0 {
		fmt.Fprintf(b, "          <Initialization sourceURL=\"%s\" range=\"0-%d\"/>\n", escape(g.Name), g.Head-1)
	}
	b.WriteString("          <SegmentTimeline>\n")
	for i, g := range s.Segments {
		// Both ends are rounded, not the length: slices stay adjacent. One that a
		// pause follows is listed up to the next, or players take it for the last.
		from, to := g.Start/1000, (g.Start+g.Dur)/1000
		if i+1 < len(s.Segments) {
			to = s.Segments[i+1].Start / 1000
		}
		fmt.Fprintf(b, "            <S t=\"%d\" d=\"%d\"/>\n", from, to-from)
	}
	b.WriteString("          </SegmentTimeline>\n")
	for _, g := range s.Segments {
		m.marks(b, g)
		fmt.Fprintf(b, "          <SegmentURL media=\"%s\"", escape(g.Name))
		if s.Segments[0].Head > 0 && g.Size > g.Head {
			fmt.Fprintf(b, " mediaRange=\"%d-%d\"", g.Head, g.Size-1)
		}
		b.WriteString("/>\n")
	}
	b.WriteString("        </SegmentList>\n      </Representation>\n    </AdaptationSet>\n")
}

// marks writes what the playlist says in tags, in elements that players skip.
func (m MPD) marks(b *strings.Builder, g Segment) {
	for _, t := range g.Tags {
		if t == Discontinuity() {
			fmt.Fprintf(b, "          <ExtDiscontinuity time=\"%s\"/>\n", Stamp(m.at(g.Start)))
		}
		if r := rotation(t); r != nil {
			fmt.Fprintf(b, "          <ExtRotate width=\"%s\" height=\"%s\" rotate=\"%s\" time=\"%s\"/>\n", r[1], r[2], r[3], r[4])
		}
	}
}

// at returns the UTC of a timestamp.
func (m MPD) at(t media.Time) time.Time {
	return m.Start.Add(time.Duration(t-m.Origin) * time.Microsecond)
}

// period formats an xs:duration.
func period(t media.Time) string { return "PT" + seconds(t) + "S" }

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder never fails
	return b.String()
}

// RotateSize returns the size in a Rotate tag, if it is one.
func RotateSize(tag string) (w, h int, ok bool) {
	r := rotation(tag)
	if r == nil {
		return 0, 0, false
	}
	n, err := fmt.Sscan(r[1]+" "+r[2], &w, &h)
	return w, h, n == 2 && err == nil
}

// ParseRotate returns the size and the angle in a Rotate tag, if it is one.
func ParseRotate(tag string) (w, h, turn int, ok bool) {
	r := rotation(tag)
	if r == nil {
		return 0, 0, 0, false
	}
	n, err := fmt.Sscan(strings.Join(r[1:4], " "), &w, &h, &turn)
	return w, h, turn, n == 3 && err == nil
}
