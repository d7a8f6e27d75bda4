package review

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tapedeck/internal/session"
)

// manifest is what a player of an MPD with segment lists reads (ISO/IEC 23009-1).
type manifest struct {
	Type     string        `xml:"type,attr"`
	Duration string        `xml:"mediaPresentationDuration,attr"`
	Lists    []segmentList `xml:"Period>AdaptationSet>Representation"`
}

type segmentList struct {
	Codecs string `xml:"codecs,attr"`
	List   struct {
		Init struct {
			Name  string `xml:"sourceURL,attr"`
			Range string `xml:"range,attr"`
		} `xml:"Initialization"`
		Spans []struct {
			Start int64 `xml:"t,attr"` // ms
			Dur   int64 `xml:"d,attr"`
		} `xml:"SegmentTimeline>S"`
		Segments []struct {
			Name  string `xml:"media,attr"`
			Range string `xml:"mediaRange,attr"`
		} `xml:"SegmentURL"`
	} `xml:"SegmentList"`
}

// manifest judges a joint index for DASH by what it refers to: every slice is
// there, each range lies in its file and reaches its end, and the timeline has
// no hole. FFmpeg cannot be the judge: its DASH reader does not honour byte
// ranges of local files. What the slices hold is judged with the playlists.
func (r *Result) manifest(dir string, entry session.File) error {
	f := File{Name: entry.Name}
	defer func() { r.Files = append(r.Files, f) }()
	b, err := os.ReadFile(filepath.Join(dir, entry.Name))
	if err != nil {
		return err
	}
	var m manifest
	if err := xml.Unmarshal(b, &m); err != nil {
		f.complain("is no MPD: %v", err)
		return nil
	}
	if m.Type != "static" {
		f.complain("type is %q after the end, want static", m.Type)
	}
	if _, err := fmt.Sscanf(m.Duration, "PT%fS", new(float64)); err != nil {
		f.complain("duration %q", m.Duration)
	}
	for i, l := range m.Lists {
		if i > 0 {
			f.Codecs += "+"
		}
		f.Codecs += l.Codecs
		f.Duration = max(f.Duration, l.check(&f, filepath.Dir(filepath.Join(dir, entry.Name))))
	}
	if len(m.Lists) == 0 {
		f.complain("lists nothing")
	}
	return nil
}

// check returns how long the list is.
func (l segmentList) check(f *File, dir string) time.Duration {
	if len(l.List.Segments) == 0 || len(l.List.Spans) != len(l.List.Segments) {
		f.complain("%s: %d slices, %d times", l.Codecs, len(l.List.Segments), len(l.List.Spans))
		return 0
	}
	var from, to int64
	if _, err := fmt.Sscanf(l.List.Init.Range, "%d-%d", &from, &to); err != nil || from != 0 || to <= 0 {
		f.complain("%s: the decoder is set up from %q", l.Codecs, l.List.Init.Range)
	}
	f.Slices += len(l.List.Segments)
	for i, s := range l.List.Segments {
		st, err := os.Stat(filepath.Join(dir, s.Name))
		if err != nil {
			f.complain("names a slice that is not there: %v", err)
			continue
		}
		if _, err := fmt.Sscanf(s.Range, "%d-%d", &from, &to); err != nil || from <= 0 || to != st.Size()-1 {
			f.complain("%s of %d bytes is listed as %q", s.Name, st.Size(), s.Range)
		}
		if i > 0 && l.List.Spans[i-1].Start+l.List.Spans[i-1].Dur != l.List.Spans[i].Start {
			f.complain("the timeline has a hole before %s", s.Name)
		}
	}
	first, last := l.List.Spans[0], l.List.Spans[len(l.List.Spans)-1]
	return time.Duration(last.Start+last.Dur-first.Start) * time.Millisecond
}
