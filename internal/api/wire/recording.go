package wire

import (
	"encoding/base64"
	"time"

	"github.com/go-json-experiment/json"

	"tapedeck/internal/session"
)

// recordingConfig of rest-api.md 3.3.
type recordingConfig struct {
	ChannelType  *int    `json:"channelType"`
	StreamTypes  *int    `json:"streamTypes"`
	StreamMode   *string `json:"streamMode"`
	Decryption   *int    `json:"decryptionMode"`
	Secret       *string `json:"secret"`
	Salt         *string `json:"salt"`
	AudioProfile *int    `json:"audioProfile"`
	VideoStream  *int    `json:"videoStreamType"`
	MaxIdle      *int    `json:"maxIdleTime"`
	UIDGroup     *int    `json:"subscribeUidGroup"`
	Private      *string `json:"privateParams"`

	Transcoding *transcodingConfig `json:"transcodingConfig"`

	audioLists `json:",inline"`
	videoLists `json:",inline"`
}

const (
	defaultIdle  = 30      // seconds
	minIdle      = 5       // seconds
	maxIdle      = 2592000 // seconds: 30 days
	maxUIDGroup  = 5
	maxDecrypt   = 8
	saltedCipher = 7 // from here on a salt is needed
	saltLen      = 32

	sliceLength = 15 * time.Second
)

// apply checks the config for a recording of p's mode and puts it into p.
func (c *recordingConfig) apply(s *Start) error {
	p := &s.Plan
	if c == nil {
		c = &recordingConfig{}
	}
	if err := c.checkNumbers(p.Mode); err != nil {
		return err
	}
	p.ChannelType = or(c.ChannelType, 0)
	p.Streams = session.StreamTypes(or(c.StreamTypes, int(session.Both)))
	p.MaxIdle = time.Duration(or(c.MaxIdle, defaultIdle)) * time.Second
	p.LowStream = or(c.VideoStream, 0) == 1
	var err error
	if p.Subscription, err = subscription(c.audioLists.choice(false), c.videoLists.choice(false), p.Streams); err != nil {
		return err
	}
	if p.CommaAfterInf, err = c.commaAfterInf(); err != nil {
		return err
	}
	if err := c.cipher(s); err != nil {
		return err
	}
	if p.Mode == session.Mix {
		return c.mix(p)
	}
	if p.MP3 && p.Streams != session.AudioOnly {
		return bad("avFileType")
	}
	return c.individual(p)
}

func (c *recordingConfig) checkNumbers(mode session.Mode) error {
	err := check(
		rule{"channelType", c.ChannelType, 0, 1},
		rule{"streamTypes", c.StreamTypes, 0, int(session.Both)},
		rule{"decryptionMode", c.Decryption, 0, maxDecrypt},
		rule{"videoStreamType", c.VideoStream, 0, 1},
		rule{"maxIdleTime", c.MaxIdle, minIdle, maxIdle},
	)
	if err != nil {
		return err
	}
	if mode != session.Mix { // ignored in mix
		return check(rule{"subscribeUidGroup", c.UIDGroup, 0, maxUIDGroup})
	}
	return check(rule{"audioProfile", c.AudioProfile, 0, 2}) // ignored in individual
}

// cipher: R10.
func (c *recordingConfig) cipher(s *Start) error {
	mode := or(c.Decryption, 0)
	if mode == 0 {
		return nil
	}
	if text(c.Secret) == "" {
		return absent("secret")
	}
	if mode >= saltedCipher {
		if text(c.Salt) == "" {
			return absent("salt")
		}
		salt, err := base64.StdEncoding.DecodeString(*c.Salt)
		if err != nil || len(salt) != saltLen {
			return bad("salt")
		}
		s.Private.MediaSalt = salt
	}
	s.Plan.Encryption, s.Private.MediaSecret = mode, *c.Secret
	return nil
}

// commaAfterInf reads privateParams, JSON inside a string.
func (c *recordingConfig) commaAfterInf() (bool, error) {
	inner := text(c.Private)
	if inner == "" {
		return false, nil
	}
	var p struct {
		CorrectEXTINF *bool `json:"correctEXTINF"`
	}
	if err := json.Unmarshal([]byte(inner), &p); err != nil {
		return false, bad("privateParams")
	}
	return or(p.CorrectEXTINF, false), nil
}

func (c *recordingConfig) individual(p *session.Plan) error {
	if c.Transcoding != nil { // R11
		return bad("transcodingConfig")
	}
	p.StreamMode = session.StreamDefault
	if p.Mode == session.Raw { // it has none (rest-api.md 14)
		return nil
	}
	switch mode := text(c.StreamMode); mode {
	case "", session.StreamDefault:
	case session.StreamStandard:
		p.StreamMode = mode
	case session.StreamOriginal:
		// It has an effect on recordings of sound alone only (rest-api.md 3.3.1).
		if p.Streams == session.AudioOnly {
			p.StreamMode = mode
		}
	default:
		return bad("streamMode")
	}
	return nil
}

func (c *recordingConfig) mix(p *session.Plan) error {
	p.AudioProfile = or(c.AudioProfile, 0)
	mixing, err := c.Transcoding.mixing()
	p.Mixing = mixing
	return err
}

// transcodingConfig of rest-api.md 3.4.
type transcodingConfig struct {
	Width   *int `json:"width"`
	Height  *int `json:"height"`
	FPS     *int `json:"fps"`
	Bitrate *int `json:"bitrate"`

	layoutParams `json:",inline"`
}

const (
	defaultWidth   = 360
	defaultHeight  = 640
	defaultFPS     = 15
	defaultBitrate = 500 // kbit/s
	maxSide        = 1920
	maxArea        = 1920 * 1080
	maxBitrate     = 6500
)

func (t *transcodingConfig) mixing() (*session.Mixing, error) {
	if t == nil {
		t = &transcodingConfig{}
	}
	if err := check(
		rule{"width", t.Width, 1, maxSide},
		rule{"height", t.Height, 1, maxSide},
		rule{"bitrate", t.Bitrate, 1, maxBitrate},
	); err != nil {
		return nil, err
	}
	m := &session.Mixing{
		Width: or(t.Width, defaultWidth), Height: or(t.Height, defaultHeight),
		FPS: or(t.FPS, defaultFPS), Bitrate: or(t.Bitrate, defaultBitrate),
	}
	if m.Width*m.Height > maxArea {
		return nil, bad("height")
	}
	// Pictures are coded with half the colour resolution, so an odd side loses its
	// last line.
	m.Width, m.Height = even(m.Width), even(m.Height)
	switch m.FPS {
	case 1, 7, 10, 15, 24, 30, 60:
	default:
		m.FPS = defaultFPS
	}
	var err error
	m.Layout, err = t.layout()
	return m, err
}

func even(n int) int { return max(2, n&^1) }
