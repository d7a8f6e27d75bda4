package s3

import (
	"errors"
	"net/http"

	"github.com/minio/minio-go/v7"

	"tapedeck/internal/upload/vendor"
)

// classify turns what the client library reports into a vendor.Error.
func (s *Store) classify(op, key string, err error) error {
	if err == nil {
		return nil
	}
	var body *vendor.BodyError
	if errors.As(err, &body) {
		return vendor.NewError(op, key, vendor.Ours, "", body.Err, s.secrets...)
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return vendor.NewError(op, key, vendor.Network(err), "", err, s.secrets...)
	}
	if answer.Code == vendor.CodeNoObject || (answer.StatusCode == http.StatusNotFound && answer.Code == "NotFound") {
		return vendor.NewError(op, key, vendor.Caller, vendor.CodeNoObject, errors.Join(vendor.ErrNoObject, err), s.secrets...)
	}
	return vendor.NewError(op, key, faultOf(answer.StatusCode, answer.Code), answer.Code, err, s.secrets...)
}

// faultOf sorts an answer. The codes are those of the S3 API reference ("Error
// responses"); servers that invent their own are sorted by status.
func faultOf(status int, code string) vendor.Fault {
	switch code {
	case "RequestTimeTooSkewed": // our clock, or theirs; ours can be mended here
		return vendor.Ours
	case "EntityTooLarge", "InvalidPart", "InvalidPartOrder", "MissingContentLength", "InvalidDigest", "NotImplemented", "MethodNotAllowed":
		return vendor.Ours // we asked for something that this service cannot do
	case vendor.CodeBadDigest, "IncompleteBody", "RequestTimeout", "SlowDown", "OperationAborted", "NoSuchUpload",
		"InternalError", "ServiceUnavailable", "XMinioStorageFull", "InsufficientStorage", "XAmzContentSHA256Mismatch":
		return vendor.Destination
	}
	switch {
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status < 300:
		return vendor.Destination // below 300: an answer that makes no sense
	default:
		return vendor.Caller // redirects too: another region or endpoint than given
	}
}
