package clips

import "tapedeck/internal/media"

// Layers of a simulcast camera, lowest first.
func simulcast(c media.Codec) []Video {
	return []Video{{c, 320, 180, 150}, {c, 640, 360, 400}, {c, 1280, 720, 1200}}
}

// Cast returns the four participants of the demo and the end-to-end tests: 101
// sends H.264 in three layers, 102 VP8, 103 sound only, 104 H.264 in one layer.
func Cast() []Person {
	return []Person{
		{UID: 101, Color: "#2050b0", Tone: 600, Video: simulcast(media.H264)},
		{UID: 102, Color: "#b05010", Tone: 1000, Video: []Video{{media.VP8, 640, 360, 500}}},
		{UID: 103, Tone: 1500},
		{UID: 104, Color: "#802080", Tone: 2100, Video: []Video{{media.H264, 640, 360, 500}}},
	}
}
