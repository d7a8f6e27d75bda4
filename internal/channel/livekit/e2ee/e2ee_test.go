package e2ee

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	lksdk "github.com/livekit/server-sdk-go/v2"
	sdke2ee "github.com/livekit/server-sdk-go/v2/e2ee"

	"tapedeck/internal/media"
)

func newKeys(t testing.TB, mode int, secret string) *Keys {
	t.Helper()
	salt := []byte(nil)
	if mode >= AES128GCM2 {
		salt = bytes.Repeat([]byte{7}, 32)
	}
	k, err := NewKeys(mode, secret, salt)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sealed encrypts with LiveKit's own Go library at a key index.
func sealed(t testing.TB, c media.Codec, frame []byte, secret string, index uint8) []byte {
	t.Helper()
	key, err := lksdk.DeriveKeyFromString(secret)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	if c == media.H264 {
		out, err = sdke2ee.EncryptGCMH264Sample(frame, key, index)
	} else {
		out, err = lksdk.EncryptGCMAudioSample(frame, key, index)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// h264Frame has parameter sets, a slice, and a second slice that is sealed with
// the first.
func h264Frame() []byte {
	return append([]byte{0, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 0, 1, 0x68, 4, 0, 0, 0, 1, 0x65, 0x88, 1, 2, 3, 4, 5, 0, 0, 0, 1, 0x65, 0x40, 9}, make([]byte, 300)...)
}

func TestWhatTheLibrarySealsOpens(t *testing.T) {
	for _, index := range []uint8{0, 1, 255} {
		for c, frame := range map[media.Codec][]byte{media.Opus: bytes.Repeat([]byte{0xf8, 1, 2}, 40), media.H264: h264Frame()} {
			o := NewOpener(newKeys(t, AES128GCM, "room key"), c, []byte("TRAILER"))
			for range 3 {
				got, err := o.Open(sealed(t, c, frame, "room key", index))
				if err != nil || !bytes.Equal(got, frame) {
					t.Errorf("%v, key %d: %x, %v", c, index, got, err)
				}
			}
		}
	}
}

func TestWhatDoesNotOpen(t *testing.T) {
	opus, video := bytes.Repeat([]byte{0xf8, 1, 2}, 40), h264Frame()
	trailer := []byte("TRAILER")
	good := sealed(t, media.Opus, opus, "room key", 0)
	cases := []struct {
		name  string
		codec media.Codec
		frame []byte
		want  error
	}{
		{"another key", media.Opus, sealed(t, media.Opus, opus, "other", 0), ErrClosed},
		{"another key, pictures", media.H264, sealed(t, media.H264, video, "other", 0), ErrClosed},
		{"another header", media.Opus, append([]byte{1}, good[1:]...), ErrClosed},
		{"no tag", media.Opus, append([]byte{0xf8}, good[len(good)-14:]...), ErrShort},
		{"not encrypted", media.Opus, opus, ErrShort},
		{"one byte", media.Opus, []byte{1}, ErrShort},
		{"one byte of VP8", media.VP8, []byte{0}, ErrShort},
		{"IV of another length", media.Opus, append(bytes.Clone(good[:len(good)-2]), 200, 0), ErrShort},
		{"the server's own", media.Opus, append(bytes.Clone(opus), trailer...), ErrInjected},
		{"the server's own pictures", media.H264, append(bytes.Clone(video), trailer...), ErrInjected},
	}
	keys := newKeys(t, AES128GCM, "room key")
	for _, tc := range cases {
		if got, err := NewOpener(keys, tc.codec, trailer).Open(tc.frame); !errors.Is(err, tc.want) || got != nil {
			t.Errorf("%s: %x, %v", tc.name, got, err)
		}
	}
	for name, frame := range map[string][]byte{"nothing": {}, "parameter sets": video[:14]} {
		if got, err := NewOpener(keys, media.H264, trailer).Open(frame); err != nil || !bytes.Equal(got, frame) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
}

// TestKeysAreThoseOfWebCrypto pins what the derivations give: the same as PBKDF2
// and HKDF of other implementations.
func TestKeysAreThoseOfWebCrypto(t *testing.T) {
	cases := []struct {
		name   string
		derive func(material, salt []byte, n int) ([]byte, error)
		n      int
	}{{"passphrase", passphrase, 16}, {"random", random, 16}}
	for _, tc := range cases {
		got, err := tc.derive([]byte("secret"), []byte(defaultSalt), tc.n)
		if err != nil {
			t.Fatal(err)
		}
		want, err := lksdk.DeriveKeyFromString("secret")
		if tc.name == "random" {
			want, err = lksdk.DeriveKeyFromBytes([]byte("secret"))
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x, %v", tc.name, got, want, err)
		}
	}
}

// quick leaves the reading of the secret that costs nothing to derive from. The
// captures of a browser have the other.
func quick(k *Keys) *Keys {
	k.chains = k.chains[1:2]
	return k
}

// TestRatchet follows a sender whose key moves on, and not one who is too far.
func TestRatchet(t *testing.T) {
	sender := quick(newKeys(t, AES256GCM, "room key"))
	for range 12 {
		if err := sender.extend(sender.chains[0]); err != nil {
			t.Fatal(err)
		}
	}
	seal := func(step int) []byte {
		iv := bytes.Repeat([]byte{byte(step)}, ivLen)
		out := append([]byte{0xf8}, sender.chains[0].keys[step].Seal(nil, iv, []byte("some sound"), []byte{0xf8})...)
		return append(append(out, iv...), ivLen, 0)
	}
	o := NewOpener(quick(newKeys(t, AES256GCM, "room key")), media.Opus, nil)
	open := func(step, tries int) bool {
		for range tries {
			if got, err := o.Open(seal(step)); err == nil {
				return string(got) == "\xf8some sound"
			}
		}
		return false
	}
	for _, step := range []int{0, 1, 1, 3, 7, 12} {
		if !open(step, window) {
			t.Errorf("step %d is not found", step)
		}
	}
	o = NewOpener(quick(newKeys(t, AES256GCM, "room key")), media.Opus, nil)
	if !open(0, 1) || open(12, window+2) || !open(0, 1) {
		t.Error("a key too far ahead is found, or the search loses the present one")
	}
}

func TestKeysThatCannotBe(t *testing.T) {
	for mode := -1; mode < 10; mode++ {
		_, err := NewKeys(mode, "secret", bytes.Repeat([]byte{1}, 32))
		if ok := mode >= 5 && mode <= 8; ok != (err == nil) || !ok && !errors.Is(err, ErrMode) {
			t.Errorf("mode %d: %v", mode, err)
		}
	}
	if _, err := NewKeys(AES128GCM, "", nil); err == nil {
		t.Error("no secret is taken")
	}
	if _, err := NewKeys(AES128GCM2, "x", nil); err == nil {
		t.Error("no salt is taken")
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"000003":                 "0000",
		"00000301":               "000001",
		"0000030000030000030000": "0000000000000000",
		"0102000003030405":       "01020000030405",
		"000004":                 "000004",
	} {
		if got := unescape(unhex(t, in)); !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("%s: %x, want %s", in, got, want)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(byte(media.H264), h264Frame())
	f.Add(byte(media.Opus), []byte{0xf8, 12, 0})
	f.Add(byte(media.VP8), bytes.Repeat([]byte{0, 0, 3}, 20))
	f.Add(byte(media.H265), []byte{0, 0, 1, 2})
	keys := quick(newKeys(f, AES128GCM, "room key"))
	f.Fuzz(func(t *testing.T, kind byte, frame []byte) {
		before := bytes.Clone(frame)
		got, err := NewOpener(keys, media.Codec(kind%8), []byte("trailer")).Open(frame)
		if err == nil && !bytes.Equal(got, frame) {
			t.Errorf("%x opens", frame)
		}
		if !bytes.Equal(before, frame) {
			t.Error("the frame was changed")
		}
	})
}

// BenchmarkOpen is what a frame of 5 KB costs, as of a camera in 1280x720.
func BenchmarkOpen(b *testing.B) {
	frame := sealed(b, media.H264, append(h264Frame(), bytes.Repeat([]byte{0x5a}, 5000)...), "room key", 0)
	o := NewOpener(newKeys(b, AES128GCM, "room key"), media.H264, nil)
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		if _, err := o.Open(frame); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDerive is what one key costs, once for a recording.
func BenchmarkDerive(b *testing.B) {
	for b.Loop() {
		if _, err := passphrase([]byte("room key"), []byte(defaultSalt), 16); err != nil {
			b.Fatal(err)
		}
	}
}
