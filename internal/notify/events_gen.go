// Code generated from events.json by TestGenerated; DO NOT EDIT.

package notify

// The components that emit events.
const (
	ServiceControl    Service = 0 // the recording service
	ServiceRecorder   Service = 1 // the recorder
	ServiceUploader   Service = 2 // the uploader
	ServicePage       Service = 6 // web page recording and live push
	ServiceTranscoder Service = 7 // postponed transcoding
	ServiceDownload   Service = 8 // fetching slices back for a postponed job
)

// The event types.
const (
	TypeRecordingError      Type = 1
	TypeRecordingWarning    Type = 2
	TypeStatusUpdate        Type = 3
	TypeFileInfos           Type = 4
	TypeSessionExit         Type = 11
	TypeSessionFailover     Type = 12
	TypeSessionRegistered   Type = 13
	TypeUploaderStarted     Type = 30
	TypeUploaded            Type = 31
	TypeBackuped            Type = 32
	TypeUploadingProgress   Type = 33
	TypeRecorderStarted     Type = 40
	TypeRecorderLeave       Type = 41
	TypeRecorderSliceStart  Type = 42
	TypeAudioStreamState    Type = 43
	TypeVideoStreamState    Type = 44
	TypeSnapshotFile        Type = 45
	TypePageStarted         Type = 70
	TypePageStopped         Type = 71
	TypePageLimit           Type = 72
	TypePageReload          Type = 73
	TypeTranscoderStarted   Type = 80
	TypeTranscoderCompleted Type = 81
	TypeDownloadFailed      Type = 90
	TypePushStatus          Type = 100
	TypePostponedResult     Type = 1001
)

// Types returns all event types, ascending.
func Types() []Type {
	return []Type{1, 2, 3, 4, 11, 12, 13, 30, 31, 32, 33, 40, 41, 42, 43, 44, 45, 70, 71, 72, 73, 80, 81, 90, 100, 1001}
}

func (t Type) info() info {
	switch t {
	case TypeRecordingError:
		return info{"cloud_recording_error", 0}
	case TypeRecordingWarning:
		return info{"cloud_recording_warning", 0}
	case TypeStatusUpdate:
		return info{"cloud_recording_status_update", 0}
	case TypeFileInfos:
		return info{"cloud_recording_file_infos", 0}
	case TypeSessionExit:
		return info{"session_exit", 0}
	case TypeSessionFailover:
		return info{"session_failover", 0}
	case TypeSessionRegistered:
		return info{"high_availability_registered", 0}
	case TypeUploaderStarted:
		return info{"uploader_started", 2}
	case TypeUploaded:
		return info{"uploaded", 2}
	case TypeBackuped:
		return info{"backuped", 2}
	case TypeUploadingProgress:
		return info{"uploading_progress", 2}
	case TypeRecorderStarted:
		return info{"recorder_started", 1}
	case TypeRecorderLeave:
		return info{"recorder_leave", 1}
	case TypeRecorderSliceStart:
		return info{"recorder_slice_start", 1}
	case TypeAudioStreamState:
		return info{"recorder_audio_stream_state_changed", 1}
	case TypeVideoStreamState:
		return info{"recorder_video_stream_state_changed", 1}
	case TypeSnapshotFile:
		return info{"recorder_snapshot_file", 1}
	case TypePageStarted:
		return info{"web_recorder_started", 6}
	case TypePageStopped:
		return info{"web_recorder_stopped", 6}
	case TypePageLimit:
		return info{"web_recorder_capability_limit", 6}
	case TypePageReload:
		return info{"web_recorder_reload", 6}
	case TypeTranscoderStarted:
		return info{"transcoder_started", 7}
	case TypeTranscoderCompleted:
		return info{"transcoder_completed", 7}
	case TypeDownloadFailed:
		return info{"download_failed", 8}
	case TypePushStatus:
		return info{"rtmp_publish_status", 6}
	case TypePostponedResult:
		return info{"postpone_transcode_final_result", 0}
	}
	return info{}
}

// blank returns details without content, for test events.
func (t Type) blank() Details {
	switch t {
	case TypeRecordingError:
		return RecordingError{}
	case TypeRecordingWarning:
		return RecordingWarning{}
	case TypeStatusUpdate:
		return StatusUpdate{}
	case TypeFileInfos:
		return FileInfos{}
	case TypeSessionExit:
		return SessionExit{}
	case TypeSessionFailover:
		return SessionFailover{}
	case TypeSessionRegistered:
		return SessionRegistered{}
	case TypeUploaderStarted:
		return UploaderStarted{}
	case TypeUploaded:
		return Uploaded{FileList: []File{}}
	case TypeBackuped:
		return Backuped{FileList: []File{}}
	case TypeUploadingProgress:
		return UploadingProgress{}
	case TypeRecorderStarted:
		return RecorderStarted{}
	case TypeRecorderLeave:
		return RecorderLeave{}
	case TypeRecorderSliceStart:
		return RecorderSliceStart{}
	case TypeAudioStreamState:
		return AudioStreamState{}
	case TypeVideoStreamState:
		return VideoStreamState{}
	case TypeSnapshotFile:
		return SnapshotFile{}
	case TypePageStarted:
		return PageStarted{}
	case TypePageStopped:
		return PageStopped{FileList: []PageFile{}}
	case TypePageLimit:
		return PageLimit{}
	case TypePageReload:
		return PageReload{}
	case TypeTranscoderStarted:
		return TranscoderStarted{}
	case TypeTranscoderCompleted:
		return TranscoderCompleted{UIDs: []JobUser{}}
	case TypeDownloadFailed:
		return DownloadFailed{}
	case TypePushStatus:
		return PushStatus{}
	case TypePostponedResult:
		return PostponedResult{FileList: []JobFile{}}
	}
	return nil
}
