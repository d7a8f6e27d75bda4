package wire

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tapedeck/internal/session"
)

// Call says what a request is decoded for.
type Call struct {
	Mode       session.Mode
	Scene      int  // that acquire was told
	Extensions bool // the app uses what goes beyond the original service
	MaxOutputs int  // live pushes that the app may have; at least one is allowed
}

// walker goes through a request by the table and writes it down anew: with the
// names and the order of the table, with the defaults, without what is unknown,
// null or ignored. The types that read it afterwards need no rule of their own.
type walker struct {
	*Rules
	call   Call
	column int
	vendor int // of the storage that is being read
	out    []byte
}

// request decodes raw, which is the object called name, into v.
func (r *Rules) request(c Call, name string, raw jsontext.Value, v any) error {
	if !raw.IsValid() {
		return ErrMalformed
	}
	w := walker{Rules: r, call: c, column: max(0, slices.Index(r.Table.Modes, c.Mode)), vendor: -1}
	if err := w.object("clientRequest", r.objects[name], raw); err != nil {
		return err
	}
	if err := json.Unmarshal(w.out, v); err != nil {
		return decodeProblem(err)
	}
	return nil
}

// use is the letter of the table that applies.
func (w *walker) use(f *Field) byte {
	modes := f.Modes
	if w.call.Extensions && f.Extension != nil && f.Extension.Modes != "" {
		modes = f.Extension.Modes
	}
	if f.Vendors != nil && !slices.Contains(f.Vendors, w.vendor) {
		return useIgnored
	}
	return modes[min(w.column, len(modes)-1)]
}

// object writes one object. name is what problems of it are called.
func (w *walker) object(name string, o *Object, raw jsontext.Value) error {
	if raw.Kind() == 'n' {
		raw = jsontext.Value("{}")
	}
	var members map[string]jsontext.Value
	if raw.Kind() != '{' {
		return bad(name)
	}
	if err := json.Unmarshal(raw, &members); err != nil {
		return ErrMalformed
	}
	start := len(w.out)
	for _, f := range o.Fields {
		if err := w.member(f, members); err != nil {
			return err
		}
	}
	if len(w.out) == start {
		w.out = append(w.out, '{')
	} else {
		w.out[start] = '{'
	}
	w.out = append(w.out, '}')
	return nil
}

// member writes one member, with a comma before it.
func (w *walker) member(f *Field, members map[string]jsontext.Value) error {
	use := w.use(f)
	if use == useIgnored {
		return nil
	}
	v, err := f.pick(members)
	switch {
	case err != nil:
		return err
	case v == nil && use == useRequired && f.Missing != "":
		return &Problem{f.Missing, verbatim}
	case v == nil && use == useRequired:
		return absent(f.Name)
	case v == nil && (use == useForbidden || f.Default == nil):
		return nil
	case use == useForbidden:
		return bad(f.Name)
	case v == nil:
		v = f.Default
	}
	w.out = append(append(append(w.out, ',', '"'), f.Name...), '"', ':')
	return w.value(f, v, members)
}

// pick finds the value of a field under any of its names, nil if it counts as
// absent. The same field under two names contradicts itself.
func (f *Field) pick(members map[string]jsontext.Value) (jsontext.Value, error) {
	found := f.given(members[f.Name])
	for _, alias := range f.Aliases {
		v := f.given(members[alias])
		if found != nil && v != nil {
			return nil, bad(f.Name)
		}
		if v != nil {
			found = v
		}
	}
	return found, nil
}

// given is v, or nil for what counts as absent.
func (f *Field) given(v jsontext.Value) jsontext.Value {
	switch {
	case !present(v), v.Kind() == '"' && len(v) == 2 && f.Type == "string":
		return nil
	case v.Kind() == '[' && f.Type == "array" && !f.EmptyIsGiven && isEmpty(v):
		return nil
	}
	return v
}

// present reports whether a member was given and is not null.
func present(v jsontext.Value) bool { return len(v) > 0 && v.Kind() != 'n' }

// isEmpty reports whether an object or array has nothing in it but spaces.
func isEmpty(v jsontext.Value) bool {
	for _, c := range v[1 : len(v)-1] {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return false
		}
	}
	return true
}

