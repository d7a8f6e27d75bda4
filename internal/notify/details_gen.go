// Code generated from events.json by TestGenerated; DO NOT EDIT.

package notify

// File is an entry of the file list of events 31 and 32.
type File struct {
	FileName       string `json:"fileName"`       // object name of a playlist or an MP4, with its prefix path
	TrackType      string `json:"trackType"`      // `audio`, `video` or `audio_and_video`
	UID            string `json:"uid"`            // user; `0` in mix mode
	MixedAllUser   bool   `json:"mixedAllUser"`   // true in mix mode
	IsPlayable     bool   `json:"isPlayable"`     // can be played online
	SliceStartTime int64  `json:"sliceStartTime"` // Unix ms at which the file begins
}

// PageFile is an entry of the file list of event 71.
type PageFile struct {
	FileName       string `json:"fileName"`       // object name
	Filename       string `json:"filename"`       // the same: the published table and its example differ in the spelling
	SliceStartTime int64  `json:"sliceStartTime"` // Unix ms at which the file begins
}

// JobFile is a file that a postponed job made.
type JobFile struct {
	FileName string `json:"fileName"` // object name
}

// JobUser is what a postponed job made of one user.
type JobUser struct {
	UID      string    `json:"uid"`      // user
	Result   string    `json:"result"`   // `success` or `fail`
	FileList []JobFile `json:"fileList"` // the files
}

// RecordingError is event 1: something failed: the storage refuses, a file was lost, the room does not let the recorder in, the worker cannot be kept alive.
type RecordingError struct {
	Module     int    `json:"module"`     // 0 recorder, 1 uploader, 2 recording service, 6 web page recording
	ErrorLevel int    `json:"errorLevel"` // 1 debug, 2 minor, 3 medium, 4 major, 5 fatal: the recording is about to end
	ErrorCode  int    `json:"errorCode"`  // module 1: 32 storage configuration wrong, 47 upload failed, 51 a file could not be read; module 2: 50 upload timeout, 52 start timeout; modules 0 and 6: a code of the REST error list
	Stat       int    `json:"stat"`       // 0 normal, else abnormal
	ErrorMsg   string `json:"errorMsg"`   // text
}

// EventType implements Details.
func (RecordingError) EventType() Type { return TypeRecordingError }

// RecordingWarning is event 2: an upload is tried again, or the recorder goes on with less than was asked for.
type RecordingWarning struct {
	Module   int `json:"module"`   // 0 recorder, 1 uploader
	WarnCode int `json:"warnCode"` // module 1: 31 tried again towards the caller's storage, 32 sent to the backup storage; module 0: a code of the REST error list
}

// EventType implements Details.
func (RecordingWarning) EventType() Type { return TypeRecordingWarning }

// StatusUpdate is event 3: a call of the API does not fit the state of the recording.
type StatusUpdate struct {
	Status        int    `json:"status"`        // as in the answer of query: 0 to 8, 20 abnormal exit
	RecordingMode int    `json:"recordingMode"` // 0 mix, 1 individual; 0 in the other modes. The published texts contradict each other, this is the original's
	FileList      string `json:"fileList"`      // name of the first playlist, empty before there is one
}

// EventType implements Details.
func (StatusUpdate) EventType() Type { return TypeStatusUpdate }

// FileInfos is event 4: once: the first playlist is in the storage.
type FileInfos struct {
	FileList string `json:"fileList"` // its name
}

// EventType implements Details.
func (FileInfos) EventType() Type { return TypeFileInfos }

// SessionExit is event 11: the last event of a recording.
type SessionExit struct {
	ExitStatus int `json:"exitStatus"` // 0 ended and uploaded, 1 abnormal
}

// EventType implements Details.
func (SessionExit) EventType() Type { return TypeSessionExit }

// SessionFailover is event 12: another node goes on with the recording; payload.uid is the new one from here on.
type SessionFailover struct {
	NewUID uint32 `json:"newUid"` // uid of the recorder that goes on; a number, unlike payload.uid
}

// EventType implements Details.
func (SessionFailover) EventType() Type { return TypeSessionFailover }

// SessionRegistered is event 13: right after 40, only if an endpoint's list of events names 13. Its name and fields are published nowhere.
type SessionRegistered struct {
}

// EventType implements Details.
func (SessionRegistered) EventType() Type { return TypeSessionRegistered }

// UploaderStarted is event 30: the recording begins.
type UploaderStarted struct {
	Status int `json:"status"` // 0
}

// EventType implements Details.
func (UploaderStarted) EventType() Type { return TypeUploaderStarted }

// Uploaded is event 31: every file is in the caller's storage. Exactly one of 31 and 32 closes a recording that has files.
type Uploaded struct {
	Status   int    `json:"status"`            // 0
	FileList []File `json:"fileList,omitzero"` // MP4s, then playlists; absent in web mode
}

// EventType implements Details.
func (Uploaded) EventType() Type { return TypeUploaded }

// Backuped is event 32: every file is uploaded, but something is in the backup storage.
type Backuped struct {
	Status   int    `json:"status"`            // 0
	FileList []File `json:"fileList,omitzero"` // as in 31
}

// EventType implements Details.
func (Backuped) EventType() Type { return TypeBackuped }

// UploadingProgress is event 33: once a minute, first a minute after the start, until everything is uploaded.
type UploadingProgress struct {
	Progress int `json:"progress"` // uploaded / recorded * 10000, by bytes; it may fall while the recording goes on
}

// EventType implements Details.
func (UploadingProgress) EventType() Type { return TypeUploadingProgress }

