package recorder

import (
	"log/slog"
	"strconv"
	"strings"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/mix"
)

// audioProfile returns channels and bit/s of an audio profile (files.md 6.1).
func audioProfile(n int) (channels, bitrate int) {
	switch n {
	case 1:
		return 1, 128_000
	case 2:
		return 2, 192_000
	}
	return 1, 48_000
}

// mixAudio makes the sound of the mix: frames of 1024 samples without a gap.
type mixAudio struct {
	log      *slog.Logger
	channels int
	mixer    *mix.Mixer
	encoder  *codec.AACEncoder
	tracks   map[string]*mixVoice
	start    int64 // position of the first sample
	frame    int64 // number of the next AAC frame to come out of the encoder, of those that are kept
	skip     int   // frames that only prime a decoder, still to be thrown away
	pcm      []float32

	heard    func(uid uint32) // told who speaks, if somebody wants to know
	speakers speakers
}

// mixVoice is one audio track.
type mixVoice struct {
	uid      uint32
	dec      *codec.OpusDecoder
	src      *mix.Source
	next     int64 // RTP time at which the next packet is due, 48 kHz
	began    bool
	last     int // samples of the last packet
	restored int // packets made up for
	damaged  int // packets that could not be decoded
}

func newMixAudio(profile int, log *slog.Logger) (*mixAudio, error) {
	channels, bitrate := audioProfile(profile)
	e, err := codec.NewAACEncoder(mix.Rate, channels, bitrate)
	if err != nil {
		return nil, err
	}
	return &mixAudio{
		log: log, channels: channels, encoder: e, tracks: map[string]*mixVoice{},
		pcm: make([]float32, codec.AACFrame*channels),
	}, nil
}

// begin fixes the time of the first sample.
func (a *mixAudio) begin(start media.Time) {
	a.start = start.Samples48k()
	a.mixer = mix.New(a.channels, a.start)
	a.skip = a.encoder.Priming() / codec.AACFrame
}

// position is the time up to which sound has been mixed.
func (a *mixAudio) position() media.Time { return media.FromSamples48k(a.mixer.Pos()) }

// push decodes one Opus packet into the mixer.
func (a *mixAudio) push(track *channel.Track, u media.Unit) {
	v := a.tracks[track.ID]
	if v == nil {
		dec, err := codec.NewOpusDecoder(a.channels)
		if err != nil {
			a.log.Error("no decoder for a user's sound", "uid", track.User.UID, "err", err)
			return
		}
		v = &mixVoice{uid: track.User.UID, dec: dec, src: a.mixer.Add()}
		a.tracks[track.ID] = v
	}
	pcm := v.push(u)
	if a.heard != nil && pcm != nil {
		a.heard(a.speakers.hear(v.uid, u.PTS, pcm))
	}
}

// maxConceal is how much lost sound is made up for: longer holes are silent.
const maxConceal = 5760 // 120 ms

// push plays a packet and returns its sound, nil if it is damaged.
func (v *mixVoice) push(u media.Unit) []float32 {
	if missing := u.RTP - v.next; v.began && u.Gap > 0 && missing > 0 && missing <= maxConceal {
		v.conceal(u, int(missing))
	}
	// Without a loss a jump of the RTP time is a pause of the sender
	// (discontinuous transmission): the mixer fills it with silence.
	pcm, err := v.dec.Decode(u.Data)
	if err != nil {
		v.damaged++
		return nil
	}
	v.src.Push(u.PTS, pcm)
	v.last = codec.OpusSamples(u.Data)
	v.next, v.began = u.RTP+int64(v.last), true
	return pcm
}

// conceal makes up for the samples just before u: what was heard last goes on,
// and the last lost packet comes from the redundancy in u.
func (v *mixVoice) conceal(u media.Unit, missing int) {
	missing -= missing % 120
	tail := min(missing, max(v.last, 480))
	if lead := missing - tail; lead > 0 {
		if pcm, err := v.dec.Conceal(lead); err == nil {
			v.src.Push(u.PTS-media.FromSamples48k(int64(missing)), pcm)
		}
	}
	if tail > 0 {
		if pcm, err := v.dec.DecodeFEC(u.Data, tail); err == nil {
			v.src.Push(u.PTS-media.FromSamples48k(int64(tail)), pcm)
		}
	}
	v.restored += max(1, missing/max(v.last, 120))
}

// render mixes and encodes the next frame.
func (a *mixAudio) render(files *mixFiles) error {
	a.mixer.Read(a.pcm)
	out, err := a.encoder.Encode(a.pcm)
	if err != nil {
		return err
	}
	a.hand(out, files)
	return nil
}

func (a *mixAudio) flush(files *mixFiles) error {
	out, err := a.encoder.Flush()
	if err != nil {
		return err
	}
	a.hand(out, files)
	return nil
}

func (a *mixAudio) hand(out [][]byte, files *mixFiles) {
	for _, data := range out {
		if a.skip > 0 {
			a.skip--
			continue
		}
		// What the encoder adds beyond the last sample is not part of the sound.
		if a.start+a.frame*codec.AACFrame < a.mixer.Pos() {
			files.audio(a.frame, data)
		}
		a.frame++
	}
}

// end closes a track; what it has sent is still heard.
func (a *mixAudio) end(track *channel.Track, out *Output) {
	v := a.tracks[track.ID]
	if v == nil {
		return
	}
	delete(a.tracks, track.ID)
	a.speakers.forget(v.uid)
	v.close(out)
}

// close ends the track and notes what was wrong with it.
func (v *mixVoice) close(out *Output) {
	v.src.Close()
	v.dec.Close()
	if out == nil {
		return
	}
	var notes []string
	note := func(n int64, what string) {
		if n > 0 {
			notes = append(notes, strconv.FormatInt(n, 10)+" "+what)
		}
	}
	s := v.src.Stats()
	out.Count(v.uid, CountConcealed, int64(v.restored))
	out.Count(v.uid, CountDamaged, int64(v.damaged))
	out.Count(v.uid, CountLate, s.Late*1000/mix.Rate)
	out.Count(v.uid, CountCut, (s.Cut+s.Early)*1000/mix.Rate)
	note(int64(v.restored), "packets restored")
	note(int64(v.damaged), "packets damaged")
	note(s.Late*1000/mix.Rate, "ms came too late")
	note((s.Cut+s.Early)*1000/mix.Rate, "ms cut")
	if len(notes) > 0 {
		out.Gap(uidText(v.uid), "sound: "+strings.Join(notes, ", "))
	}
}

// summarise notes what was wrong with the tracks that are still there.
func (a *mixAudio) summarise(out *Output) {
	for id, v := range a.tracks {
		delete(a.tracks, id)
		v.close(out)
	}
}

func (a *mixAudio) close() {
	a.summarise(nil)
	a.encoder.Close()
}
