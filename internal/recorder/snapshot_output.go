package recorder

import (
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/playlist"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

const pictureExt = ".jpg"

// picture returns the name of a picture of a user (files.md 2).
func (n names) picture(uid uint32, at time.Time) string {
	return n.user(uid, typeVideo) + "_" + playlist.Stamp(at) + pictureExt
}

// Picture stores a JPEG of a user, taken at the given time. It is shipped like
// any file and is in no list.
func (o *Output) Picture(uid uint32, t media.Time, jpeg []byte) error {
	name := o.names.picture(uid, o.At(t))
	info, err := o.dir.Replace(name, jpeg)
	if err != nil {
		return err
	}
	return o.closed(spool.Fact{
		Name: name, Kind: spool.KindImage, Track: session.TrackVideo, UID: uidText(uid), StartMicro: int64(t), Unlisted: true,
	}, info)
}

// Stream notes that a user's sound or picture (track is session.TrackAudio or
// TrackVideo) begins to arrive, or stops.
func (o *Output) Stream(uid uint32, track string, receiving bool, t media.Time) {
	f := spool.Fact{Type: spool.FactStream, UID: uidText(uid), Track: track, StartMicro: int64(t)}
	if !receiving {
		f.Status = 1
	}
	o.note(f)
}
