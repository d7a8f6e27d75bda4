package spool

// FactType names what a journal line says.
type FactType string

// The facts a worker writes, in the order they can occur. Their JSON form is
// golden-tested and described in docs/formats/journal.md.
const (
	FactOpened FactType = "opened" // a worker incarnation begins or goes on
	FactStatus FactType = "status" // the recorder's status changed (session.Status)
	FactUser   FactType = "user"   // a user joined or left
	FactGap    FactType = "gap"    // something was lost; Note says what
	FactBegun  FactType = "begun"  // a slice or MP4 was opened; recovery needs what it says, shipping does not
	FactClosed FactType = "closed" // a file is complete under its final name
	FactIndex  FactType = "index"  // a playlist or MPD was replaced
	FactEnded  FactType = "ended"  // the worker wrote everything it will

	FactStream FactType = "stream" // a user's sound or picture began (Status 0) or stopped (Status 1) arriving
	FactPage   FactType = "page"   // web mode: Note is "started", "reload", "limit", "onhold", "resumed" or "display", Reason says which
	FactPush   FactType = "push"   // a live push output changed: Output is its number, Note its state
	FactWarn   FactType = "warn"   // Status is a code of errors.md, Note says what to change

	// FactUnreadable is never written: ReadJournal returns it for a line that
	// cannot be understood.
	FactUnreadable FactType = "unreadable"
)

// FileKind says what a closed file or index is.
type FileKind string

// Kinds of files.
const (
	KindSlice    FileKind = "slice"
	KindInit     FileKind = "init"  // what slices in encrypted fragmented MP4 begin with; belongs to a playlist
	KindPause    FileKind = "pause" // what the joint index plays while nothing came before a slice; belongs to a playlist
	KindKey      FileKind = "key"   // content key of an encrypted recording
	KindMP4      FileKind = "mp4"
	KindPlaylist FileKind = "m3u8"
	KindMPD      FileKind = "mpd"
	KindImage    FileKind = "jpg"
	KindReport   FileKind = "report"
	KindSound    FileKind = "sound" // an MP3, M4A or AAC
)

// Fact is one line of journal.log. Only the members that belong to its type
// are set. Times named ...Micro are µs on the recording's timeline.
type Fact struct {
	Type FactType `json:"t"`
	At   int64    `json:"at"` // Unix µs when the line was written

	// Offset is where the line begins in journal.log. It is set when a fact is
	// read and is no part of the line.
	Offset int64 `json:"-"`

	// opened
	Version     int    `json:"v,omitempty"`
	SID         string `json:"sid,omitempty"`
	Incarnation int    `json:"inc,omitempty"`  // 1, 2, ... counts workers that ran this recording here
	ZeroMicro   int64  `json:"zero,omitempty"` // Unix µs of the timeline's zero; the same in every opened line

	// status
	Status int `json:"status,omitempty"`

	// user, gap, ended
	UID      string `json:"uid,omitempty"`      // decimal; also on closed and index ("0" in mix)
	Identity string `json:"identity,omitempty"` // user and warn: the name in the room, where it does not spell the uid
	Note     string `json:"note,omitempty"`     // "joined", "left", or free text; ended: the reason
	Recorded bool   `json:"recorded,omitempty"`

	// closed, index
	Name       string   `json:"name,omitempty"` // bare file name
	Kind       FileKind `json:"kind,omitempty"`
	Track      string   `json:"track,omitempty"` // session.TrackAudio ...
	Size       int64    `json:"size,omitempty"`  // bytes
	SHA256     string   `json:"sha256,omitempty"`
	MD5        string   `json:"md5,omitempty"`
	StartMicro int64    `json:"start,omitempty"` // first sample
	DurMicro   int64    `json:"dur,omitempty"`

	// closed slices: what a playlist needs, so that it can be rebuilt
	Index string   `json:"index,omitempty"` // name of the playlist that lists this slice
	Tags  []string `json:"tags,omitempty"`  // tag lines that stand before its EXTINF

	// index
	Playable bool `json:"playable,omitempty"`
	Final    bool `json:"final,omitempty"` // will not change any more

	// begun: the end of the last good slice before an interruption, µs; the
	// same as start where nothing was interrupted (events.md, 42)
	BrokenMicro int64  `json:"broken,omitempty"`
	Reason      string `json:"reason,omitempty"` // page
	Output      int    `json:"output,omitempty"` // push: 0, 1, ...

	Unlisted bool `json:"unlisted,omitempty"` // not part of the file list
}

// Reasons in an ended fact.
const (
	EndStop      = "stop"
	EndIdle      = "idle"
	EndRemoved   = "removed"
	EndRefused   = "refused"
	EndRoom      = "room"
	EndFault     = "fault"
	EndUnreached = "unreached" // the room server did not come back

	// Web mode (events.md, 71): the message of the event is the reason.
	EndMaxLength  = "max_recording_hour"
	EndCapability = "capability_limit"
	EndEngine     = "start_engine_failed"
	EndPageReady  = "page_load_timeout"
	EndPageAccess = "access_url_failed"
)
