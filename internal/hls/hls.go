// Package hls encrypts slices for players as RFC 8216 has it (METHOD=AES-128,
// sections 4.3.2.4 and 5.2): whole files in AES-128-CBC with the padding of
// PKCS #7, under one content key for each recording. It imports the standard
// library only. Format: docs/formats/hls.md.
package hls

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
)

// KeyLen is the length of a content key in bytes.
const KeyLen = 16

const (
	blockLen = aes.BlockSize
	keyTag   = "#EXT-X-KEY:"
	ivUse    = "iv " // before the name of a file
)

// ContentKey makes the content key of the recording sid out of its app's
// secret: the first 16 bytes of HMAC-SHA256. Whoever has the secret can make it
// again at any time.
func ContentKey(secret []byte, sid string) []byte { return mac(secret, sid)[:KeyLen] }

// IV makes the initialisation vector of the file called name. Nobody can tell
// it beforehand, and a file that is encrypted again after a crash gets the same.
func IV(key []byte, name string) []byte { return mac(key, ivUse+name)[:blockLen] }

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	_, _ = m.Write([]byte(text)) // never fails
	return m.Sum(nil)
}

// Tag is the line of a playlist that says how what follows is encrypted.
func Tag(uri string, iv []byte) string {
	return fmt.Sprintf("%sMETHOD=AES-128,URI=\"%s\",IV=0x%s", keyTag, uri, strings.ToUpper(hex.EncodeToString(iv)))
}

// IsTag reports whether a line of a playlist is a Tag.
func IsTag(line string) bool { return strings.HasPrefix(line, keyTag) }

// Expand puts a recording into the template of its key's address: {app}, {sid}
// and {cname} are replaced, escaped for the path of a URL.
func Expand(template, app, sid, cname string) string {
	return strings.NewReplacer("{app}", url.PathEscape(app), "{sid}", url.PathEscape(sid), "{cname}", url.PathEscape(cname)).Replace(template)
}

// CheckURI refuses an address that cannot stand in a playlist, or leads nowhere.
func CheckURI(uri string) error {
	for _, r := range uri {
		if r <= ' ' || r > '~' || r == '"' {
			return fmt.Errorf("%q has characters that no playlist can hold", uri)
		}
	}
	u, err := url.Parse(Expand(uri, "a", "s", "c"))
	if err != nil || u.Scheme == "" || u.Host == "" {
		return fmt.Errorf("%q is no address such as https://keys.example.com/{sid}", uri)
	}
	return nil
}

// cbc prepares one direction of the cipher.
func cbc(key, iv []byte, mode func(cipher.Block, []byte) cipher.BlockMode) (cipher.BlockMode, error) {
	if len(key) != KeyLen || len(iv) != blockLen {
		return nil, fmt.Errorf("hls: a key of %d and an IV of %d bytes, want %d and %d", len(key), len(iv), KeyLen, blockLen)
	}
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("hls: %w", err)
	}
	return mode(b, iv), nil
}
