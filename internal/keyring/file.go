package keyring

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// file is the JSON form of a ring on disk. To rotate, add a key under a new
// number, make it current on every node, and take the old one out when nothing
// it sealed is alive any more: 5 minutes after acquire, or the longest session.
type file struct {
	Current uint16            `json:"current"`
	Keys    map[string][]byte `json:"keys"` // key id → Base64 of KeyLen bytes
}

// LoadOrCreate reads the ring in path, or makes one with a single random key if
// there is no such file. The file must be readable by its owner only.
func LoadOrCreate(path string) (*Ring, error) {
	ring, err := load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return ring, err
	}
	if err := create(path); err != nil {
		return nil, err
	}
	return load(path)
}

// Load reads the ring in path.
func Load(path string) (*Ring, error) { return load(path) }

func load(path string) (*Ring, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("keyring: %s can be read by others (mode %04o): run chmod 600 on it", path, info.Mode().Perm())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	var f file
	// The cause is left out on purpose: it could quote a piece of a key.
	if err := json.Unmarshal(raw, &f, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("keyring: %s is not a key ring: restore it from a backup, or move it away to get a new one (running recordings then lose their credentials)", path)
	}
	keys := make(map[uint16][]byte, len(f.Keys))
	for name, key := range f.Keys {
		id, err := strconv.ParseUint(name, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("keyring: %s: key id %q is not a number from 0 to 65535", path, name)
		}
		keys[uint16(id)] = key
	}
	return New(f.Current, keys)
}

// create writes a ring with one new key. When two processes do it at once the
// first one wins and both read its file.
func create(path string) error {
	key := make([]byte, KeyLen)
	_, _ = rand.Read(key) // never fails
	raw, err := json.Marshal(file{Current: 1, Keys: map[string][]byte{"1": key}}, jsontext.Multiline(true))
	if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	tmp, err := writeTemp(dir, append(bytes.TrimSpace(raw), '\n'))
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp) }()
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keyring: cannot create %s: %w", path, err)
	}
	return syncDir(dir)
}

func writeTemp(dir string, content []byte) (string, error) {
	f, err := os.CreateTemp(dir, ".keyring-*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("keyring: %w", err)
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return "", errors.Join(fmt.Errorf("keyring: %w", err), os.Remove(f.Name()))
	}
	return f.Name(), nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	return nil
}
