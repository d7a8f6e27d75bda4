package probe

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Playlist is an M3U8 as spec/files.md 4 describes it.
type Playlist struct {
	Version, Target, Sequence int
	Ended                     bool
	Slices                    []Slice
	Lists                     []string // names of further playlists, where this is a master playlist
}

// Master reports whether the playlist lists playlists instead of slices.
func (p Playlist) Master() bool { return len(p.Lists) > 0 }

// Slice is one entry of a playlist.
type Slice struct {
	Name          string
	Duration      time.Duration
	Discontinuity bool
	Tags          []string  // the vendor's own tag lines before it
	UTC           time.Time // from the name; zero if the name carries none
}

// Sum is the total of the slices' durations.
func (p Playlist) Sum() time.Duration {
	var sum time.Duration
	for _, s := range p.Slices {
		sum += s.Duration
	}
	return sum
}

// ReadPlaylist parses the playlist at path.
func ReadPlaylist(path string) (Playlist, error) {
	f, err := os.Open(path)
	if err != nil {
		return Playlist{}, fmt.Errorf("probe: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	p, err := ParsePlaylist(f)
	if err != nil {
		return p, fmt.Errorf("probe: %s: %w", filepath.Base(path), err)
	}
	return p, nil
}

// ParsePlaylist reads an M3U8. The comma after an EXTINF duration may be absent.
func ParsePlaylist(r io.Reader) (Playlist, error) {
	var p Playlist
	var next Slice
	timed, first, variant := false, true, false
	in := bufio.NewScanner(r)
	for in.Scan() {
		line := strings.TrimSpace(in.Text())
		if first {
			if line != "#EXTM3U" {
				return p, fmt.Errorf("playlist begins with %q", line)
			}
			first = false
			continue
		}
		var err error
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "#EXT-X-VERSION":
			p.Version, err = strconv.Atoi(value)
		case "#EXT-X-TARGETDURATION":
			p.Target, err = strconv.Atoi(value)
		case "#EXT-X-MEDIA-SEQUENCE":
			p.Sequence, err = strconv.Atoi(value)
		case "#EXT-X-ENDLIST":
			p.Ended = true
		case "#EXT-X-DISCONTINUITY":
			next.Discontinuity = true
		case "#EXT-X-STREAM-INF":
			variant = true
		case "#EXT-X-MEDIA":
			if _, rest, ok := strings.Cut(value, `URI="`); ok {
				uri, _, _ := strings.Cut(rest, `"`)
				p.Lists = append(p.Lists, uri)
			}
		case "#EXTINF":
			next.Duration, err = extinf(value)
			timed = true
		default:
			switch {
			case strings.HasPrefix(line, "#EXT-X-AGORA-"):
				next.Tags = append(next.Tags, line)
			case line == "" || strings.HasPrefix(line, "#"):
			case variant:
				p.Lists = append(p.Lists, line)
				variant = false
			case !timed:
				err = fmt.Errorf("slice %q has no EXTINF", line)
			default:
				next.Name, next.UTC = line, NameTime(line)
				p.Slices = append(p.Slices, next)
				next, timed = Slice{}, false
			}
		}
		if err != nil {
			return p, fmt.Errorf("playlist line %q: %w", line, err)
		}
	}
	if first {
		return p, fmt.Errorf("playlist is empty")
	}
	return p, in.Err()
}

func extinf(v string) (time.Duration, error) {
	v, _, _ = strings.Cut(v, ",")
	f, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return 0, err
	}
	return time.Duration(f*1e6+0.5) * time.Microsecond, nil
}

// NameTime returns the instant in a slice's name, <...>_<YYYYMMDDhhmmssSSS>.<ext>,
// or the zero time.
func NameTime(name string) time.Time {
	m := regexp.MustCompile(`_(\d{14})(\d{3})\.[a-z0-9]+$`).FindStringSubmatch(name)
	if m == nil {
		return time.Time{}
	}
	t, err := time.Parse("20060102150405.000", m[1]+"."+m[2])
	if err != nil {
		return time.Time{}
	}
	return t
}
