package azure

import (
	"errors"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"tapedeck/internal/upload/vendor"
)

// classify turns what the SDK reports into a vendor.Error. The SDK's own text
// goes over several lines and has the request's address in it; the code and the
// status say enough.
func (s *Store) classify(op, key string, err error) error {
	if err == nil {
		return nil
	}
	var own *vendor.Error
	if errors.As(err, &own) {
		return err
	}
	var body *vendor.BodyError
	if errors.As(err, &body) {
		return vendor.NewError(op, key, vendor.Ours, "", body.Err, s.secrets...)
	}
	status, code := 0, ""
	var refused *azcore.ResponseError
	var plain *answer
	switch {
	case errors.As(err, &refused):
		status, code = refused.StatusCode, refused.ErrorCode
	case errors.As(err, &plain):
		status, code = plain.status, plain.code
	default:
		return vendor.NewError(op, key, vendor.Network(err), "", err, s.secrets...)
	}
	cause := errors.New("the service answered with status " + http.StatusText(status))
	if code == "BlobNotFound" || (status == http.StatusNotFound && code == "" && op == "stat") {
		return vendor.NewError(op, key, vendor.Caller, vendor.CodeNoObject, errors.Join(vendor.ErrNoObject, cause))
	}
	if code == "Md5Mismatch" {
		code = vendor.CodeBadDigest
	}
	return vendor.NewError(op, key, faultOf(status, code), code, cause, s.secrets...)
}

// faultOf sorts an answer by the codes of the Blob Service ("Common REST API
// error codes"); what is not named there is sorted by status.
func faultOf(status int, code string) vendor.Fault {
	switch code {
	case vendor.CodeBadDigest, "ServerBusy", "OperationTimedOut", "InternalError", "InvalidBlobOrBlock", "InvalidBlockList":
		return vendor.Destination
	case "InvalidBlockId", "RequestBodyTooLarge", "UnsupportedHeader", "InvalidMd5":
		return vendor.Ours
	}
	switch {
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status < 300:
		return vendor.Destination
	case strings.HasPrefix(code, "Unsupported"):
		return vendor.Ours
	}
	return vendor.Caller
}