// RecorderStarted is event 40: the recorder is in the channel.
type RecorderStarted struct {
	Status int `json:"status"` // 0
}

// EventType implements Details.
func (RecorderStarted) EventType() Type { return TypeRecorderStarted }

// RecorderLeave is event 41: the recorder has left the channel.
type RecorderLeave struct {
	LeaveCode int `json:"leaveCode"` // 0 could not begin, or a set of bits: 2 ended from outside, 4 nobody in the channel, 16 stop was called
}

// EventType implements Details.
func (RecorderLeave) EventType() Type { return TypeRecorderLeave }

// RecorderSliceStart is event 42: the first slice of a stream begins, and the first one after an interruption.
type RecorderSliceStart struct {
	StartUTC       int64  `json:"startUtcMs"`       // Unix ms at which the slice begins
	DiscontinueUTC int64  `json:"discontinueUtcMs"` // the same; after an interruption, the end of the last slice before it
	MixedAllUser   bool   `json:"mixedAllUser"`     // true in mix mode
	StreamUID      string `json:"streamUid"`        // user; `0` in mix mode
	TrackType      string `json:"trackType"`        // `audio`, `video` or `audio_and_video`
}

// EventType implements Details.
func (RecorderSliceStart) EventType() Type { return TypeRecorderSliceStart }

// AudioStreamState is event 43: sound of a user begins or stops arriving.
type AudioStreamState struct {
	StreamUID string `json:"streamUid"` // user; `0` in mix mode, where it stands for all of them
	State     int    `json:"state"`     // 0 receiving, 1 not receiving
	UTC       int64  `json:"UtcMs"`     // Unix ms; with a capital U
}

// EventType implements Details.
func (AudioStreamState) EventType() Type { return TypeAudioStreamState }

// VideoStreamState is event 44: pictures of a user begin or stop arriving.
type VideoStreamState struct {
	StreamUID string `json:"streamUid"` // as in 43
	State     int    `json:"state"`     // 0 receiving, 1 not receiving
	UTC       int64  `json:"UtcMs"`     // Unix ms; with a capital U
}

// EventType implements Details.
func (VideoStreamState) EventType() Type { return TypeVideoStreamState }

// SnapshotFile is event 45: a picture is in the storage.
type SnapshotFile struct {
	FileName string `json:"fileName"` // its name, with the prefix path
}

// EventType implements Details.
func (SnapshotFile) EventType() Type { return TypeSnapshotFile }

// PageStarted is event 70: the page is being recorded.
type PageStarted struct {
	RecorderStartTime int64 `json:"recorderStartTime"` // Unix ms
}

// EventType implements Details.
func (PageStarted) EventType() Type { return TypePageStarted }

// PageStopped is event 71: the page is not recorded any more.
type PageStopped struct {
	Code     int        `json:"code"`     // 0 to 6
	Message  string     `json:"message"`  // 0 `ok`, 1 `max_recording_hour`, 2 `capability_limit`, 3 `start_engine_failed`, 4 `page_load_timeout`, 5 `access_url_failed`, 6 `recorder_error`
	Details  string     `json:"details"`  // text
	FileList []PageFile `json:"fileList"` // playlists, then MP4s
}

// EventType implements Details.
func (PageStopped) EventType() Type { return TypePageStopped }

// PageLimit is event 72: the page uses more than can be recorded; 71 with code 2 follows.
type PageLimit struct {
	LimitType string `json:"limitType"` // `resolution`, `WebGL` or `bandwidth`
}

// EventType implements Details.
func (PageLimit) EventType() Type { return TypePageLimit }

// PageReload is event 73: the page was loaded again.
type PageReload struct {
	Reason string `json:"reason"` // `audio_silence` or `page_load_timeout`
}

// EventType implements Details.
func (PageReload) EventType() Type { return TypePageReload }

// TranscoderStarted is event 80: the postponed job begins.
type TranscoderStarted struct {
}

// EventType implements Details.
func (TranscoderStarted) EventType() Type { return TypeTranscoderStarted }

// TranscoderCompleted is event 81: the postponed job has made its files.
type TranscoderCompleted struct {
	Result string    `json:"result"` // `all_success`, `partial_success` or `fail`
	UIDs   []JobUser `json:"uids"`   // for each user
}

// EventType implements Details.
func (TranscoderCompleted) EventType() Type { return TypeTranscoderCompleted }

// DownloadFailed is event 90: once at most: slices could not be fetched back.
type DownloadFailed struct {
	Vendor   int    `json:"vendor"`   // as in start
	Region   int    `json:"region"`   // as in start
	Bucket   string `json:"bucket"`   // as in start
	FileName string `json:"fileName"` // names, joined by `;`
	Filename string `json:"filename"` // the same: the published texts differ in the spelling
}

// EventType implements Details.
func (DownloadFailed) EventType() Type { return TypeDownloadFailed }

// PushStatus is event 100: the state of a live push changes.
type PushStatus struct {
	URL    string `json:"rtmpUrl"` // as in the request
	Status string `json:"status"`  // `connecting`, `publishing`, `onhold` or `disconnected`
}

// EventType implements Details.
func (PushStatus) EventType() Type { return TypePushStatus }

// PostponedResult is event 1001: the files of the postponed job are uploaded.
type PostponedResult struct {
	Result   string    `json:"result"`   // `total_success`, `partial_success` or `failed`
	FileList []JobFile `json:"fileList"` // the files
}

// EventType implements Details.
func (PostponedResult) EventType() Type { return TypePostponedResult }
