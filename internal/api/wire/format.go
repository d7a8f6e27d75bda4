package wire

import (
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"tapedeck/internal/hls"
)

// formatOf is the check that a Format of the table names, nil if there is none.
// Every check accepts "".
func formatOf(name string) func(string) bool {
	check := namedFormat(name)
	if check == nil {
		return nil
	}
	return func(s string) bool { return s == "" || check(s) }
}

func namedFormat(name string) func(string) bool {
	switch name {
	case "uid":
		return func(s string) bool { _, ok := parseUID(s); return ok }
	case "httpURL":
		return func(s string) bool { return absoluteURL(s, "http", "https") }
	case "rtmpURL":
		return func(s string) bool { return absoluteURL(s, "rtmp", "rtmps") }
	case "colour":
		return hexColour
	case "plain":
		return plain
	case "alphanumeric":
		return func(s string) bool { return every(s, alphanumeric) }
	case "digits":
		return allDigits
	case "bucket":
		return bucketName
	case "tag":
		return objectTag
	case "endpoint":
		return endpointName
	case "contentKey":
		return func(s string) bool {
			b, err := base64.StdEncoding.DecodeString(s)
			return err == nil && len(b) == hls.KeyLen
		}
	case "keyURL":
		return func(s string) bool { return absoluteURL(s, "http", "https") && hls.CheckURI(s) == nil }
	case "privateParams":
		return func(s string) bool { _, ok := commaAfterInf(s); return ok }
	}
	return nil
}

// absoluteURL accepts an absolute URL of one of the schemes. Whether it may be
// called is for the egress policy.
func absoluteURL(s string, schemes ...string) bool {
	u, err := url.Parse(s)
	return err == nil && oneOf(u.Scheme, schemes...) && u.Hostname() != "" && plain(s)
}

// hexColour accepts "#" and six hex digits.
func hexColour(s string) bool {
	return len(s) == 7 && s[0] == '#' && every(s[1:], func(c byte) bool {
		return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
	})
}

// bucketName is wider than the rules of any vendor, and narrow enough to be the
// name of a folder: letters, digits, dot, hyphen, underscore, no dot in front.
func bucketName(s string) bool {
	return s[0] != '.' && every(s, func(c byte) bool {
		return alphanumeric(c) || c == '.' || c == '-' || c == '_'
	})
}

// objectTag accepts one tag "KEY=value".
func objectTag(s string) bool {
	key, _, found := strings.Cut(s, "=")
	return found && key != "" && plain(key) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// endpointName accepts a host, with or without port, or its http(s) URL.
func endpointName(s string) bool {
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	return err == nil && oneOf(u.Scheme, "http", "https") && u.Hostname() != "" && plain(u.Host) &&
		u.User == nil && u.RawQuery == "" && u.Fragment == "" && oneOf(u.Path, "", "/")
}

// commaAfterInf reads privateParams, JSON inside a string.
func commaAfterInf(s string) (comma, ok bool) {
	var p struct {
		CorrectEXTINF *bool `json:"correctEXTINF"`
	}
	if s == "" {
		return false, true
	}
	if err := json.Unmarshal([]byte(s), &p); err != nil {
		return false, false
	}
	return p.CorrectEXTINF != nil && *p.CorrectEXTINF, true
}
