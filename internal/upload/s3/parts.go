package s3

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"tapedeck/internal/upload/vendor"
)

const (
	maxParts  = 10000 // S3 limits: parts of one upload
	abortTime = 10 * time.Second
)

// putParts sends a large file piece by piece. Each piece is read twice from the
// spool, for its checksum and to be sent, rather than held in memory. A failed
// upload is aborted, so that its parts do not cost the bucket's owner.
func (s *Store) putParts(ctx context.Context, o vendor.Object, body io.ReaderAt, opts minio.PutObjectOptions) (etag string, err error) {
	id, err := s.core.NewMultipartUpload(ctx, s.bucket, o.Key, opts)
	if err != nil {
		return "", err
	}
	defer func() {
		if err == nil {
			return
		}
		// The caller's context may have ended; the clean-up has its own.
		actx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
		defer cancel()
		_ = s.core.AbortMultipartUpload(actx, s.bucket, o.Key, id)
	}()
	size := max(s.partSize, (o.Size+maxParts-1)/maxParts)
	var done []minio.CompletePart
	for off := int64(0); off < o.Size; off += size {
		part, err := s.putPart(ctx, o.Key, id, len(done)+1, body, off, min(size, o.Size-off))
		if err != nil {
			return "", err
		}
		done = append(done, part)
	}
	info, err := s.core.CompleteMultipartUpload(ctx, s.bucket, o.Key, id, done, minio.PutObjectOptions{})
	return info.ETag, err
}

func (s *Store) putPart(ctx context.Context, key, id string, number int, body io.ReaderAt, off, n int64) (minio.CompletePart, error) {
	sum, err := md5Of(body, off, n)
	if err != nil {
		return minio.CompletePart{}, err
	}
	section := &bodyReader{SectionReader: io.NewSectionReader(body, off, n)}
	p, err := s.core.PutObjectPart(ctx, s.bucket, key, id, number, section, n, minio.PutObjectPartOptions{
		Md5Base64:            base64.StdEncoding.EncodeToString(sum),
		DisableContentSha256: true,
	})
	if err != nil {
		return minio.CompletePart{}, section.or(err)
	}
	return minio.CompletePart{PartNumber: number, ETag: p.ETag}, nil
}

func md5Of(body io.ReaderAt, off, n int64) ([]byte, error) {
	h := md5.New()
	if m, err := io.Copy(h, io.NewSectionReader(body, off, n)); err != nil || m != n {
		return nil, &bodyError{fmt.Errorf("read %d bytes of %d to be sent: %w", m, n, orShort(err))}
	}
	return h.Sum(nil), nil
}

func orShort(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

// bodyReader remembers that reading the spool failed, or that the file is
// shorter than announced: the error that comes back through the HTTP client
// would look like the network's.
type bodyReader struct {
	*io.SectionReader

	mu  sync.Mutex // a transport may read on for a moment after it has answered
	err error
}

func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.SectionReader.Read(p)
	if err == io.EOF {
		if at, _ := b.Seek(0, io.SeekCurrent); at < b.Size() {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil && err != io.EOF {
		b.mu.Lock()
		b.err = err
		b.mu.Unlock()
	}
	return n, err
}

func (b *bodyReader) or(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil && b.err != nil {
		return &bodyError{b.err}
	}
	return err
}

// bodyError is a fault of our own disk.
type bodyError struct{ error }

func (b *bodyError) Unwrap() error { return b.error }
