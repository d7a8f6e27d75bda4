package recorder

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// reportVersion is the format of the receipt (docs/formats/report.md).
const reportVersion = 1

// Counters of a user in the receipt. A count covers one run of the worker.
const (
	CountConcealed = "concealedPackets" // sound that was made up for lost packets
	CountDamaged   = "damagedPackets"   // sound that no decoder took
	CountLate      = "lateMs"           // sound that came after its time had been written
	CountCut       = "cutMs"            // sound that was left out to stay in time
	CountDropped   = "droppedFrames"    // pictures that were left out until a key frame
	CountSlow      = "droppedUnits"     // media that the worker was too slow for
)

// tally is what the receipt needs beyond the journal. The zero value is usable.
type tally struct {
	mu     sync.Mutex
	counts map[string]map[string]int64 // by uid
	stats  func() []channel.TrackStats
}

// Account says who counts the packets of the tracks.
func (o *Output) Account(stats func() []channel.TrackStats) {
	o.tally.mu.Lock()
	defer o.tally.mu.Unlock()
	o.tally.stats = stats
}

// Count adds to a user's counter (one of Count...) in the receipt; uid 0 stands for
// everybody.
func (o *Output) Count(uid uint32, what string, n int64) {
	if n == 0 {
		return
	}
	o.tally.mu.Lock()
	defer o.tally.mu.Unlock()
	if o.tally.counts == nil {
		o.tally.counts = map[string]map[string]int64{}
	}
	c := o.tally.counts[uidText(uid)]
	if c == nil {
		c = map[string]int64{}
		o.tally.counts[uidText(uid)] = c
	}
	c[what] += n
}

// Lost notes that a user's track (session.TrackAudio or TrackVideo) misses
// something between two times.
func (o *Output) Lost(uid uint32, track string, from, to media.Time, note string) {
	o.note(spool.Fact{
		Type: spool.FactGap, UID: uidText(uid), Track: track, StartMicro: int64(from), DurMicro: int64(to - from), Note: note,
	})
}

// receipt is the quality receipt of a recording. Times are ms since Start.
type receipt struct {
	Version  int              `json:"version"`
	SID      string           `json:"sid"`
	Channel  string           `json:"channel"`
	Mode     string           `json:"mode"`
	Start    string           `json:"start"` // UTC
	End      string           `json:"end"`
	Reason   string           `json:"reason"` // of the end
	Restarts []int64          `json:"restarts"`
	Users    []*receiptUser   `json:"users"`
	Gaps     []receiptGap     `json:"gaps"` // that concern everybody
	Files    []receiptFile    `json:"files"`
	Counters map[string]int64 `json:"counters,omitempty"`
	users    map[string]*receiptUser
	starts   map[string]map[string]int64 // by uid and track: µs of the first slice
}

type receiptUser struct {
	UID      string           `json:"uid"`
	Identity string           `json:"identity,omitempty"` // in the room, where it does not spell the uid
	Stays    []receiptStay    `json:"stays"`
	Tracks   []receiptTrack   `json:"tracks"`
	Layers   []receiptLayer   `json:"layers"`
	Gaps     []receiptGap     `json:"gaps"`
	Offset   *float64         `json:"avOffsetMs,omitempty"` // first picture after first sound
	Counters map[string]int64 `json:"counters,omitempty"`
}

type receiptStay struct {
	From int64  `json:"fromMs"`
	To   *int64 `json:"toMs,omitempty"` // nil: until the end
}

type receiptTrack struct {
	ID        string  `json:"id"`
	Kind      string  `json:"kind"`
	Codec     string  `json:"codec"`
	Packets   int64   `json:"packets"`
	Lost      int64   `json:"lost"`
	LossRate  float64 `json:"lossRate"`
	Repaired  int64   `json:"repaired"`
	Late      int64   `json:"late"`
	Duplicate int64   `json:"duplicate"`
	Frames    int64   `json:"frames"`
}

type receiptLayer struct {
	At     int64  `json:"atMs"`
	Type   string `json:"type"` // of the playlist, as in its name
	W      int    `json:"width"`
	H      int    `json:"height"`
	Rotate int    `json:"rotate"`
}

