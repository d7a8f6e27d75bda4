package account

import (
	"fmt"
	"strings"
	"testing"
)

const (
	secretA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	secretB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func hashOf(t testing.TB, secret string) SecretHash {
	t.Helper()
	h, err := HashSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func directory(t testing.TB, accounts ...Account) *Directory {
	t.Helper()
	d, err := NewDirectory(accounts)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAuthenticate(t *testing.T) {
	d := directory(t,
		Account{ID: "one", Secrets: []SecretHash{hashOf(t, secretA)}, Active: true},
		Account{ID: "two", Secrets: []SecretHash{hashOf(t, secretA), hashOf(t, secretB)}},
	)
	cases := []struct {
		user, password string
		ok             bool
	}{
		{"one", secretA, true},
		{"one", secretB, false},
		{"two", secretA, true}, // both secrets are good while one is being replaced
		{"two", secretB, true},
		{"one", "", false},
		{"one", secretA + "x", false},
		{"one", secretA[:31], false},
		{"One", secretA, false},
		{"", "", false},
		{"three", secretA, false},
	}
	for _, c := range cases {
		a, ok := d.Authenticate([]byte(c.user), []byte(c.password))
		if ok != c.ok || ok && a.ID != c.user {
			t.Errorf("%q with %q: %v %v", c.user, c.password, a, ok)
		}
	}
}

// An account with one secret has no second one that the empty place could match.
func TestAbsentSecretNeverFits(t *testing.T) {
	d := directory(t, Account{ID: "one", Secrets: []SecretHash{hashOf(t, secretA)}})
	for _, password := range []string{"", "\x00", strings.Repeat("\x00", 32)} {
		if _, ok := d.Authenticate([]byte("one"), []byte(password)); ok {
			t.Errorf("%q fits", password)
		}
		if _, ok := d.Authenticate([]byte("nobody"), []byte(password)); ok {
			t.Errorf("%q fits nobody", password)
		}
	}
}

func TestDirectoryRefuses(t *testing.T) {
	h := hashOf(t, secretA)
	one := Account{ID: "one", Secrets: []SecretHash{h}}
	with := func(change func(*Account)) []Account {
		a := one
		change(&a)
		return []Account{a}
	}
	cases := map[string][]Account{
		"no id":          with(func(a *Account) { a.ID = "" }),
		"twice":          {one, one},
		"no secret":      with(func(a *Account) { a.Secrets = nil }),
		"three secrets":  with(func(a *Account) { a.Secrets = []SecretHash{h, h, h} }),
		"negative rate":  with(func(a *Account) { a.Rate = -1 }),
		"app without id": with(func(a *Account) { a.Apps = []App{{}} }),
		"app twice":      with(func(a *Account) { a.Apps = []App{{ID: "x"}, {ID: "x"}} }),
		"negative quota": with(func(a *Account) { a.Apps = []App{{ID: "x", Quota: -1}} }),
		"app of two": {
			{ID: "one", Secrets: one.Secrets, Apps: []App{{ID: "x"}}},
			{ID: "two", Secrets: one.Secrets, Apps: []App{{ID: "x"}}},
		},
	}
	for name, accounts := range cases {
		if _, err := NewDirectory(accounts); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestDirectoryIsACopy(t *testing.T) {
	in := []Account{{ID: "one", Secrets: []SecretHash{hashOf(t, secretA)}, Apps: []App{{ID: "x", Quota: 1}}}}
	d := directory(t, in...)
	in[0].Secrets[0], in[0].Apps[0].Quota = hashOf(t, secretB), 9
	a, ok := d.Authenticate([]byte("one"), []byte(secretA))
	app, found := d.App("x")
	if !ok || !found || app.Quota != 1 {
		t.Fatal("the directory changed with its input")
	}
	if own, _ := a.App("x"); own != app {
		t.Error("an app is there twice")
	}
	if _, found := d.App("y"); found {
		t.Error("an unknown app is found")
	}
	if a.Limit() != DefaultRate {
		t.Errorf("limit %d", a.Limit())
	}
}

func TestSecretForms(t *testing.T) {
	if _, err := HashSecret("short"); err == nil || strings.Contains(err.Error(), "short\"") {
		t.Errorf("a short secret: %v", err)
	}
	h := hashOf(t, secretA)
	form := fmt.Sprintf("sha256:%x", h)
	if got, err := ParseSecretHash(form); err != nil || got != h {
		t.Errorf("%x, %v", got, err)
	}
	for _, s := range []string{"", "sha256:", form[7:], form[:len(form)-1], form + "0", "sha256:" + strings.Repeat("g", 64), "md5:" + form[7:]} {
		if _, err := ParseSecretHash(s); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}

func TestLiveKitHidesItsSecret(t *testing.T) {
	l := LiveKit{URL: "wss://x", Key: "k", Secret: "hide-me"}
	for _, s := range []string{fmt.Sprint(l), fmt.Sprintf("%+v %#v", App{LiveKit: l}, l), l.LogValue().String()} {
		if strings.Contains(s, "hide-me") {
			t.Errorf("%s tells the secret", s)
		}
	}
}

// A new state takes the place of the old one as a whole, and a bad one changes
// nothing.
func TestSet(t *testing.T) {
	one := Account{ID: "one", Secrets: []SecretHash{hashOf(t, secretA)}, Apps: []App{{ID: "x"}}}
	d := directory(t, one)
	held, _ := d.Account("one")
	two := Account{ID: "two", Secrets: []SecretHash{hashOf(t, secretB)}, Apps: []App{{ID: "x", Quota: 3}}}
	if err := d.Set([]Account{two, two}); err == nil {
		t.Error("an account that is there twice is accepted")
	}
	if _, ok := d.Authenticate([]byte("one"), []byte(secretA)); !ok {
		t.Error("a state that was refused changed the one before")
	}
	if err := d.Set([]Account{two}); err != nil {
		t.Fatal(err)
	}
	if _, ok := d.Authenticate([]byte("one"), []byte(secretA)); ok {
		t.Error("an account that was removed can sign in")
	}
	if app, ok := d.App("x"); !ok || app.Account != "two" || app.Quota != 3 {
		t.Errorf("the app is %+v", app)
	}
	if held.ID != "one" || held.Apps[0].Account != "one" {
		t.Error("what a request holds has changed")
	}
}

func TestFence(t *testing.T) {
	room := LiveKit{URL: "wss://x"}
	plain := App{LiveKit: room}
	regional := App{Regions: map[string]LiveKit{"EU": {URL: "wss://eu"}, "NA": {URL: "wss://na"}}}
	both := App{LiveKit: room, Regions: map[string]LiveKit{"EU": {URL: "wss://eu"}}}
	for _, c := range []struct {
		name              string
		app               *App
		asked, home, want string
		ok                bool
		places, url       string
	}{
		{"no regions", &plain, "", "", "", true, "[*]", "wss://x"},
		{"nearest", &plain, "", "EU", "", true, "[EU *]", "wss://x"},
		{"one place for all", &plain, "NA", "EU", "NA", true, "[NA ]", "wss://x"},
		{"fenced", &regional, "NA", "EU", "NA", true, "[NA]", "wss://na"},
		{"own region", &regional, "", "EU", "EU", true, "[EU]", "wss://eu"},
		{"no rooms there", &regional, "AP", "EU", "", false, "", ""},
		{"no rooms here", &regional, "", "AP", "", false, "", ""},
		{"node without a region", &regional, "", "", "", false, "", ""},
		{"rooms without a region", &both, "", "NA", "", true, "[NA *]", "wss://x"},
		{"and with", &both, "EU", "NA", "EU", true, "[EU]", "wss://eu"},
		{"never elsewhere", &both, "NA", "NA", "", false, "", ""},
	} {
		region, ok := c.app.Fence(c.asked, c.home)
		if ok != c.ok {
			t.Errorf("%s: %v", c.name, ok)
			continue
		}
		if !ok {
			continue
		}
		room, there := c.app.Room(region)
		if places := fmt.Sprint(c.app.Places(region, c.home)); region != c.want || places != c.places || !there || room.URL != c.url {
			t.Errorf("%s: region %q at %s over %s", c.name, region, places, room.URL)
		}
	}
}

func TestStorageHosts(t *testing.T) {
	a := App{StorageHosts: []string{"store.example.com", "*.Cloud.example"}}
	for host, want := range map[string]bool{
		"store.example.com": true, "STORE.example.com.": true, "x.store.example.com": false, "example.com": false, "": false,
		"a.cloud.example": true, "a.b.cloud.example": true, "cloud.example": false, ".cloud.example": false, "evilcloud.example": false,
	} {
		if got := a.StorageHostAllowed(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
	if free := (&App{}); !free.StorageHostAllowed("anything") {
		t.Error("an app without a list is restricted")
	}
}
