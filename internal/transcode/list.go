package transcode

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"tapedeck/internal/media"
)

var (
	rotateTag = regexp.MustCompile(`^#EXT-X-AGORA-ROTATE:WIDTH=\d+,HEIGHT=\d+,ROTATE=(\d+),`)
	lengthTag = regexp.MustCompile(`^#EXTINF:(\d+(?:\.\d+)?)`)
)

// readList reads a media playlist in the syntax of files.md 4. It comes from a
// bucket: nothing in it is trusted.
func readList(in io.Reader) ([]Slice, error) {
	sc := bufio.NewScanner(io.LimitReader(in, maxPlaylist))
	sc.Buffer(make([]byte, 0, 4096), 64<<10)
	var out []Slice
	next := Slice{}
	for line := 0; sc.Scan(); line++ {
		text := strings.TrimSpace(sc.Text())
		switch {
		case line == 0 && text != "#EXTM3U":
			return nil, errors.New("no M3U8 playlist")
		case text == "":
		case !strings.HasPrefix(text, "#"):
			if !bare(text) {
				return nil, fmt.Errorf("slice %q is no bare file name", text)
			}
			if start, ok := stampOf(text); ok && next.Dur > 0 {
				next.Name, next.Start = text, start
				out = append(out, next)
			}
			next = Slice{Rotate: next.Rotate}
		default:
			tag(&next, text)
		}
	}
	if err := sc.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

// bare reports whether a name stays inside its folder.
func bare(name string) bool {
	return name == filepath.Base(name) && name != "." && name != ".." && !strings.ContainsAny(name, "\\\x00")
}

func tag(s *Slice, text string) {
	if m := rotateTag.FindStringSubmatch(text); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n%90 == 0 {
			s.Rotate = n % 360
		}
	}
	if m := lengthTag.FindStringSubmatch(text); m != nil {
		if sec, err := strconv.ParseFloat(m[1], 64); err == nil && sec < 1e6 {
			s.Dur = media.Time(sec*1e6 + 0.5)
		}
	}
}
