package rtctoken

import (
	"bytes"
	"compress/zlib"
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"io"
)

const (
	signatureLen = 32
	appIDLen     = 32
	// maxPlain bounds what a token may unfold to; real ones have some hundred
	// bytes.
	maxPlain = 16 << 10
)

// verify006 checks an AccessToken of version 006, without that number.
func verify006(text string, w Want) error {
	if w.Certificate == "" {
		return invalid("the app has no certificate to check it with")
	}
	app, body, ok := cut(text, appIDLen)
	if !ok || app != w.AppID {
		return invalid("it is for another app")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(body)
	if err != nil {
		return invalid("it is not Base64")
	}
	r := reader{b: raw}
	signature := r.str()
	channelSum, uidSum := r.u32(), r.u32()
	message := r.str()
	if r.bad || len(r.b) > 0 || len(signature) != signatureLen {
		return invalid("it is cut or has a tail")
	}
	// The token has sums of channel and uid, and the signature covers the texts: a
	// token for any user was signed for the empty one.
	uid := w.uidText()
	if uidSum != crc32.ChecksumIEEE([]byte(uid)) && uidSum == crc32.ChecksumIEEE(nil) {
		uid = ""
	}
	sum := mac([]byte(w.Certificate), []byte(app), []byte(w.Channel), []byte(uid), message)
	switch {
	case channelSum != crc32.ChecksumIEEE([]byte(w.Channel)):
		return invalid("it is for another channel")
	case uidSum != crc32.ChecksumIEEE([]byte(uid)):
		return invalid("it is for another user")
	case !hmac.Equal(sum, signature):
		return invalid("its signature does not fit the certificate")
	}
	return message006(message, w)
}

// message006 checks the times of a token whose signature is right.
func message006(message []byte, w Want) error {
	r := reader{b: message}
	_ = r.u32() // salt
	until := int64(r.u32())
	join, may := r.privileges(joinChannel)
	now := w.Now.Unix()
	switch {
	case r.bad || len(r.b) > 0:
		return invalid("its message is cut or has a tail")
	case !may:
		return invalid("it does not allow to join")
	case now > until:
		return expired("its time is over")
	case join != 0 && now > int64(join):
		return expired("the time to join is over")
	}
	return nil
}

// verify007 checks an AccessToken of version 007, without that number.
func verify007(text string, w Want) error {
	if w.Certificate == "" {
		return invalid("the app has no certificate to check it with")
	}
	raw, err := unfold(text)
	if err != nil {
		return err
	}
	r := reader{b: raw}
	signature := r.str()
	signed := r.b
	app := string(r.str())
	issued, lasts, salt := r.u32(), r.u32(), r.u32()
	if r.bad || len(signature) != signatureLen {
		return invalid("it is cut")
	}
	if app != w.AppID {
		return invalid("it is for another app")
	}
	key := mac(le32(salt), mac(le32(issued), []byte(w.Certificate)))
	if !hmac.Equal(mac(key, signed), signature) {
		return invalid("its signature does not fit the certificate")
	}
	join, err := rtcService(&r, w)
	if err != nil {
		return err
	}
	now := w.Now.Unix()
	switch {
	case now >= int64(issued)+int64(lasts):
		return expired("its time is over")
	case join != 0 && now >= int64(issued)+int64(join):
		return expired("the time to join is over")
	}
	return nil
}

// rtcService reads the service of real-time channels and returns until when it
// allows to join, in seconds from the issue. Services are in the order of their
// types, of which it has the lowest, and have no length: what stands before it or
// behind it cannot be read without knowing every type.
func rtcService(r *reader, w Want) (join uint32, err error) {
	const rtc = 1
	if r.u16() == 0 || r.u16() != rtc {
		return 0, invalid("it is not for real-time channels")
	}
	join, may := r.privileges(joinChannel)
	channel, uid := string(r.str()), string(r.str())
	switch {
	case r.bad:
		return 0, invalid("its service is cut")
	case channel != w.Channel:
		return 0, invalid("it is for another channel")
	case uid != "" && uid != w.uidText():
		return 0, invalid("it is for another user")
	case !may:
		return 0, invalid("it does not allow to join")
	}
	return join, nil
}

// unfold decodes and decompresses a 007 token, up to a size that real ones never
// have.
func unfold(text string) ([]byte, error) {
	packed, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, invalid("it is not Base64")
	}
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, invalid("it is not compressed")
	}
	raw, err := io.ReadAll(io.LimitReader(z, maxPlain+1))
	switch {
	case len(raw) > maxPlain:
		return nil, invalid("it unfolds to more than a token has")
	case err != nil:
		return nil, invalid("its compression is damaged")
	}
	return raw, nil
}

func le32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

func cut(s string, n int) (head, tail string, ok bool) {
	if len(s) < n {
		return "", "", false
	}
	return s[:n], s[n:], true
}
