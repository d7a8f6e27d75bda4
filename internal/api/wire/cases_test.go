package wire

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"tapedeck/internal/session"
)

type object = map[string]any

// fieldCase is one request that the table says is good or bad.
type fieldCase struct {
	what string // field and what is tried
	call Call
	root string // object of the request
	body object
	good bool
}

// caseMaker walks the table and makes the passing and the failing requests of
// every field, in every mode, with and without extensions.
type caseMaker struct {
	call  Call
	root  string
	cases []fieldCase
}

func allCases() []fieldCase {
	var out []fieldCase
	roots := append(slices.Sorted(maps.Values(rules.Table.Requests)), "Envelope")
	for _, root := range roots {
		for _, mode := range rules.Table.Modes {
			for _, ext := range []bool{false, true} {
				m := &caseMaker{call: Call{Mode: mode, Extensions: ext}, root: root}
				m.object(rules.objects[root], "", func(o object) object { return o }, 0)
				out = append(out, m.cases...)
			}
		}
	}
	return out
}

func (m *caseMaker) use(f *Field) byte {
	w := walker{Rules: rules, call: m.call, column: max(0, slices.Index(rules.Table.Modes, m.call.Mode)), vendor: -1}
	if f.Vendors != nil {
		w.vendor = f.Vendors[0]
	}
	return w.use(f)
}

// sample is an object with the required members only.
func (m *caseMaker) sample(o *Object) object {
	out := object{}
	for _, f := range o.Fields {
		if f.Vendors == nil && m.use(f) == useRequired {
			out[f.Name] = m.good(f)
		}
	}
	return out
}

// good is a value that the field takes.
func (m *caseMaker) good(f *Field) any {
	switch {
	case f.Type == "object" && f.Variants != nil:
		return m.sample(rules.objects[f.Variants[servicePage]])
	case f.Type == "object" && f.Object != "":
		return m.sample(rules.objects[f.Object])
	case f.Type == "object":
		return object{}
	case f.Items == "object":
		return []any{m.sample(rules.objects[f.Object])}
	case f.Type == "array":
		return []any{m.goodItem(f)}
	case f.Enum != nil:
		return f.Enum[0]
	case f.Type == "boolean":
		return true
	case f.Min != nil:
		return *f.Min
	case f.Type != "string":
		return 0
	}
	return m.goodItem(f)
}

func (m *caseMaker) goodItem(f *Field) any {
	if f.ItemEnum != nil {
		return f.ItemEnum[0]
	}
	return goodText(f.Format)
}

func goodText(format string) string {
	return map[string]string{
		"uid": "21", "httpURL": "https://example.com/a.jpg", "rtmpURL": "rtmps://example.com/live/key", "colour": "#0a1B2c",
		"tag": "KEY=value", "endpoint": "s3.example.com:9000", "digits": "64000", "privateParams": `{"correctEXTINF":true}`,
		"contentKey": "AAECAwQFBgcICQoLDA0ODw==", "keyURL": "https://keys.example.com/1",
	}[format] + map[bool]string{true: "text"}[slices.Contains([]string{"", "plain", "alphanumeric", "bucket"}, format)]
}

func badText(format string) []string {
	return map[string][]string{
		"uid":     {"0", "4294967296", "bob", "-1", "+1", "01", "1.0", " 1"},
		"httpURL": {"ftp://example.com/a", "/a.jpg", "https://", "https://a b", "javascript:alert(1)", "file:///etc/passwd"},
		"rtmpURL": {"http://example.com", "rtmp://", "rtmp:///x", "example.com/live"},
		"colour":  {"#12345", "#1234567", "123456", "#12345g", "red"},
		"plain":   {"a b", "a\nb", "\x7f"}, "alphanumeric": {"", "a_b", "..", "a/b"},
		"bucket": {"a/b", ".a", "a b", strings.Repeat("b", 256)}, "tag": {"novalue", "=v", "a b=c", "k=\n"},
		"endpoint": {"ftp://a", "https://user:pass@a", "https://a/b", "https://a?x", "file:///etc", "a b"},
		"digits":   {"fast", "-1", "1.5"}, "privateParams": {"{", `{"correctEXTINF":1}`, "[]"},
		"contentKey": {"AAECAwQFBgcICQoLDA0ODw", "AAEC", "?"}, "keyURL": {"key", "file:///etc", "https://k/\"", "skd://x/y"},
	}[format]
}

