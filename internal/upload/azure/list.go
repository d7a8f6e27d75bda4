package azure

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"tapedeck/internal/upload/vendor"
)

const (
	listTime = 15 * time.Minute // a signed address is valid for
	maxPage  = 32 << 20         // bytes; 5000 entries of a listing are below 5 MiB
)

// page is an answer of List Blobs, what we need of it.
type page struct {
	Blobs []struct {
		Name       string
		Properties struct {
			Modified string `xml:"Last-Modified"`
			ETag     string `xml:"Etag"`
			Size     int64  `xml:"Content-Length"`
			Type     string `xml:"Content-Type"`
		}
	} `xml:"Blobs>Blob"`
	Next string `xml:"NextMarker"`
}

// List implements vendor.Store. The service lists by name already. The SDK's own
// listing brings a columnar data library along that nothing here needs, so the
// plain call is made with a signed address.
func (s *Store) List(ctx context.Context, prefix string, each func(vendor.Info) bool) error {
	for marker := ""; ; {
		p, err := s.page(ctx, prefix, marker)
		if err != nil {
			return s.classify("list", prefix, err)
		}
		for _, b := range p.Blobs {
			at, _ := time.Parse(http.TimeFormat, b.Properties.Modified)
			info := vendor.Info{
				Key: b.Name, Size: b.Properties.Size, ETag: strings.Trim(b.Properties.ETag, `"`),
				ContentType: b.Properties.Type, Modified: at,
			}
			if !each(info) {
				return nil
			}
		}
		if marker = p.Next; marker == "" {
			return nil
		}
	}
}

func (s *Store) page(ctx context.Context, prefix, marker string) (page, error) {
	var p page
	now := time.Now().UTC()
	signed, err := sas.BlobSignatureValues{
		Protocol: sas.ProtocolHTTPSandHTTP, StartTime: now.Add(-listTime), ExpiryTime: now.Add(listTime),
		ContainerName: s.base[strings.LastIndexByte(s.base, '/')+1:], Permissions: listAccess().String(),
	}.SignWithSharedKey(s.cred)
	if err != nil {
		return p, err
	}
	q := url.Values{"restype": {"container"}, "comp": {"list"}, "prefix": {prefix}, "marker": {marker}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"?"+q.Encode()+"&"+signed.Encode(), nil)
	if err != nil {
		return p, err
	}
	resp, err := s.http.Do(req)
	var told *url.Error
	if errors.As(err, &told) {
		err = told.Err // without the address, which is signed
	}
	if err != nil {
		return p, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return p, err
	}
	if resp.StatusCode != http.StatusOK {
		return p, &answer{status: resp.StatusCode, code: resp.Header.Get("x-ms-error-code")}
	}
	if err := xml.Unmarshal(body, &p); err != nil {
		return p, fmt.Errorf("the list of blobs cannot be read: %w", err)
	}
	return p, nil
}

// answer is a refusal that did not come through the SDK.
type answer struct {
	status int
	code   string
}

func (a *answer) Error() string { return fmt.Sprintf("status %d %s", a.status, a.code) }
