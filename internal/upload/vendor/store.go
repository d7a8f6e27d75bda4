// Package vendor says what an object store has to do for us, and sorts what
// goes wrong by whose fault it is. Implementations: packages s3 and local
// beside it; every one passes the conformance suite of this package against
// the real server.
package vendor

import (
	"context"
	"io"
	"path"
	"strings"
	"time"
)

// Object describes what is put.
type Object struct {
	Key         string // "d1/d2/name"; no leading slash
	ContentType string
	Size        int64  // bytes
	MD5         string // lower-case hex; "" lets the store compute it
	SHA256      string // lower-case hex; "" if not known
}

// Info is what a store says about an object.
type Info struct {
	Key         string
	Size        int64 // bytes
	ETag        string
	MD5         string // lower-case hex; "" where the store keeps none
	ContentType string // "" where the store keeps none
	Modified    time.Time
}

// Store is a bucket. Methods may be called by many goroutines. Errors carry a
// Fault (FaultOf) and no credential.
type Store interface {
	// Put stores the first o.Size bytes of body under o.Key and replaces what
	// was there, all at once: nobody sees a part of it. When it returns nil the
	// object is complete, durable and has the given checksums. Putting the same
	// again is harmless. Memory use does not depend on the size.
	Put(ctx context.Context, o Object, body io.ReaderAt) (etag string, err error)
	// Stat describes an object. ErrNoObject: there is none.
	Stat(ctx context.Context, key string) (Info, error)
	// Get reads an object from its beginning. ErrNoObject: there is none.
	Get(ctx context.Context, key string) (io.ReadCloser, error)
	// List calls each for every object whose key begins with prefix, in the
	// order of keys, until it returns false.
	List(ctx context.Context, prefix string, each func(Info) bool) error
	// Delete removes an object. One that is not there is no error.
	Delete(ctx context.Context, key string) error
}

// ContentType returns the type under which players expect a file of that name
// (RFC 8216 4, spec/files.md 8).
func ContentType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".m3u8":
		return "application/x-mpegURL"
	case ".ts":
		return "video/MP2T"
	case ".mp4":
		return "video/mp4"
	case ".webm":
		return "video/webm"
	case ".mpd":
		return "application/dash+xml"
	case ".jpg":
		return "image/jpeg"
	case ".mp3":
		return "audio/mpeg"
	case ".m4a":
		return "audio/mp4"
	case ".aac":
		return "audio/aac"
	case ".json":
		return "application/json"
	}
	return "application/octet-stream"
}
