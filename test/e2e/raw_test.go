package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/client"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/probe"
)

// Who mode raw is tried with, and the tones of their beeps: 201 sends H.264, 203
// VP8.
const (
	rawTone201 = 1000
	rawTone203 = 1500
)

func rawOptions(bucket string, streams int, types ...string) map[string]any {
	return map[string]any{
		"storageConfig":       storage(bucket),
		"recordingFileConfig": map[string]any{"avFileType": types},
		"recordingConfig":     map[string]any{"streamTypes": streams, "subscribeUidGroup": 0},
	}
}

// TestIndividualRaw records one room in mode raw, with pictures and, at the same
// time, as MP3 alone, and looks at what is stored.
func TestIndividualRaw(t *testing.T) {
	s := serve(t)
	rawParty(t, s)
	whole := s.begin(session.Raw, "room", "900001", rawOptions("whole", 2, "hls", "mp4"))
	sound := s.begin(session.Raw, "room", "900002", rawOptions("sound", 0, "mp3"))
	for _, task := range []client.Task{whole, sound} {
		s.eventually("both users are recorded", 40*time.Second, func() bool {
			return len(s.spooled(task, "201")) > 0 && len(s.spooled(task, "203")) > 0
		})
	}
	if err := wait(t.Context(), 6*time.Second); err != nil {
		t.Fatal(err)
	}
	rawOutputs(t, s, whole, map[string][]string{"201": {"0_h264.mp4", "h264.m3u8"}, "203": {"vp8.mpd"}})
	rawOutputs(t, s, sound, map[string][]string{"201": {"0_mp3.mp3"}, "203": {"0_mp3.mp3"}})
	s.noWorkers()
	dir := s.store("whole")
	rawSlices(t, dir, whole)
	rawPlays(t, rawTone201, "h264+aac", filepath.Join(dir, rawName(whole, "201", "h264.m3u8")))
	rawPlays(t, rawTone201, "h264+aac", filepath.Join(dir, rawName(whole, "201", "0_h264.mp4")))
	for uid, tone := range map[string]int{"201": rawTone201, "203": rawTone203} {
		rawPlays(t, tone, "mp3", filepath.Join(s.store("sound"), rawName(sound, uid, "0_mp3.mp3")))
	}
	if left := stored(t, s.store("sound")); len(left) != 3 {
		t.Errorf("with MP3 there are %q, want two files and the receipt", left)
	}
}

// rawParty sends the participants into the room.
func rawParty(t *testing.T, s *server) {
	t.Helper()
	one := func(c media.Codec) []clips.Video { return []clips.Video{{Codec: c, W: 320, H: 180, Kbps: 150}} }
	sets, err := clips.Make(t.Context(), clips.CacheDir(), []clips.Person{
		{UID: 201, Color: "#802080", Tone: rawTone201, Video: one(media.H264)},
		{UID: 203, Color: "#b05010", Tone: rawTone203, Video: one(media.VP8)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		spec, err := set.Spec()
		if err != nil {
			t.Fatal(err)
		}
		s.visit(t.Context(), "room", strconv.Itoa(int(set.UID)), spec)
	}
}

// spooled returns the files of a user that are being written or wait.
func (s *server) spooled(task client.Task, uid string) []string {
	names, err := filepath.Glob(filepath.Join(s.data, "spool", task.SID, "files", "*__uid_s_"+uid+"__*"))
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}

func rawName(task client.Task, uid, rest string) string {
	return fmt.Sprintf("%s_%s__uid_s_%s__uid_e_%s", task.SID, task.CName, uid, rest)
}

// rawOutputs stops the recording and compares its list.
func rawOutputs(t *testing.T, s *server, task client.Task, want map[string][]string) {
	t.Helper()
	st, err := s.Stop(t.Context(), task, false)
	if err != nil {
		t.Fatal(err)
	}
	if st.Uploading != session.UploadUploaded || st.ListMode != "json" {
		t.Errorf("stop: %s", st.RawResponse)
	}
	got := map[string][]string{}
	for _, f := range st.Files {
		rest, ok := strings.CutPrefix(f.Name, rawName(task, f.UID, ""))
		if !ok || f.Mixed || f.StartMilli == 0 {
			t.Errorf("listed as %+v", f)
		}
		got[f.UID] = append(got[f.UID], rest)
	}
	for uid, names := range want {
		if slices.Sort(got[uid]); !slices.Equal(got[uid], names) {
			t.Errorf("files of %s: %q, want %q", uid, got[uid], names)
		}
	}
	if len(got) != len(want) {
		t.Errorf("files of %d users: %s", len(got), st.RawResponse)
	}
}

// rawSlices looks at the names and the content of every slice, and that the
// manifest names those that are in WebM.
func rawSlices(t *testing.T, dir string, task client.Task) {
	t.Helper()
	manifest, err := os.ReadFile(filepath.Join(dir, rawName(task, "203", "vp8.mpd")))
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`^` + task.SID + `_room__uid_s_(201|203)__uid_e_\d{17}_(h264\.ts|vp8\.webm|opus\.webm)$`)
	kinds := map[string]int{}
	for _, path := range stored(t, dir) {
		ext := filepath.Ext(path)
		if ext != ".ts" && ext != ".webm" {
			continue
		}
		m := name.FindStringSubmatch(filepath.Base(path))
		if m == nil {
			t.Errorf("slice %s", filepath.Base(path))
			continue
		}
		kinds[m[1]+" "+m[2]]++
		if err := probe.Clean(t.Context(), path); err != nil {
			t.Error(err)
		}
		if ext == ".webm" {
			if !strings.Contains(string(manifest), filepath.Base(path)) {
				t.Errorf("the manifest does not name %s", filepath.Base(path))
			}
			codec, _, _ := strings.Cut(m[2], ".")
			rawPlays(t, rawTone203, codec, path)
		}
	}
	if kinds["201 h264.ts"] == 0 || kinds["203 vp8.webm"] != 1 || kinds["203 opus.webm"] != 1 || len(kinds) != 3 {
		t.Errorf("slices %v", kinds)
	}
}

// rawPlays decodes a file: clean, with a flash and a beep for each second, and
// both together.
func rawPlays(t *testing.T, tone int, codecs, path string) {
	t.Helper()
	info, _, err := probe.Inspect(t.Context(), path)
	if err != nil || info.Codecs() != codecs {
		t.Errorf("%s: %q, want %s: %v", path, info.Codecs(), codecs, err)
		return
	}
	if err := probe.Clean(t.Context(), path); err != nil {
		t.Error(err)
	}
	w, err := probe.Watch(t.Context(), []probe.Segment{{Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	flashes, beeps := w.Flashes(0), w.Beeps(tone)
	t.Logf("%s: %v, %d flashes, %d beeps", filepath.Base(path)[32:], info.Duration, len(flashes), len(beeps))
	video, audio := len(w.Frames) > 0, len(w.Sound) > 0
	if len(w.Warnings) > 0 || video && len(flashes) < 4 || audio && len(beeps) < 4 {
		t.Errorf("%s: %d flashes, %d beeps, %q", path, len(flashes), len(beeps), w.Warnings)
	}
	if !video || !audio {
		return
	}
	sync, ok := probe.SyncOf(probe.Offsets(flashes, beeps))
	if !ok || sync.Median.Abs() > 150*time.Millisecond {
		t.Errorf("%s: picture and sound: %v", path, sync)
	}
}
