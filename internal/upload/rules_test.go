package upload

import (
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/upload/local"
	"tapedeck/internal/upload/s3"
	"tapedeck/internal/upload/vendor"
)

func TestBackoff(t *testing.T) {
	b := Backoff{First: time.Second, FirstCaller: 15 * time.Second, Max: time.Minute}
	for _, c := range []struct {
		tries  int
		fault  vendor.Fault
		random float64
		want   time.Duration
	}{
		{1, vendor.Destination, 0, 500 * time.Millisecond},
		{1, vendor.Destination, 1, time.Second},
		{2, vendor.Ours, 1, 2 * time.Second},
		{5, vendor.Destination, 0.5, 12 * time.Second},
		{7, vendor.Destination, 1, time.Minute},
		{1 << 40, vendor.Destination, 0, 30 * time.Second},
		{1, vendor.Caller, 1, 15 * time.Second},
		{4, vendor.Caller, 1, time.Minute},
	} {
		if got := b.delay(c.tries, c.fault, c.random); got != c.want {
			t.Errorf("%d tries, %s, %g: %s, want %s", c.tries, c.fault, c.random, got, c.want)
		}
	}
}

func TestBreaker(t *testing.T) {
	var b breaker
	bo := Backoff{First: time.Second, FirstCaller: time.Second, Max: time.Minute}
	now := time.Unix(1000, 0)
	if b.width(now, bo, 3) != 3 {
		t.Error("closed at first")
	}
	b.failed(now, vendor.Ours, bo, 1)
	if b.width(now, bo, 3) != 3 {
		t.Error("our own fault says nothing of the store")
	}
	b.failed(now, vendor.Destination, bo, 1)
	b.failed(now, vendor.Caller, bo, 1)
	for after, want := range map[time.Duration]int{0: 0, 1999 * time.Millisecond: 0, 2 * time.Second: 1} {
		if got := b.width(now.Add(after), bo, 3); got != want {
			t.Errorf("%s after two failures: %d", after, got)
		}
	}
	// The clock is set back by a year: nothing waits for it to come round again.
	before := now.AddDate(-1, 0, 0)
	if b.width(before, bo, 3) != 1 {
		t.Error("it waits for a year")
	}
	b.fault = vendor.Destination
	if b.out(before, time.Minute) || !b.out(before.Add(time.Minute), time.Minute) {
		t.Error("the backup store is not asked within a minute")
	}
}

// TestNeeds: what a playlist waits for.
func TestNeeds(t *testing.T) {
	c := newCargo(nil, "")
	at := int64(0)
	add := func(f spool.Fact) {
		f.Offset = at
		at += 100
		c.add(f)
	}
	closed := func(name, uid, index string) {
		add(spool.Fact{Type: spool.FactClosed, Kind: spool.KindSlice, Name: name, UID: uid, Index: index})
	}
	add(spool.Fact{Type: spool.FactOpened, ZeroMicro: 1})
	closed("1a.ts", "1", "1audio.m3u8")
	closed("1v.ts", "1", "1video.m3u8")
	closed("2v.ts", "2", "2video.m3u8")
	for _, name := range []string{"1audio.m3u8", "1video.m3u8", "1av.m3u8", "2video.m3u8"} {
		add(spool.Fact{Type: spool.FactIndex, Kind: spool.KindPlaylist, Name: name, UID: name[:1]})
	}
	needs := func(name string) (got string) {
		for _, i := range c.needs(c.byName[name]) {
			got += i.name + " "
		}
		return got
	}
	for name, want := range map[string]string{
		"1audio.m3u8": "1a.ts ", "1video.m3u8": "1v.ts ", "2video.m3u8": "2v.ts ", "1av.m3u8": "1a.ts 1v.ts ",
	} {
		if got := needs(name); got != want {
			t.Errorf("%s waits for %q, want %q", name, got, want)
		}
	}
	c.acknowledge(c.byName["1a.ts"], spool.Receipt{Name: "1a.ts", State: spool.ReceiptUploaded})
	c.acknowledge(c.byName["1v.ts"], spool.Receipt{Name: "1v.ts", State: spool.ReceiptRefused})
	c.settle()
	if got := needs("1av.m3u8"); got != "" {
		t.Errorf("after all arrived or were lost it waits for %q", got)
	}
}

