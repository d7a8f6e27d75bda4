package wire

import (
	"encoding/base64"
	"time"

	"tapedeck/internal/session"
)

// recordingConfig of rest-api.md 3.3, as the table leaves it.
type recordingConfig struct {
	ChannelType  int    `json:"channelType"`
	StreamTypes  int    `json:"streamTypes"`
	StreamMode   string `json:"streamMode"`
	Decryption   int    `json:"decryptionMode"`
	Secret       string `json:"secret"`
	Salt         string `json:"salt"`
	AudioProfile int    `json:"audioProfile"`
	VideoStream  int    `json:"videoStreamType"`
	MaxIdle      int    `json:"maxIdleTime"` // seconds
	UIDGroup     int    `json:"subscribeUidGroup"`
	Private      string `json:"privateParams"`

	Transcoding *transcodingConfig `json:"transcodingConfig"`

	audioLists `json:",inline"`
	videoLists `json:",inline"`
}

const (
	lastForeign  = 4 // ciphers up to here do not exist in LiveKit rooms
	saltedCipher = 7 // from here on a salt is needed
	saltLen      = 32

	sliceLength = 15 * time.Second
)

// apply puts the config into the start.
func (c *recordingConfig) apply(s *Start) error {
	p := &s.Plan
	p.ChannelType, p.Streams = c.ChannelType, session.StreamTypes(c.StreamTypes)
	p.MaxIdle = time.Duration(c.MaxIdle) * time.Second
	p.LowStream = c.VideoStream == 1
	if p.Mode != session.Mix {
		p.MaxUsers = mostUsers(c.UIDGroup)
	}
	p.CommaAfterInf, _ = commaAfterInf(c.Private)
	var err error
	if p.Subscription, err = subscription(c.audioLists.choice(), c.videoLists.choice(), p.Streams); err != nil {
		return err
	}
	if err := c.cipher(s); err != nil {
		return err
	}
	switch p.Mode {
	case session.Mix:
		p.AudioProfile = c.AudioProfile
		p.Mixing, err = c.Transcoding.mixing()
		return err
	case session.Individual:
		p.StreamMode = c.streamMode(p.Streams)
	default:
		p.StreamMode = session.StreamDefault // raw has none (rest-api.md 14)
	}
	return nil
}

// streamMode: original has an effect on recordings of sound alone (rest-api.md
// 3.3.1).
func (c *recordingConfig) streamMode(streams session.StreamTypes) string {
	if c.StreamMode == session.StreamOriginal && streams != session.AudioOnly {
		return session.StreamDefault
	}
	return c.StreamMode
}

// mostUsers is the upper end of a subscribeUidGroup that goes beyond the 17 users
// of any recording, else 0.
func mostUsers(group int) int {
	switch group {
	case 4:
		return 32
	case 5:
		return 49
	}
	return 0
}

// cipher: R10.
func (c *recordingConfig) cipher(s *Start) error {
	if c.Decryption == 0 {
		return nil
	}
	if c.Secret == "" {
		return absent("secret")
	}
	if c.Decryption <= lastForeign {
		return &Problem{"decryptionMode 1 to 4 do not exist in LiveKit rooms, which are encrypted with AES-GCM: use 5 to 8!", verbatim}
	}
	if c.Decryption >= saltedCipher {
		if c.Salt == "" {
			return absent("salt")
		}
		salt, err := base64.StdEncoding.DecodeString(c.Salt)
		if err != nil || len(salt) != saltLen {
			return bad("salt")
		}
		s.Private.MediaSalt = salt
	}
	s.Plan.Encryption, s.Private.MediaSecret = c.Decryption, c.Secret
	return nil
}

// transcodingConfig of rest-api.md 3.4.
type transcodingConfig struct {
	Width   int `json:"width"`
	Height  int `json:"height"`
	FPS     int `json:"fps"`
	Bitrate int `json:"bitrate"`
	Extras  *struct {
		Labels    bool       `json:"userLabels"`
		Watermark *watermark `json:"watermark"`
	} `json:"tapedeck"`

	layoutParams `json:",inline"`
}

type watermark struct {
	Image  string  `json:"image_url"`
	X      float64 `json:"x_axis"`
	Y      float64 `json:"y_axis"`
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
	Alpha  float64 `json:"alpha"`
}

// maxArea is the largest canvas or page in pixels, of either orientation.
const maxArea = 1920 * 1080

func (t *transcodingConfig) mixing() (*session.Mixing, error) {
	if t.Width*t.Height > maxArea {
		return nil, bad("height")
	}
	// Pictures are coded with half the colour resolution, so an odd side loses its
	// last line.
	m := &session.Mixing{Width: even(t.Width), Height: even(t.Height), FPS: t.FPS, Bitrate: t.Bitrate}
	var err error
	if m.Layout, err = t.layout(); err != nil || t.Extras == nil {
		return m, err
	}
	m.Labels = t.Extras.Labels
	if w := t.Extras.Watermark; w != nil {
		if field := outside(w.X, w.Y, w.Width, w.Height); field != "" {
			return nil, bad(field)
		}
		m.Watermark = &session.Watermark{Image: w.Image, X: w.X, Y: w.Y, W: w.Width, H: w.Height, Alpha: w.Alpha}
	}
	return m, nil
}

func even(n int) int { return max(2, n&^1) }
