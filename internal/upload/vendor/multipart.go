package vendor

import (
	"context"
	"io"
)

// Multipart is a Store that takes large objects in parts and remembers those
// that arrived, so that a crash or a broken line costs one part and not all.
type Multipart interface {
	// InParts reports whether an object of that size is sent in parts.
	InParts(size int64) bool
	// PutParts is Put in parts. It goes on with up, as far as the store still
	// has it; the zero Upload begins one. What is finished is told to note, and
	// kept when an error is returned: the next call may go on. An upload that
	// cannot be gone on with is given up and begun anew.
	PutParts(ctx context.Context, o Object, body io.ReaderAt, up Upload, note Note) (etag string, err error)
	// Abort gives an unfinished upload up, so that its parts cost the bucket's
	// owner nothing. One that is not there is no error.
	Abort(ctx context.Context, key string, up Upload) error
}

// Upload is an upload in parts, as far as it has come.
type Upload struct {
	ID       string
	PartSize int64          // bytes; the last part may be smaller
	Parts    map[int]string // number, from 1 → the store's tag
}

// Note makes an upload's progress durable: part 0 says that it was begun, any
// other that the part is in the store. An error of it is ours.
type Note func(up Upload, part int) error
