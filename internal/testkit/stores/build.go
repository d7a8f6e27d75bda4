// Package stores starts real object stores for tests, on free loopback ports.
// Their programs come from the Go module proxy and npm, are built once and kept
// in the user's cache folder, outside the tree.
package stores

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

const (
	versityModule = "github.com/versity/versitygw/cmd/versitygw"
	// MinIO's own go.mod is used for it: its requirements and versitygw's do
	// not go into one module.
	minioModule = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
)

// VersityGWProgram returns the path of versitygw and builds it when the cache
// has it not, which takes minutes. Its version is pinned in test/tools/go.mod.
func VersityGWProgram() (string, error) {
	tools, err := toolsModule()
	if err != nil {
		return "", err
	}
	mod, err := os.ReadFile(filepath.Join(tools, "go.mod"))
	if err != nil {
		return "", err
	}
	return built("versitygw", string(mod), func(out string) *exec.Cmd {
		c := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, versityModule)
		c.Dir = tools
		return c
	})
}

// MinIOProgram returns the path of MinIO's server; building it takes longer.
func MinIOProgram() (string, error) {
	return built("minio", minioModule, func(out string) *exec.Cmd {
		c := exec.Command("go", "install", "-trimpath", "-ldflags=-s -w", minioModule)
		c.Dir = filepath.Dir(out) // outside of any module
		c.Env = []string{"GOBIN=" + filepath.Dir(out)}
		return c
	})
}

// AzuriteProgram returns the folder that Azurite, the emulator of Azure Blob
// Storage, is installed in. Its version is pinned in test/azurite.
func AzuriteProgram() (string, error) {
	tools, err := toolsModule()
	if err != nil {
		return "", err
	}
	from := filepath.Join(filepath.Dir(tools), "azurite")
	lock, err := os.ReadFile(filepath.Join(from, "package-lock.json"))
	if err != nil {
		return "", err
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return "", fmt.Errorf("stores: Azurite needs Node.js and npm: %w", err)
	}
	return built("azurite", string(lock), func(out string) *exec.Cmd {
		return exec.Command("sh", "-c", `mkdir -p "$1" && cp "$0"/package*.json "$1" && npm ci --prefix "$1" --omit=dev --no-audit --no-fund --loglevel=error`, from, out)
	})
}

// built runs build unless the cache has the program for this key. Several test
// programs may ask at once: one builds, the others wait for it.
func built(name, key string, build func(out string) *exec.Cmd) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("stores: no cache folder: set HOME or XDG_CACHE_HOME: %w", err)
	}
	sum := sha256.Sum256([]byte(runtime.Version() + "\n" + key))
	dir := filepath.Join(cache, "tapedeck-test", name+"-"+hex.EncodeToString(sum[:8]))
	program := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Join(dir, "building"), 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(program); !errors.Is(err, fs.ErrNotExist) {
		return program, err
	}
	fmt.Fprintf(os.Stderr, "stores: building %s for the tests, once; this takes some minutes\n", name)
	out := filepath.Join(dir, "building", name)
	cmd := build(out)
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS="), cmd.Env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("stores: build %s: %w\n%s", name, err, tail(string(text)))
	}
	return program, os.Rename(out, program)
}

func tail(s string) string {
	const most = 4000
	return s[max(0, len(s)-most):]
}

func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// toolsModule finds test/tools of the source tree around the working folder.
func toolsModule() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module tapedeck\n") {
			return filepath.Join(dir, "test", "tools"), nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("stores: not inside the source tree")
		}
		dir = filepath.Dir(dir)
	}
}
