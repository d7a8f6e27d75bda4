// Package session holds the nouns of a recording: identifiers, the immutable
// Plan, the states of its life and what is known of its files. It is pure: it
// imports the standard library only and does no I/O.
package session

import "time"

// Mode is the path segment {mode} of the REST API.
type Mode string

// The modes of spec/rest-api.md 1.2.
const (
	Individual Mode = "individual"
	Mix        Mode = "mix"
	Web        Mode = "web"
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
}

// Layout is what updateLayout replaces as a whole (rest-api.md 7).
type Layout struct {
	Kind                int              `json:"kind"`       // 0 floating, 1 best fit, 2 vertical, 3 custom
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
