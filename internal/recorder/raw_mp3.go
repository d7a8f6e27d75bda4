package recorder

import (
	"encoding/binary"

	"tapedeck/internal/media"
	"tapedeck/internal/session"
)

const (
	extMP3 = ".mp3"

	// mp3Bitrate is that of a user's sound as MP3, which is mono.
	mp3Bitrate = 64_000 // bit/s
)

// mp3File takes the sound of a user as MP3: a file for each time they are heard.
//
// It begins with an Info frame, the Xing header of a constant bit rate: a silent
// frame in which players find how long the file is without reading it. What it
// says is filled in at the end; a file that a killed worker leaves says nothing,
// and plays.
type mp3File struct {
	p      *userStreams
	file   *MP4
	info   []byte
	frames uint32
	bytes  uint32 // a day at 64 kbit/s is 0.7 GB
}

// put implements soundSink. Every packet is one frame.
func (f *mp3File) put(at media.Time, packet []byte) error {
	if f.file == nil {
		if err := f.open(at, packet); err != nil {
			return err
		}
	}
	f.frames++
	f.bytes += uint32(len(packet)) //nolint:gosec // a frame has 192 bytes
	_, err := f.file.Write(packet)
	return err
}

func (f *mp3File) open(at media.Time, first []byte) (err error) {
	if f.file, err = f.p.m.out.userFile(f.p.uid, "mp3", extMP3, session.TrackAudio, at); err != nil {
		return err
	}
	f.info = mp3Info(first)
	f.frames, f.bytes = 0, uint32(len(f.info)) //nolint:gosec // a frame
	_, err = f.file.Write(f.info)
	return err
}

// close implements soundSink.
func (f *mp3File) close(at media.Time, _ bool) error {
	if f.file == nil {
		return nil
	}
	file := f.file
	f.file = nil
	if len(f.info) >= infoLength {
		const framesAndBytes = 3
		tag := f.info[infoAt:]
		binary.BigEndian.PutUint32(tag[4:], framesAndBytes)
		binary.BigEndian.PutUint32(tag[8:], f.frames)
		binary.BigEndian.PutUint32(tag[12:], f.bytes)
		if _, err := file.WriteAt(f.info, 0); err != nil {
			return err
		}
	}
	return file.Close(at - file.Start())
}

const (
	// infoAt is where the tag lies in a frame: behind the header of 4 bytes and
	// the side information of a mono frame of MPEG-1 layer III, 17 bytes.
	infoAt     = 4 + 17
	infoLength = infoAt + 4*4
)

// mp3Info makes the Info frame of a stream whose frames are like first; nothing
// where there is no room in a frame.
func mp3Info(first []byte) []byte {
	if len(first) < infoLength {
		return nil
	}
	frame := make([]byte, len(first))
	copy(frame, first[:4])
	frame[1] |= 1 // no checksum follows the header
	copy(frame[infoAt:], "Info")
	return frame
}
