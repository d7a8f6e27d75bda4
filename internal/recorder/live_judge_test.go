package recorder

import (
	"strings"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/review"
)

// looseSync is how far apart picture and sound may be where senders pause, so
// that arrival tells little before their first report.
const looseSync = 150 * time.Millisecond

// judgement is what is wrong with each user's recording.
type judgement map[uint32][]string

// judge looks at everything of a recording.
func (l *live) judge(t *testing.T, users []review.User) {
	t.Helper()
	found := l.look(t, users)
	for _, u := range users {
		for _, p := range found[u.UID] {
			t.Error(p)
		}
	}
}

// look looks at everything of a recording: every file is read, probed and
// decoded to its end. Where the recorder knows that something is missing nothing
// is looked for; all else has to be there and within review.LagLimit of its place.
func (l *live) look(t *testing.T, users []review.User) judgement {
	t.Helper()
	users = append([]review.User(nil), users...)
	for i := range users {
		users[i].Gaps = l.known(users[i].UID)
	}
	r, err := review.Individual(t.Context(), l.dir.Path()+"/files", l.files(), users)
	if err != nil {
		t.Fatal(err)
	}
	found := judgement{}
	for _, f := range r.Files {
		name := f.Name[strings.Index(f.Name, "__"):]
		t.Logf("%s: %d slices, %v, %s", name, f.Slices, f.Duration, f.Codecs)
		for _, u := range users {
			if !strings.Contains(f.Name, "__uid_s_"+uidText(u.UID)+"__") {
				continue
			}
			for _, p := range f.Problems {
				if !l.loose || !strings.Contains(p, "A/V offset") {
					found[u.UID] = append(found[u.UID], name+": "+p)
				}
			}
		}
	}
	for i, u := range r.Users {
		t.Logf("user %d: %d flashes, %d beeps, A/V %v, lags %v, %d known gaps", u.UID, u.Flashes, u.Beeps, u.Sync, u.Lags, len(users[i].Gaps))
		if s := u.Sync; l.loose && s != nil && s.Median.Abs() > looseSync {
			found[u.UID] = append(found[u.UID], "picture and sound are apart: "+s.String())
		}
		for _, p := range u.Problems {
			if !l.loose || !unplaced(p) {
				found[u.UID] = append(found[u.UID], p)
			}
		}
	}
	return found
}

// unplaced tells problems that come of a track that was placed by arrival.
func unplaced(problem string) bool {
	for _, part := range []string{"A/V offset", "the user was away", "off the time it was sent", "the clock of stay"} {
		if strings.Contains(problem, part) {
			return true
		}
	}
	return false
}

// known are the gaps of a user that the recorder wrote down.
func (l *live) known(uid uint32) (gaps []review.Gap) {
	for _, f := range l.facts() {
		if f.Type != spool.FactGap || f.UID != uidText(uid) {
			continue
		}
		from := l.out.At(media.Time(f.StartMicro))
		gaps = append(gaps, review.Gap{
			Sound: f.Track == session.TrackAudio, From: from, To: from.Add(time.Duration(f.DurMicro) * time.Microsecond),
		})
	}
	return gaps
}

// lost counts the losses of a user that the recorder knows of.
func (l *live) lost(uid uint32) int64 {
	n := int64(len(l.gaps(uidText(uid))))
	for _, s := range l.room.Stats() {
		if s.Track.User.UID == uid {
			n += s.Lost + s.Late
		}
	}
	return n
}
