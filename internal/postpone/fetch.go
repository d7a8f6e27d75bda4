package postpone

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tapedeck/internal/ledger"
	"tapedeck/internal/spool"
)

// maxPlaylist bounds a playlist that is read back, bytes.
const maxPlaylist = 64 << 20

// fetch brings a recording's playlists and slices into one folder: from this
// machine's spool where they still are, else from the caller's store.
type fetch struct {
	r      *Runner
	rec    ledger.Record
	src    Source
	prefix string
	to     string
}

// all fetches everything that is not there yet and returns the names of what
// is nowhere to be had.
func (f *fetch) all(ctx context.Context) (missing []string, err error) {
	for _, file := range f.rec.Files {
		name := file.Name[strings.LastIndex(file.Name, "/")+1:]
		if !strings.HasSuffix(name, ".m3u8") || strings.HasSuffix(name, "_av.m3u8") {
			continue
		}
		ok, err := f.one(ctx, name)
		if err != nil {
			return nil, err
		}
		if !ok {
			missing = append(missing, name)
			continue
		}
		slices, err := f.listed(name)
		if err != nil {
			return nil, err
		}
		for _, s := range slices {
			ok, err := f.one(ctx, s)
			if err != nil {
				return nil, err
			}
			if !ok {
				missing = append(missing, s)
			}
		}
	}
	return missing, nil
}

// listed returns the slices that a fetched playlist names.
func (f *fetch) listed(playlist string) (out []string, err error) {
	b, err := os.ReadFile(filepath.Join(f.to, playlist))
	if err != nil {
		return nil, fmt.Errorf("postpone: %w", err)
	}
	if len(b) > maxPlaylist {
		return nil, fmt.Errorf("postpone: %s has %d bytes", playlist, len(b))
	}
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		if line := strings.TrimSpace(sc.Text()); line != "" && !strings.HasPrefix(line, "#") && spool.ValidName(line) {
			out = append(out, line)
		}
	}
	return out, nil
}

// one fetches one file and reports whether there is one.
func (f *fetch) one(ctx context.Context, name string) (bool, error) {
	to := filepath.Join(f.to, name)
	if _, err := os.Stat(to); err == nil {
		return true, nil
	}
	switch err := f.fromSpool(name, to); {
	case err == nil:
		return true, nil
	case !errors.Is(err, fs.ErrNotExist):
		f.r.log.Warn("a file in the spool cannot be used, the caller's store is asked", "sid", f.rec.SID, "file", name, "error", err)
	}
	in, err := f.src.Get(ctx, f.prefix+name)
	if err != nil {
		if f.r.cfg.Gone(err) {
			return false, nil
		}
		return false, fmt.Errorf("postpone: read %s back: %w", name, err)
	}
	defer func() { _ = in.Close() }()
	return true, save(to, in)
}

// fromSpool links a file of the recording's own spool folder, so that it stays
// while the job needs it. What is encrypted there is copied in the clear.
func (f *fetch) fromSpool(name, to string) error {
	if len(f.rec.SpoolKey) == 0 {
		return os.Link(filepath.Join(f.r.cfg.Spool, f.rec.SID, "files", name), to)
	}
	dir, err := spool.Open(f.r.cfg.Spool, f.rec.SID)
	if err == nil && f.r.cfg.Unlock != nil {
		dir, err = f.r.cfg.Unlock(dir, f.rec)
	}
	if err != nil {
		return err
	}
	in, err := dir.OpenFile(name)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	return save(to, in)
}

// save copies to a file that appears when it is whole.
func save(to string, in io.Reader) error {
	f, err := os.Create(to + ".part")
	if err != nil {
		return fmt.Errorf("postpone: %w", err)
	}
	_, err = io.Copy(f, in)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("postpone: fetch %s: %w", filepath.Base(to), err)
	}
	if err := os.Rename(to+".part", to); err != nil {
		return fmt.Errorf("postpone: %w", err)
	}
	return nil
}
