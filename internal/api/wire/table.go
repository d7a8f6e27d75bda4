package wire

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tapedeck/internal/session"
)

//go:embed fields.json
var fieldTable []byte

// Table is the one table of the fields of all requests. Decoding, the OpenAPI
// document and docs/api/fields.md are made from it or held against it.
type Table struct {
	Modes    []session.Mode    `json:"modes"`    // columns of Field.Modes
	Requests map[string]string `json:"requests"` // object that clientRequest is, by endpoint
	Vendors  []Vendor          `json:"vendors"`
	Objects  []*Object         `json:"objects"`
}

// Object is a JSON object of a request.
type Object struct {
	Name    string   `json:"name"`
	Text    string   `json:"text"`
	Include string   `json:"include,omitempty"` // an object whose fields it has as well
	Fields  []*Field `json:"fields"`            // with those of Include, once loaded
}

// Field is a member of an object.
type Field struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases,omitempty"`
	Type    string   `json:"type"`             // string, integer, number, boolean, array, object
	Items   string   `json:"items,omitempty"`  // of an array: string or object
	Object  string   `json:"object,omitempty"` // of an object or its array; "" takes any members
	Modes   string   `json:"modes"`            // R, O, -, i for each column; one letter stands for all
	Text    string   `json:"text"`
	Unit    string   `json:"unit,omitempty"`
	Missing string   `json:"missing,omitempty"` // reason when it is absent, instead of the usual one

	Default   jsontext.Value   `json:"default,omitempty"`
	Min       *float64         `json:"min,omitempty"`
	Max       *float64         `json:"max,omitempty"`
	Enum      []jsontext.Value `json:"enum,omitempty"`
	Lenient   bool             `json:"lenient,omitempty"` // what is not in Enum means Default
	Format    string           `json:"format,omitempty"`  // of a string, or of the strings of an array
	MaxLength int              `json:"maxLength,omitempty"`

	ItemEnum     []string `json:"itemEnum,omitempty"`
	Wildcard     bool     `json:"wildcard,omitempty"` // the array may be just "#allstream#"
	MinItems     int      `json:"minItems,omitempty"`
	MaxItems     int      `json:"maxItems,omitempty"`
	MaxJoined    int      `json:"maxJoined,omitempty"`    // bytes of all strings, each with a slash
	EmptyIsGiven bool     `json:"emptyIsGiven,omitempty"` // an empty array is an error, not absent
	Raise        string   `json:"raise,omitempty"`        // what may raise MaxItems

	Vendors   []int             `json:"vendors,omitempty"`  // only for these; left out for others
	Variants  map[string]string `json:"variants,omitempty"` // Object by the value of the member By
	By        string            `json:"by,omitempty"`
	Extension *Extension        `json:"extension,omitempty"`
}

// Extension is what a field is for apps with extensions.
type Extension struct {
	Modes string           `json:"modes,omitempty"`
	Enum  []jsontext.Value `json:"enum,omitempty"`
}

// Vendor is a storage platform and the numbers of its regions (rest-api.md 3.7).
type Vendor struct {
	Number   int    `json:"number"`
	Name     string `json:"name"`
	Last     int    `json:"last"`               // the highest region
	Gaps     []int  `json:"gaps,omitempty"`     // regions below it that do not exist
	Anywhere bool   `json:"anywhere,omitempty"` // the region has no effect and may be absent
}

// Has reports whether the vendor has a region of that number.
func (v Vendor) Has(region int) bool {
	return v.Anywhere || region >= 0 && region <= v.Last && !slices.Contains(v.Gaps, region)
}

// The letters of Field.Modes.
const (
	useRequired  = 'R'
	useOptional  = 'O'
	useForbidden = '-'
	useIgnored   = 'i'
)

// Rules decode requests by the table. They are immutable.
type Rules struct {
	Table   *Table
	objects map[string]*Object

	expiredHour, scene *Field // for the quick way through acquire
}

// NewRules reads the table that is part of the program.
func NewRules() *Rules {
	r, err := parseTable(fieldTable)
	if err != nil {
		panic(err) // a defect of the build: tests read the same table
	}
	return r
}

func parseTable(raw []byte) (*Rules, error) {
	r := &Rules{Table: &Table{}, objects: map[string]*Object{}}
	if err := json.Unmarshal(raw, r.Table, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("wire: fields.json: %w", err)
	}
	for _, o := range r.Table.Objects {
		r.objects[o.Name] = o
	}
	for _, o := range r.Table.Objects {
		if o.Include != "" && r.objects[o.Include] != nil {
			o.Fields = append(o.Fields, r.objects[o.Include].Fields...)
		}
		for _, f := range o.Fields {
			if err := r.sound(f); err != nil {
				return nil, fmt.Errorf("wire: fields.json: %s.%s: %w", o.Name, f.Name, err)
			}
		}
	}
	acquire := r.objects["AcquireRequest"]
	if acquire == nil {
		return nil, fmt.Errorf("wire: fields.json: no AcquireRequest")
	}
	r.expiredHour, r.scene = acquire.field("resourceExpiredHour"), acquire.field("scene")
	return r, nil
}

// sound checks that what a field refers to exists.
func (r *Rules) sound(f *Field) error {
	names := []string{f.Object}
	for _, n := range f.Variants {
		names = append(names, n)
	}
	for _, n := range names {
		if n != "" && r.objects[n] == nil {
			return fmt.Errorf("no object %s", n)
		}
	}
	modes := []string{f.Modes}
	if f.Extension != nil && f.Extension.Modes != "" {
		modes = append(modes, f.Extension.Modes)
	}
	for _, m := range modes {
		if len(m) != 1 && len(m) != len(r.Table.Modes) || strings.Trim(m, "RO-i") != "" {
			return fmt.Errorf("modes %q", m)
		}
	}
	if f.Format != "" && formatOf(f.Format) == nil {
		return fmt.Errorf("no format %s", f.Format)
	}
	return nil
}

func (o *Object) field(name string) *Field {
	for _, f := range o.Fields {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// holds reports whether a number is in the field's range.
func (f *Field) holds(n float64) bool {
	return (f.Min == nil || n >= *f.Min) && (f.Max == nil || n <= *f.Max)
}

// number is a default that is a number.
func (f *Field) number() int {
	n, _ := strconv.Atoi(string(f.Default))
	return n
}

func (r *Rules) vendor(number int) (Vendor, bool) {
	for _, v := range r.Table.Vendors {
		if v.Number == number {
			return v, true
		}
	}
	return Vendor{}, false
}
