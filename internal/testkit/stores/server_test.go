package stores_test

import (
	"testing"

	"tapedeck/internal/testkit/stores"
)

// TestVersityGW starts the server twice on the same address: what was stored
// before is still there.
func TestVersityGW(t *testing.T) {
	s := stores.VersityGW(t)
	s.MakeBucket("kept")
	s.Kill()
	s.Start()
	ok, err := s.Client().BucketExists(t.Context(), "kept")
	if err != nil || !ok {
		t.Fatalf("the bucket after a restart: %v, %v", ok, err)
	}
}
