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
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/publish"
)

// TestIndividualRooms records several rooms of one service at the same time.
func TestIndividualRooms(t *testing.T) {
	s := serve(t)
	t.Run("at once", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *server){
			"idle": idleRooms, "snapshots only": snapshotsOnly, "update": updated,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				own := *s
				own.t = t
				test(t, &own)
			})
		}
	})
	s.noWorkers()
}

// allowed repeats a call that the limit of calls of an account turns away.
func (s *server) allowed(call func() error) error {
	s.t.Helper()
	pause := time.NewTicker(200 * time.Millisecond)
	defer pause.Stop()
	for range 100 {
		err := call()
		if r, ok := client.AsRefusal(err); !ok || r.HTTP != 429 {
			return err
		}
		<-pause.C
	}
	s.t.Fatal("the limit of calls is never over")
	return nil
}

// record is begin beside other recordings that make calls.
func (s *server) record(room, uid string, options any) client.Task {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var task client.Task
	err := s.allowed(func() (err error) {
		task, err = s.Record(ctx, session.Individual, room, uid, options)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.Await(ctx, task); err != nil {
		s.t.Fatal(err)
	}
	return task
}

// halt stops a recording.
func (s *server) halt(task client.Task) (state client.State, err error) {
	err = s.allowed(func() (err error) {
		state, err = s.Stop(s.t.Context(), task, false)
		return err
	})
	return state, err
}

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

// idleRooms: recordings of rooms where nobody came, or where
// nobody hosts, end by themselves; a host keeps one alive whom nobody subscribed.
func idleRooms(t *testing.T, s *server) {
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
		options := individualOptions("idle", session.StreamDefault)
		for k, v := range more {
			options["recordingConfig"].(map[string]any)[k] = v
		}
		options["recordingConfig"].(map[string]any)["maxIdleTime"] = 5
		return s.record(room, "900001", options)
	}
	began := time.Now()
	empty := begin("empty", nil)
	audience := begin("audience", map[string]any{"channelType": 1})
	silent := begin("silent", map[string]any{"channelType": 0})
	host := begin("host", map[string]any{"channelType": 1, "subscribeAudioUids": []string{"77"}})
	over := func(task client.Task) bool {
		err := s.allowed(func() error {
			_, err := s.Query(t.Context(), task)
			return err
		})
		r, ok := client.AsRefusal(err)
		return ok && r.HTTP == 404
	}
	s.eventually("the empty room and the audience are left", 60*time.Second, func() bool { return over(empty) && over(audience) })
	if d := time.Since(began); d < 5*time.Second {
		t.Errorf("they were left after %v", d)
	}
	if over(silent) || over(host) {
		t.Errorf("a room with a user (over: %v) or a host (over: %v) was left", over(silent), over(host))
	}
	for _, task := range []client.Task{silent, host} {
		_, err := s.halt(task)
		refused(t, err, 206, 435) // nothing was recorded
	}
	for _, path := range stored(t, s.store("idle")) {
		if !strings.HasSuffix(path, "_report.json") {
			t.Errorf("there is a file %s", path)
		}
	}
}

// snapshotsOnly takes pictures and nothing else.
func snapshotsOnly(t *testing.T, s *server) {
	people := []clips.Person{clips.Cast()[0], clips.Cast()[1]}
	c, err := cast.Prepare(t.Context(), people)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Join(t.Context(), s.Creds, "pictures"); err != nil {
		t.Fatal(err)
	}
	defer c.Leave()
	options := func(bucket string, stream int) map[string]any {
		return map[string]any{
			"storageConfig":   storage(bucket),
			"recordingConfig": map[string]any{"channelType": 0, "videoStreamType": stream},
			"snapshotConfig":  map[string]any{"captureInterval": 5, "fileType": []string{"jpg"}},
		}
	}
	task := s.record("pictures", "900001", options("high", 0))
	low := s.record("pictures", "900002", options("low", 1))
	if err := wait(t.Context(), 7*time.Second); err != nil {
		t.Fatal(err)
	}
	state, err := s.halt(task)
	if err != nil {
		t.Fatal(err)
	}
	if state.Uploading != session.UploadUploaded || len(state.Files) != 0 || strings.Contains(string(state.RawResponse), "fileList") {
		t.Errorf("stop: %s", state.RawResponse)
	}
	if _, err := s.halt(low); err != nil {
		t.Fatal(err)
	}
	small, err := filepath.Glob(filepath.Join(s.store("low"), "*_uid_s_101_*.jpg"))
	if err != nil || len(small) == 0 {
		t.Fatalf("pictures of the low stream: %v, %v", small, err)
	}
	smallest := people[0]
	smallest.Video = smallest.Video[:1]
	for _, path := range small {
		portrayed(t, path, smallest)
	}
	name := regexp.MustCompile(`^` + task.SID + `_pictures__uid_s_(10[12])__uid_e_video_\d{17}\.jpg$`)
	shots := map[string]int{}
	for _, path := range stored(t, s.store("high")) {
		m := name.FindStringSubmatch(filepath.Base(path))
		if strings.HasSuffix(path, "_report.json") {
			continue
		}
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

// updated changes whose sound is recorded, twice, and judges by the
// tones that are in the files and when.
func updated(t *testing.T, s *server) {
	cast3 := clips.Cast()
	people := []clips.Person{cast3[0], cast3[2], cast3[3]} // 101, 103, 104
	for i := range people {
		people[i].Video = nil
	}
	c, err := cast.Prepare(t.Context(), people)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Join(t.Context(), s.Creds, "sounds"); err != nil {
		t.Fatal(err)
	}
	defer c.Leave()
	options := individualOptions("sounds", session.StreamDefault)
	options["recordingConfig"].(map[string]any)["streamTypes"] = 0
	options["recordingConfig"].(map[string]any)["subscribeAudioUids"] = []string{"101"}
	task := s.record("sounds", "900001", options)
	const part = 4 * time.Second
	var marks []time.Time
	for _, list := range [][]string{{"103", "104"}, {"#allstream#"}} {
		if err := wait(t.Context(), part); err != nil {
			t.Fatal(err)
		}
		marks = append(marks, time.Now())
		err := s.allowed(func() error {
			return s.Update(t.Context(), task, map[string]any{"streamSubscribe": map[string]any{"audioUidList": map[string]any{"subscribeAudioUids": list}}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := wait(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	state, err := s.halt(task)
	if err != nil {
		t.Fatal(err)
	}
	if len(state.Files) != 3 {
		t.Errorf("the list is %+v", state.Files)
	}
	for _, p := range people {
		heard := beeps(t, s.store("sounds"), p)
		// What the user should be heard in, of before, between and after the updates.
		want := map[uint32][3]bool{101: {true, false, true}, 103: {false, true, true}, 104: {false, true, true}}[p.UID]
		var got [3]int
		for _, at := range heard {
			switch {
			case at.Before(marks[0]):
				got[0]++
			case at.Before(marks[1]):
				got[1]++
			default:
				got[2]++
			}
		}
		for i := range want {
			// One beep may be on its way while an update takes effect.
			if want[i] && got[i] < 2 || !want[i] && got[i] > 1 {
				t.Errorf("%d beeps %v times, is to be heard %v", p.UID, got, want)
				break
			}
		}
	}
}

// beeps returns when a person is heard in their stored sound, in UTC.
func beeps(t *testing.T, dir string, p clips.Person) []time.Time {
	t.Helper()
	var all []time.Time
	for _, path := range filesOf(t, dir, p.UID) {
		if !strings.HasSuffix(path, ".ts") {
			continue
		}
		w, err := probe.Watch(t.Context(), []probe.Segment{{Path: path}})
		if err != nil {
			t.Fatal(err)
		}
		if len(w.Warnings) > 0 {
			t.Errorf("%s: %v", filepath.Base(path), w.Warnings)
		}
		stamp := strings.TrimSuffix(path[strings.LastIndex(path, "_")+1:], ".ts")
		start, err := time.Parse("20060102150405.000", stamp[:14]+"."+stamp[14:])
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range w.Beeps(p.Tone) {
			all = append(all, start.Add(b.Start-w.Sound[0].Start))
		}
	}
	return all
}
