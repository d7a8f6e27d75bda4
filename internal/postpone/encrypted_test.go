package postpone

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tapedeck/internal/hls"
	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

const spoolKeyText = "0123456789abcdef0123456789abcdef"

// spooled puts the whole bucket into the recording's own, encrypted spool folder.
func (w *world) spooled() {
	w.t.Helper()
	dir, err := spool.Create(filepath.Join(w.data, "spool"), sid)
	if err == nil {
		dir, err = dir.WithKey([]byte(spoolKeyText))
	}
	if err != nil {
		w.t.Fatal(err)
	}
	names, err := os.ReadDir(w.bucket)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range names {
		content, err := os.ReadFile(filepath.Join(w.bucket, e.Name()))
		if err == nil {
			_, err = dir.Replace(e.Name(), content)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// clearFiles returns the files below the jobs' folder that show media or
// playlists.
func (w *world) clearFiles() (bad []string, seen int) {
	w.t.Helper()
	err := filepath.WalkDir(filepath.Join(w.data, "jobs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Base(filepath.Dir(path)) != "files" {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		seen++
		ts := len(b) > 188 && b[0] == 0x47 && b[188] == 0x47
		if ts || !bytes.HasPrefix(b, []byte("TDSPOOL\x00")) && len(b) > 0 || bytes.Contains(b, []byte("#EXT")) || bytes.Contains(b, []byte("moov")) {
			bad = append(bad, path)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return bad, seen
}

func encryptedRunner(w *world, env ...string) *Runner {
	r := w.runner(env...)
	r.cfg.Keys = func(ledger.Record) (Keys, error) {
		return Keys{Spool: []byte(spoolKeyText), Content: []byte("sixteen byte key")}, nil
	}
	return r
}

// A job on a recording whose spool is encrypted is killed at random moments: its
// folder never has media in the clear, whether the input comes out of the spool
// or the bucket, and the key is in no argument and no variable of the program.
func TestEncryptedJob(t *testing.T) {
	for _, from := range []string{"spool", "bucket"} {
		t.Run(from, func(t *testing.T) {
			w := newWorld(t, session.Postpone{Kind: session.PostponeTranscode, Container: "mp4"})
			w.rec.SpoolKey = []byte("sealed")
			if from == "spool" {
				w.spooled()
			}
			if err := w.jobs.Add(t.Context(), sid); err != nil {
				t.Fatal(err)
			}
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 2))
			looked, over := 0, false
			for n := 0; n < 12 && !over; n++ {
				// The first ones die early, whatever the machine: there is a folder to look into.
				env := []string{"TAPEDECK_TEST_DIE=" + strconv.Itoa(1+rng.IntN(20*(n+1)))}
				if n > 8 {
					env = nil
				}
				over = w.once(encryptedRunner(w, env...))
				bad, seen := w.clearFiles()
				looked += seen
				if len(bad) > 0 {
					t.Fatalf("in the clear: %q", bad)
				}
			}
			if !over || looked == 0 {
				t.Fatalf("over %v, %d files were looked at", over, looked)
			}
			if n := w.reads.Load(); from == "spool" && n > 0 {
				t.Errorf("%d files read back", n)
			}
			w.judge()
			w.empty()
		})
	}
}

// Slices that are encrypted for players are decrypted for the job.
func TestJobOnEncryptedSlices(t *testing.T) {
	w := newWorld(t, session.Postpone{Kind: session.PostponeTranscode, Container: "mp4"})
	w.rec.Plan.HLS = &session.HLS{KeyURI: "https://keys/1"}
	paths, err := filepath.Glob(filepath.Join(w.bucket, "*.ts"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	key := []byte("sixteen byte key")
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		enc, err := hls.NewWriter(&b, key, hls.IV(key, filepath.Base(path)))
		if err == nil {
			_, err = enc.Write(content)
		}
		if err == nil {
			err = enc.Close()
		}
		if err == nil {
			err = os.WriteFile(path, b.Bytes(), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.jobs.Add(t.Context(), sid); err != nil {
		t.Fatal(err)
	}
	r := encryptedRunner(w)
	r.cfg.Keys = func(ledger.Record) (Keys, error) { return Keys{Content: key}, nil }
	if !w.once(r) {
		t.Fatal("the job failed")
	}
	w.judge()
	if told := strings.Join(w.told(), "\n"); !strings.Contains(told, "all_success") {
		t.Error(told)
	}
	w.empty()
}