type receiptGap struct {
	At    int64  `json:"atMs"`
	Dur   int64  `json:"durationMs,omitempty"`
	Track string `json:"track,omitempty"`
	Note  string `json:"note"`
}

type receiptFile struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	UID    string `json:"uid,omitempty"`
	Track  string `json:"track,omitempty"`
	Start  int64  `json:"startMs"`
	Dur    int64  `json:"durationMs"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"`
}

// writeReceipt stores the receipt of the recording, the last file of all.
func (o *Output) writeReceipt(reason string) error {
	facts, _, err := o.dir.ReadJournal(0)
	if err != nil {
		return fmt.Errorf("recorder: receipt: %w", err)
	}
	r := o.receipt(facts, reason)
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("recorder: receipt: %w", err)
	}
	name := o.names.report()
	info, err := o.dir.Replace(name, append(content, '\n'))
	if err != nil {
		return err
	}
	return o.closed(spool.Fact{Name: name, Kind: spool.KindReport, Unlisted: true}, info)
}

// receipt makes the receipt of the journal and what this worker counted.
func (o *Output) receipt(facts []spool.Fact, reason string) *receipt {
	const stamp = "2006-01-02T15:04:05.000Z"
	r := &receipt{
		Version: reportVersion, SID: o.plan.SID, Channel: o.plan.CName, Mode: string(o.plan.Mode), Reason: reason,
		Start: o.zero.Format(stamp), End: o.now().UTC().Format(stamp),
		Restarts: []int64{}, Users: []*receiptUser{}, Gaps: []receiptGap{}, Files: []receiptFile{},
		users: map[string]*receiptUser{}, starts: map[string]map[string]int64{},
	}
	files := map[string]spool.Fact{} // the newest of each
	for _, f := range facts {
		at := (f.At - o.zero.UnixMicro()) / 1000
		switch f.Type {
		case spool.FactOpened:
			if f.Incarnation > 1 {
				r.Restarts = append(r.Restarts, at)
			}
		case spool.FactUser:
			r.stay(f)
		case spool.FactGap, spool.FactWarn:
			r.gap(f, at)
		case spool.FactClosed, spool.FactIndex:
			files[f.Name] = f
		}
	}
	for _, f := range files {
		r.file(f)
	}
	slices.SortFunc(r.Files, func(a, b receiptFile) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Name, b.Name))
	})
	o.counted(r)
	for uid, at := range r.starts {
		v, video := at[session.TrackVideo]
		a, audio := at[session.TrackAudio]
		if video && audio {
			ms := float64(v-a) / 1000
			r.user(uid).Offset = &ms
		}
	}
	r.order()
	return r
}

// counted adds what this worker counted.
func (o *Output) counted(r *receipt) {
	o.tally.mu.Lock()
	defer o.tally.mu.Unlock()
	for uid, c := range o.tally.counts {
		if uid == uidText(0) {
			r.Counters = c
			continue
		}
		r.user(uid).Counters = c
	}
	if o.tally.stats == nil {
		return
	}
	for _, s := range o.tally.stats() {
		u := r.user(uidText(s.Track.User.UID))
		t := receiptTrack{
			ID: s.Track.ID, Kind: kindName(s.Track.Kind), Codec: s.Track.Codec.String(), Packets: s.Packets, Lost: s.Lost,
			Repaired: s.Repaired, Late: s.Late, Duplicate: s.Dup, Frames: s.Frames,
		}
		if all := s.Packets + s.Lost; all > 0 {
			t.LossRate = float64(s.Lost) / float64(all)
		}
		u.Tracks = append(u.Tracks, t)
	}
}

func kindName(k channel.SourceKind) string {
	names := [...]string{channel.Camera: "camera", channel.Microphone: "microphone", channel.Screen: "screen", channel.ScreenAudio: "screenAudio"}
	if int(k) < len(names) {
		return names[k]
	}
	return "other"
}

// report returns the name of the quality receipt.
func (n names) report() string { return n.stem + "_report.json" }

// sinceZero is a time on the timeline in the receipt's unit.
func sinceZero(micro int64) int64 { return micro / int64(time.Millisecond/time.Microsecond) }
