package resource

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/keyring"
)

const app = "8f2c41d0a7e94b5c8d1e6f7a0b2c3d4e"

// golden was sealed by version 1 of the format with the key of ring(1): tokens of
// clients have to stay good over an upgrade of the server.
const golden = "AQABc-C7jDbT452nn8Jsd65eESA1LP4rTrU-d4YmE3BwYqM3Cd_rw9KgHHuzDNyWDCxbshYHyTYOaqsitjxzDf-x5-HmBs3gJ36vR_2bLc8PwpYLihev8ga5nhvFs4jhjyLh-NJsS50FhA"

func ring(t testing.TB, current uint16, ids ...uint16) *keyring.Ring {
	t.Helper()
	keys := map[uint16][]byte{}
	for _, id := range ids {
		keys[id] = bytes.Repeat([]byte{byte(id)}, keyring.KeyLen)
	}
	r, err := keyring.New(current, keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sample() Resource {
	return Resource{
		ID: NewID(), Issued: time.Unix(1750000000, 0), Lifetime: Lifetime, ExpiredHour: 720,
		Scene: 2, Region: NorthAmerica, UID: 4294967295, CName: NameHash("lesson-204"),
		Start: Hash{1, 2, 3}, HasStart: true,
	}
}

func TestRoundTrip(t *testing.T) {
	r := ring(t, 1, 1)
	for _, want := range []Resource{sample(), {Issued: time.Unix(0, 0)}} {
		token := want.Seal(r, app)
		if len(token) != Len || strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Fatalf("token %q", token)
		}
		got, err := Open(r, app, token)
		if err != nil || got != want {
			t.Errorf("opened %+v, %v; want %+v", got, err, want)
		}
	}
}

func TestGolden(t *testing.T) {
	want := sample()
	want.ID = ID{0xde, 0xad, 0xbe, 0xef, 15: 1}
	got, err := Open(ring(t, 1, 1), app, golden)
	if err != nil || got != want {
		t.Errorf("opened %+v, %v; want %+v", got, err, want)
	}
	if got.ID.String() != "deadbeef000000000000000000000001" {
		t.Errorf("id %s", got.ID)
	}
}

// Every single-character change makes a token worthless, the last character's
// spare bits included.
func TestEveryMutationIsRefused(t *testing.T) {
	r := ring(t, 1, 1)
	token := sample().Seal(r, app)
	refused := func(s string) {
		t.Helper()
		if _, err := Open(r, app, s); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q is accepted: %v", s, err)
		}
	}
	for i := range token {
		for c := range 256 {
			if byte(c) != token[i] {
				refused(token[:i] + string([]byte{byte(c)}) + token[i+1:])
			}
		}
		refused(token[:i] + token[i+1:])
		refused(token[:i] + "A" + token[i:])
		refused(token[:i] + "\n" + token[i:])
	}
	refused("")
	refused(token + "=")
	refused(token + token)
}

func TestForeign(t *testing.T) {
	token := sample().Seal(ring(t, 1, 1), app)
	if _, err := Open(ring(t, 1, 1), app+"0", token); !errors.Is(err, ErrMalformed) {
		t.Errorf("another app opens it: %v", err)
	}
	if _, err := Open(ring(t, 2, 2), app, token); !errors.Is(err, ErrMalformed) {
		t.Errorf("another ring opens it: %v", err)
	}
	if _, err := Open(ring(t, 2, 1, 2), app, token); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	other := ring(t, 1, 1).Seal([]byte(app), make([]byte, plainLen))
	if _, err := ring(t, 1, 1).Open(appendPurpose(nil, app), other); err == nil {
		t.Error("a value sealed for something else passes for a token")
	}
}

func TestExpired(t *testing.T) {
	r := sample()
	for offset, want := range map[time.Duration]bool{0: false, Lifetime - time.Second: false, Lifetime: true, time.Hour: true} {
		if got := r.Expired(r.Issued.Add(offset)); got != want {
			t.Errorf("after %v: %v", offset, got)
		}
	}
}

func TestIs(t *testing.T) {
	r := sample()
	if !r.Is("lesson-204", 4294967295) || r.Is("lesson-205", 4294967295) || r.Is("lesson-204", 1) {
		t.Error("channel and recorder are not told apart")
	}
}

func TestStartHash(t *testing.T) {
	const base = `{"a":{"x":1,"y":[1,2,{"k":null}]},"b":"é"}`
	want, err := StartHash([]byte(base))
	if err != nil {
		t.Fatal(err)
	}
	same := []string{
		`{"b":"é","a":{"y":[1,2,{"k":null}],"x":1}}`,
		" {\n\t\"b\" : \"\\u00e9\", \"a\": {\"x\":1.0,\"y\":[1e0, 2, {\"k\":null}]}} ",
	}
	for _, s := range same {
		if got, err := StartHash([]byte(s)); err != nil || got != want {
			t.Errorf("%s differs: %v", s, err)
		}
	}
	differ := []string{
		`{"a":{"x":1,"y":[2,1,{"k":null}]},"b":"é"}`, // order of an array counts
		`{"a":{"x":1,"y":[1,2,{}]},"b":"é"}`,
		`{"a":{"x":"1","y":[1,2,{"k":null}]},"b":"é"}`,
		`{"a":{"x":1,"y":[1,2,{"k":null}]}}`,
	}
	for _, s := range differ {
		if got, err := StartHash([]byte(s)); err != nil || got == want {
			t.Errorf("%s is the same: %v", s, err)
		}
	}
	for _, s := range []string{"", "{", `{"a":1,"a":2}`, `{"a":1} {}`} {
		if _, err := StartHash([]byte(s)); err == nil {
			t.Errorf("%s is accepted", s)
		}
	}
	raw := []byte(`{ "b" : 1 , "a" : 2 }`)
	keep := string(raw)
	if _, err := StartHash(raw); err != nil || string(raw) != keep {
		t.Errorf("the input became %s, %v", raw, err)
	}
}

func TestRegion(t *testing.T) {
	for n, name := range []string{"", "CN", "AP", "EU", "NA"} {
		byName, ok := ParseRegion(name)
		byNumber, ok2 := Affinity(n)
		if !ok || !ok2 || byName != byNumber || byName.String() != name {
			t.Errorf("%d %q: %v %v", n, name, byName, byNumber)
		}
	}
	for _, name := range []string{"cn", "US", "CN "} {
		if _, ok := ParseRegion(name); ok {
			t.Errorf("%q is a region", name)
		}
	}
	for _, n := range []int{-1, 5, 256} {
		if _, ok := Affinity(n); ok {
			t.Errorf("%d is a region", n)
		}
	}
}

func FuzzOpen(f *testing.F) {
	r := ring(f, 1, 1)
	f.Add(golden)
	f.Add("")
	f.Add(strings.Repeat("A", Len))
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := Open(r, app, token); err == nil && token != golden {
			t.Errorf("%q is accepted", token)
		}
	})
}
