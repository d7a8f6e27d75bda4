package recorder

import (
	"tapedeck/internal/media"
	"tapedeck/internal/media/mix"
	"tapedeck/internal/media/mux/mp4"
)

// fragmentTicks is how much of an MP4 a crash may cost.
const fragmentTicks = 90000

// mp4File is the MP4 that is being written. A nil *mp4File takes everything and
// writes nothing.
type mp4File struct {
	file *MP4
	mux  *mp4.Writer
	from int64 // ticks of the first sample after the start of the output
	cut  int64 // ticks of the last fragment's end
	big  int64 // bytes
}

func (f *mixFiles) openMP4(at int64) (*mp4File, error) {
	file, err := f.out.MP4(f.time(at), f.track())
	if err != nil {
		return nil, err
	}
	mux, err := mp4.New(file, f.vtrack, f.atrack)
	if err != nil {
		return nil, err
	}
	return &mp4File{file: file, mux: mux, from: at, cut: at}, nil
}

// full reports whether the next file should begin at time t, given how long and
// how large one may be.
func (m *mp4File) full(t, length media.Time, bytes int64) bool {
	return t-m.file.Start() >= length || m.big >= bytes
}

func (m *mp4File) put(p packet, video bool) error {
	if m == nil {
		return nil
	}
	m.big += int64(len(p.data)) + 16 // and its share of the index
	if p.at-m.cut >= fragmentTicks {
		m.cut = p.at
		if err := m.mux.Cut(); err != nil {
			return err
		}
	}
	if video {
		return m.mux.Video(p.at-m.from, p.key, p.data)
	}
	return m.mux.Audio((p.at-m.from)*mix.Rate/90000, p.data)
}

func (m *mp4File) close(end media.Time) error {
	if m == nil {
		return nil
	}
	if err := m.mux.Close(); err != nil {
		return err
	}
	return m.file.Close(end - m.file.Start())
}
