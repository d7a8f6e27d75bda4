// Package wire is the REST API's JSON: the request bodies and their rules
// (spec/rest-api.md 2-9), and the bodies of the answers. What comes in leaves it
// as session types; nothing outside the api package sees the types of the wire.
//
// What may be in a request is said by one table, fields.json, and what its members
// have to do with each other by rules.json. Common rules of decoding (rest-api.md
// 1.2, 12): null means absent, and so does
// an empty string where a string is optional; unknown members are ignored; names
// are case sensitive but for the listed aliases; a member that is there twice
// makes the body malformed.
package wire

import (
	"errors"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ErrMalformed says that a body is not one JSON object.
var ErrMalformed = errors.New("wire: the body is not a JSON object")

// Problem says what is wrong with a request. It holds names of fields, never
// their values.
type Problem struct {
	field string
	kind  kind
}

type kind int

const (
	invalid kind = iota // wrong type, out of range, contradicts another field
	missing
	verbatim // field is the whole reason
)

func (p *Problem) Error() string { return "wire: " + p.Reason("request") }

// Reason is the text of the answer for a call to endpoint, such as "Start"
// (errors.md 5).
func (p *Problem) Reason(endpoint string) string {
	switch p.kind {
	case missing:
		return endpoint + ": missing " + p.field + "!"
	case verbatim:
		return p.field
	default:
		return endpoint + ": invalid " + p.field + " value!"
	}
}

// ErrVendor is the problem of storage that is known and that nothing here can
// write to.
func ErrVendor(vendor int) error {
	return &Problem{"storageConfig: this server cannot write to vendor " + strconv.Itoa(vendor) + " or its endpoint!", verbatim}
}

// ErrMode is the problem of a mode that is not switched on for the app.
func ErrMode(mode string) error {
	return &Problem{"mode " + mode + " is not switched on for this app!", verbatim}
}

// ErrClear is the problem of a start that asks for files which cannot be
// encrypted although the recording is to be.
func ErrClear(what string) error {
	return &Problem{what + ": these files are not encrypted and this recording has to be!", verbatim}
}

// ErrMoved is the problem of an update whose storage is another place than that
// of the start.
func ErrMoved() error { return bad("storageConfig") }

// Reasons that clients may know word for word (errors.md 5).
const (
	reasonBodyCheck  = "post method api body check failed!"
	reasonNoServices = "services not selected!"
	reasonHash       = "request_hash mismatch!"
)

// ErrStartDiffers is the problem of a start whose clientRequest is not the
// startParameter of acquire.
func ErrStartDiffers() error { return &Problem{reasonHash, verbatim} }

func bad(field string) error    { return &Problem{field, invalid} }
func absent(field string) error { return &Problem{field, missing} }

// decodeProblem names the member that could not be decoded.
func decodeProblem(err error) error {
	var typ *json.SemanticError
	if errors.As(err, &typ) {
		if field := fieldOf(typ.JSONPointer); field != "" {
			return bad(field)
		}
	}
	return ErrMalformed
}

// fieldOf is the last name in a pointer that is not a position in an array.
func fieldOf(p jsontext.Pointer) string {
	for p != "" {
		name := p.LastToken()
		if name != "" && strings.Trim(name, "0123456789") != "" {
			return printable(name)
		}
		p = p.Parent()
	}
	return ""
}

// printable guards the answer's text against names that a client made up. The
// members of our types have plain names, so this cuts nothing in practice.
func printable(name string) string {
	const longest = 40
	if len(name) > longest {
		name = name[:longest]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name)
}
