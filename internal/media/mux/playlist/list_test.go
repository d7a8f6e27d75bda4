package playlist

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/media"
)

var start = time.Date(2019, 9, 20, 12, 51, 42, 289_999_999, time.UTC)

func sample() *List {
	l := &List{Length: 15 * time.Second}
	l.Add(Entry{Name: "s_c__uid_s_7__uid_e_video_20190920125142289.ts", Dur: 15_019_000, Tags: []string{
		Discontinuity(), TrackEvent(Video, start), Rotate(640, 360, 0, start)}})
	l.Add(Entry{Name: "s_c__uid_s_7__uid_e_video_20190920125157308.ts", Dur: 15_000_001})
	return l
}

func TestSyntax(t *testing.T) {
	const want = `#EXTM3U
#EXT-X-VERSION:3
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-ALLOW-CACHE:YES
#EXT-X-TARGETDURATION:18
#EXT-X-DISCONTINUITY
#EXT-X-AGORA-TRACK-EVENT:EVENT=START,TRACK_TYPE=VIDEO,TIME=20190920125142289
#EXT-X-AGORA-ROTATE:WIDTH=640,HEIGHT=360,ROTATE=0,TIME=20190920125142289
#EXTINF:15.019000
s_c__uid_s_7__uid_e_video_20190920125142289.ts
#EXTINF:15.000001
s_c__uid_s_7__uid_e_video_20190920125157308.ts
`
	l := sample()
	if got := string(l.Render(false)); got != want {
		t.Errorf("growing:\n%s", got)
	}
	if got := string(l.Render(true)); got != want+"#EXT-X-ENDLIST\n" {
		t.Errorf("ended:\n%s", got)
	}
	l.Comma = true
	if got := string(l.Render(false)); !strings.Contains(got, "#EXTINF:15.019000,\n") {
		t.Errorf("with commas:\n%s", got)
	}
}

// The patterns of the official post-processing scripts (files.md 4.3).
func TestOfficialPatterns(t *testing.T) {
	got := string(sample().Render(true))
	for _, p := range []string{
		`#EXT-X-AGORA-TRACK-EVENT:EVENT=(\w+),TRACK_TYPE=(\w+),TIME=(\d+)`,
		`#EXT-X-AGORA-ROTATE:WIDTH=(\d+),HEIGHT=(\d+),ROTATE=(\d+),TIME=(\d+)`,
		`#EXTINF:(\d+\.\d+)`,
		`__uid_s_7__uid_e_(audio|video|av)_(\d+)\.(ts)`,
	} {
		if !regexp.MustCompile(p).MatchString(got) {
			t.Errorf("nothing matches %s", p)
		}
	}
}

func TestTargetDuration(t *testing.T) {
	for _, c := range []struct {
		longest time.Duration
		want    string
	}{{time.Second, "18"}, {15019 * time.Millisecond, "18"}, {18 * time.Second, "18"}, {18*time.Second + time.Microsecond, "19"}, {33326 * time.Millisecond, "34"}} {
		l := &List{Length: 15 * time.Second}
		l.Add(Entry{Name: "a.ts", Dur: 0})
		l.Add(Entry{Name: "b.ts", Dur: 1})
		l.Add(Entry{Name: "c.ts", Dur: media.Time(c.longest.Microseconds())})
		if got := string(l.Render(false)); !strings.Contains(got, "TARGETDURATION:"+c.want+"\n") {
			t.Errorf("%v: want %s:\n%s", c.longest, c.want, got)
		}
	}
}

func TestStamp(t *testing.T) {
	if got := Stamp(start); got != "20190920125142289" {
		t.Errorf("Stamp: %s", got)
	}
	back, err := ParseStamp(Stamp(start))
	if err != nil || !back.Equal(start.Truncate(time.Millisecond)) {
		t.Errorf("ParseStamp: %v, %v", back, err)
	}
	for _, bad := range []string{"", "2019092012514228", "2019092012514228x", "20191320125142289"} {
		if _, err := ParseStamp(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
