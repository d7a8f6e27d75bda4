// Package clips makes and caches the encoded media that test and demo
// participants publish: per person a moving picture in the person's own colour
// with the uid and a running clock burnt in, a white flash once a second and,
// exactly with it, a beep of the person's own tone.
//
// A clip is one loop of Loop length and is meant to be played over and over
// without a seam: all clips of one person, looped from the same instant, stay
// in step for ever. The seam lies in the dark, silent half of a second. Flash
// and beep begin at 0.5 s, 1.5 s, ... of the loop and last FlashLength; the
// clock that is burnt in runs 0.5 s ahead, so that it shows a whole second when
// they begin (00:00:01.000 to 00:00:10.000). A sender of the Opus packets has to
// send them ahead by the pre-skip of the Ogg header.
package clips

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tapedeck/internal/media"
)

// Facts about every clip.
const (
	Loop        = 10 * time.Second
	FlashLength = 100 * time.Millisecond
	// FirstFlash is when the first flash and beep of a loop begin; the others
	// follow every second.
	FirstFlash = 500 * time.Millisecond
	// FPS is the frame rate of every video clip.
	FPS = 30
	// GOP is the distance of key frames in frames. Publishers answer no key
	// frame request, which would break the loop: they just wait for the next.
	GOP = 10
	// OpusPacket is the length of one packet of an audio clip.
	OpusPacket = 20 * time.Millisecond
)

// version is part of the cache key: raise it when the recipe changes.
const version = 1

// Person describes what one participant looks and sounds like.
type Person struct {
	UID   uint32  `json:"uid"`
	Color string  `json:"color"` // "#rrggbb" of the background
	Tone  int     `json:"tone"`  // Hz of the beep, a multiple of 100; 0 = no audio
	Video []Video `json:"video"` // empty = audio only; several = simulcast layers, lowest first, one codec
}

// Video describes one layer.
type Video struct {
	Codec   media.Codec `json:"codec"` // H264, VP8, VP9 or AV1
	W       int         `json:"w"`     // pixels
	H       int         `json:"h"`
	Kbps    int         `json:"kbps"`
	Profile string      `json:"profile,omitempty"` // of H264: "" = baseline, or "high"
}

// Clip is one encoded loop on disk: H.264 as Annex B (.h264), the others as IVF (.ivf),
// Opus as Ogg with one packet a page (.ogg).
type Clip struct {
	Path  string
	Codec media.Codec
	W, H  int // 0 for audio
}

// Set is everything one person publishes.
type Set struct {
	Person
	Layers []Clip // as Person.Video
	Audio  *Clip  // nil without a tone
}

// CacheDir returns the folder under which clips are kept:
// <user cache>/tapedeck, or the same under the temporary folder where there is
// no home.
func CacheDir() string {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	return filepath.Join(base, "tapedeck")
}

// Make returns the clips of each person, in order. What is not in the cache
// folder yet is encoded with the ffmpeg program first, two persons at a time.
func Make(ctx context.Context, cache string, people []Person) ([]Set, error) {
	sets := make([]Set, len(people))
	errs := make([]error, len(people))
	slots := make(chan struct{}, 2)
	var wg sync.WaitGroup
	for i, p := range people {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			sets[i], errs[i] = one(ctx, cache, p)
		})
	}
	wg.Wait()
	return sets, errors.Join(errs...)
}

func (p Person) validate() error {
	if p.Tone%100 != 0 || p.Tone < 0 || p.Tone > 8000 {
		return fmt.Errorf("clips: uid %d: tone of %d Hz is not a multiple of 100 up to 8000", p.UID, p.Tone)
	}
	if p.Tone == 0 && len(p.Video) == 0 {
		return fmt.Errorf("clips: uid %d has neither picture nor sound", p.UID)
	}
	for _, v := range p.Video {
		if _, known := recipe(v); !known {
			return fmt.Errorf("clips: uid %d: no recipe for codec %s", p.UID, v.Codec)
		}
		if v.Codec != p.Video[0].Codec || v.W < 16 || v.H < 16 || v.W%2 != 0 || v.H%2 != 0 || v.Kbps <= 0 {
			return fmt.Errorf("clips: uid %d: layer %dx%d at %d kbit/s does not fit", p.UID, v.W, v.H, v.Kbps)
		}
	}
	return nil
}

// one returns the set of p, making it if the cache lacks it. The folder appears
// in the cache by a rename, whole or not at all.
func one(ctx context.Context, cache string, p Person) (Set, error) {
	if err := p.validate(); err != nil {
		return Set{}, err
	}
	key, err := json.Marshal(struct {
		Version int
		Person
	}{version, p})
	if err != nil {
		return Set{}, fmt.Errorf("clips: %w", err)
	}
	sum := sha256.Sum256(key)
	dir := filepath.Join(cache, "clips-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(dir); err == nil {
		return describe(dir, p), nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return Set{}, fmt.Errorf("clips: look into the cache: %w", err)
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return Set{}, fmt.Errorf("clips: make the cache folder: %w", err)
	}
	work, err := os.MkdirTemp(cache, "clips-making-")
	if err != nil {
		return Set{}, fmt.Errorf("clips: make the cache folder: %w", err)
	}
	defer os.RemoveAll(work) //nolint:errcheck,forbidigo // the temporary folder made above; gone after the rename
	if err := encode(ctx, describe(work, p)); err != nil {
		return Set{}, fmt.Errorf("clips: uid %d: %w", p.UID, err)
	}
	if err := os.Rename(work, dir); err != nil {
		if _, statErr := os.Stat(dir); statErr != nil {
			return Set{}, fmt.Errorf("clips: put into the cache: %w", err)
		} // somebody else made the same clips meanwhile
	}
	return describe(dir, p), nil
}

// describe names the files of p inside dir.
func describe(dir string, p Person) Set {
	s := Set{Person: p}
	for i, v := range p.Video {
		ext := ".h264"
		if v.Codec != media.H264 {
			ext = ".ivf"
		}
		s.Layers = append(s.Layers, Clip{
			Path: filepath.Join(dir, fmt.Sprintf("video%d%s", i, ext)), Codec: v.Codec, W: v.W, H: v.H,
		})
	}
	if p.Tone != 0 {
		s.Audio = &Clip{Path: filepath.Join(dir, "audio.ogg"), Codec: media.Opus}
	}
	return s
}
