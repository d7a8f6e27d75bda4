package azure

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"tapedeck/internal/upload/vendor"
)

const maxBlocks = 50_000 // of a block blob

// InParts implements vendor.Multipart.
func (s *Store) InParts(size int64) bool { return size > s.partSize }

// PutParts implements vendor.Multipart. Azure has no upload that is begun:
// blocks are staged under names and lie there for a week. The names come from
// the content, so that blocks of other content are never mixed in; the store
// itself tells which it has.
func (s *Store) PutParts(ctx context.Context, o vendor.Object, body io.ReaderAt, up vendor.Upload, note vendor.Note) (string, error) {
	c, err := s.client(o.Key)
	if err != nil {
		return "", s.classify("put", o.Key, err)
	}
	size := max(s.partSize, (o.Size+maxBlocks-1)/maxBlocks)
	fresh := vendor.Upload{ID: uploadID(o), PartSize: size, Parts: map[int]string{}}
	staged := map[string]int64{}
	if up.ID == fresh.ID && up.PartSize == size {
		maps.Copy(fresh.Parts, up.Parts)
		if staged, err = s.staged(ctx, c, o.Key); err != nil {
			return "", err
		}
	} else if note != nil {
		if err := note(fresh, 0); err != nil {
			return "", err
		}
	}
	etag, err := s.stage(ctx, c, o, body, fresh, staged, note)
	return etag, s.classify("put", o.Key, err)
}

func (s *Store) stage(ctx context.Context, c *blockblob.Client, o vendor.Object, body io.ReaderAt, up vendor.Upload, staged map[string]int64, note vendor.Note) (string, error) {
	var names []string
	for off := int64(0); off < o.Size; off += up.PartSize {
		number, n := len(names)+1, min(up.PartSize, o.Size-off)
		id := blockName(up.ID, number)
		names = append(names, id)
		if staged[id] == n {
			continue
		}
		if err := s.stageOne(ctx, c, id, body, off, n); err != nil {
			return "", err
		}
		up.Parts[number] = id
		if note != nil {
			if err := note(up, number); err != nil {
				return "", err
			}
		}
	}
	headers := &blob.HTTPHeaders{BlobContentType: &o.ContentType}
	if sum, err := hex.DecodeString(o.MD5); err == nil && len(sum) > 0 {
		headers.BlobContentMD5 = sum
	}
	resp, err := c.CommitBlockList(ctx, names, &blockblob.CommitBlockListOptions{HTTPHeaders: headers})
	if err != nil {
		return "", err
	}
	return etagOf(resp.ETag), nil
}

func (s *Store) stageOne(ctx context.Context, c *blockblob.Client, id string, body io.ReaderAt, off, n int64) error {
	sum, err := sumOf("", body, off, n)
	if err != nil {
		return err
	}
	r := &vendor.BodyReader{SectionReader: io.NewSectionReader(body, off, n)}
	_, err = c.StageBlock(ctx, id, streaming.NopCloser(r), &blockblob.StageBlockOptions{
		TransactionalValidation: blob.TransferValidationTypeMD5(sum),
	})
	return r.Or(err)
}

// staged returns the blocks that wait to be committed, by name, with their
// sizes in bytes.
func (s *Store) staged(ctx context.Context, c *blockblob.Client, key string) (map[string]int64, error) {
	have := map[string]int64{}
	list, err := c.GetBlockList(ctx, blockblob.BlockListTypeUncommitted, nil)
	if err = s.classify("put", key, err); errors.Is(err, vendor.ErrNoObject) {
		return have, nil
	}
	if err != nil {
		return nil, err
	}
	for _, b := range list.UncommittedBlocks {
		if b.Name != nil && b.Size != nil {
			have[*b.Name] = *b.Size
		}
	}
	return have, nil
}

// Abort implements vendor.Multipart. Blocks that were not committed cannot be
// removed; they go after a week.
func (s *Store) Abort(context.Context, string, vendor.Upload) error { return nil }

func uploadID(o vendor.Object) string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%s\n%d\n%s\n%s", o.Key, o.Size, o.SHA256, o.MD5)))
	return hex.EncodeToString(sum[:12])
}

// blockName: all names of a blob have to be of one length.
func blockName(upload string, number int) string {
	return base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("%s-%06d", upload, number)))
}
