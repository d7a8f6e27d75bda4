package app

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tapedeck/internal/config"
)

// DevFile holds the development account, in the data folder, mode 0600.
const DevFile = "dev-credentials.json"

// DevCredentials is the account that is generated when none is configured, so
// that `tapedeck serve` can be tried at once.
type DevCredentials struct {
	AppID          string `json:"app_id"`
	CustomerID     string `json:"customer_id"`
	CustomerSecret string `json:"customer_secret"`
	LiveKitURL     string `json:"livekit_url"`
	LiveKitKey     string `json:"livekit_key"`
	LiveKitSecret  string `json:"livekit_secret"`
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

// loadDev reads the development account of a data folder or makes one. The
// LiveKit address is filled in when the embedded server has started.
func loadDev(data string) (DevCredentials, error) {
	var d DevCredentials
	b, err := os.ReadFile(filepath.Join(data, DevFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return DevCredentials{
			AppID: randomHex(16), CustomerID: randomHex(16), CustomerSecret: randomHex(16),
			LiveKitKey: "API" + randomHex(6), LiveKitSecret: randomHex(24),
		}, nil
	case err != nil:
		return d, err
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return d, fmt.Errorf("%s is damaged (%w): remove it and a new account is made", filepath.Join(data, DevFile), err)
	}
	return d, nil
}

// save replaces the file in one step.
func (d DevCredentials) save(data string) error {
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(data, DevFile), append(b, '\n'))
}

// account is the configuration that the credentials stand for.
func (d DevCredentials) account(data string) config.Account {
	return config.Account{
		CustomerID: d.CustomerID,
		Secrets:    []string{HashSecret(d.CustomerSecret)},
		Apps: []config.App{{
			ID:      d.AppID,
			LiveKit: config.Room{URL: d.LiveKitURL, Key: d.LiveKitKey, Secret: d.LiveKitSecret},
			Storage: config.Storage{Endpoints: map[string]string{"*": "file://" + recordingsDir(data)}},
		}},
	}
}

// recordingsDir is where the development account stores its files.
func recordingsDir(data string) string { return filepath.Join(data, "recordings") }

// replaceFile writes a file that only the owner may read, durably and in one
// step.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if _, err := f.Write(content); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
