package rtctoken

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
)

// The vectors of spec/behaviour.md 8.
const (
	vectorApp         = "970CA35de60c44645bbae8a215061b33"
	vectorCertificate = "5CFd2fd1755d40ecb72977518be15d3b"
	vectorChannel     = "7d72365eb983485397e3e3f9d460bdda"
	vectorUID         = 2882341273
	vector006         = "006970CA35de60c44645bbae8a215061b33IACV0fZUBw+72cVoL9eyGGh3Q6Poi8bgjwVLnyKSJyOXR7dIfRBXoFHlEAABAAAAR/QQAAEAAQCvKDdW"
	vector006Any      = "006970CA35de60c44645bbae8a215061b33IACw1o7htY6ISdNRtku3p9tjTPi0jCKf9t49UHJhzCmL6bdIfRAAAAAAEAABAAAAR/QQAAEAAQCvKDdW"
	vector007         = "007eJxSYBBbsMMnKq7p9Hf/HcIX5kce9b518kCiQgSr5Zrp4X1Tu6UUGCzNDZwdjU1TUs0Mkk1MzExMk5ISUy0SjQxNDcwMk4yN3b8IMEQwMTAwMoAwBIL4CgzmKeZGxmamqUmWFsYmFqbGluapxqnGaZYpJmYGSSkpiVwMRhYWRsYmhkbmxoAAAAD//8JqJOM="
)

func vectorWant(unix int64) Want {
	return Want{AppID: vectorApp, Certificate: vectorCertificate, Channel: vectorChannel, UID: vectorUID, Now: time.Unix(unix, 0)}
}

func TestVectors(t *testing.T) {
	const issued006, issued007 = 1111111, 1111111
	for _, c := range []struct {
		name, token string
		unix        int64
		want        error
	}{
		{"006", vector006, issued006, nil},
		{"006 in its last second", vector006, 1111111, nil},
		{"006 later", vector006, 1111112, ErrExpired},
		{"006 for any user", vector006Any, issued006, nil},
		{"007", vector007, issued007, nil},
		{"007 in its last second", vector007, issued007 + 599, nil},
		{"007 later", vector007, issued007 + 600, ErrExpired},
	} {
		if err := Verify(c.token, vectorWant(c.unix)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// Whatever does not fit makes a token invalid, also one that has expired.
func TestForAnother(t *testing.T) {
	for name, change := range map[string]func(*Want){
		"app":         func(w *Want) { w.AppID = strings.ToLower(vectorApp) },
		"certificate": func(w *Want) { w.Certificate = "0" + vectorCertificate[1:] },
		"none":        func(w *Want) { w.Certificate = "" },
		"channel":     func(w *Want) { w.Channel = strings.ToUpper(vectorChannel) },
		"user":        func(w *Want) { w.UID++ },
	} {
		for _, token := range []string{vector006, vector006Any, vector007} {
			for _, unix := range []int64{1111111, 2000000} {
				w := vectorWant(unix)
				change(&w)
				err := Verify(token, w)
				if name == "user" && token == vector006Any {
					if errors.Is(err, ErrInvalid) {
						t.Errorf("a token for any user is refused: %v", err)
					}
					continue
				}
				if !errors.Is(err, ErrInvalid) {
					t.Errorf("another %s: %v for %s...", name, err, token[:3])
				}
			}
		}
	}
}

// Every change of a character makes a token worthless, but for the few bits of a
// compressed form that mean nothing: then its content is what it was.
func TestEveryChangeIsRefused(t *testing.T) {
	whole, err := unfold(vector007[3:])
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{vector006, vector006Any, vector007} {
		for i := range token {
			for _, c := range "A0z/=\n" {
				changed := token[:i] + string(c) + token[i+1:]
				if changed == token || Verify(changed, vectorWant(1111111)) != nil {
					continue
				}
				if same, err := unfold(changed[3:]); token != vector007 || err != nil || !bytes.Equal(same, whole) {
					t.Errorf("%q is accepted", changed)
				}
			}
		}
	}
}

// token007 makes a token out of services that are encoded already.
func token007(issued, expire uint32, services ...[]byte) string {
	var m []byte
	m = appendStr(m, vectorApp)
	for _, v := range []uint32{issued, expire, 7} {
		m = binary.LittleEndian.AppendUint32(m, v)
	}
	m = binary.LittleEndian.AppendUint16(m, uint16(len(services)))
	m = append(m, bytes.Join(services, nil)...)
	key := mac(le32(7), mac(le32(issued), []byte(vectorCertificate)))
	return "007" + packed(append(appendStr(nil, string(mac(key, m))), m...))
}

func packed(plain []byte) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = z.Write(plain)
	_ = z.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func appendStr(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint16(b, uint16(len(s))), s...)
}

// service encodes a service with privileges of 600 s, and its tail.
func service(kind uint16, privileges []uint16, tail ...string) []byte {
	b := binary.LittleEndian.AppendUint16(nil, kind)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(privileges)))
	for _, p := range privileges {
		b = binary.LittleEndian.AppendUint16(b, p)
		b = binary.LittleEndian.AppendUint32(b, 600)
	}
	for _, s := range tail {
		b = appendStr(b, s)
	}
	return b
}

