// Package s3 stores objects in anything that speaks the S3 protocol.
//
// Requests are the plainest that every vendor takes: an unsigned payload with a
// Content-MD5 that the server checks, no aws-chunked framing (Alibaba refuses
// it, Baidu does not know it).
package s3

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"tapedeck/internal/outbound"
	"tapedeck/internal/upload/vendor"
)

// Config says which bucket, how to reach it and what to set on objects.
type Config struct {
	Endpoint  string // http(s)://host[:port]
	Region    string // "" asks the server
	Bucket    string
	PathStyle bool // bucket in the path; else in the host name

	AccessKey string
	SecretKey string
	STSToken  string // session token of temporary credentials

	SSE string // "kms", "aes256" or "": server-side encryption to ask for
	Tag string // "KEY=value", several joined by "&", or ""
	// TagHeader carries the tags where the service does not take Amazon's
	// x-amz-tagging, such as x-oss-tagging; "" = Amazon's.
	TagHeader string

	Transport http.RoundTripper // reaches permitted addresses only (package outbound)
}

// String keeps the credentials out of logs.
func (c Config) String() string { return "s3 " + c.Endpoint + " bucket " + c.Bucket }

// GoString keeps them out of %#v as well.
func (c Config) GoString() string { return c.String() }

// Store is a bucket of an S3-compatible service. It implements vendor.Store.
type Store struct {
	core     *minio.Core
	bucket   string
	put      minio.PutObjectOptions
	partSize int64
	secrets  []string
}

const (
	// Files above partSize are sent in parts of that size.
	partSize = 16 << 20
	// The client repeats a request once, when the answer tells the region; the
	// other repetitions are the shipper's, who knows what else is waiting.
	clientTries = 2
)

// New checks the configuration. Nothing is sent.
func New(cfg Config) (*Store, error) {
	s := &Store{bucket: cfg.Bucket, partSize: partSize, secrets: []string{cfg.SecretKey, cfg.STSToken, cfg.AccessKey}}
	u, err := url.Parse(cfg.Endpoint)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") || strings.Trim(u.Path, "/") != "" {
		return nil, s.refuse("the endpoint must be a host name or http(s)://host[:port]")
	}
	if err := s3utils.CheckValidBucketNameStrict(cfg.Bucket); err != nil {
		return nil, s.refuse(err.Error())
	}
	if cfg.AccessKey == "" || cfg.SecretKey == "" {
		return nil, s.refuse("access key or secret key is empty")
	}
	if s.put, err = putOptions(cfg); err != nil {
		return nil, s.refuse(err.Error())
	}
	rt := cfg.Transport
	if cfg.TagHeader != "" && len(s.put.UserTags) > 0 {
		rt = tagged{next: rt, header: cfg.TagHeader, value: s.put.UserTags}
		s.put.UserTags = nil
	}
	lookup := minio.BucketLookupDNS
	if cfg.PathStyle {
		lookup = minio.BucketLookupPath
	}
	s.core, err = minio.NewCore(u.Host, &minio.Options{
		Creds:        credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, cfg.STSToken),
		Secure:       u.Scheme == "https",
		Transport:    outbound.Unredirected(outbound.Bounded(rt)),
		Region:       cfg.Region,
		BucketLookup: lookup,
		MaxRetries:   clientTries,
	})
	if err != nil {
		return nil, vendor.NewError("open", "", vendor.Caller, "", err, s.secrets...)
	}
	return s, nil
}

func (s *Store) refuse(text string) error {
	return vendor.NewError("open", "", vendor.Caller, "", errors.New(text), s.secrets...)
}

func putOptions(cfg Config) (minio.PutObjectOptions, error) {
	o := minio.PutObjectOptions{DisableContentSha256: true, SendContentMd5: true}
	var err error
	switch cfg.SSE {
	case "":
	case "aes256":
		o.ServerSideEncryption = encrypt.NewSSE()
	case "kms":
		o.ServerSideEncryption, err = encrypt.NewSSEKMS("", nil) // the bucket owner's default key
	default:
		err = fmt.Errorf("server-side encryption %q is neither kms nor aes256", cfg.SSE)
	}
	if err != nil || cfg.Tag == "" {
		return o, err
	}
	o.UserTags = map[string]string{}
	for pair := range strings.SplitSeq(cfg.Tag, "&") {
		k, v, _ := strings.Cut(pair, "=")
		if k == "" {
			return o, fmt.Errorf("object tag %q is not KEY=value", cfg.Tag)
		}
		o.UserTags[k] = v
	}
	return o, nil
}

// Put implements vendor.Store.
func (s *Store) Put(ctx context.Context, o vendor.Object, body io.ReaderAt) (etag string, err error) {
	opts := s.put
	opts.ContentType = o.ContentType
	if s.InParts(o.Size) {
		return s.putOnce(ctx, o, body)
	}
	etag, err = s.putWhole(ctx, o, body, opts)
	return etag, s.classify("put", o.Key, err)
}

func (s *Store) putWhole(ctx context.Context, o vendor.Object, body io.ReaderAt, opts minio.PutObjectOptions) (string, error) {
	sum, err := hex.DecodeString(o.MD5)
	if err != nil || len(sum) == 0 {
		if sum, err = md5Of(body, 0, o.Size); err != nil {
			return "", err
		}
	}
	section := &vendor.BodyReader{SectionReader: io.NewSectionReader(body, 0, o.Size)}
	info, err := s.core.PutObject(ctx, s.bucket, o.Key, section, o.Size, base64.StdEncoding.EncodeToString(sum), "", opts)
	return info.ETag, section.Or(err)
}

// Stat implements vendor.Store.
func (s *Store) Stat(ctx context.Context, key string) (vendor.Info, error) {
	i, err := s.core.StatObject(ctx, s.bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return vendor.Info{}, s.classify("stat", key, err)
	}
	return infoOf(i), nil
}

func infoOf(i minio.ObjectInfo) vendor.Info {
	return vendor.Info{Key: i.Key, Size: i.Size, ETag: i.ETag, ContentType: i.ContentType, Modified: i.LastModified}
}

// Get implements vendor.Store.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	r, _, _, err := s.core.GetObject(ctx, s.bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, s.classify("get", key, err)
	}
	return r, nil
}

// List implements vendor.Store.
func (s *Store) List(ctx context.Context, prefix string, each func(vendor.Info) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if i.Err != nil {
			return s.classify("list", prefix, i.Err)
		}
		if !each(infoOf(i)) {
			return nil
		}
	}
	return nil
}

// Delete implements vendor.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	err := s.classify("delete", key, s.core.RemoveObject(ctx, s.bucket, key, minio.RemoveObjectOptions{}))
	if errors.Is(err, vendor.ErrNoObject) {
		return nil
	}
	return err
}
