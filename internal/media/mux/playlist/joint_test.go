package playlist

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestMaster(t *testing.T) {
	m := Master{Video: "s_c__uid_s_7__uid_e_av-video.m3u8", Audio: "s_c__uid_s_7__uid_e_av-audio.m3u8", Bandwidth: 640_000, W: 640, H: 360}
	const want = `#EXTM3U
#EXT-X-VERSION:4
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="audio",DEFAULT=YES,AUTOSELECT=YES,URI="s_c__uid_s_7__uid_e_av-audio.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=640000,RESOLUTION=640x360,AUDIO="audio"
s_c__uid_s_7__uid_e_av-video.m3u8
`
	if got := string(m.Render()); got != want {
		t.Errorf("with sound:\n%s", got)
	}
	m.Audio, m.W = "", 0
	if got := string(m.Render()); got != "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-STREAM-INF:BANDWIDTH=640000\ns_c__uid_s_7__uid_e_av-video.m3u8\n" {
		t.Errorf("without:\n%s", got)
	}
}

func TestMPD(t *testing.T) {
	zero := time.Date(2026, 7, 30, 23, 59, 50, 0, time.UTC)
	m := MPD{
		Start: zero.Add(2 * time.Second), Origin: 12_000_000, Update: 15 * time.Second,
		Streams: []Stream{
			{Kind: "video", Codecs: "vp8", Bandwidth: 192_000, W: 640, H: 360, Segments: []Segment{
				{Name: "s_a&b__uid_s_7__uid_e_video_20260730235952000.webm", Start: 12_000_000, Dur: 15_000_400, Head: 294, Size: 5000,
					Tags: []string{Discontinuity(), TrackEvent(Video, zero), Rotate(640, 360, 0, zero.Add(2*time.Second))}},
				{Name: "s_a&b__uid_s_7__uid_e_video_20260731000022000.webm", Start: 42_000_600, Dur: 8_000_000, Head: 294, Size: 6000,
					Tags: []string{Discontinuity()}},
			}},
			{Kind: "audio", Codecs: "opus"},
		},
	}
	const want = `<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:full:2011" minBufferTime="PT2S" type="static" mediaPresentationDuration="PT38.000600S">
  <Period id="0" start="PT0S">
    <AdaptationSet contentType="video" mimeType="video/webm">
      <Representation id="video" codecs="vp8" bandwidth="192000" width="640" height="360">
        <SegmentList timescale="1000" presentationTimeOffset="12000">
          <Initialization sourceURL="s_a&amp;b__uid_s_7__uid_e_video_20260730235952000.webm" range="0-293"/>
          <SegmentTimeline>
            <S t="12000" d="30000"/>
            <S t="42000" d="8000"/>
          </SegmentTimeline>
          <ExtDiscontinuity time="20260730235952000"/>
          <ExtRotate width="640" height="360" rotate="0" time="20260730235952000"/>
          <SegmentURL media="s_a&amp;b__uid_s_7__uid_e_video_20260730235952000.webm" mediaRange="294-4999"/>
          <ExtDiscontinuity time="20260731000022000"/>
          <SegmentURL media="s_a&amp;b__uid_s_7__uid_e_video_20260731000022000.webm" mediaRange="294-5999"/>
        </SegmentList>
      </Representation>
    </AdaptationSet>
  </Period>
</MPD>
`
	got := string(m.Render(true))
	if got != want {
		t.Errorf("ended:\n%s", got)
	}
	d := xml.NewDecoder(strings.NewReader(got))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	// What the official scripts look for, line by line (files.md 4.3).
	for _, p := range []string{`(?m)^.*media=".*_video_\d{17}\.webm".*$`, `(?m)^.*width="\d+" height="\d+" rotate="\d+" time="\d{17}".*$`, `(?m)^.*ExtDiscontinuity time="\d{17}".*$`} {
		if !regexp.MustCompile(p).MatchString(got) {
			t.Errorf("no line matches %s", p)
		}
	}
	if got := string(m.Render(false)); !strings.Contains(got, ` type="dynamic" availabilityStartTime="2026-07-30T23:59:52.000Z" minimumUpdatePeriod="PT15.000000S">`) {
		t.Errorf("growing:\n%s", got)
	}
	if w, h, ok := RotateSize(Rotate(640, 360, 0, zero)); !ok || w != 640 || h != 360 {
		t.Errorf("RotateSize: %d×%d, %v", w, h, ok)
	}
	if _, _, ok := RotateSize(Discontinuity()); ok {
		t.Error("a discontinuity has a size")
	}
}
