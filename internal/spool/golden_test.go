package spool_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"tapedeck/internal/spool"
)

// TestFactGolden pins the journal's lines: another version of the service
// reads them after an update.
func TestFactGolden(t *testing.T) {
	facts := []spool.Fact{
		{Type: spool.FactOpened, Version: 1, SID: sid, Incarnation: 2, ZeroMicro: 1_700_000_000_000_000},
		{Type: spool.FactStatus, Status: 4},
		{Type: spool.FactUser, UID: "4294967295", Note: "joined"},
		{Type: spool.FactUser, UID: "735577801", Identity: "alice", Note: "left"},
		{Type: spool.FactWarn, Status: 1002, UID: "18", Note: "17 users are recorded already"},
		{Type: spool.FactGap, UID: "7", Note: "3 packets lost", StartMicro: 1000, DurMicro: 60000},
		{
			Type: spool.FactClosed, Name: sid + "_a&b<c>ü_20231114221320123.ts", Kind: spool.KindSlice, Track: "audio_and_video", UID: "0",
			Size: 1 << 40, SHA256: strings.Repeat("0a", 32), MD5: strings.Repeat("1b", 16), StartMicro: 0, DurMicro: 15_000_000,
			Index: sid + "_a.m3u8", Tags: []string{"#EXT-X-DISCONTINUITY"},
		},
		{Type: spool.FactClosed, Name: sid + "_a_0.mp4", Kind: spool.KindMP4, Track: "audio_and_video", UID: "0", Size: 5, Playable: true},
		{Type: spool.FactClosed, Name: sid + "_a.key", Kind: spool.KindKey, Size: 16, Unlisted: true},
		{Type: spool.FactClosed, Name: sid + "_a_20231114221320123_init.mp4", Kind: spool.KindInit, Track: "video", UID: "7", Size: 688, Index: sid + "_a.m3u8", Unlisted: true},
		{Type: spool.FactClosed, Name: sid + "_a_20231114221320123_pause.ts", Kind: spool.KindPause, Track: "audio", UID: "7", Size: 3008, Index: sid + "_a.m3u8", StartMicro: 4_000_000, Unlisted: true},
		{Type: spool.FactIndex, Name: sid + "_a.m3u8", Kind: spool.KindPlaylist, Track: "video", UID: "7", Playable: true, Final: true, Unlisted: true},
		{Type: spool.FactEnded, Note: spool.EndStop, Recorded: true, At: 1_700_000_100_000_001},
	}
	d := newDir(t)
	j, _ := openJournal(t, d)
	for _, f := range facts {
		if err := j.Append(f); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(filepath.Join(d.Path(), "journal.log"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/journal.golden", got)

	back, _, err := d.ReadJournal(0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range back {
		back[i].Offset = 0
		if facts[i].At == 0 {
			facts[i].At = clock().UnixMicro()
		}
	}
	if !reflect.DeepEqual(back, facts) {
		t.Errorf("read back\n%+v\nwritten\n%+v", back, facts)
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs:\n%s", path, got)
	}
}

func TestReceiptGolden(t *testing.T) {
	d := newDir(t)
	r, old, err := d.OpenReceipts(clock)
	if err != nil || len(old) != 0 {
		t.Fatal(old, err)
	}
	want := []spool.Receipt{
		{At: clock().UnixMicro(), Name: "a.ts", Size: 3, SHA256: "aa", Key: "d1/a.ts", ETag: "e", State: spool.ReceiptUploaded},
		{At: clock().UnixMicro(), Name: "a.m3u8", Size: 9, SHA256: "bb", Key: "d1/a.m3u8", Index: 77, State: spool.ReceiptUploaded},
		{At: 5, Name: "b.ts", Size: 3, Key: "d1/b.ts", State: spool.ReceiptRefused, Note: "not in the spool"},
		{At: 5, Name: "c.mp4", Size: 40, SHA256: "cc", Key: "d1/c.mp4", State: spool.ReceiptBegun, Upload: "u1", PartSize: 16},
		{At: 5, Name: "c.mp4", State: spool.ReceiptPart, Upload: "u1", Part: 1, ETag: "p1"},
		{At: 5, Name: "c.mp4", State: spool.ReceiptIntent, Backup: "kept/c.mp4"},
		{At: 5, Name: "c.mp4", Size: 40, SHA256: "cc", Key: "d1/c.mp4", ETag: "f", State: spool.ReceiptBackuped, Backup: "kept/c.mp4"},
		{At: 5, Name: "c.mp4", Size: 40, SHA256: "cc", Key: "d1/c.mp4", ETag: "g", State: spool.ReceiptUploaded, Unread: true},
	}
	for _, c := range want {
		if c.At != 5 {
			c.At = 0
		}
		if err := r.Append(c); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := d.OpenReceipts(clock); !errors.Is(err, spool.ErrBusy) {
		t.Errorf("a second writer: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(d.Path(), "receipts.log"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/receipts.golden", got)
	_, back, err := d.OpenReceipts(clock)
	if err != nil || !reflect.DeepEqual(back, want) {
		t.Errorf("read back %+v, %v", back, err)
	}
}
