package transcode

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestReadList(t *testing.T) {
	list, err := readList(strings.NewReader(`#EXTM3U
#EXT-X-VERSION:3
#EXT-X-AGORA-ROTATE:WIDTH=640,HEIGHT=360,ROTATE=90,TIME=20260304050607089
#EXTINF:15.019000
a_room__uid_s_1__uid_e_video_20260304050607089.ts
#EXTINF:2.500000,
a_room__uid_s_1__uid_e_20260304050622108_h264.ts
#EXT-X-ENDLIST
`))
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	if s := list[0]; s.Rotate != 90 || s.Dur != 15_019_000 || !s.Start.Equal(zero) {
		t.Errorf("%+v", s)
	}
	if s := list[1]; s.Rotate != 90 || s.Dur != 2_500_000 || !s.Start.Equal(zero.Add(15019*time.Millisecond)) {
		t.Errorf("%+v", s)
	}
}

func TestReadListRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"no playlist":   "#EXTINF:1.0\na_20260304050607089.ts\n",
		"another place": "#EXTM3U\n#EXTINF:1.0\n../a_20260304050607089.ts\n",
		"an address":    "#EXTM3U\n#EXTINF:1.0\nhttps://example.com/a_20260304050607089.ts\n",
	} {
		if list, err := readList(strings.NewReader(in)); err == nil {
			t.Errorf("%s: %+v", name, list)
		}
	}
}

func FuzzReadList(f *testing.F) {
	f.Add([]byte("#EXTM3U\n#EXTINF:1.0,\na_20260304050607089.ts\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := readList(bytes.NewReader(b))
		if err != nil {
			return
		}
		for _, s := range list {
			if s.Name != filepath.Base(s.Name) || s.Dur <= 0 || s.Start.IsZero() {
				t.Fatalf("%+v", s)
			}
		}
	})
}

// A slice that is gone is a gap that is named; without any there is nothing.
func TestMissingSlices(t *testing.T) {
	dir := room(t)
	all, err := filepath.Glob(filepath.Join(dir, "*__uid_s_101__uid_e_video_*.ts"))
	if err != nil || len(all) != 4 {
		t.Fatal(all, err)
	}
	if err := os.Remove(all[1]); err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir, "")
	if err != nil || len(r.Missing) != 1 || r.Missing[0] != filepath.Base(all[1]) {
		t.Fatalf("%v, %v", r.Missing, err)
	}
	if d := r.Length() - 26*sec; d < 0 || d > 50_000 {
		t.Errorf("%v long", r.Length())
	}
	if _, err := Open(t.TempDir(), ""); err == nil {
		t.Error("an empty folder is a recording")
	}
}

// What a run has finished, the next one does not make again.
func TestFinishedFilesStay(t *testing.T) {
	dir, out := room(t), t.TempDir()
	name := stem + "__uid_s_103__uid_e_0.mp4"
	if err := os.WriteFile(filepath.Join(out, name), []byte("done"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out, stem+"__uid_s_101__uid_e_0.mp4.part"), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	res, err := Run(t.Context(), Job{Kind: KindUsers}, Dir(dir), Folder(out), func(Report) {})
	if err != nil || len(res.Users) != 3 {
		t.Fatalf("%+v, %v", res, err)
	}
	if b, _ := os.ReadFile(filepath.Join(out, name)); string(b) != "done" {
		t.Error("a finished file was made again")
	}
	length(t, filepath.Join(out, stem+"__uid_s_101__uid_e_0.mp4"), 26*time.Second, frameLength)
}
