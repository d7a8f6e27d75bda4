package recorder

import (
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/playlist"
	"tapedeck/internal/session"
)

// Types of a stream in file names (files.md 2).
const (
	typeAudio = "audio"
	typeVideo = "video"
	typeJoint = "av"
)

const playlistExt = ".m3u8"

// names makes the file names of one recording (files.md 2).
type names struct{ stem string }

func newNames(plan session.Plan) names {
	return names{stem: stemOf(plan)}
}

// composite returns the name of the one playlist of mix mode.
func (n names) composite() string { return n.stem + playlistExt }

// user returns the stem of one user's files of the given type.
func (n names) user(uid uint32, kind string) string {
	return n.stem + "__uid_s_" + strconv.FormatUint(uint64(uid), 10) + "__uid_e_" + kind
}

// index returns the name of one user's playlist of the given type.
func (n names) index(uid uint32, kind string) string { return n.user(uid, kind) + playlistExt }

// mp4 returns the name of the i-th MP4 of a mix, counted from 0.
func (n names) mp4(i int) string { return n.stem + "_" + strconv.Itoa(i) + ".mp4" }

// sliceName returns the name of the slice of the playlist index that starts at the given instant.
func sliceName(index string, start time.Time, ext string) string {
	return strings.TrimSuffix(index, playlistExt) + "_" + playlist.Stamp(start) + ext
}

// uriUnsafe are the characters of channel names that cannot stand in a
// playlist's URI or in an object's URL as they are: they would be read as a query,
// a fragment, an escape, a scheme or a space. The API allows them in a
// channel's name (rest-api.md 1.2) and leaves the mapping in file names open.
const uriUnsafe = " #?%+:<>[]^{}|\"\\/`"

func safeName(cname string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(uriUnsafe, r) {
			return '-'
		}
		return r
	}, cname)
}

// uidText is how facts name a user; mix has "0".
func uidText(uid uint32) string { return strconv.FormatUint(uint64(uid), 10) }

// at returns the UTC instant of a point on the timeline.
func at(zero time.Time, t media.Time) time.Time {
	return zero.Add(time.Duration(t) * time.Microsecond)
}
