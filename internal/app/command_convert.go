package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"tapedeck/internal/config"
	"tapedeck/internal/session"
	"tapedeck/internal/upload"
	"tapedeck/internal/upload/vendor"
)

const convertUsage = `tapedeck convert users     [flags] INPUT OUT   one MP4 for each user (a mix or web page: one MP4)
tapedeck convert sound     [flags] INPUT OUT   one sound file of everybody
tapedeck convert composite [flags] INPUT OUT   everybody in one picture

INPUT is a folder with the playlists and slices of a recording, or s3://BUCKET/PREFIX with --endpoint and the keys
in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. OUT is a folder; what is finished there stays.

Slices that are encrypted for players are decrypted with the key in TAPEDECK_HLS_KEY (32 hex digits; tapedeck key SID prints it).

  --sid SID           which recording, where INPUT has several
  --format mp3        sound: mp3, m4a or aac     --rate 48000   --channels 2   --bitrate 48000
  --size 1280x720     composite: pixels          --fps 15       --kbps 1500    --layout best-fit (floating, vertical)
`

// convertJob is a job as the worker program takes it (docs/formats/job.md).
type convertJob struct {
	SID        string          `json:"sid,omitempty"`
	Input      string          `json:"input"`
	Kind       string          `json:"kind"`
	Container  string          `json:"container,omitempty"`
	SampleRate int             `json:"sampleRate,omitempty"`
	Bitrate    int             `json:"bitrate,omitempty"`
	Channels   int             `json:"channels,omitempty"`
	Mixing     *session.Mixing `json:"mixing,omitempty"`
}

// ConvertCommand runs `tapedeck convert`.
func ConvertCommand(ctx context.Context, args []string, out, errs io.Writer) error {
	usage := func() { _, _ = io.WriteString(errs, convertUsage) }
	if len(args) == 0 {
		usage()
		return flag.ErrHelp
	}
	fs := flag.NewFlagSet("tapedeck convert", flag.ContinueOnError)
	fs.SetOutput(errs)
	fs.Usage = usage
	j := convertJob{}
	var size, arrangement, endpoint string
	m := session.Mixing{}
	fs.StringVar(&j.SID, "sid", "", "")
	fs.StringVar(&j.Container, "format", "mp3", "")
	fs.IntVar(&j.SampleRate, "rate", 48000, "")
	fs.IntVar(&j.Channels, "channels", 2, "")
	fs.IntVar(&j.Bitrate, "bitrate", 48000, "")
	fs.StringVar(&size, "size", "1280x720", "")
	fs.IntVar(&m.FPS, "fps", 15, "")
	fs.IntVar(&m.Bitrate, "kbps", 1500, "")
	fs.StringVar(&arrangement, "layout", "best-fit", "")
	fs.StringVar(&endpoint, "endpoint", "", "")
	if err := fs.Parse(args[1:]); err != nil {
		return flag.ErrHelp
	}
	if fs.NArg() != 2 {
		usage()
		return errors.New("convert takes INPUT and OUT")
	}
	switch args[0] {
	case "users":
		j.Kind = "users"
	case "sound":
		j.Kind = "audioMix"
	case "composite":
		j.Kind = "composite"
		if err := canvas(&m, size, arrangement); err != nil {
			return err
		}
		j.Mixing = &m
	default:
		usage()
		return fmt.Errorf("convert does not know %q", args[0])
	}
	input, target := fs.Arg(0), fs.Arg(1)
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if strings.HasPrefix(input, "s3://") {
		local, err := fetchPrefix(ctx, input, endpoint, j.SID, filepath.Join(target, "input"), out)
		if err != nil {
			return err
		}
		input = local
	}
	j.Input = input
	return convertInClear(ctx, j, target, out)
}

// canvas reads what a composite is to look like.
func canvas(m *session.Mixing, size, arrangement string) error {
	w, h, ok := strings.Cut(size, "x")
	var errW, errH error
	m.Width, errW = strconv.Atoi(w)
	m.Height, errH = strconv.Atoi(h)
	if !ok || errW != nil || errH != nil || m.Width < 2 || m.Height < 2 || m.Width > 1920 || m.Height > 1920 || m.Width%2+m.Height%2 != 0 {
		return fmt.Errorf("--size %q: want WIDTHxHEIGHT, both even, at most 1920", size)
	}
	if m.FPS < 1 || m.FPS > 60 || m.Bitrate < 50 || m.Bitrate > 20000 {
		return errors.New("--fps must be 1 to 60, --kbps 50 to 20000")
	}
	kind, ok := map[string]int{"floating": 0, "best-fit": 1, "vertical": 2}[arrangement]
	if !ok {
		return fmt.Errorf("--layout %q: want floating, best-fit or vertical", arrangement)
	}
	m.Layout = session.Layout{Kind: kind, Background: "#000000"}
	return nil
}

