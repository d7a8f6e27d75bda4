package wire

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tapedeck/internal/session"
)

// IDs names a recording in an answer. Members that are not known are left out of
// errors.
type IDs struct {
	CName      string `json:"cname,omitzero"`
	UID        string `json:"uid,omitzero"`
	ResourceID string `json:"resourceId,omitzero"`
	SID        string `json:"sid,omitzero"`
}

// AppendAcquired appends the body of a successful acquire: the members of every
// generation of the API (rest-api.md 2.2). The resource id is base64url.
func AppendAcquired(dst []byte, cname, uid string, resourceID []byte) []byte {
	dst = appendMember(dst, `{"cname":`, cname)
	dst = appendMember(dst, `,"uid":`, uid)
	dst = append(append(dst, `,"resourceId":"`...), resourceID...)
	return append(dst, `","code":200}`...)
}

// AppendMessage appends a body of the gateway.
func AppendMessage(dst []byte, message string) []byte {
	return append(appendMember(dst, `{"message":`, message), '}')
}

// AppendReason appends a body of the service that is not a success.
func AppendReason(dst []byte, code int, reason string, ids IDs) []byte {
	body, err := json.Marshal(struct {
		Code   int    `json:"code"`
		Reason string `json:"reason"`
		IDs
	}{code, reason, ids}, jsontext.AllowInvalidUTF8(true))
	if err != nil { // strings and a number: there is nothing to fail
		return append(dst, `{"code":500,"reason":"internal_error"}`...)
	}
	return append(dst, body...)
}

// appendMember appends a name and a string. Our strings have been valid UTF-8
// since they were decoded; anything else is replaced.
func appendMember(dst []byte, name, value string) []byte {
	dst, _ = jsontext.AppendQuote(append(dst, name...), value)
	return dst
}

// Answer is the body of a success, but for acquire's.
type Answer struct {
	IDs
	Server any `json:"serverResponse,omitempty"`
}

// fileList is fileListMode and fileList: the type of one depends on the other.
type fileList struct {
	Mode string `json:"fileListMode"`
	List any    `json:"fileList"`
}

const (
	listString = "string" // the name of the M3U8
	listJSON   = "json"   // an array of files
)

// Queried makes serverResponse of query. The set of members is exact: clients
// refuse others (rest-api.md 8.2, 12.5).
func Queried(t Told) any {
	switch {
	case t.Plan.Mode == session.Web:
		return struct {
			Status int `json:"status"`
			services
		}{int(t.Status), t.services(false)}
	case t.Plan.Snapshot != nil:
		return struct {
			Status int   `json:"status"`
			Start  int64 `json:"sliceStartTime"`
		}{int(t.Status), t.SliceStart}
	}
	return struct {
		Status int `json:"status"`
		fileList
		Start int64 `json:"sliceStartTime"`
	}{int(t.Status), listOf(t.Plan.Mode, t.Plan.MP4, t.Files), t.SliceStart}
}

// Stopped makes serverResponse of stop (rest-api.md 9.2).
func Stopped(t Told) any {
	if t.Uploading == "" {
		t.Uploading = session.UploadUnknown
	}
	switch {
	case t.Plan.Mode == session.Web:
		return t.services(true)
	case t.Plan.Snapshot != nil:
		return uploadState{t.Uploading}
	}
	return struct {
		fileList
		uploadState
	}{listOf(t.Plan.Mode, t.Plan.MP4, t.Files), uploadState{t.Uploading}}
}

// listOf is a string in mix mode without MP4, else an array, and never null.
func listOf(mode session.Mode, mp4 bool, files []session.File) fileList {
	if mode == session.Mix && !mp4 {
		for _, f := range files {
			if strings.HasSuffix(f.Name, ".m3u8") {
				return fileList{listString, f.Name}
			}
		}
		return fileList{listString, ""}
	}
	if files == nil {
		files = []session.File{}
	}
	return fileList{listJSON, files}
}

// Sources makes the body of ncs/ip: the addresses webhooks come from
// (rest-api.md 10).
func Sources(addresses []string) any {
	type host struct {
		IP string `json:"primaryIP"`
	}
	type service struct {
		Hosts []host `json:"hosts"`
	}
	type data struct {
		Service service `json:"service"`
	}
	hosts := make([]host, 0, len(addresses))
	for _, a := range addresses {
		hosts = append(hosts, host{a})
	}
	return struct {
		Data data `json:"data"`
	}{data{service{hosts}}}
}
