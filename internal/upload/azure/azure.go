// Package azure stores objects as block blobs of Azure Blob Storage (vendor 5):
// accessKey is the storage account, secretKey its key, bucket the container.
package azure

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"tapedeck/internal/outbound"
	"tapedeck/internal/upload/vendor"
)

// Config says which container and how to reach it.
type Config struct {
	Endpoint  string // of the account: https://account.blob.core.windows.net, or http(s)://host[:port]/account
	Account   string
	Key       string // Base64, as the portal shows it
	Container string

	Transport http.RoundTripper // reaches permitted addresses only (package outbound)
}

// String keeps the key out of logs.
func (c Config) String() string { return "azure " + c.Endpoint + " container " + c.Container }

// GoString keeps it out of %#v as well.
func (c Config) GoString() string { return c.String() }

// Store is a container. It implements vendor.Store and vendor.Multipart.
type Store struct {
	base     string // URL of the container, no slash at its end
	cred     *blob.SharedKeyCredential
	options  *blockblob.ClientOptions
	http     *http.Client
	partSize int64
	secrets  []string
}

// Blobs above partSize are sent in blocks of that size.
const partSize = 16 << 20 // bytes

// New checks the configuration. Nothing is sent.
func New(cfg Config) (*Store, error) {
	s := &Store{partSize: partSize, secrets: []string{cfg.Key}}
	refuse := func(text string) error {
		return vendor.NewError("open", "", vendor.Caller, "", errors.New(text), s.secrets...)
	}
	if !name(cfg.Account, 3, 24, "") {
		return nil, refuse("accessKey is not the name of a storage account: 3 to 24 lower-case letters and digits")
	}
	if !name(cfg.Container, 3, 63, "-") && cfg.Container != "$web" && cfg.Container != "$root" {
		return nil, refuse("bucket is not the name of a container: 3 to 63 lower-case letters, digits and hyphens")
	}
	u, err := url.Parse(cfg.Endpoint)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, refuse("the endpoint must be http(s)://host[:port]")
	}
	if s.cred, err = blob.NewSharedKeyCredential(cfg.Account, cfg.Key); err != nil || cfg.Key == "" {
		return nil, refuse("secretKey is not the Base64 of an account's key")
	}
	s.base = strings.TrimSuffix(cfg.Endpoint, "/") + "/" + url.PathEscape(cfg.Container)
	s.http = &http.Client{Transport: outbound.Unredirected(outbound.Bounded(cfg.Transport)), CheckRedirect: outbound.NoRedirects}
	s.options = &blockblob.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport: s.http,
		Retry:     policy.RetryOptions{MaxRetries: -1}, // the shipper repeats; it knows what else waits
	}}
	return s, nil
}

// name reports whether s is made of lower-case letters, digits and more.
func name(s string, least, most int, more string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune(more, r) {
			return false
		}
	}
	return len(s) >= least && len(s) <= most
}

func (s *Store) url(key string) string {
	parts := strings.Split(key, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return s.base + "/" + strings.Join(parts, "/")
}

func (s *Store) client(key string) (*blockblob.Client, error) {
	return blockblob.NewClientWithSharedKeyCredential(s.url(key), s.cred, s.options)
}

// Put implements vendor.Store.
func (s *Store) Put(ctx context.Context, o vendor.Object, body io.ReaderAt) (etag string, err error) {
	if s.InParts(o.Size) {
		return s.PutParts(ctx, o, body, vendor.Upload{}, nil)
	}
	c, err := s.client(o.Key)
	if err != nil {
		return "", s.classify("put", o.Key, err)
	}
	sum, err := sumOf(o.MD5, body, 0, o.Size)
	if err != nil {
		return "", s.classify("put", o.Key, err)
	}
	r := &vendor.BodyReader{SectionReader: io.NewSectionReader(body, 0, o.Size)}
	resp, err := c.Upload(ctx, streaming.NopCloser(r), &blockblob.UploadOptions{
		TransactionalValidation: blob.TransferValidationTypeMD5(sum),
		HTTPHeaders:             &blob.HTTPHeaders{BlobContentType: &o.ContentType, BlobContentMD5: sum},
	})
	if err = r.Or(err); err != nil {
		return "", s.classify("put", o.Key, err)
	}
	return etagOf(resp.ETag), nil
}

func etagOf(e *azcore.ETag) string {
	if e == nil {
		return ""
	}
	return strings.Trim(string(*e), `"`)
}

// sumOf returns the MD5 of n bytes at off: the given one, or it reads them.
func sumOf(given string, body io.ReaderAt, off, n int64) ([]byte, error) {
	if sum, err := hex.DecodeString(given); err == nil && len(sum) == md5.Size {
		return sum, nil
	}
	h := md5.New()
	m, err := io.Copy(h, io.NewSectionReader(body, off, n))
	if err == nil && m != n {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, &vendor.BodyError{Err: fmt.Errorf("read %d bytes of %d to be sent: %w", m, n, err)}
	}
	return h.Sum(nil), nil
}

// Stat implements vendor.Store.
func (s *Store) Stat(ctx context.Context, key string) (vendor.Info, error) {
	c, err := s.client(key)
	if err != nil {
		return vendor.Info{}, s.classify("stat", key, err)
	}
	p, err := c.GetProperties(ctx, nil)
	if err != nil {
		return vendor.Info{}, s.classify("stat", key, err)
	}
	i := vendor.Info{Key: key, ETag: etagOf(p.ETag), MD5: vendor.HexMD5(p.ContentMD5)}
	if p.ContentLength != nil {
		i.Size = *p.ContentLength
	}
	if p.ContentType != nil {
		i.ContentType = *p.ContentType
	}
	if p.LastModified != nil {
		i.Modified = *p.LastModified
	}
	return i, nil
}

// Get implements vendor.Store.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	c, err := s.client(key)
	if err != nil {
		return nil, s.classify("get", key, err)
	}
	r, err := c.DownloadStream(ctx, nil)
	if err != nil {
		return nil, s.classify("get", key, err)
	}
	return r.Body, nil
}

// Delete implements vendor.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	c, err := s.client(key)
	if err == nil {
		_, err = c.Delete(ctx, nil)
	}
	if err = s.classify("delete", key, err); errors.Is(err, vendor.ErrNoObject) {
		return nil
	}
	return err
}

// listAccess is what a signed address for listing may do.
func listAccess() *sas.ContainerPermissions { return &sas.ContainerPermissions{List: true} }
