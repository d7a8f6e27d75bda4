package postpone

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"tapedeck/internal/hls"
	"tapedeck/internal/ledger"
	"tapedeck/internal/spool"
)

// maxPlaylist bounds a playlist that is read back, bytes.
const maxPlaylist = 64 << 20

// fetch brings a recording's playlists and slices into one folder: from this
// machine's spool where they still are, else from the caller's store. What is
// encrypted for players is decrypted on the way.
type fetch struct {
	r      *Runner
	rec    ledger.Record
	keys   Keys
	src    Source
	prefix string
	to     *spool.Dir
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
	in, err := f.to.OpenFile(playlist)
	if err != nil {
		return nil, fmt.Errorf("postpone: %w", err)
	}
	defer func() { _ = in.Close() }()
	b, err := io.ReadAll(io.LimitReader(in, maxPlaylist+1))
	if err != nil {
		return nil, fmt.Errorf("postpone: %w", err)
	}
	if len(b) > maxPlaylist {
		return nil, fmt.Errorf("postpone: %s has more than %d bytes", playlist, maxPlaylist)
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
	if in, err := f.to.OpenFile(name); err == nil {
		return true, in.Close()
	}
	switch err := f.fromSpool(name); {
	case err == nil:
		return true, nil
	case !errors.Is(err, spool.ErrNotFound):
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
	return true, f.save(name, in)
}

// fromSpool links a file of the recording's own spool folder, so that it stays
// while the job needs it. Both folders are encrypted with the same key, or not
// at all.
func (f *fetch) fromSpool(name string) error {
	dir, err := spool.Open(f.r.cfg.Spool, f.rec.SID)
	if err == nil {
		dir, err = dir.WithKey(f.keys.Spool)
	}
	if err != nil {
		return err
	}
	if !f.encrypted(name) {
		return f.to.Link(dir, name)
	}
	in, err := dir.OpenFile(name)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	return f.save(name, in)
}

// encrypted reports whether a file is encrypted for players.
func (f *fetch) encrypted(name string) bool {
	return f.rec.Plan.HLS != nil && filepath.Ext(name) != ".m3u8"
}

// save copies to a file that appears when it is whole.
func (f *fetch) save(name string, in io.Reader) (err error) {
	if f.encrypted(name) {
		if in, err = hls.NewReader(in, f.keys.Content, hls.IV(f.keys.Content, name)); err != nil {
			return fmt.Errorf("postpone: %w", err)
		}
	}
	p, err := f.to.CreatePart(name)
	if err != nil {
		return fmt.Errorf("postpone: %w", err)
	}
	if _, err := io.Copy(p, in); err != nil {
		return errors.Join(fmt.Errorf("postpone: fetch %s: %w", name, err), p.Discard())
	}
	if _, err := p.Close(); err != nil {
		return fmt.Errorf("postpone: %w", err)
	}
	return nil
}
