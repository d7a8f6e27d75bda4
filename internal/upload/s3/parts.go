package s3

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"tapedeck/internal/upload/vendor"
)

const (
	maxParts  = 10000 // S3 limits: parts of one upload
	abortTime = 10 * time.Second

	codeNoUpload = "NoSuchUpload"
)

// InParts implements vendor.Multipart.
func (s *Store) InParts(size int64) bool { return size > s.partSize }

// putOnce sends a large file in parts. A failed upload is aborted, so that its
// parts do not cost the bucket's owner.
func (s *Store) putOnce(ctx context.Context, o vendor.Object, body io.ReaderAt) (string, error) {
	var begun vendor.Upload
	etag, err := s.PutParts(ctx, o, body, vendor.Upload{}, func(up vendor.Upload, _ int) error {
		begun = up
		return nil
	})
	if err != nil && begun.ID != "" {
		// The caller's context may have ended; the clean-up has its own.
		actx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
		defer cancel()
		_ = s.Abort(actx, o.Key, begun)
	}
	return etag, err
}

// Abort implements vendor.Multipart.
func (s *Store) Abort(ctx context.Context, key string, up vendor.Upload) error {
	if up.ID == "" {
		return nil
	}
	err := s.classify("abort", key, s.core.AbortMultipartUpload(ctx, s.bucket, key, up.ID))
	if vendor.Code(err) == codeNoUpload || errors.Is(err, vendor.ErrNoObject) {
		return nil
	}
	return err
}

// PutParts implements vendor.Multipart. Each part is read twice from the spool,
// for its checksum and to be sent, rather than held in memory.
func (s *Store) PutParts(ctx context.Context, o vendor.Object, body io.ReaderAt, up vendor.Upload, note vendor.Note) (string, error) {
	size := max(s.partSize, (o.Size+maxParts-1)/maxParts)
	up, err := s.resume(ctx, o, up, size, note)
	var etag string
	if err == nil {
		etag, err = s.sendParts(ctx, o, body, up, note)
	}
	err = s.classify("put", o.Key, err)
	switch vendor.Code(err) {
	case codeNoUpload, vendor.CodeBadDigest, "InvalidPart", "InvalidPartOrder", "EntityTooSmall":
		// This upload comes to no good end. Another one is begun next time.
		actx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
		defer cancel()
		_ = s.Abort(actx, o.Key, up)
		if note != nil {
			err = errors.Join(err, note(vendor.Upload{}, 0))
		}
	}
	return etag, err
}

// resume finds out what the store still has of an upload, or begins one.
func (s *Store) resume(ctx context.Context, o vendor.Object, up vendor.Upload, size int64, note vendor.Note) (vendor.Upload, error) {
	if up.ID != "" && up.PartSize == size {
		have, err := s.arrived(ctx, o, up)
		switch code := vendor.Code(s.classify("put", o.Key, err)); {
		case err == nil:
			up.Parts = have
			return up, nil
		case code == codeNoUpload || code == vendor.CodeNoObject: // it was aborted, or completed and the answer was lost
		case code == "AccessDenied":
			return up, nil // a key that may only write: what is noted has to do
		default:
			return up, err
		}
	}
	opts := s.put
	opts.ContentType = o.ContentType
	id, err := s.core.NewMultipartUpload(ctx, s.bucket, o.Key, opts)
	if err != nil {
		return vendor.Upload{}, err
	}
	up = vendor.Upload{ID: id, PartSize: size, Parts: map[int]string{}}
	if note != nil {
		err = note(up, 0)
	}
	return up, err
}

// arrived lists the parts that the store has of an upload and that are whole.
func (s *Store) arrived(ctx context.Context, o vendor.Object, up vendor.Upload) (map[int]string, error) {
	have := map[int]string{}
	for marker := 0; ; {
		list, err := s.core.ListObjectParts(ctx, s.bucket, o.Key, up.ID, marker, 1000)
		if err != nil {
			return nil, err
		}
		for _, p := range list.ObjectParts {
			want := min(up.PartSize, o.Size-int64(p.PartNumber-1)*up.PartSize)
			if tag := strings.Trim(p.ETag, `"`); p.Size == want && tag == up.Parts[p.PartNumber] {
				have[p.PartNumber] = tag
			}
		}
		if !list.IsTruncated || list.NextPartNumberMarker <= marker {
			return have, nil
		}
		marker = list.NextPartNumberMarker
	}
}

func (s *Store) sendParts(ctx context.Context, o vendor.Object, body io.ReaderAt, up vendor.Upload, note vendor.Note) (string, error) {
	var done []minio.CompletePart
	for off := int64(0); off < o.Size; off += up.PartSize {
		number := len(done) + 1
		if tag := up.Parts[number]; tag != "" {
			done = append(done, minio.CompletePart{PartNumber: number, ETag: tag})
			continue
		}
		part, err := s.putPart(ctx, o.Key, up.ID, number, body, off, min(up.PartSize, o.Size-off))
		if err != nil {
			return "", err
		}
		done = append(done, part)
		up.Parts[number] = part.ETag
		if note != nil {
			if err := note(up, number); err != nil {
				return "", err
			}
		}
	}
	info, err := s.core.CompleteMultipartUpload(ctx, s.bucket, o.Key, up.ID, done, minio.PutObjectOptions{})
	return info.ETag, err
}

func (s *Store) putPart(ctx context.Context, key, id string, number int, body io.ReaderAt, off, n int64) (minio.CompletePart, error) {
	sum, err := md5Of(body, off, n)
	if err != nil {
		return minio.CompletePart{}, err
	}
	section := &vendor.BodyReader{SectionReader: io.NewSectionReader(body, off, n)}
	p, err := s.core.PutObjectPart(ctx, s.bucket, key, id, number, section, n, minio.PutObjectPartOptions{
		Md5Base64:            base64.StdEncoding.EncodeToString(sum),
		DisableContentSha256: true,
	})
	if err != nil {
		return minio.CompletePart{}, section.Or(err)
	}
	return minio.CompletePart{PartNumber: number, ETag: p.ETag}, nil
}

func md5Of(body io.ReaderAt, off, n int64) ([]byte, error) {
	h := md5.New()
	if m, err := io.Copy(h, io.NewSectionReader(body, off, n)); err != nil || m != n {
		return nil, &vendor.BodyError{Err: fmt.Errorf("read %d bytes of %d to be sent: %w", m, n, orShort(err))}
	}
	return h.Sum(nil), nil
}

func orShort(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}