func TestServices(t *testing.T) {
	rtc := service(1, []uint16{1, 2}, vectorChannel, "")
	messages := service(2, []uint16{1}, "user")
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"for any user":             {token007(100, 900, rtc), nil},
		"others behind":            {token007(100, 900, rtc, messages, service(99, nil, "?")), nil},
		"others only":              {token007(100, 900, messages), ErrInvalid},
		"unknown before":           {token007(100, 900, service(0, nil), rtc), ErrInvalid},
		"none":                     {token007(100, 900), ErrInvalid},
		"may not join":             {token007(100, 900, service(1, []uint16{2, 3}, vectorChannel, "")), ErrInvalid},
		"cut":                      {token007(100, 900, rtc[:len(rtc)-4]), ErrInvalid},
		"expires at once":          {token007(150, 0, rtc), ErrExpired},
		"join expired before all":  {token007(100, 5000, rtc), nil},
		"another user":             {token007(100, 900, service(1, []uint16{1}, vectorChannel, "5")), ErrInvalid},
		"channel of another case":  {token007(100, 900, service(1, []uint16{1}, "Room", "")), ErrInvalid},
		"end beyond 32 bits":       {token007(100, 1<<32-1, rtc), nil},
		"many services, none real": {"007" + packed(append(appendStr(nil, strings.Repeat("x", 32)), bytes.Repeat([]byte{255}, 60)...)), ErrInvalid},
	} {
		if err := Verify(c.token, vectorWant(150)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := Verify(token007(100, 5000, rtc), vectorWant(700)); !errors.Is(err, ErrExpired) {
		t.Errorf("the privilege to join has expired: %v", err)
	}
}

// A few kilobytes that would unfold to gigabytes cost nothing.
func TestBomb(t *testing.T) {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = io.CopyN(z, zeros{}, 4<<20)
	_ = z.Close()
	bomb := "007" + base64.StdEncoding.EncodeToString(b.Bytes())
	if len(bomb) > maxText {
		t.Fatalf("the bomb has %d bytes and would be refused for that", len(bomb))
	}
	var err error
	cost := testing.Benchmark(func(b *testing.B) {
		for range b.N {
			err = Verify(bomb, vectorWant(1111111))
		}
	})
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "unfolds") {
		t.Errorf("the bomb: %v", err)
	}
	if n := cost.AllocedBytesPerOp(); n > 512<<10 {
		t.Errorf("refusing a bomb takes %d bytes", n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// message006 with any content, signed rightly.
func token006(channel, uid string, message []byte) string {
	sum := mac([]byte(vectorCertificate), []byte(vectorApp), []byte(channel), []byte(uid), message)
	b := appendStr(nil, string(sum))
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE([]byte(channel)))
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE([]byte(uid)))
	return "006" + vectorApp + base64.StdEncoding.EncodeToString(appendStr(b, string(message)))
}

func privileges006(until uint32, pairs ...uint32) []byte {
	m := binary.LittleEndian.AppendUint32(le32(1), until)
	m = binary.LittleEndian.AppendUint16(m, uint16(len(pairs)/2))
	for i := 0; i < len(pairs); i += 2 {
		m = binary.LittleEndian.AppendUint16(m, uint16(pairs[i]))
		m = binary.LittleEndian.AppendUint32(m, pairs[i+1])
	}
	return m
}

func TestMessages006(t *testing.T) {
	for name, c := range map[string]struct {
		message []byte
		want    error
	}{
		"join for ever":      {privileges006(1000, 1, 0), nil},
		"join until now":     {privileges006(1000, 1, 500), nil},
		"join until before":  {privileges006(1000, 1, 499), ErrExpired},
		"may only publish":   {privileges006(1000, 2, 0, 3, 0), ErrInvalid},
		"nothing":            {privileges006(1000), ErrInvalid},
		"many":               {privileges006(1000, 1, 0, 2, 0, 3, 0, 4, 0), nil},
		"cut":                {privileges006(1000, 1, 0)[:11], ErrInvalid},
		"tail":               {append(privileges006(1000, 1, 0), 0), ErrInvalid},
		"empty":              {nil, ErrInvalid},
		"over":               {privileges006(499, 1, 0), ErrExpired},
		"over, and no right": {privileges006(499, 2, 0), ErrInvalid},
	} {
		if err := Verify(token006(vectorChannel, "2882341273", c.message), vectorWant(500)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := Verify(token006("other", "", privileges006(1000, 1, 0)), vectorWant(500)); !errors.Is(err, ErrInvalid) {
		t.Errorf("another channel: %v", err)
	}
}

func TestLiveKit(t *testing.T) {
	now := time.Now()
	want := Want{AppID: "a", Channel: "lesson", UID: 7, Keys: []Key{{"other", "x"}, {"key", "secret-of-the-rooms-of-this-app!"}}, Now: now}
	mint := func(key, secret, identity string, valid time.Duration, grant auth.VideoGrant) string {
		token, err := auth.NewAccessToken(key, secret).SetIdentity(identity).SetValidFor(valid).SetVideoGrant(&grant).ToJWT()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	const secret = "secret-of-the-rooms-of-this-app!"
	join := auth.VideoGrant{RoomJoin: true, Room: "lesson"}
	good := mint("key", secret, "7", time.Hour, join)
	head, rest, _ := strings.Cut(good, ".")
	body, _, _ := strings.Cut(rest, ".")
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + body + "."
	for name, c := range map[string]struct {
		token string
		after time.Duration
		want  error
	}{
		"good":                          {good, 0, nil},
		"in its last minute":            {good, time.Hour, nil},
		"over":                          {good, time.Hour + 2*time.Minute, ErrExpired},
		"not yet":                       {good, -time.Hour, ErrInvalid},
		"another key":                   {mint("nobody", secret, "7", time.Hour, join), 0, ErrInvalid},
		"another secret":                {mint("key", secret+"x", "7", time.Hour, join), 0, ErrInvalid},
		"key of one, secret of another": {mint("other", secret, "7", time.Hour, join), 0, ErrInvalid},
		"another user":                  {mint("key", secret, "8", time.Hour, join), 0, ErrInvalid},
		"another room":                  {mint("key", secret, "7", time.Hour, auth.VideoGrant{RoomJoin: true, Room: "Lesson"}), 0, ErrInvalid},
		"no join":                       {mint("key", secret, "7", time.Hour, auth.VideoGrant{Room: "lesson"}), 0, ErrInvalid},
		"another room, over":            {mint("key", secret, "7", time.Hour, auth.VideoGrant{RoomJoin: true, Room: "x"}), 2 * time.Hour, ErrInvalid},
		"no algorithm":                  {unsigned, 0, ErrInvalid},
		"no signature":                  {head + "." + body + ".", 0, ErrInvalid},
	} {
		w := want
		w.Now = now.Add(c.after)
		if err := Verify(c.token, w); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for _, keys := range [][]Key{nil, {{"key", ""}}} {
		w := want
		w.Keys = keys
		if err := Verify(good, w); !errors.Is(err, ErrInvalid) {
			t.Errorf("with keys %v: %v", keys, err)
		}
	}
}

func TestUnknownForms(t *testing.T) {
	for _, token := range []string{"", "006", "007", "005" + vector006[3:], vector006[3:], "a.b.c", "..", "a.b", strings.Repeat("x", maxText+1), "007" + packed(nil), "006" + vectorApp, "007!"} {
		if err := Verify(token, vectorWant(1111111)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.20q: %v", token, err)
		}
	}
}

// No error repeats a piece of the token.
func TestErrorsKeepTheToken(t *testing.T) {
	w := vectorWant(2000000)
	w.Channel = "other"
	for _, token := range []string{vector006, vector007} {
		if err := Verify(token, w); err == nil || strings.Contains(err.Error(), token[40:60]) || strings.Contains(err.Error(), vectorCertificate) {
			t.Errorf("%v", err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	for _, s := range []string{vector006, vector006Any, vector007, "a.b.c", token007(100, 900, service(1, []uint16{1}, vectorChannel, "")), token006(vectorChannel, "", privileges006(1000, 1, 0))} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		w := vectorWant(1111111)
		w.Keys = []Key{{"key", "secret"}}
		err := Verify(token, w)
		if err != nil && !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrExpired) {
			t.Errorf("an error of neither kind: %v", err)
		}
	})
}

// FuzzMessages reaches what lies behind Base64 and compression.
func FuzzMessages(f *testing.F) {
	for _, s := range []string{vector006, vector007} {
		raw, _ := base64.StdEncoding.DecodeString(s[3:])
		f.Add(raw)
	}
	f.Add(service(1, []uint16{1}, vectorChannel, ""))
	f.Fuzz(func(t *testing.T, raw []byte) {
		w := vectorWant(1111111)
		for _, token := range []string{"007" + packed(raw), token007(1111000, 900, raw), "006" + vectorApp + base64.StdEncoding.EncodeToString(raw), token006(vectorChannel, "", raw)} {
			if err := Verify(token, w); err != nil && !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrExpired) {
				t.Errorf("an error of neither kind: %v", err)
			}
		}
	})
}
