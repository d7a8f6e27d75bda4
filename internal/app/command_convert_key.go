package app

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"tapedeck/internal/hls"
	"tapedeck/internal/spool"
)

// hlsKeyEnv has the content key of an encrypted recording, in hex: what is an
// argument, everybody on the machine can read.
const hlsKeyEnv = "TAPEDECK_HLS_KEY"

var errNoHLSKey = errors.New("the slices are encrypted for players: put the content key into " + hlsKeyEnv + " (`tapedeck key SID` prints it, or your key server has it)")

// convertInClear converts a recording, by way of a decrypted copy of it if it is
// encrypted. The copy goes afterwards.
func convertInClear(ctx context.Context, j convertJob, target string, out io.Writer) error {
	dir, err := os.MkdirTemp(target, "decrypted-*")
	if err != nil {
		return err
	}
	input, err := decrypted(j.Input, j.SID, os.Getenv(hlsKeyEnv), dir)
	if err == nil {
		j.Input = input
		err = runConvert(ctx, j, target, out)
	}
	return errors.Join(err, discard(dir))
}

// discard removes a folder of ours and the files in it.
func discard(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
	}
	return errors.Join(err, os.Remove(dir))
}

// decrypted copies a recording whose slices are encrypted for players
// (docs/formats/hls.md) to a folder, in the clear, and returns that. One that is
// not encrypted stays where it is.
func decrypted(input, sid, key, to string) (string, error) {
	lists, err := filepath.Glob(filepath.Join(input, "*"+sid+"*.m3u8"))
	if err != nil {
		return "", fmt.Errorf("look into %s: %w", input, err)
	}
	names := map[string]bool{}
	encrypted := false
	for _, l := range lists {
		found, err := namedBy(l, names)
		if err != nil {
			return "", err
		}
		encrypted = encrypted || found
	}
	if !encrypted {
		return input, nil
	}
	if key == "" {
		return "", errNoHLSKey
	}
	raw, err := hex.DecodeString(key)
	if err != nil || len(raw) != hls.KeyLen {
		return "", fmt.Errorf("%s must have %d hex digits", hlsKeyEnv, 2*hls.KeyLen)
	}
	for _, l := range lists {
		if err := decryptTo(to, l, nil); err != nil {
			return "", err
		}
	}
	for name := range names {
		path := filepath.Join(input, name)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			continue // the conversion tells what is missing
		}
		if err := decryptTo(to, path, raw); err != nil {
			return "", err
		}
	}
	return to, nil
}

// namedBy adds the slices that a playlist names, and reports whether they are
// encrypted.
func namedBy(path string, names map[string]bool) (encrypted bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		switch line := strings.TrimSpace(lines.Text()); {
		case hls.IsTag(line):
			encrypted = true
		case line != "" && !strings.HasPrefix(line, "#") && filepath.Ext(line) != ".m3u8" && spool.ValidName(line):
			names[line] = true // a joint index names playlists
		}
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	return encrypted, nil
}

// decryptTo copies a file in the clear; without a key it is copied as it is.
func decryptTo(to, from string, key []byte) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	name, in := filepath.Base(from), io.Reader(f)
	if key != nil {
		if in, err = hls.NewReader(f, key, hls.IV(key, name)); err != nil {
			return err
		}
	}
	if err := saveWhole(filepath.Join(to, name), in); err != nil {
		return fmt.Errorf("copy %s in the clear: %w", name, err)
	}
	return nil
}
