package review

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/probe"
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
// there, each range lies in its file and reaches its end, the timeline has no
// hole, and what a player feeds its decoders (the set-up, then every range)
// decodes, with picture and sound together. FFmpeg's own DASH reader cannot be
// the judge: it does not honour byte ranges of local files.
func (r *Result) manifest(ctx context.Context, dir string, entry session.File, users []User) error {
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
	if len(f.Problems) > 0 {
		return nil // what is not there cannot be played
	}
	return f.failed(ctx, m.play(ctx, &f, filepath.Dir(filepath.Join(dir, entry.Name)), users))
}

// play decodes every list as a player does.
func (m manifest) play(ctx context.Context, f *File, dir string, users []User) error {
	work, err := os.MkdirTemp("", "tapedeck-dash-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck,forbidigo // the temporary folder made above
	var segments []probe.Segment
	for i, l := range m.Lists {
		path := filepath.Join(work, strconv.Itoa(i)+".webm")
		if err := l.join(dir, path); err != nil {
			return err
		}
		segments = append(segments, probe.Segment{Path: path})
	}
	w, err := probe.Watch(ctx, segments)
	if err != nil {
		return err
	}
	for _, said := range w.Warnings {
		// The set-up of the first slice tells the first slice's length.
		if !strings.Contains(said, "File extends beyond end of segment") {
			f.complain("decoding: %s", said)
		}
	}
	f.together(w, users)
	return nil
}

// join writes the byte ranges of the list, one after the other.
func (l segmentList) join(dir, to string) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close() //nolint:errcheck // closed below, too
	part := func(name, span string) error {
		var from, last int64
		if _, err := fmt.Sscanf(span, "%d-%d", &from, &last); err != nil {
			return fmt.Errorf("range %q of %s: %w", span, name, err)
		}
		in, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		defer in.Close() //nolint:errcheck // only read
		_, err = io.Copy(out, io.NewSectionReader(in, from, last-from+1))
		return err
	}
	if err := part(l.List.Init.Name, l.List.Init.Range); err != nil {
		return err
	}
	for _, s := range l.List.Segments {
		if err := part(s.Name, s.Range); err != nil {
			return err
		}
	}
	return out.Close()
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
