package api

import (
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"tapedeck/internal/account"
	"tapedeck/internal/keyring"
)

const (
	testUser   = "customer-1"
	testSecret = "0123456789abcdef0123456789abcdef"
)

func basicAuth(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// testAccount is an active account with some apps that may record.
func testAccount(apps ...string) account.Account {
	hash, err := account.HashSecret(testSecret)
	if err != nil {
		panic(err)
	}
	a := account.Account{ID: testUser, Secrets: []account.SecretHash{hash}, Active: true, Rate: 1 << 30}
	for _, id := range apps {
		a.Apps = append(a.Apps, account.App{ID: id, Enabled: true, Quota: 50})
	}
	return a
}

func testRing() *keyring.Ring {
	r, err := keyring.New(1, map[uint16][]byte{1: make([]byte, keyring.KeyLen)})
	if err != nil {
		panic(err)
	}
	return r
}

// removeTree removes a scratch folder that a subprocess made.
func removeTree(dir string) {
	var paths []string
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			paths = append(paths, path)
		}
		return nil
	})
	for _, p := range slices.Backward(paths) {
		_ = os.Remove(p)
	}
}
