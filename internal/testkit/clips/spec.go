package clips

import (
	"fmt"

	"tapedeck/internal/media"
	"tapedeck/internal/testkit/publish"
)

// Spec loads the files of s into what a publisher sends.
func (s Set) Spec() (publish.Spec, error) {
	var spec publish.Spec
	for _, l := range s.Layers {
		var c *publish.Clip
		var err error
		if l.Codec == media.H264 {
			c, err = publish.LoadH264(l.Path, FPS)
		} else {
			c, err = publish.LoadIVF(l.Path)
		}
		if err != nil {
			return spec, fmt.Errorf("clips: %w", err)
		}
		spec.Video = append(spec.Video, c)
	}
	if s.Audio != nil {
		c, err := publish.LoadOgg(s.Audio.Path)
		if err != nil {
			return spec, fmt.Errorf("clips: %w", err)
		}
		spec.Audio = c
	}
	return spec, nil
}
