// Package session holds the nouns of a recording: identifiers, the immutable
// Plan, the states of its life and what is known of its files. It is pure: it
// imports the standard library only and does no I/O.
package session

import (
	"log/slog"
	"time"
)

// Mode is the path segment {mode} of the REST API.
type Mode string

// The modes of spec/rest-api.md 1.2.
const (
	Individual Mode = "individual"
	Mix        Mode = "mix"
	Web        Mode = "web"
	Raw        Mode = "raw" // rest-api.md 14
)

// StreamTypes says which kinds of media are subscribed (recordingConfig.streamTypes).
type StreamTypes int

// Values of recordingConfig.streamTypes.
const (
	AudioOnly StreamTypes = 0
	VideoOnly StreamTypes = 1
	Both      StreamTypes = 2
)

// Audio reports whether sound is recorded.
func (s StreamTypes) Audio() bool { return s != VideoOnly }

// Video reports whether pictures are recorded.
func (s StreamTypes) Video() bool { return s != AudioOnly }

// Values of recordingConfig.streamMode (individual mode, rest-api.md 3.3.1).
const (
	StreamDefault  = "default"
	StreamStandard = "standard"
	StreamOriginal = "original"
)

// Plan is everything a worker has to know to make one recording, fixed at
// start. It carries no storage credential and no LiveKit secret. Its JSON form
// is part of the session record and of the link protocol (docs/formats).
type Plan struct {
	SID   string `json:"sid"`   // 32 lowercase hex digits
	AppID string `json:"app"`   // as in the path
	CName string `json:"cname"` // channel = LiveKit room
	UID   uint32 `json:"uid"`   // the recorder's own user id
	Mode  Mode   `json:"mode"`
	Scene int    `json:"scene"`

	ChannelType   int           `json:"channelType"` // 0 communication, 1 live
	Streams       StreamTypes   `json:"streams"`
	StreamMode    string        `json:"streamMode"` // individual only
	MaxIdle       time.Duration `json:"maxIdle"`    // ns in JSON
	LowStream     bool          `json:"lowStream"`  // videoStreamType 1: lowest simulcast layer
	AudioProfile  int           `json:"audioProfile"`
	Subscription  Subscription  `json:"subscription"`
	CommaAfterInf bool          `json:"commaAfterInf"` // privateParams.correctEXTINF
	MP4           bool          `json:"mp4"`           // avFileType has "mp4"
	SliceLength   time.Duration `json:"sliceLength"`   // cut at the first key frame after this; 15 s
	FilePrefix    string        `json:"filePrefix"`    // "" or "d1/d2/": goes before names in file lists and object keys
	Mixing        *Mixing       `json:"mixing,omitempty"`

	Region     string    `json:"region,omitempty"`     // fence asked for at acquire: CN, AP, EU, NA; "" = none
	NoFiles    bool      `json:"noFiles,omitempty"`    // pictures only: no playlists, no slices
	MP3        bool      `json:"mp3,omitempty"`        // raw mode, avFileType ["mp3"]
	Snapshot   *Snapshot `json:"snapshot,omitempty"`   // individual and raw
	Encryption int       `json:"encryption,omitempty"` // decryptionMode; its secret is in Private
	StrictIDs  bool      `json:"strictIds,omitempty"`  // identities that are no integers are not recorded
	MaxUsers   int       `json:"maxUsers,omitempty"`   // users recorded at a time, by subscribeUidGroup; 0 = 17
	Page       *Page     `json:"page,omitempty"`       // web mode
	Push       int       `json:"push,omitempty"`       // number of live push outputs; their URLs are in Private
	Postponed  *Postpone `json:"postponed,omitempty"`  // work after the end
	HLS        *HLS      `json:"hls,omitempty"`        // slices are encrypted; their key is in Private
}

// Private is the part of a start request that is secret and yet needed by the
// worker. It is sealed in the session record and in the spool, and travels to
// the worker by the link only; it never stands in the Plan.
type Private struct {
	MediaSecret string   `json:"mediaSecret,omitempty"` // recordingConfig.secret, as given
	MediaSalt   []byte   `json:"mediaSalt,omitempty"`   // recordingConfig.salt, decoded: 32 bytes or none
	PageURL     string   `json:"pageUrl,omitempty"`     // web mode: may carry a login
	Push        []string `json:"push,omitempty"`        // rtmp or rtmps URLs: carry stream keys

	// ContentKey encrypts the slices for players, 16 bytes or none (Plan.HLS).
	ContentKey []byte `json:"contentKey,omitempty"`

	// SpoolKey is the data key of an encrypted spool folder, 32 bytes or none.
	// The node puts it in for the worker; the record has it sealed by itself.
	SpoolKey []byte `json:"spoolKey,omitempty"`
}

// String, GoString and LogValue keep what is private out of messages and logs.
func (p Private) String() string { return "(private)" }

// GoString implements fmt.GoStringer.
func (p Private) GoString() string { return p.String() }

// LogValue implements slog.LogValuer.
func (p Private) LogValue() slog.Value { return slog.StringValue(p.String()) }

