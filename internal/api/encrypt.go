package api

import (
	"crypto/rand"

	"tapedeck/internal/api/wire"
	"tapedeck/internal/hls"
	"tapedeck/internal/session"
)

// encryptable refuses a start whose slices are to be encrypted and which asks
// for files that cannot be, unless the operator lets them lie beside each other.
func (c *call) encryptable(s wire.Start) *refusal {
	if s.Plan.HLS == nil && !c.app.HLS.Encrypt || c.app.HLS.Clear {
		return nil
	}
	switch p := s.Plan; {
	case p.MP4:
		return c.badRequest(wire.ErrClear("avFileType mp4"))
	case p.MP3:
		return c.badRequest(wire.ErrClear("avFileType mp3"))
	case p.Snapshot != nil:
		return c.badRequest(wire.ErrClear("snapshotConfig"))
	case p.Postponed != nil:
		return c.badRequest(wire.ErrClear("appsCollection"))
	}
	return nil
}

// encrypt gives a recording its content key and says where players get it, where
// the app wants that and the request did not. The key is fixed here, so that
// nothing that comes later, such as another secret of the app, changes it.
func (c *call) encrypt(s *wire.Start) {
	h := c.app.HLS
	if s.Plan.HLS != nil || !h.Encrypt {
		return
	}
	s.Plan.HLS = &session.HLS{KeyURI: hls.Expand(h.KeyURI, s.Plan.AppID, s.Plan.SID, s.Plan.CName), KeyFile: h.KeyFile}
	if len(h.Secret) > 0 {
		s.Private.ContentKey = hls.ContentKey(h.Secret, s.Plan.SID)
		return
	}
	s.Private.ContentKey = make([]byte, hls.KeyLen)
	_, _ = rand.Read(s.Private.ContentKey) // never fails
}
