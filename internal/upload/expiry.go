package upload

import (
	"context"
	"errors"
	"io"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/upload/vendor"
)

// expiring says of a refusal that the credentials had an end and it is over. It
// does not keep anything from being tried: our clock may be wrong, the store's
// answer counts.
func expiring(st vendor.Store, t session.Target) vendor.Store {
	if t.STSToken == "" || t.STSExpiration <= 0 {
		return st
	}
	e := &expiringStore{Store: st, until: time.Unix(t.STSExpiration, 0), now: time.Now}
	if m, ok := st.(vendor.Multipart); ok {
		return &expiringParts{expiringStore: e, Multipart: m}
	}
	return e
}

type expiringStore struct {
	vendor.Store

	until time.Time
	now   func() time.Time
}

var errExpired = errors.New("stsExpiration has passed: send fresh temporary credentials by update, before the old ones end")

// CodeExpired is the code of a refusal after the end of temporary credentials.
const CodeExpired = "ExpiredToken"

func (e *expiringStore) explain(o vendor.Object, err error) error {
	if err == nil || vendor.FaultOf(err) != vendor.Caller || e.now().Before(e.until) {
		return err
	}
	return vendor.NewError("put", o.Key, vendor.Caller, CodeExpired, errExpired)
}

// Put implements vendor.Store.
func (e *expiringStore) Put(ctx context.Context, o vendor.Object, body io.ReaderAt) (string, error) {
	etag, err := e.Store.Put(ctx, o, body)
	return etag, e.explain(o, err)
}

type expiringParts struct {
	*expiringStore
	vendor.Multipart
}

// PutParts implements vendor.Multipart.
func (e *expiringParts) PutParts(ctx context.Context, o vendor.Object, body io.ReaderAt, up vendor.Upload, note vendor.Note) (string, error) {
	etag, err := e.Multipart.PutParts(ctx, o, body, up, note)
	return etag, e.explain(o, err)
}
