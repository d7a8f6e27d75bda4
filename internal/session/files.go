package session

// Values of uploadingStatus in the answer of stop (rest-api.md 9.2).
const (
	UploadUnknown  = "unknown"
	UploadUploaded = "uploaded"
	UploadBackuped = "backuped"
	UploadStranded = "stranded" // mode raw only: files stay in the spool, no store takes them
)

// Values of a file's trackType.
const (
	TrackAudio = "audio"
	TrackVideo = "video"
	TrackBoth  = "audio_and_video"
)

// File is one entry of the file list of query and stop: a playlist or an MP4,
// never a slice (rest-api.md 8.2).
type File struct {
	Name       string `json:"fileName"` // with the prefix path
	Track      string `json:"trackType"`
	UID        string `json:"uid"` // "0" in mix mode
	Mixed      bool   `json:"mixedAllUser"`
	Playable   bool   `json:"isPlayable"`
	StartMilli int64  `json:"sliceStartTime"` // Unix ms
}