// runConvert runs the worker program and shows how far it is.
func runConvert(ctx context.Context, j convertJob, target string, out io.Writer) error {
	worker, err := workerPath(config.Config{})
	if err != nil {
		return err
	}
	spec, err := json.Marshal(j)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, worker, "-convert", string(spec), target)
	cmd.Stderr = os.Stderr
	lines, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	said := follow(lines, out)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("the conversion failed: %w", err)
	}
	return said
}

// follow draws a bar from the worker's lines and prints the result.
func follow(in io.Reader, out io.Writer) error {
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, 1<<20)
	var failed []string
	for sc.Scan() {
		var l struct {
			Done, Total int64
			Now         string
			Result      *struct {
				Users []struct {
					UID   string
					Files []string
					Error string
				}
				Files, Missing []string
			}
		}
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			continue
		}
		if l.Result == nil {
			drawBar(out, l.Done, l.Total, l.Now)
			continue
		}
		_, _ = fmt.Fprintf(out, "\r%s\r", strings.Repeat(" ", 100))
		for _, f := range l.Result.Files {
			_, _ = fmt.Fprintln(out, f)
		}
		for _, u := range l.Result.Users {
			for _, f := range u.Files {
				_, _ = fmt.Fprintln(out, f)
			}
			if u.Error != "" {
				failed = append(failed, "user "+u.UID+": "+u.Error)
			}
		}
		for _, f := range l.Result.Missing {
			_, _ = fmt.Fprintln(out, "missing, left as a gap:", f)
		}
	}
	if len(failed) > 0 {
		return errors.New(strings.Join(failed, "; "))
	}
	return sc.Err()
}

func drawBar(out io.Writer, done, total int64, now string) {
	const width = 30
	if total <= 0 {
		return
	}
	n := int(done * width / total)
	if len(now) > 50 {
		now = "…" + now[len(now)-49:]
	}
	_, _ = fmt.Fprintf(out, "\r[%s%s] %3d %% %-50s", strings.Repeat("=", n), strings.Repeat(" ", width-n), done*100/total, now)
}

// fetchPrefix copies a recording out of a bucket and returns where it is.
func fetchPrefix(ctx context.Context, address, endpoint, sid, to string, out io.Writer) (string, error) {
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(address, "s3://"), "/")
	if bucket == "" || endpoint == "" {
		return "", errors.New("a bucket needs s3://BUCKET/PREFIX and --endpoint")
	}
	store, err := upload.OpenStore(session.Target{
		Vendor: 1, Bucket: bucket, AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"), SecretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		STSToken: os.Getenv("AWS_SESSION_TOKEN"),
	}, upload.Rules{Endpoints: upload.Endpoints{"1": endpoint}})
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return "", err
	}
	var keys []string
	err = store.List(ctx, prefix, func(i vendor.Info) bool {
		if name := i.Key[strings.LastIndex(i.Key, "/")+1:]; strings.Contains(name, sid) && wanted(name) {
			keys = append(keys, i.Key)
		}
		return ctx.Err() == nil
	})
	if err != nil {
		return "", err
	}
	for n, key := range keys {
		if err := fetchObject(ctx, store, key, to); err != nil {
			return "", err
		}
		drawBar(out, int64(n+1), int64(len(keys)), key)
	}
	return to, nil
}

// wanted reports whether a conversion reads files of that kind.
func wanted(name string) bool {
	switch filepath.Ext(name) {
	case ".m3u8", ".ts", ".webm":
		return true
	case ".mp4":
		return strings.Contains(name, "__uid_e_") // slices in MP4; whole MP4s do no harm
	}
	return false
}

func fetchObject(ctx context.Context, store vendor.Store, key, to string) error {
	path := filepath.Join(to, filepath.Base(key))
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	in, err := store.Get(ctx, key)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	return saveWhole(path, in)
}

// saveWhole writes a file that appears when it is whole.
func saveWhole(path string, in io.Reader) error {
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, in)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
