package recorder

import (
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/samples"
)

// A user changes from VP9 to H.264, the worker is killed, and the user comes back
// with VP9: slices in TS among those in fragmented MP4. Every one of them is read
// as the playlist says, and all of it plays.
func TestContainersInOnePlaylist(t *testing.T) {
	t.Parallel()
	for name, deckOf := range map[string]func(*testing.T, session.Plan) *deck{"clear": newDeck, "encrypted": encryptedDeck} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := deckOf(t, shortPlan(session.StreamStandard))
			u := channel.User{UID: 7}
			var s scene
			s.send(&channel.Track{ID: "a", User: u, Codec: media.Opus}, samples.H264(t).Opus, loop, 1*sec, 30*sec)
			s.send(&channel.Track{ID: "v", User: u, Codec: media.VP9}, samples.Pictures(t, media.VP9), sec, 1*sec, 5*sec)
			s.send(&channel.Track{ID: "h", User: u, Codec: media.H264}, samples.H264(t).Video, loop, 5*sec, 30*sec)
			before.play(&s, 0, 12*sec)
			before.await(before.index(7, typeVideo), 9*sec, 20_000)
			dir := snapshot(t, before.dir)
			before.drop()

			after := before.resume(dir)
			var again scene
			again.send(&channel.Track{ID: "a2", User: u, Codec: media.Opus}, samples.H264(t).Opus, loop, 14*sec, 22*sec)
			again.send(&channel.Track{ID: "v2", User: u, Codec: media.VP9}, samples.Pictures(t, media.VP9), sec, 14*sec, 18*sec)
			again.send(&channel.Track{ID: "h2", User: u, Codec: media.H264}, samples.H264(t).Video, loop, 18*sec, 22*sec)
			after.play(&again, 12*sec, 23*sec)
			after.finish()
			for _, kind := range []string{typeVideo, "av-video"} {
				kinds := declared(t, after.path(after.index(7, kind)))
				if want := []string{"mp4", "ts", "mp4", "ts"}; !slices.Equal(slices.Compact(kinds), want) {
					t.Errorf("%s says of its slices %q, want %q", kind, kinds, want)
				}
			}
			after.plays(after.index(7, "av"), 22*time.Second)
		})
	}
}

// declared reads what a playlist says of how its slices are read, and checks each of
// them against it.
func declared(t *testing.T, path string) (kinds []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	now := "nothing"
	for _, m := range regexp.MustCompile(`(?m)^#EXT-X-MAP:URI="[^"]*\.(ts|mp4)"|^[^#].*\.(ts|mp4)$`).FindAllStringSubmatch(string(b), -1) {
		if m[1] != "" {
			now = m[1]
			kinds = append(kinds, now)
		} else if m[2] != now {
			t.Errorf("%s is read as %s in\n%s", m[0], now, b)
		}
	}
	return kinds
}
