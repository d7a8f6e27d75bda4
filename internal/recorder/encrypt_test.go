package recorder

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/hls"
	"tapedeck/internal/link"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/player"
	"tapedeck/internal/testkit/samples"
)

const contentKeyText = "sixteen byte key" // 16 bytes

func encryptedDeck(t *testing.T, plan session.Plan) *deck {
	t.Helper()
	plan.HLS = &session.HLS{KeyFile: true}
	dir, err := spool.Create(t.TempDir(), plan.SID)
	if err != nil {
		t.Fatal(err)
	}
	d := &deck{t: t, plan: plan, content: []byte(contentKeyText), tape: newTape(), dir: dir}
	d.start()
	return d
}

// A user with H.264 and sound is recorded encrypted, and the worker is killed in
// the middle of slices. Nothing in the folder shows media, now or then; the
// slices hold what they always hold; the playlists play in a browser and in
// ffmpeg, to which the key is given.
func TestEncryptedSlices(t *testing.T) {
	t.Parallel()
	set := samples.H264(t)
	before := encryptedDeck(t, shortPlan(session.StreamStandard))
	var s scene
	s.user(7, "a", set, 1*sec, 30*sec)
	before.play(&s, 0, 10*sec)
	before.await(before.index(7, typeVideo), 9*sec, bytesOf(set.Video, 9*sec, 10*sec-network)/16*16)
	before.await(before.index(7, typeAudio), 4_900_000, 14_000)
	noSliceInTheClear(t, before.dir, set)
	dir := snapshot(t, before.dir)
	before.drop()
	noSliceInTheClear(t, dir, set)

	after := before.resume(dir)
	var again scene
	again.user(7, "c", set, 13*sec, 20*sec)
	after.play(&again, 10*sec, 21*sec)
	after.finish()
	noSliceInTheClear(t, after.dir, set)
	everySliceHasAnIV(after)
	files := filepath.Join(after.dir.Path(), "files")
	for _, list := range []string{after.index(7, typeVideo), after.index(7, typeAudio), after.index(7, typeJoint)} {
		ffmpegPlays(t, files, list)
	}
	r, err := player.Play(t.Context(), files, after.index(7, typeJoint), 4, 2*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Complete(0.2); err != nil {
		t.Errorf("%v: %+v", err, r)
	}
	clear := opened(after)
	clear.check()
	times(t, "pictures begin", clear.starts(clear.playlist(clear.index(7, typeVideo))), time.Second, 13*time.Second)
	inSync(t, clear.watch(clear.index(7, typeVideo), clear.index(7, typeAudio)), samples.ToneH264, 12)
}

// VP9, AV1, H.265: the initialisation is a file of its own.
func TestEncryptedFragments(t *testing.T) {
	t.Parallel()
	for _, c := range []media.Codec{media.VP9, media.AV1, media.H265} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			d := encryptedDeck(t, testPlan(session.StreamStandard))
			units := samples.Pictures(t, c)
			var s scene
			u := channel.User{UID: 7}
			s.send(&channel.Track{ID: "v", User: u, Codec: c}, units, sec, 1*sec, 18*sec)
			s.send(&channel.Track{ID: "a", User: u, Codec: media.Opus}, samples.H264(t).Opus, loop, 1*sec, 18*sec)
			d.play(&s, 0, 10*sec)
			d.await(d.index(7, "video"), 1*sec, bytesOf(units, 0, sec)*5)
			dir := snapshot(t, d.dir)
			d.play(&s, 10*sec, 19*sec)
			d.finish()
			fragmentsPlay(d, units)
			if c != media.H265 { // the browser of the tests has no decoder for it
				r, err := player.Play(t.Context(), filepath.Join(d.dir.Path(), "files"), d.index(7, typeJoint), 4, 2*time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				if err := r.Complete(0.2); err != nil {
					t.Errorf("%v: %+v", err, r)
				}
			}

			after := d.resume(dir)
			var again scene
			again.send(&channel.Track{ID: "v2", User: u, Codec: c}, units, sec, 13*sec, 20*sec)
			again.send(&channel.Track{ID: "a2", User: u, Codec: media.Opus}, samples.H264(t).Opus, loop, 13*sec, 20*sec)
			after.play(&again, 10*sec, 21*sec)
			after.finish()
			fragmentsPlay(after, units)
		})
	}
}

// fragmentsPlay judges a recording in fragmented MP4.
func fragmentsPlay(d *deck, units []media.Unit) {
	d.t.Helper()
	noSliceInTheClear(d.t, d.dir, samples.Set{Video: units})
	everySliceHasAnIV(d)
	for _, kind := range []string{typeVideo, typeJoint} {
		ffmpegPlays(d.t, filepath.Join(d.dir.Path(), "files"), d.index(7, kind))
	}
	opened(d).check()
}

