package notify

import (
	"encoding/json"
	"strconv"
	"time"
)

// cloudEvent is the structured JSON form of CloudEvents 1.0 around a notice.
// sequence is the extension of that name: a string that sorts nothing by itself.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject"`
	Time            string          `json:"time"`
	Sequence        string          `json:"sequence"`
	DataContentType string          `json:"datacontenttype"`
	Data            json.RawMessage `json:"data"`
}

// Content types of requests.
const (
	contentJSON       = "application/json"
	contentCloudEvent = "application/cloudevents+json; charset=UTF-8"
)

// CloudEvent returns the body that reports e in the form of CloudEvents 1.0;
// data is the notice that other endpoints get.
func (e Event) CloudEvent(notifyMs int64) ([]byte, error) {
	data, err := e.Body(notifyMs)
	if err != nil {
		return nil, err
	}
	return marshal(cloudEvent{
		SpecVersion: "1.0", ID: e.ID, Source: "/apps/" + e.App + "/recordings/" + e.SID,
		Type: "tapedeck." + e.Type.Name(), Subject: e.CName,
		Time:     time.UnixMilli(e.At).UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		Sequence: strconv.FormatInt(e.Seq, 10), DataContentType: contentJSON, Data: data,
	})
}
