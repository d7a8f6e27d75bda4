package mp4

import "fmt"

// track collects the samples of one stream: their bytes until the next
// fragment, their sizes and durations until the end.
type track struct {
	id    uint32
	scale uint32 // ticks a second
	video bool
	w, h  int
	entry []byte // the sample entry box

	some    bool
	first   int64 // PTS of the first sample
	last    int64 // PTS of the newest
	end     int64 // where the newest sample that has a duration ends
	open    bool  // the newest sample has no duration yet
	samples []sample
	sync    []uint32 // numbers of key frames, from 1
	chunks  []chunk

	pend    int   // first sample that is in no fragment yet
	pendPTS int64 // its PTS
	data    []byte
}

type sample struct {
	size, dur uint32
}

// chunk is a run of samples that lie together in the file.
type chunk struct {
	off int64
	n   uint32
}

// shift moves PTS so that media time starts at 0 for tracks that begin before
// the file's start; an edit list moves it back.
func (t *track) shift() int64 {
	if t.some && t.first < 0 {
		return -t.first
	}
	return 0
}

// begin opens a sample at pts.
func (t *track) begin(pts int64, key bool) error {
	if t.some && pts <= t.last {
		return fmt.Errorf("%w: %d after %d in track %d", ErrOrder, pts, t.last, t.id)
	}
	t.settle(pts)
	if !t.some {
		t.some, t.first = true, pts
	}
	if t.pend == len(t.samples) {
		t.pendPTS = pts
	}
	t.last, t.open = pts, true
	t.samples = append(t.samples, sample{})
	if key && t.video {
		t.sync = append(t.sync, uint32(len(t.samples)))
	}
	return nil
}

// add appends bytes to the open sample.
func (t *track) add(b ...byte) {
	t.data = append(t.data, b...)
	t.samples[len(t.samples)-1].size += uint32(len(b))
}

// forget takes the open sample back.
func (t *track) forget() {
	n := len(t.samples) - 1
	t.data = t.data[:len(t.data)-int(t.samples[n].size)]
	t.samples, t.open = t.samples[:n], false
	if k := len(t.sync); k > 0 && int(t.sync[k-1]) > n {
		t.sync = t.sync[:k-1]
	}
	t.last = t.end - 1
	if n == 0 {
		t.some = false
	}
}

// settle gives the newest sample its duration: up to next, or a usual one if
// next is not after it.
func (t *track) settle(next int64) {
	if !t.open {
		return
	}
	dur := next - t.last
	if dur <= 0 {
		dur = t.usual()
	}
	t.samples[len(t.samples)-1].dur = uint32(min(dur, 1<<32-1))
	t.end, t.open = t.last+dur, false
}

func (t *track) usual() int64 {
	if !t.video {
		return 1024
	}
	if n := len(t.samples); n >= 2 {
		return int64(t.samples[n-2].dur)
	}
	return movieScale / 30
}

// ready counts the samples that the next fragment takes.
func (t *track) ready() int {
	n := len(t.samples) - t.pend
	if t.open {
		n--
	}
	return n
}

// taken removes n samples of the given total size from the queue.
func (t *track) taken(n, bytes int) {
	for _, s := range t.samples[t.pend : t.pend+n] {
		t.pendPTS += int64(s.dur)
	}
	t.pend += n
	t.data = t.data[:copy(t.data, t.data[bytes:])]
}

// mediaDur is the sum of all durations.
func (t *track) mediaDur() int64 {
	if !t.some {
		return 0
	}
	return t.end - t.first
}

// toMovie converts ticks of the track to the movie's.
func (t *track) toMovie(n int64) int64 { return n * movieScale / int64(t.scale) }

// movieEnd is where the track ends, in movie ticks from the file's start.
func (t *track) movieEnd() int64 {
	if !t.some {
		return 0
	}
	return t.toMovie(max(t.end, 0))
}

// isSync reports whether sample number n (from 1) is a key frame; from is a
// position in sync to search from, which is returned moved on.
func (t *track) isSync(n uint32, from int) (bool, int) {
	for from < len(t.sync) && t.sync[from] < n {
		from++
	}
	return from < len(t.sync) && t.sync[from] == n, from
}