// Snapshot is snapshotConfig (rest-api.md 3.6).
type Snapshot struct {
	Interval time.Duration `json:"interval"` // ns in JSON
}

// Page is the serviceParam of web_recorder_service with its defaults filled in
// (rest-api.md 3.8). The address is in Private.
type Page struct {
	AudioProfile int           `json:"audioProfile"`
	Width        int           `json:"width"`        // pixels, 240..1920
	Height       int           `json:"height"`       // pixels, 240..1920
	Bitrate      int           `json:"bitrate"`      // kbit/s, 50..8000
	FPS          int           `json:"fps"`          // 5..60
	Mobile       bool          `json:"mobile"`       // mobile rendering
	MaxLength    time.Duration `json:"maxLength"`    // maxRecordingHour; ns in JSON
	MaxVideo     time.Duration `json:"maxVideo"`     // maxVideoDuration; ns in JSON
	OnHold       bool          `json:"onhold"`       // starts paused
	ReadyTimeout time.Duration `json:"readyTimeout"` // 0 = recording starts after the load
}

// HLS says that the slices of a recording are encrypted for players
// (docs/formats/hls.md).
type HLS struct {
	KeyURI  string `json:"keyUri,omitempty"`  // where players get the key; "" = beside the playlist
	KeyFile bool   `json:"keyFile,omitempty"` // the key is stored beside the recording
}

// Kinds of postponed work.
const (
	PostponeTranscode = "transcode" // one MP4 for each user
	PostponeMix       = "audioMix"  // one sound file of everybody
)

// Postpone is appsCollection and transcodeOptions with their defaults filled
// in (rest-api.md 3.10, 3.11).
type Postpone struct {
	Kind       string `json:"kind"`
	Container  string `json:"container"`  // mp4, or mp3, m4a, aac
	SampleRate int    `json:"sampleRate"` // Hz
	Bitrate    int    `json:"bitrate"`    // bit/s
	Channels   int    `json:"channels"`   // 1 or 2
}

// Subscription says whose media is recorded.
type Subscription struct {
	Audio UIDList `json:"audio"`
	Video UIDList `json:"video"`
}

// UIDList selects users: everybody when All, otherwise Allow; Deny is taken
// away from either. The zero value selects nobody.
type UIDList struct {
	All   bool     `json:"all,omitempty"`
	Allow []uint32 `json:"allow,omitempty"`
	Deny  []uint32 `json:"deny,omitempty"`
}

// Has reports whether uid is selected.
func (l UIDList) Has(uid uint32) bool {
	for _, u := range l.Deny {
		if u == uid {
			return false
		}
	}
	if l.All {
		return true
	}
	for _, u := range l.Allow {
		if u == uid {
			return true
		}
	}
	return false
}

// Mixing is transcodingConfig with its defaults filled in (rest-api.md 3.4).
type Mixing struct {
	Width   int    `json:"width"`   // pixels, 1..1920
	Height  int    `json:"height"`  // pixels, 1..1920
	FPS     int    `json:"fps"`     // 1, 7, 10, 15, 24, 30 or 60
	Bitrate int    `json:"bitrate"` // kbit/s
	Layout  Layout `json:"layout"`

	Labels    bool       `json:"labels,omitempty"`    // extension: the user's name in their window
	Watermark *Watermark `json:"watermark,omitempty"` // extension: a picture over everything
	OnHold    bool       `json:"onhold,omitempty"`    // extension: paused by update
}

// Watermark is a picture drawn over the canvas: fractions of it, origin top left.
type Watermark struct {
	Image string  `json:"image"` // http or https URL
	X     float64 `json:"x"`
	Y     float64 `json:"y"`
	W     float64 `json:"w"`
	H     float64 `json:"h"`
	Alpha float64 `json:"alpha"`
}

// Layout is what updateLayout replaces as a whole (rest-api.md 7).
type Layout struct {
	Kind                int              `json:"kind"`       // 0 floating, 1 best fit, 2 vertical, 3 custom, 100 active speaker (extension)
	MaxUID              uint32           `json:"maxUid"`     // maxResolutionUid; 0 = none
	Background          string           `json:"background"` // "#RRGGBB"
	BackgroundImage     string           `json:"backgroundImage,omitempty"`
	UserBackgroundImage string           `json:"userBackgroundImage,omitempty"`
	Regions             []CustomRegion   `json:"regions,omitempty"`
	UserImages          []UserBackground `json:"userImages,omitempty"`
}

// CustomRegion is one entry of layoutConfig: fractions of the canvas, origin top left.
type CustomRegion struct {
	UID   uint32  `json:"uid,omitempty"` // 0 = next user in join order
	X     float64 `json:"x"`
	Y     float64 `json:"y"`
	W     float64 `json:"w"`
	H     float64 `json:"h"`
	Alpha float64 `json:"alpha"`
	Fit   bool    `json:"fit"` // render_mode 1
}

// UserBackground is one entry of backgroundConfig.
type UserBackground struct {
	UID   uint32 `json:"uid"`
	Image string `json:"image"`
	Fit   bool   `json:"fit"`
}
