package webm

import (
	"encoding/binary"
	"fmt"
	"io"

	"tapedeck/internal/media"
)

const durationSize = 11 // bytes of a Duration element

// finisher knows where things lie in a file and fills in what is known at the end.
type finisher struct {
	segment  int64 // where the segment's content begins
	info     int64
	duration int64 // the space for Duration, 0 if there is none
	tracks   int64
	end      int64 // bytes written

	cluster     int64 // where the open cluster's content begins, 0: none
	clusterTime int64 // ms
	points      []cue
}

type cue struct{ ms, pos int64 }

const elementHead = 12 // bytes of ID and size of a segment or cluster

// beginCluster notes that a cluster is written at end.
func (f *finisher) beginCluster(ms int64) {
	f.points = append(f.points, cue{ms, f.end - f.segment})
	f.cluster, f.clusterTime = f.end+elementHead, ms
}

// sealCluster replaces the unknown size of the open cluster.
func (f *finisher) sealCluster(at io.WriterAt) error {
	if f.cluster == 0 {
		return nil
	}
	return f.size(at, f.cluster, f.end)
}

// size writes the size of the element whose content lies between begin and end.
func (f *finisher) size(at io.WriterAt, begin, end int64) error {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(end-begin)|1<<56)
	if _, err := at.WriteAt(b[:], begin-8); err != nil {
		return fmt.Errorf("webm: %w", err)
	}
	return nil
}

// cues returns the element that lists the clusters.
func (f *finisher) cues() []byte {
	var b builder
	if len(f.points) == 0 {
		return nil
	}
	p := b.open(idCues)
	for _, c := range f.points {
		q := b.open(idCuePoint)
		b.uint(idCueTime, uint64(c.ms))
		r := b.open(idCueTrackPos)
		b.uint(idCueTrack, 1)
		b.uint(idCueCluster, uint64(c.pos))
		b.end(r)
		b.end(q)
	}
	b.end(p)
	return b.b
}

// finish fills in the sizes, the duration and the seek head. The cues, tail
// bytes long, have been written at end.
func (f *finisher) finish(at io.WriterAt, tail int64, dur media.Time) error {
	if err := f.sealCluster(at); err != nil {
		return err
	}
	var b builder
	p := b.open(idSeekHead)
	for _, s := range [...]struct {
		id  uint32
		pos int64
	}{{idInfo, f.info}, {idTracks, f.tracks}, {idCues, f.end}} {
		if s.id == idCues && tail == 0 {
			continue
		}
		var id builder
		id.id(s.id)
		b.head(idSeek, 2+1+len(id.b)+2+1+8)
		b.data(idSeekID, id.b)
		b.uint8(idSeekPos, uint64(s.pos-f.segment))
	}
	b.end(p)
	b.void(seekSpace - len(b.b))
	if _, err := at.WriteAt(b.b, f.segment); err != nil {
		return fmt.Errorf("webm: %w", err)
	}
	if f.duration > 0 {
		var d builder
		d.float(idDuration, float64(dur)/1000)
		if _, err := at.WriteAt(d.b, f.duration); err != nil {
			return fmt.Errorf("webm: %w", err)
		}
	}
	return f.size(at, f.segment, f.end+tail)
}
