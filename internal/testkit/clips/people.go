package clips

import "tapedeck/internal/media"

// Layers of a simulcast camera, lowest first.
func simulcast(c media.Codec) []Video {
	return []Video{{Codec: c, W: 320, H: 180, Kbps: 150}, {Codec: c, W: 640, H: 360, Kbps: 400}, {Codec: c, W: 1280, H: 720, Kbps: 1200}}
}

// Cast returns the four participants of the demo and the end-to-end tests: 101
// sends H.264 in three layers, 102 VP8, 103 sound only, 104 H.264 in one layer.
func Cast() []Person {
	return []Person{
		{UID: 101, Color: "#2050b0", Tone: 600, Video: simulcast(media.H264)},
		{UID: 102, Color: "#b05010", Tone: 1000, Video: []Video{{Codec: media.VP8, W: 640, H: 360, Kbps: 500}}},
		{UID: 103, Tone: 1500},
		{UID: 104, Color: "#802080", Tone: 2100, Video: []Video{{Codec: media.H264, W: 640, H: 360, Kbps: 500}}},
	}
}
