package vendor

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// CodeNotKept: the store took an object and does not have it, or has other bytes.
const CodeNotKept = "NotKept"

// NotReadable is the note of a receipt whose object could not be read back: the
// key that the caller gave may write only, which is enough to record.
const NotReadable = "acknowledged; the key may not read it back"

// Verify reads back what the store says of an object that it has acknowledged
// with etag: that it is there, its size, and its checksum where the store tells
// one. While it has not returned nil, the copy that was sent has to stay.
//
// The content was compared before: every Put carries a checksum that the store
// refuses other bytes by. The tag of an S3 object that was put whole is its MD5
// unless it is encrypted with a key of the bucket's owner; other tags must be
// those of the acknowledgement.
func Verify(ctx context.Context, st Store, o Object, etag string) (note string, err error) {
	info, err := st.Stat(ctx, o.Key)
	switch {
	case errors.Is(err, ErrNoObject):
		return "", notKept(o, "it does not have the object that it acknowledged")
	case err != nil && FaultOf(err) == Caller:
		return NotReadable, nil
	case err != nil:
		return "", err
	case info.Size != o.Size:
		return "", notKept(o, fmt.Sprintf("it has %d bytes of %d", info.Size, o.Size))
	case info.MD5 != "" && o.MD5 != "" && info.MD5 != o.MD5:
		return "", notKept(o, "it has other bytes: the MD5 differs")
	case info.ETag != "" && etag != "" && tag(info.ETag) != tag(etag):
		return "", notKept(o, "it has another object: the ETag is not that of the acknowledgement")
	}
	return "", nil
}

func notKept(o Object, text string) error {
	return NewError("verify", o.Key, Destination, CodeNotKept, errors.New("the store was asked again: "+text))
}

// tag takes away the quotes and the mark of a weak comparison (RFC 9110 8.8.3).
func tag(s string) string { return strings.Trim(strings.TrimPrefix(s, "W/"), `"`) }

// HexMD5 returns sum as Object.MD5 has it, or "" if it is no MD5.
func HexMD5(sum []byte) string {
	if len(sum) != 16 {
		return ""
	}
	return hex.EncodeToString(sum)
}