// object makes the cases of every member of o; build puts o into the request.
func (m *caseMaker) object(o *Object, path string, build func(object) object, depth int) {
	if depth > 6 {
		return
	}
	for _, f := range o.Fields {
		at := strings.TrimPrefix(path+"."+f.Name, ".")
		outer := build
		if f.Vendors != nil { // the vendor stands in storageConfig, wherever that is
			outer = func(o object) object { return withVendor(build(o), f.Vendors[0]) }
		}
		with := func(values object) object {
			parent := m.sample(o)
			maps.Copy(parent, values)
			for name, v := range values {
				if v == absentValue {
					delete(parent, name)
				}
			}
			return outer(parent)
		}
		m.field(f, at, with)
		if use := m.use(f); use == useIgnored || use == useForbidden {
			continue
		}
		inner := func(values object) any {
			if f.Type == "array" {
				return []any{values}
			}
			return values
		}
		if child := rules.objects[f.Object]; child != nil {
			m.object(child, at, func(c object) object { return with(object{f.Name: inner(c)}) }, depth+1)
		}
		for by, name := range f.Variants {
			m.object(rules.objects[name], at, func(c object) object { return with(object{f.By: by, f.Name: c}) }, depth+1)
		}
	}
}

// absentValue is put where a member is to be left out.
const absentValue = "\x00absent"

func withVendor(body object, vendor int) object {
	for name, v := range body {
		inner, ok := v.(object)
		if name == "vendor" {
			body[name] = vendor
		} else if ok {
			withVendor(inner, vendor)
		}
	}
	return body
}

// field makes the cases of one field.
func (m *caseMaker) field(f *Field, at string, with func(object) object) {
	try := func(what string, good bool, v any) {
		m.cases = append(m.cases, fieldCase{at + ": " + what, m.call, m.root, with(object{f.Name: v}), good})
	}
	wrong := wrongType(f)
	switch m.use(f) {
	case useIgnored:
		try("ignored, of any type", true, wrong)
		return
	case useForbidden:
		try("forbidden", false, m.good(f))
		try("forbidden, but null", true, nil)
		return
	case useRequired:
		try("absent", false, absentValue)
		try("null", false, nil)
	case useOptional:
		try("absent", true, absentValue)
		try("null", true, nil)
	}
	try("good", true, m.good(f))
	try("wrong type", false, wrong)
	for _, alias := range f.Aliases {
		m.cases = append(m.cases,
			fieldCase{at + ": as " + alias, m.call, m.root, with(object{f.Name: absentValue, alias: m.good(f)}), true},
			fieldCase{at + ": twice, as " + alias, m.call, m.root, with(object{f.Name: m.good(f), alias: m.good(f)}), false})
	}
	switch f.Type {
	case "array":
		m.array(f, try)
	case "string":
		m.text(f, try)
	case "integer":
		try("fraction", false, jsontext.Value("1.5"))
		try("exponent", false, jsontext.Value("1e1"))
		m.numbers(f, 1, try)
	case "number":
		m.numbers(f, 0.000001, try)
	}
}

func wrongType(f *Field) any {
	if f.Type == "string" {
		return 5
	}
	return "text"
}

func (m *caseMaker) numbers(f *Field, step float64, try func(string, bool, any)) {
	if f.Min != nil {
		try("least", true, *f.Min)
		try("below", false, *f.Min-step)
	}
	if f.Max != nil {
		try("most", true, *f.Max)
		try("above", false, *f.Max+step)
	}
	if f.Enum != nil {
		m.enum(f, try)
		try("none of them", f.Lenient, 4711)
	}
}

func (m *caseMaker) enum(f *Field, try func(string, bool, any)) {
	enum := f.Enum
	if m.call.Extensions && f.Extension != nil && f.Extension.Enum != nil {
		enum = f.Extension.Enum
	}
	for _, v := range enum {
		// The parameter of a service has to fit its name, and vendor 11 needs an
		// endpoint: rules.json has these.
		if f.Name != "serviceName" && (f.Name != "vendor" || string(v) != "11") {
			try("is "+string(v), true, v)
		}
	}
	if f.Extension != nil && f.Extension.Enum != nil && !m.call.Extensions {
		try("only with extensions", false, f.Extension.Enum[len(f.Extension.Enum)-1])
	}
}

func (m *caseMaker) text(f *Field, try func(string, bool, any)) {
	try("empty", m.use(f) == useOptional, "")
	if f.Enum != nil {
		m.enum(f, try)
		try("none of them", false, "nonsense")
	}
	if f.MaxLength > 0 {
		try("too long", false, strings.Repeat("1", f.MaxLength+1))
	}
	for _, s := range badText(f.Format) {
		if s != "" {
			try(fmt.Sprintf("bad text %q", s), false, s)
		}
	}
}