// VP8 in WebM is encrypted like everything else, killed worker included. There
// is no MPD: DASH has no such key.
func TestEncryptedWebM(t *testing.T) {
	t.Parallel()
	set := samples.VP8(t)
	d := encryptedDeck(t, shortPlan(session.StreamStandard))
	var s scene
	s.user(7, "a", set, 1*sec, 30*sec)
	d.play(&s, 0, 10*sec)
	d.await(d.index(7, typeVideo), 9*sec, bytesOf(set.Video, 9*sec, 10*sec-network)/16*16)
	dir := snapshot(t, d.dir)
	d.drop()
	after := d.resume(dir)
	after.play(&scene{}, 10*sec, 11*sec)
	after.finish()
	noSliceInTheClear(t, after.dir, set)
	everySliceHasAnIV(after)
	if mpd, _ := filepath.Glob(filepath.Join(after.dir.Path(), "files", "*.mpd")); len(mpd) > 0 {
		t.Errorf("%q", mpd)
	}
	clear := opened(after)
	clear.check()
	if w := clear.watch(clear.index(7, typeVideo)); len(w.Frames) < 8*30 {
		t.Errorf("%d frames", len(w.Frames))
	}
}

// Without its key, or with no way for anybody to get it, a recording that is to
// be encrypted does not begin.
func TestEncryptedNeedsKey(t *testing.T) {
	for _, c := range []struct {
		hls session.HLS
		key string
	}{{session.HLS{KeyFile: true}, ""}, {session.HLS{KeyFile: true}, "short"}, {session.HLS{}, contentKeyText}} {
		plan := shortPlan(session.StreamDefault)
		plan.HLS = &c.hls
		dir, err := spool.Create(t.TempDir(), plan.SID)
		if err != nil {
			t.Fatal(err)
		}
		job := link.Job{Plan: plan, Private: &session.Private{ContentKey: []byte(c.key)}}
		if _, err := OpenEncrypted(dir, plan, contentKey(job), time.Now, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%+v began", c)
		}
	}
}

// noSliceInTheClear fails the test for every slice that shows media.
func noSliceInTheClear(t *testing.T, dir *spool.Dir, set samples.Set) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir.Path(), "files", "*"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	slices := 0
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it got its final name
		}
		ext := filepath.Ext(strings.TrimSuffix(path, ".part"))
		if ext != extTS && ext != extWebM && ext != extMP4 {
			continue
		}
		slices++
		if hasMedia(b, set) || bytes.Contains(b, []byte("moof")) || bytes.Contains(b, []byte("webm")) {
			t.Errorf("%s is in the clear", filepath.Base(path))
		}
	}
	if slices == 0 {
		t.Error("there are no slices")
	}
}

// everySliceHasAnIV reads the playlists: an IV of its own for each slice.
func everySliceHasAnIV(d *deck) {
	d.t.Helper()
	lists, err := filepath.Glob(filepath.Join(d.dir.Path(), "files", "*.m3u8"))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, path := range lists {
		b, err := os.ReadFile(path)
		if err != nil {
			d.t.Fatal(err)
		}
		seen, now := map[string]bool{}, ""
		for line := range strings.Lines(string(b)) {
			line = strings.TrimSpace(line)
			switch {
			case hls.IsTag(line):
				now = line
			case line != "" && !strings.HasPrefix(line, "#") && !strings.HasSuffix(line, ".m3u8"):
				if want := hls.Tag(stemOf(d.plan)+extKey, hls.IV(d.content, line)); now != want || seen[now] {
					d.t.Errorf("%s: %s stands under %q, want %q", filepath.Base(path), line, now, want)
				}
				seen[now] = true
			}
		}
	}
}

// opened returns the recording as it would be without encryption.
func opened(d *deck) *deck {
	d.t.Helper()
	plain, err := spool.Create(d.t.TempDir(), d.plan.SID)
	if err != nil {
		d.t.Fatal(err)
	}
	journal, err := os.ReadFile(filepath.Join(d.dir.Path(), "journal.log"))
	if err == nil {
		err = os.WriteFile(filepath.Join(plain.Path(), "journal.log"), journal, 0o600)
	}
	if err == nil {
		err = os.CopyFS(filepath.Join(plain.Path(), "files"), os.DirFS(filepath.Join(d.dir.Path(), "files")))
	}
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range d.facts() {
		if f.Type != spool.FactClosed || f.Kind != spool.KindSlice && f.Kind != spool.KindInit {
			continue
		}
		b, err := os.ReadFile(plain.FilePath(f.Name))
		if err != nil {
			d.t.Fatal(err)
		}
		if int64(len(b)) != f.Size {
			d.t.Errorf("%s has %d bytes, its fact %d", f.Name, len(b), f.Size)
		}
		in, err := hls.NewReader(bytes.NewReader(b), d.content, hls.IV(d.content, f.Name))
		if err != nil {
			d.t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			d.t.Errorf("%s: %v", f.Name, err)
		}
		if err := os.WriteFile(plain.FilePath(f.Name), content, 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
	n := *d
	n.dir = plain
	return &n
}

// ffmpegPlays has ffmpeg decode a playlist, which leads it to the key.
func ffmpegPlays(t *testing.T, folder, list string) {
	t.Helper()
	c := exec.Command("ffmpeg", "-hide_banner", "-nostdin", "-v", "warning", "-allowed_extensions", "ALL",
		"-i", filepath.Join(folder, list), "-map", "0", "-f", "null", "-")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("ffmpeg: %v: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "duplicated MOOV") && !strings.Contains(line, "Last message repeated") && strings.TrimSpace(line) != "" {
			t.Errorf("ffmpeg says of %s: %s", list, line)
		}
	}
}