// TestReopened: a worker that goes on after an ended fact keeps the shipper.
func TestReopened(t *testing.T) {
	c := newCargo(nil, "")
	c.add(spool.Fact{Type: spool.FactOpened, ZeroMicro: 5})
	c.add(spool.Fact{Type: spool.FactEnded})
	if !c.ended {
		t.Error("not ended")
	}
	c.add(spool.Fact{Type: spool.FactOpened, Offset: 10})
	if c.ended || c.zero != 5 {
		t.Error("ended, or the zero was lost")
	}
}

// TestNewContent: a file closed again under its name with other content is
// shipped again, with the same content it is not.
func TestNewContent(t *testing.T) {
	c := newCargo([]spool.Receipt{
		{Name: "a.ts", SHA256: "aa", State: spool.ReceiptUploaded},
		{Name: "l.m3u8", SHA256: "bb", Index: 50, State: spool.ReceiptUploaded},
	}, "")
	closed := spool.Fact{Type: spool.FactClosed, Kind: spool.KindSlice, Name: "a.ts", SHA256: "aa"}
	if !c.add(closed) || c.byName["a.ts"] != nil || !c.add(closed) {
		t.Error("the receipt is not seen")
	}
	closed.SHA256 = "cc"
	if c.add(closed) || !c.byName["a.ts"].open() {
		t.Error("the receipt of other content counts")
	}
	for offset, open := range map[int64]bool{50: false, 51: true} {
		c.add(spool.Fact{Type: spool.FactIndex, Name: "l.m3u8", Offset: offset})
		if got := c.byName["l.m3u8"].open(); got != open {
			t.Errorf("playlist at %d: open %t", offset, got)
		}
	}
}

func TestOpenStore(t *testing.T) {
	amazon := session.Target{Vendor: 1, Bucket: "bucket", AccessKey: "a", SecretKey: "s"}
	with := func(change func(*session.Target)) session.Target {
		tgt := amazon
		change(&tgt)
		return tgt
	}
	own := with(func(x *session.Target) { x.Vendor, x.Endpoint = 11, "storage.example" })
	files := Endpoints{"*": "file:///var/recordings"}
	for name, c := range map[string]struct {
		target session.Target
		rules  Endpoints
		local  bool
		fault  string // "" = works
	}{
		"amazon":                       {amazon, nil, false, ""},
		"amazon, unknown region":       {with(func(x *session.Target) { x.Region = 26 }), nil, false, "caller"},
		"amazon, no key":               {with(func(x *session.Target) { x.AccessKey = "" }), nil, false, "caller"},
		"amazon, dots in the bucket":   {with(func(x *session.Target) { x.Bucket = "a.b.c" }), nil, false, ""},
		"own host":                     {own, nil, false, ""},
		"own URL":                      {with(func(x *session.Target) { x.Vendor, x.Endpoint = 11, "http://storage.example:9000/" }), nil, false, ""},
		"own, none named":              {with(func(x *session.Target) { x.Vendor = 11 }), nil, false, "caller"},
		"own, a file":                  {with(func(x *session.Target) { x.Vendor, x.Endpoint = 11, "file:///etc" }), nil, false, "caller"},
		"unknown vendor":               {with(func(x *session.Target) { x.Vendor = 9 }), nil, false, "caller"},
		"another vendor, all to files": {with(func(x *session.Target) { x.Vendor = 2 }), files, true, ""},
		"amazon, all to files":         {amazon, files, true, ""},
		"own is not part of all":       {own, files, false, ""},
		"own, overridden":              {own, Endpoints{"11": "file:///var/recordings"}, true, ""},
		"one before all":               {amazon, Endpoints{"1": "http://127.0.0.1:9000", "*": "file:///x"}, false, ""},
		"files, bad bucket":            {with(func(x *session.Target) { x.Bucket = "../etc" }), files, false, "caller"},
		"override with a host":         {amazon, Endpoints{"1": "file://host/x"}, false, "ours"},
	} {
		st, err := OpenStore(c.target, Rules{Endpoints: c.rules})
		if c.fault != "" {
			if err == nil || vendor.FaultOf(err).String() != c.fault {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		_, isLocal := st.(*local.Store)
		_, isS3 := st.(*s3.Store)
		if err != nil || isLocal != c.local || isS3 == c.local {
			t.Errorf("%s: %T, %v", name, st, err)
		}
	}
}