func (m *caseMaker) array(f *Field, try func(string, bool, any)) {
	item := m.good(f).([]any)[0]
	try("empty", !f.EmptyIsGiven && m.use(f) == useOptional, []any{})
	try("item of a wrong type", false, []any{[]any{}})
	if f.MaxItems > 0 {
		try("most items", true, slices.Repeat([]any{item}, f.MaxItems))
		try("too many items", false, slices.Repeat([]any{item}, f.MaxItems+1))
	}
	if f.MaxJoined > 0 {
		try("longest", true, []any{strings.Repeat("d", f.MaxJoined-1)})
		try("too long", false, []any{strings.Repeat("d", f.MaxJoined)})
	}
	if f.ItemEnum != nil {
		try("item that is none of them", false, []any{"nonsense"})
	}
	if f.Wildcard {
		try("everybody", true, []any{wildcard})
		try("everybody and one more", false, []any{wildcard, "1"})
	}
	for _, s := range badText(f.Format) {
		try(fmt.Sprintf("bad text %q", s), false, []any{s})
	}
}

// Every field of the table has requests that pass and requests that fail.
func TestFieldCases(t *testing.T) {
	cases := allCases()
	type tally struct{ good, bad int }
	seen := map[string]*tally{}
	for _, c := range cases {
		raw, err := json.Marshal(c.body)
		if err != nil {
			t.Fatal(err)
		}
		var out map[string]any
		err = rules.request(c.call, c.root, raw, &out)
		if (err == nil) != c.good {
			t.Errorf("%s, %s, extensions %v: %v, want good %v: %s", c.root, c.call.Mode, c.call.Extensions, err, c.good, raw)
		}
		field, _, _ := strings.Cut(c.what, ":")
		n := seen[c.root+" "+field]
		if n == nil {
			n = &tally{}
			seen[c.root+" "+field] = n
		}
		if c.good {
			n.good++
		} else {
			n.bad++
		}
	}
	for field, n := range seen {
		if n.good == 0 || n.bad == 0 {
			t.Errorf("%s has %d passing and %d failing cases", field, n.good, n.bad)
		}
	}
	if len(cases) < 3000 {
		t.Errorf("%d cases only", len(cases))
	}
	t.Logf("%d cases of %d fields", len(cases), len(seen))
}

// Leaving a field out means its default.
func TestDefaults(t *testing.T) {
	for _, root := range slices.Sorted(maps.Values(rules.Table.Requests)) {
		for _, mode := range rules.Table.Modes {
			m := &caseMaker{call: Call{Mode: mode}, root: root}
			body := m.sample(rules.objects[root])
			full := maps.Clone(body)
			for _, f := range rules.objects[root].Fields {
				if use := m.use(f); f.Default != nil && use == useOptional {
					full[f.Name] = f.Default
				}
			}
			if a, b := decodeAny(t, m.call, root, body), decodeAny(t, m.call, root, full); !reflect.DeepEqual(a, b) {
				t.Errorf("%s in %s: %v without, %v with the defaults", root, mode, a, b)
			}
		}
	}
}

func decodeAny(t *testing.T, c Call, root string, body object) map[string]any {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := rules.request(c, root, raw, &out); err != nil {
		t.Fatalf("%s %s: %v", root, raw, err)
	}
	return out
}

// A push may have as many outputs as the app is allowed.
func TestOutputsOfAnApp(t *testing.T) {
	body := `{` + storage + `,"extensionServiceConfig":{"extensionServices":[{"serviceName":"rtmp_publish_service","serviceParam":{"outputs":[{"rtmpUrl":"rtmp://a/1"},{"rtmpUrl":"rtmps://b/2"}]}}]}}`
	call := Call{Mode: session.Mix, Extensions: true, MaxOutputs: 2}
	s, err := rules.Start(call, []byte(body))
	if err != nil || s.Plan.Push != 2 || !slices.Equal(s.Private.Push, []string{"rtmp://a/1", "rtmps://b/2"}) {
		t.Errorf("%d outputs %v, %v", s.Plan.Push, s.Private.Push, err)
	}
	// An update may have as many, however many there are; and as many as there
	// are, whatever the app may have by now.
	for _, c := range []struct{ app, running, want int }{{3, 1, 3}, {1, 3, 3}, {0, 1, 1}} {
		for n := 1; n <= 4; n++ {
			urls := strings.Repeat(`,{"rtmpUrl":"rtmp://a/1"}`, n)[1:]
			u, err := rules.Update(Call{MaxOutputs: c.app}, session.Plan{Mode: session.Web, Push: c.running}, []byte(`{"rtmpPublishConfig":{"outputs":[`+urls+`]}}`))
			if n <= c.want && (err != nil || len(u.Push) != n) || n > c.want && reason("Update", err) != "Update: invalid outputs value!" {
				t.Errorf("%d outputs of an app with %d, while there are %d: %v, %v", n, c.app, c.running, u.Push, err)
			}
		}
	}
	call.MaxOutputs = 0
	if _, err := rules.Start(call, []byte(body)); reason("Start", err) != "Start: invalid outputs value!" {
		t.Error(err)
	}
}
