package livekit

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"testing"
)

// collision finds two identities with the same hash, the first two of a fixed
// sequence, and one whose hash spells id.
func collision(t *testing.T) (a, b string) {
	t.Helper()
	seen := map[uint32]string{}
	for i := range 1 << 20 {
		name := "user-" + strconv.Itoa(i)
		h := hashed(name, 0)
		if other, ok := seen[h]; ok {
			return other, name
		}
		seen[h] = name
	}
	t.Fatal("no two identities collide")
	return "", ""
}

func TestIdentitiesHaveTheDocumentedNumber(t *testing.T) {
	sum := func(s string) uint32 {
		h := sha256.Sum256([]byte(s))
		return binary.BigEndian.Uint32(h[:])
	}
	cases := []struct {
		identity string
		uid      uint32
		mapped   bool
	}{
		{"1", 1, false},
		{"101", 101, false},
		{"4294967295", 4294967295, false},
		{"alice", 0x2bd806c9, true}, // printf alice | sha256sum
		{"0", sum("0"), true},
		{"0101", sum("0101"), true},
		{"+101", sum("+101"), true},
		{" 101", sum(" 101"), true},
		{"4294967296", sum("4294967296"), true},
		{"-1", sum("-1"), true},
		{"", sum(""), true},
		{"张伟", sum("张伟"), true},
	}
	n := newNames(nil, nil)
	for _, c := range cases {
		for range 2 { // leaving and coming back changes nothing
			u := n.user(c.identity)
			if u.UID != c.uid || u.Mapped != c.mapped || u.Identity != c.identity {
				t.Errorf("%q is %+v, want %d", c.identity, u, c.uid)
			}
		}
	}
}

// TestNobodySharesANumber lets a room fill in many orders, with identities made
// to collide with each other, with integers, with the recorder and with ids that
// the request names.
func TestNobodySharesANumber(t *testing.T) {
	a, b := collision(t)
	own := hashed("carol", 0)
	named := hashed("dave", 0)
	spelt := strconv.FormatUint(uint64(hashed("erin", 0)), 10)
	people := []string{a, b, "carol", "dave", "erin", spelt, "101", "102", strconv.FormatUint(uint64(named), 10)}
	r := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // repeatable
	for range 200 {
		r.Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
		n := newNames([]uint32{own, named, 101}, nil)
		owner := map[uint32]string{}
		for _, who := range people {
			u := n.user(who)
			if other, ok := owner[u.UID]; ok {
				t.Fatalf("%q and %q are both %d, order %v", who, other, u.UID, people)
			}
			owner[u.UID] = who
			if u.Mapped && (u.UID == own || u.UID == named || u.UID == 101) {
				t.Fatalf("%q got the reserved %d", who, u.UID)
			}
		}
		if owner[101] != "101" || owner[102] != "102" || owner[named] != strconv.FormatUint(uint64(named), 10) {
			t.Fatalf("an integer lost its own number: %v", owner)
		}
	}
}

// TestNumbersSurviveTheWorker: what the journal tells counts, not the order in
// which people are there when a new worker comes.
func TestNumbersSurviveTheWorker(t *testing.T) {
	a, b := collision(t)
	spelt := strconv.FormatUint(uint64(hashed("erin", 0)), 10)
	first := newNames(nil, nil)
	known := map[string]uint32{}
	for _, who := range []string{a, b, "erin", spelt, "7"} {
		known[who] = first.user(who).UID
	}
	second := newNames(nil, known)
	for _, who := range []string{"7", spelt, "erin", b, a} {
		if u := second.user(who); u != first.user(who) {
			t.Errorf("%q was %+v and is %+v", who, first.user(who), u)
		}
	}
	if u := newNames(nil, map[string]uint32{"x": 0, "y": 5, "z": 5}); len(u.byIdentity) != 1 {
		t.Errorf("nonsense is believed: %v", u.byIdentity)
	}
}
