package review

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/probe"
)

// zero is the moment at which the recordings of these tests begin.
var zero = time.Date(2026, 3, 1, 12, 0, 0, 250e6, time.UTC)

func people() []clips.Person {
	return []clips.Person{
		{UID: 7, Color: "#2050b0", Tone: 600, Video: []clips.Video{{Codec: media.H264, W: 320, H: 180, Kbps: 300}}},
		{UID: 8, Color: "#b05010", Tone: 1000, Video: []clips.Video{{Codec: media.H264, W: 320, H: 180, Kbps: 300}}},
	}
}

// users are both there from the start; 8 is away from 3.9 to 6 s.
func users() []User {
	in := func(from, to float64) Stay {
		at := func(s float64) time.Time { return zero.Add(time.Duration(s * 1e9)) }
		return Stay{at(from), at(to)}
	}
	return []User{
		{UID: 7, Tone: 600, Color: "#2050b0", Stays: []Stay{in(0, 10)}},
		{UID: 8, Tone: 1000, Color: "#b05010", Stays: []Stay{in(0, 3.9), in(6, 10)}},
	}
}

// record makes a mix of both users with the ffmpeg program, in slices of 4 s
// and an MP4, with names and times as a recorder gives them. late delays the
// sound by ms; back is when user 8 returns.
func record(t *testing.T, late int, back float64) (dir string, q MixRequest) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs ffmpeg")
	}
	sets, err := clips.Make(t.Context(), clips.CacheDir(), people())
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	away := fmt.Sprintf("between(t\\,3.9\\,%g)", back-0.001)
	graph := "[0:v]setpts=N/30/TB[l];[1:v]setpts=N/30/TB,drawbox=color=black:t=fill:enable='" + away + "'[r];[l][r]hstack,pad=640:360[v];" +
		"[3:a]volume=0:enable='" + away + "'[x];[2:a][x]amix=inputs=2:normalize=0,adelay=" + fmt.Sprint(late) + "[a]"
	args := []string{
		"-v", "error", "-framerate", "30", "-i", sets[0].Layers[0].Path, "-framerate", "30", "-i", sets[1].Layers[0].Path,
		"-i", sets[0].Audio.Path, "-i", sets[1].Audio.Path, "-filter_complex", graph, "-map", "[v]", "-map", "[a]",
		"-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "30", "-sc_threshold", "0", "-c:a", "aac", "-t", "10",
		"-f", "tee", fmt.Sprintf("[f=mp4]%s/s_c_0.mp4|[f=hls:hls_time=4:hls_list_size=0:hls_segment_options=output_ts_offset=10]%s/s_c.m3u8", dir, dir),
	}
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	rename(t, dir)
	return dir, MixRequest{
		Dir: dir, Playlist: "s_c.m3u8", MP4s: []string{"s_c_0.mp4"}, W: 640, H: 360, Users: users(),
		Regions: halves(), From: zero.Add(10 * time.Second), To: zero.Add(10 * time.Second),
	}
}

// halves are the users' places in these tests: the upper half, left and right.
func halves() []probe.Region {
	return []probe.Region{{X: 0, Y: 0, W: 0.5, H: 0.5}, {X: 0.5, Y: 0, W: 0.5, H: 0.5}}
}

// rename gives the slices the names a recorder would.
func rename(t *testing.T, dir string) {
	t.Helper()
	list := filepath.Join(dir, "s_c.m3u8")
	b, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for i, at := range []time.Duration{0, 4 * time.Second, 8 * time.Second} {
		old := fmt.Sprintf("s_c%d.ts", i)
		name := "s_c_" + strings.Replace(zero.Add(at).Format("20060102150405.000"), ".", "", 1) + ".ts"
		text = strings.Replace(text, old, name, 1)
		if err := os.Rename(filepath.Join(dir, old), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestMixGood(t *testing.T) {
	_, q := record(t, 0, 6)
	r, err := Mix(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range r.Users {
		t.Logf("%d %s: %v, lags %v", u.UID, u.Where, u.Sync, u.Lags)
	}
	if p := r.Problems(); len(p) > 0 {
		t.Errorf("problems of a good recording:\n%s", strings.Join(p, "\n"))
	}
	if len(r.Users) != 4 || len(r.Files) != 2 || r.Files[0].Slices != 3 {
		t.Errorf("%+v", r)
	}
}

// TestMixBad makes one thing wrong at a time; each must be said.
func TestMixBad(t *testing.T) {
	edit := func(old, new string) func(*testing.T, string, *MixRequest) {
		return func(t *testing.T, dir string, _ *MixRequest) {
			path := filepath.Join(dir, "s_c.m3u8")
			b, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(b), old) {
				t.Fatalf("%v: no %q in %s", err, old, b)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(string(b), old, new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	good, request := record(t, 0, 6)
	for _, c := range []struct {
		name string
		late int
		back float64
		harm func(*testing.T, string, *MixRequest)
		want string
	}{
		{"sound late by 60 ms", 60, 6, nil, "is more than 40ms"},
		{"user comes back 0.7 s late", 0, 7.7, nil, "is missing"},
		{"user seen while away", 0, 5, nil, "while the user was away"},
		{"a slice listed too long", 0, 6, edit("EXTINF:4.000000", "EXTINF:4.080000"), "after the end of the slice before it"},
		{"no end", 0, 6, edit("#EXT-X-ENDLIST", ""), "does not end"},
		{"wrong place", 0, 6, func(_ *testing.T, _ string, q *MixRequest) { q.Regions = BestFit(2) }, "the user's colour is"},
		{"wrong size", 0, 6, func(_ *testing.T, _ string, q *MixRequest) { q.W = 1280 }, "asked was 1280x360"},
		{"stopped early", 0, 6, func(_ *testing.T, _ string, q *MixRequest) {
			q.From, q.To = zero.Add(10100*time.Millisecond), zero.Add(10200*time.Millisecond)
		}, "before it was answered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := request
			if c.harm == nil {
				_, q = record(t, c.late, c.back)
			} else {
				q.Dir = t.TempDir()
				if err := os.CopyFS(q.Dir, os.DirFS(good)); err != nil {
					t.Fatal(err)
				}
				c.harm(t, q.Dir, &q)
			}
			q.MP4s = nil
			r, err := Mix(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(r.Problems(), "\n"); !strings.Contains(all, c.want) {
				t.Errorf("no %q in the problems:\n%s", c.want, all)
			}
		})
	}
}