// value writes the value of a field. siblings are the members beside it.
func (w *walker) value(f *Field, v jsontext.Value, siblings map[string]jsontext.Value) error {
	switch f.Type {
	case "object":
		return w.inner(f, v, siblings)
	case "array":
		return w.array(f, v)
	}
	if kind := v.Kind(); kind != kindOf(f.Type) && (f.Type != "boolean" || kind != 'f') {
		return bad(f.Name)
	}
	ok := true
	switch f.Type {
	case "string":
		s, good := unquote(v)
		ok = good && (f.MaxLength == 0 || len(s) <= f.MaxLength) && (f.Format == "" || formatOf(f.Format)(s))
	case "integer":
		ok = integer(v) && f.inRange(v)
	case "number":
		ok = f.inRange(v)
	}
	if ok && !w.inEnum(f, v) {
		if !f.Lenient {
			return bad(f.Name)
		}
		v = f.Default
	}
	if !ok {
		return bad(f.Name)
	}
	if f.Name == "vendor" {
		w.vendor, _ = strconv.Atoi(string(v))
	}
	w.out = append(w.out, v...)
	return nil
}

// kindOf is the JSON kind of a type of the table.
func kindOf(typ string) jsontext.Kind {
	switch typ {
	case "string":
		return '"'
	case "boolean":
		return 't'
	}
	return '0'
}

func (w *walker) inEnum(f *Field, v jsontext.Value) bool {
	enum := f.Enum
	if w.call.Extensions && f.Extension != nil && f.Extension.Enum != nil {
		enum = f.Extension.Enum
	}
	if enum == nil {
		return true
	}
	want := string(v)
	if s, ok := unquote(v); ok {
		want = strconv.Quote(s) // the same text may be spelled with escapes
	}
	return slices.ContainsFunc(enum, func(e jsontext.Value) bool { return string(e) == want })
}

// inRange reports whether a JSON number keeps to the field's bounds.
func (f *Field) inRange(v jsontext.Value) bool {
	n, err := strconv.ParseFloat(string(v), 64)
	return err == nil && f.holds(n)
}

// integer: digits and a sign; what has a fraction or an exponent is none.
func integer(v jsontext.Value) bool {
	digits := string(v)
	if digits != "" && digits[0] == '-' {
		digits = digits[1:]
	}
	return allDigits(digits)
}

func unquote(v jsontext.Value) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	b, err := jsontext.AppendUnquote(nil, v)
	return string(b), err == nil
}

// inner writes a member that is an object.
func (w *walker) inner(f *Field, v jsontext.Value, siblings map[string]jsontext.Value) error {
	name := f.Object
	if f.Variants != nil {
		by, _ := unquote(siblings[f.By])
		name = f.Variants[by]
	}
	if o := w.objects[name]; o != nil {
		return w.object(f.Name, o, v)
	}
	if v.Kind() != '{' {
		return bad(f.Name)
	}
	w.out = append(w.out, v...)
	return nil
}

// array writes a member that is an array.
func (w *walker) array(f *Field, v jsontext.Value) error {
	var items []jsontext.Value
	if v.Kind() != '[' || json.Unmarshal(v, &items) != nil {
		return bad(f.Name)
	}
	most := f.MaxItems
	if f.Raise == "outputs" {
		most = max(most, w.call.MaxOutputs)
	}
	if len(items) < f.MinItems || most > 0 && len(items) > most {
		return bad(f.Name)
	}
	if f.Items == "object" {
		return w.list(f, items)
	}
	joined := 0
	for _, item := range items {
		s, ok := unquote(item)
		wild := f.Wildcard && len(items) == 1 && s == wildcard
		switch {
		case !ok, f.ItemEnum != nil && !slices.Contains(f.ItemEnum, s):
			return bad(f.Name)
		case f.Format != "" && !wild && (s == "" || !formatOf(f.Format)(s)):
			return bad(f.Name)
		}
		joined += len(s) + 1
	}
	if f.MaxJoined > 0 && joined > f.MaxJoined {
		return bad(f.Name)
	}
	w.out = append(w.out, v...)
	return nil
}

// list writes an array of objects.
func (w *walker) list(f *Field, items []jsontext.Value) error {
	w.out = append(w.out, '[')
	for i, item := range items {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		if err := w.object(f.Name, w.objects[f.Object], item); err != nil {
			return err
		}
	}
	w.out = append(w.out, ']')
	return nil
}
