package recorder

import (
	"io"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"tapedeck/internal/channel"
	"tapedeck/internal/link"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// TestNamesSurviveTheWorker: who a mapped uid is stands in the journal, and the
// next worker joins the room with that knowledge.
func TestNamesSurviveTheWorker(t *testing.T) {
	plan := testPlan(session.StreamDefault)
	plan.UID, plan.StrictIDs, plan.MaxUsers, plan.Encryption = 900, false, 32, 6
	plan.Subscription.Video = session.UIDList{Allow: []uint32{5}}
	dir, err := spool.Create(t.TempDir(), plan.SID)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	clock := newTape()
	alice, bob := channel.User{UID: 735577801, Identity: "alice", Mapped: true}, channel.User{UID: 7, Identity: "7"}
	var out *Output
	for range 2 {
		if out, err = OpenOutput(dir, plan, clock.now, log); err != nil {
			t.Fatal(err)
		}
		out.User(alice, "joined", 1)
		out.User(bob, "joined", 2)
		out.Warn(channel.User{Identity: "eve", Mapped: true}, channel.WarnIdentity, "no", 3)
		out.Warn(bob, channel.WarnKey, "locked", 4)
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := out.Identities(); !maps.Equal(got, map[string]uint32{"alice": alice.UID}) {
		t.Errorf("the second worker knows %v", got)
	}
	facts, _, err := dir.ReadJournal(0)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, f := range facts[:6] {
		told = append(told, strings.Join([]string{string(f.Type), f.UID, f.Identity, f.Note}, " "))
	}
	want := "opened   |user 735577801 alice joined|user 7  joined|warn  eve no|warn 7  locked|gap 7  locked"
	if got := strings.Join(told, "|"); got != want {
		t.Errorf("journal\n%s\nwant\n%s", got, want)
	}
	cfg := roomConfig(link.Job{Plan: plan, Private: &session.Private{MediaSecret: "s", MediaSalt: []byte{1}}}, out, log)
	if cfg.Known["alice"] != alice.UID || cfg.UID != 900 || cfg.MaxUsers != 32 || len(cfg.Reserved) != 1 || cfg.Reserved[0] != 5 {
		t.Errorf("config %+v", cfg)
	}
	if cfg.Encryption.Mode != 6 || cfg.Encryption.Secret != "s" || len(cfg.Encryption.Salt) != 1 {
		t.Errorf("encryption %+v", cfg.Encryption)
	}
}

func TestNamedUsers(t *testing.T) {
	p := session.Plan{
		Subscription: session.Subscription{Audio: session.UIDList{Allow: []uint32{1}}, Video: session.UIDList{All: true, Deny: []uint32{2}}},
		Mixing: &session.Mixing{Layout: session.Layout{
			MaxUID: 3, Regions: []session.CustomRegion{{UID: 4}, {}}, UserImages: []session.UserBackground{{UID: 5}},
		}},
	}
	seen := map[uint32]bool{}
	for _, uid := range namedUsers(p) {
		seen[uid] = true
	}
	for uid := uint32(1); uid <= 5; uid++ {
		if !seen[uid] {
			t.Errorf("%d is not among the named", uid)
		}
	}
}
