package node

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// idFile names the node for good: records in the ledger carry it.
const idFile = "node-id"

// ID returns the name of the node whose data is in the folder; it makes one for
// a new node.
func ID(data string) (string, error) { return loadID(data) }

// loadID reads the node's id in folder data, or makes one.
func loadID(data string) (string, error) {
	path := filepath.Join(data, idFile)
	b, err := os.ReadFile(path)
	if err == nil {
		id := strings.TrimSpace(string(b))
		if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(id) {
			return "", fmt.Errorf("node: %s does not hold 16 hex digits: put the id back that records in the ledger carry as their node, or remove the file to begin as a new node", path)
		}
		return id, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("node: %w", err)
	}
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)
	id := hex.EncodeToString(raw[:])
	if err := writeID(data, path, id); err != nil {
		return "", fmt.Errorf("node: keep the node's id: %w", err)
	}
	return id, nil
}

func writeID(data, path, id string) error {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(id + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	d, err := os.Open(data)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
