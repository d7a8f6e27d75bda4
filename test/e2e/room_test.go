package e2e

import (
	"context"
	"fmt"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/cast"
	"tapedeck/internal/testkit/client"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/publish"
)

// visit lets a participant into a room who sends what spec says.
func (s *server) visit(ctx context.Context, room, identity string, spec publish.Spec) *publish.Publisher {
	s.t.Helper()
	token, err := publish.Token(s.Creds.LiveKitKey, s.Creds.LiveKitSecret, room, identity, time.Hour)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	p, err := publish.Join(ctx, s.Creds.LiveKitURL, token, spec)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(p.Leave)
	return p
}

// TestIndividualIdleRooms: recordings of rooms where nobody came, or where
// nobody hosts, end by themselves; a host keeps one alive whom nobody subscribed.
func TestIndividualIdleRooms(t *testing.T) {
	s := serve(t)
	sets, err := clips.Make(t.Context(), clips.CacheDir(), clips.Cast()[2:3])
	if err != nil {
		t.Fatal(err)
	}
	sound, err := sets[0].Spec()
	if err != nil {
		t.Fatal(err)
	}
	s.visit(t.Context(), "audience", "1", publish.Spec{})
	s.visit(t.Context(), "silent", "1", publish.Spec{})
	s.visit(t.Context(), "host", "1", sound)
	begin := func(room string, more map[string]any) client.Task {
		options := individualOptions("b", session.StreamDefault)
		for k, v := range more {
			options["recordingConfig"].(map[string]any)[k] = v
		}
		options["recordingConfig"].(map[string]any)["maxIdleTime"] = 5
		return s.begin(session.Individual, room, "900001", options)
	}
	empty := begin("empty", nil)
	audience := begin("audience", map[string]any{"channelType": 1})
	silent := begin("silent", map[string]any{"channelType": 0})
	host := begin("host", map[string]any{"channelType": 1, "subscribeAudioUids": []string{"77"}})
	began := time.Now()
	over := func(task client.Task) bool {
		_, err := s.Query(t.Context(), task)
		r, ok := client.AsRefusal(err)
		return ok && r.HTTP == 404
	}
	s.eventually("the empty room and the audience are left", 30*time.Second, func() bool { return over(empty) && over(audience) })
	if d := time.Since(began); d < 4*time.Second {
		t.Errorf("they were left after %v", d)
	}
	if over(silent) || over(host) {
		t.Errorf("a room with a user (over: %v) or a host (over: %v) was left", over(silent), over(host))
	}
	for _, task := range []client.Task{silent, host} {
		_, err := s.Stop(t.Context(), task, false)
		refused(t, err, 206, 435) // nothing was recorded
	}
	s.noWorkers()
	if left := stored(t, s.store("b")); len(left) > 0 {
		t.Errorf("there are files: %v", left)
	}
}

// TestIndividualSnapshotsOnly takes pictures and nothing else.
func TestIndividualSnapshotsOnly(t *testing.T) {
	s := serve(t)
	people := []clips.Person{clips.Cast()[0], clips.Cast()[1]}
	c, err := cast.Prepare(t.Context(), people)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Join(t.Context(), s.Creds, "room"); err != nil {
		t.Fatal(err)
	}
	defer c.Leave()
	task := s.begin(session.Individual, "room", "900001", map[string]any{
		"storageConfig":   storage("b"),
		"recordingConfig": map[string]any{"channelType": 0},
		"snapshotConfig":  map[string]any{"captureInterval": 5, "fileType": []string{"jpg"}},
	})
	if err := wait(t.Context(), 7*time.Second); err != nil {
		t.Fatal(err)
	}
	state, err := s.Stop(t.Context(), task, false)
	if err != nil {
		t.Fatal(err)
	}
	if state.Uploading != session.UploadUploaded || len(state.Files) != 0 || strings.Contains(string(state.RawResponse), "fileList") {
		t.Errorf("stop: %s", state.RawResponse)
	}
	s.noWorkers()
	name := regexp.MustCompile(`^` + task.SID + `_room__uid_s_(10[12])__uid_e_video_\d{17}\.jpg$`)
	shots := map[string]int{}
	for _, path := range stored(t, s.store("b")) {
		m := name.FindStringSubmatch(filepath.Base(path))
		if m == nil {
			t.Errorf("there is a file %s", filepath.Base(path))
			continue
		}
		shots[m[1]]++
		portrayed(t, path, map[string]clips.Person{"101": people[0], "102": people[1]}[m[1]])
	}
	if shots["101"] != 2 || shots["102"] != 2 {
		t.Errorf("pictures: %v", shots)
	}
}

// portrayed checks that a picture shows a person in the best of their layers.
func portrayed(t *testing.T, path string, p clips.Person) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	img, err := jpeg.Decode(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	best := p.Video[len(p.Video)-1]
	size := img.Bounds().Size()
	if size.X > best.W || size.Y > best.H || size.X*best.H != size.Y*best.W {
		t.Errorf("%s is %v, the camera is %dx%d", filepath.Base(path), size, best.W, best.H)
	}
	var want [3]int
	if _, err := fmt.Sscanf(p.Color, "#%02x%02x%02x", &want[0], &want[1], &want[2]); err != nil {
		t.Fatal(err)
	}
	r, g, b, _ := img.At(size.X/20, size.Y/2).RGBA() // away from all text
	for i, got := range []uint32{r >> 8, g >> 8, b >> 8} {
		if math.Abs(float64(got)-float64(want[i])) > 16 {
			t.Errorf("%s has %d %d %d at its edge, want %v", filepath.Base(path), r>>8, g>>8, b>>8, want)
			break
		}
	}
}
