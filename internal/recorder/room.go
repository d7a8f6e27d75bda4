package recorder

import (
	"log/slog"

	"tapedeck/internal/channel/livekit"
	"tapedeck/internal/link"
	"tapedeck/internal/session"
)

// roomConfig is how a job's room is joined.
func roomConfig(job link.Job, out *Output, log *slog.Logger) livekit.Config {
	p := job.Plan
	if p.NoFiles {
		p.Streams = session.VideoOnly // nobody would hear the rest
	}
	var secret session.Private
	if job.Private != nil {
		secret = *job.Private
	}
	return livekit.Config{
		Encryption: livekit.Encryption{Mode: p.Encryption, Secret: secret.MediaSecret, Salt: secret.MediaSalt},
		Room:       job.Room, Clock: out.Clock(), Subscription: p.Subscription, Streams: p.Streams, LowStream: p.LowStream,
		UID: p.UID, Reserved: namedUsers(p), Known: out.Identities(), StrictIDs: p.StrictIDs, MaxUsers: p.MaxUsers,
		Log: log,
	}
}

// namedUsers are the uids that a request speaks of. They mean the users who are
// called so: nobody else gets them.
func namedUsers(p session.Plan) []uint32 {
	var uids []uint32
	for _, l := range []session.UIDList{p.Subscription.Audio, p.Subscription.Video} {
		uids = append(append(uids, l.Allow...), l.Deny...)
	}
	if p.Mixing == nil {
		return uids
	}
	uids = append(uids, p.Mixing.Layout.MaxUID)
	for _, r := range p.Mixing.Layout.Regions {
		uids = append(uids, r.UID)
	}
	for _, b := range p.Mixing.Layout.UserImages {
		uids = append(uids, b.UID)
	}
	return uids
}
