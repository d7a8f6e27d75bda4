package jail

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Folders of the dead go, those of the living and of others stay.
func TestSweep(t *testing.T) {
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	gone := filepath.Join(root, fmt.Sprintf("%s%d-1", scratchPrefix, dead.Process.Pid))
	stay := []string{filepath.Join(root, fmt.Sprintf("%s%d-2", scratchPrefix, os.Getpid())), filepath.Join(root, scratchPrefix+"x"), filepath.Join(root, "other")}
	for _, d := range append(stay, gone) {
		if err := os.MkdirAll(filepath.Join(d, "home", "profile"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d, "home", "f"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sweep(root)
	if _, err := os.Stat(gone); !os.IsNotExist(err) {
		t.Errorf("the folder of a dead process stays: %v", err)
	}
	for _, d := range stay {
		if _, err := os.Stat(filepath.Join(d, "home", "f")); err != nil {
			t.Error(err)
		}
	}
}
