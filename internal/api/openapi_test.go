package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/knadh/koanf/parsers/yaml"

	"tapedeck/internal/api/wire"
	"tapedeck/internal/conform"
)

type tree = map[string]any

// document is the description as the server serves it.
func document(t *testing.T) tree {
	t.Helper()
	var d tree
	parsed, err := yaml.Parser().Unmarshal(openAPI)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(parsed) // numbers become float64, as in JSON
	if err == nil {
		err = json.Unmarshal(raw, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func at(t *testing.T, d tree, path ...string) tree {
	t.Helper()
	for _, name := range path {
		inner, ok := d[name].(tree)
		if !ok {
			t.Fatalf("the document has no %s", strings.Join(path, "."))
		}
		d = inner
	}
	return d
}

func TestOpenAPIIsServed(t *testing.T) {
	w := newWorld(t)
	res, err := http.Get(w.url + OpenAPIPath)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || string(body) != string(openAPI) || res.Header.Get("Content-Type") != "application/yaml" || res.Header.Get("X-Request-Id") == "" {
		t.Errorf("%d %v, %d bytes, %v", res.StatusCode, res.Header, len(body), err)
	}
	w.want("POST", w.send("POST", OpenAPIPath, "{}", nil), 404, 0)
	if v, _ := document(t)["openapi"].(string); !strings.HasPrefix(v, "3.1.") {
		t.Errorf("version %q", v)
	}
}

// The schemas of requests say what the table of fields says.
func TestOpenAPIFields(t *testing.T) {
	schemas := at(t, document(t), "components", "schemas")
	for _, o := range wire.NewRules().Table.Objects {
		schema, ok := schemas[o.Name].(tree)
		if !ok {
			t.Errorf("there is no schema %s", o.Name)
			continue
		}
		properties := at(t, schema, "properties")
		var required []any
		for _, f := range o.Fields {
			if strings.Trim(f.Modes, "R") == "" && f.Vendors == nil {
				required = append(required, f.Name)
			}
			got, want := properties[f.Name], described(t, f)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s.%s is\n%v, the table says\n%v", o.Name, f.Name, got, want)
			}
		}
		if len(properties) != len(o.Fields) {
			t.Errorf("%s has %d properties, the table %d", o.Name, len(properties), len(o.Fields))
		}
		if got, _ := schema["required"].([]any); !sameSet(got, required) || schema["description"] != o.Text {
			t.Errorf("%s: required %v, the table says %v; description %v", o.Name, got, required, schema["description"])
		}
	}
}

func sameSet(a, b []any) bool {
	key := func(v []any) string {
		var s []string
		for _, x := range v {
			s = append(s, fmt.Sprint(x))
		}
		slices.Sort(s)
		return strings.Join(s, ",")
	}
	return key(a) == key(b)
}

// described is the schema of a field, made from the table.
func described(t *testing.T, f *wire.Field) any {
	t.Helper()
	ref := func(name string) tree { return tree{"$ref": "#/components/schemas/" + name} }
	s := tree{}
	switch {
	case f.Variants != nil:
		var names []string
		for _, n := range f.Variants {
			names = append(names, n)
		}
		slices.Sort(names)
		var one []any
		for _, n := range names {
			one = append(one, ref(n))
		}
		s["oneOf"] = one
	case f.Type == "object" && f.Object != "":
		s = ref(f.Object)
	case f.Type == "array" && f.Items == "object":
		s["type"], s["items"] = f.Type, ref(f.Object)
	case f.Type == "array":
		items := tree{"type": f.Items}
		put(items, "enum", f.ItemEnum)
		put(items, "x-format", f.Format)
		s["type"], s["items"] = f.Type, items
	default:
		s["type"] = f.Type
		put(s, "x-format", f.Format)
	}
	s["description"] = f.Text
	put(s, "minimum", f.Min)
	put(s, "maximum", f.Max)
	put(s, "maxLength", f.MaxLength)
	put(s, "minItems", f.MinItems)
	put(s, "maxItems", f.MaxItems)
	put(s, "enum", f.Enum)
	put(s, "default", f.Default)
	put(s, "x-unit", f.Unit)
	put(s, "x-aliases", f.Aliases)
	put(s, "x-lenient", f.Lenient)
	put(s, "x-max-joined", f.MaxJoined)
	put(s, "x-vendors", f.Vendors)
	if f.Wildcard {
		s["x-wildcard"] = "#allstream#"
	}
	if len(f.Modes) > 1 || f.Modes == "i" {
		s["x-modes"] = f.Modes
	}
	if f.Extension != nil {
		put(s, "x-extension-modes", f.Extension.Modes)
		put(s, "x-extension-enum", f.Extension.Enum)
	}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// put sets a member that is not the zero value.
func put(s tree, name string, v any) {
	if !reflect.ValueOf(v).IsZero() {
		s[name] = v
	}
}

// Paths, methods and statuses are those of the router and of the table of codes.
func TestOpenAPIPaths(t *testing.T) {
	doc := document(t)
	seen := map[endpoint]bool{}
	for path, item := range at(t, doc, "paths") {
		if path == OpenAPIPath {
			continue
		}
		for method, op := range item.(tree) {
			if method == "parameters" {
				continue
			}
			real := strings.NewReplacer("{appid}", "a", "{resourceid}", "r", "{sid}", "s", "{mode}", "mix").Replace(path)
			r, ok := parseRoute(strings.ToUpper(method), real)
			if !ok {
				t.Errorf("%s %s is not served", method, path)
				continue
			}
			seen[r.endpoint] = true
			checkStatuses(t, r.endpoint, op.(tree))
		}
	}
	for e := epAcquire; e <= epSources; e++ {
		if !seen[e] {
			t.Errorf("%s is not described", e)
		}
	}
	modes := at(t, doc, "components", "parameters", "mode", "schema")["enum"].([]any)
	var want []any
	for _, m := range wire.NewRules().Table.Modes {
		want = append(want, string(m))
		if !knownMode(m) {
			t.Errorf("mode %s is not served", m)
		}
	}
	if !sameSet(modes, want) {
		t.Errorf("modes %v, want %v", modes, want)
	}
}

func checkStatuses(t *testing.T, e endpoint, op tree) {
	t.Helper()
	raw, err := os.ReadFile("codes/codes.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Status, Code int
		Text         string
		Endpoints    []string
	}
	if err := json.Unmarshal(raw, &rows); err != nil {
		t.Fatal(err)
	}
	texts := map[string][]string{"200": nil}
	for _, r := range rows {
		any := r.Endpoints[0] == "any" && (e != epSources || r.Status != 400)
		if !any && !slices.ContainsFunc(r.Endpoints, func(n string) bool { return strings.EqualFold(n, e.String()) }) {
			continue
		}
		status, text := fmt.Sprint(r.Status), strings.TrimSuffix(r.Text, "!")
		if r.Code != 0 {
			text = fmt.Sprintf("code %d %s", r.Code, text)
		}
		texts[status] = append(texts[status], text)
	}
	responses := op["responses"].(tree)
	for status, want := range texts {
		got, ok := responses[status].(tree)
		if !ok {
			t.Errorf("%s: status %s is not described", e, status)
		} else if text, _ := got["description"].(string); status != "200" && text != strings.Join(want, "; ") {
			t.Errorf("%s %s: %q, the table of codes says %q", e, status, text, strings.Join(want, "; "))
		}
	}
	if len(responses) != len(texts) {
		t.Errorf("%s: %d statuses are described, there are %d", e, len(responses), len(texts))
	}
}

// Requests and answers of the examples fit the schemas. TestExamples holds the
// answers that the server really gives against them as well.
func TestOpenAPIExamples(t *testing.T) {
	doc := document(t)
	all, err := conform.Examples()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, e := range all {
		op, ok := operation(doc, e)
		if !ok {
			continue
		}
		checked++
		content := at(t, op, "responses", fmt.Sprint(e.Status), "content", "application/json", "schema")
		if why := fits(doc, content, e.Want); why != "" {
			t.Errorf("%s: the answer: %s", e.ID, why)
		}
		body := map[string]any{}
		if e.Status != 200 || e.Method == "GET" {
			continue
		}
		if err := json.Unmarshal(e.Body, &body); err != nil {
			t.Fatal(err)
		}
		if why := fits(doc, at(t, op, "requestBody", "content", "application/json", "schema"), body); why != "" {
			t.Errorf("%s: the request: %s", e.ID, why)
		}
	}
	if checked < 160 {
		t.Errorf("%d examples only", checked)
	}
}

func operation(doc tree, e conform.Example) (tree, bool) {
	path := e.Path
	for _, m := range []string{"individual", "mix", "web", "raw"} {
		path = strings.Replace(path, "/mode/"+m+"/", "/mode/{mode}/", 1)
	}
	item, ok := doc["paths"].(tree)[path].(tree)
	if !ok {
		return nil, false
	}
	op, ok := item[strings.ToLower(e.Method)].(tree)
	return op, ok
}
