package notify

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/format"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden and generated files")

type (
	table struct {
		Services []struct {
			Number    int
			Name, Doc string
		}
		Objects []shape
		Events  []struct {
			shape
			Type, Service int
			Msg           string
			Modes, When   string
		}
	}
	shape struct {
		Name, Doc string
		Fields    []field
	}
	field struct {
		JSON, Go, Type, Of, Doc string
		Optional                bool
	}
)

func readTable(t *testing.T) table {
	t.Helper()
	b, err := os.ReadFile("events.json")
	if err != nil {
		t.Fatal(err)
	}
	var x table
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&x); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestGenerated: the Go types and the documentation are what the table says.
func TestGenerated(t *testing.T) {
	x := readTable(t)
	for path, source := range map[string][]byte{"events_gen.go": x.goTypes(), "details_gen.go": x.goDetails()} {
		src, err := format.Source(source)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, path, src)
	}
	golden(t, "../../docs/api/events.md", x.page())
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not current (-update writes it):\n%s", path, got)
	}
}

func (f field) goName() string {
	if f.Go != "" {
		return f.Go
	}
	return strings.ToUpper(f.JSON[:1]) + f.JSON[1:]
}

func (f field) goType() string {
	switch f.Type {
	case "ms":
		return "int64"
	case "uid":
		return "uint32"
	case "number":
		return "int"
	case "boolean":
		return "bool"
	case "list":
		return "[]" + f.Of
	}
	return f.Type
}

// jsonType names the type as the documents do.
func (f field) jsonType() string {
	switch f.Type {
	case "ms", "uid":
		return "number"
	case "list":
		return "array of " + f.Of
	}
	return f.Type
}

func (s shape) goStruct(w *bytes.Buffer) {
	fmt.Fprintf(w, "type %s struct {\n", s.Name)
	for _, f := range s.Fields {
		tag := f.JSON
		if f.Optional {
			tag += ",omitzero"
		}
		fmt.Fprintf(w, "\t%s %s `json:%q` // %s\n", f.goName(), f.goType(), tag, f.Doc)
	}
	w.WriteString("}\n\n")
}

const goHead = "// Code generated from events.json by TestGenerated; DO NOT EDIT.\n\npackage notify\n\n"

// goTypes is the source of the numbers and names.
func (x table) goTypes() []byte {
	var w bytes.Buffer
	w.WriteString(goHead + "// The components that emit events.\nconst (\n")
	for _, s := range x.Services {
		fmt.Fprintf(&w, "\t%s Service = %d // %s\n", s.Name, s.Number, s.Doc)
	}
	w.WriteString(")\n\n// The event types.\nconst (\n")
	for _, e := range x.Events {
		fmt.Fprintf(&w, "\tType%s Type = %d\n", e.Name, e.Type)
	}
	w.WriteString(")\n\n// Types returns all event types, ascending.\nfunc Types() []Type {\n\treturn []Type{")
	for i, e := range x.Events {
		if i > 0 {
			w.WriteString(", ")
		}
		fmt.Fprintf(&w, "%d", e.Type)
	}
	w.WriteString("}\n}\n\nfunc (t Type) info() info {\n\tswitch t {\n")
	for _, e := range x.Events {
		fmt.Fprintf(&w, "\tcase Type%s:\n\t\treturn info{%q, %d}\n", e.Name, e.Msg, e.Service)
	}
	w.WriteString("\t}\n\treturn info{}\n}\n\n// blank returns details without content, for test events.\nfunc (t Type) blank() Details {\n\tswitch t {\n")
	for _, e := range x.Events {
		lists := ""
		for _, f := range e.Fields {
			if f.Type == "list" {
				lists += fmt.Sprintf("%s: %s{}", f.goName(), f.goType())
			}
		}
		fmt.Fprintf(&w, "\tcase Type%s:\n\t\treturn %s{%s}\n", e.Name, e.Name, lists)
	}
	w.WriteString("\t}\n\treturn nil\n}\n")
	return w.Bytes()
}

// goDetails is the source of the payloads.
func (x table) goDetails() []byte {
	var w bytes.Buffer
	w.WriteString(goHead)
	for _, o := range x.Objects {
		fmt.Fprintf(&w, "// %s is %s.\n", o.Name, o.Doc)
		o.goStruct(&w)
	}
	for _, e := range x.Events {
		fmt.Fprintf(&w, "// %s is event %d: %s.\n", e.Name, e.Type, e.When)
		e.goStruct(&w)
		fmt.Fprintf(&w, "// EventType implements Details.\nfunc (%s) EventType() Type { return Type%s }\n\n", e.Name, e.Name)
	}
	return w.Bytes()
}

const pageHead = "# Events\n\n" +
	"What a webhook endpoint of an app receives. This page is made from `internal/notify/events.json`; a test keeps it current.\n" +
	"How to configure endpoints: [operations](../ops/webhooks.md). How events are kept and delivered: [outbox](../formats/outbox.md).\n\n" +
	"## The request\n\n" +
	"`POST`, `application/json`. Only status 200 within 10 s is success. `Agora-Signature` is the lower-case hex HMAC-SHA1 of the body, `Agora-Signature-V2` its\n" +
	"HMAC-SHA256; the key is the endpoint's secret. Verify the bytes as they came. For Go there is the package `tapedeck/webhook`.\n\n" +
	"```json\n{\"noticeId\": \"<sid>:j412:40\", \"productId\": 3, \"eventType\": 40, \"notifyMs\": 1719820800123,\n" +
	" \"payload\": {\"cname\": \"demo\", \"uid\": \"527841\", \"sid\": \"38f8e3cfdc474cd56fc1ceba380d7e1a\", \"sequence\": 2, \"sendts\": 1719820799981,\n" +
	"             \"serviceType\": 1, \"serviceScene\": \"rtc_record\", \"details\": {\"msgName\": \"recorder_started\", \"status\": 0}}}\n```\n\n" +
	"* `noticeId` is the same in every delivery of the same event: keep the ones you have seen and pass over repetitions.\n" +
	"* `notifyMs` is when this attempt was sent, `sendts` when the event happened; both Unix ms. The body and its signatures differ between attempts.\n" +
	"* `sequence` counts the events of a recording from 0. The events of a recording arrive in that order; a list of events at the endpoint leaves gaps in it.\n" +
	"* `uid` is the recorder's, as a string.\n" +
	"* `serviceScene`: `rtc_record`, `rtc_snapshot`, `web_record`, `postpone_transcode::rtc_record`, `postpone_transcode::transcode`, `postpone_transcode::transcode_failover`.\n" +
	"* With the CloudEvents option the same object is `data` of a CloudEvents 1.0 event (`application/cloudevents+json`), and the signatures cover the whole body.\n\n"

func (x table) page() []byte {
	var w bytes.Buffer
	w.WriteString(pageHead)
	w.WriteString("## Components (`serviceType`)\n\n")
	for _, s := range x.Services {
		fmt.Fprintf(&w, "* %d: %s\n", s.Number, s.Doc)
	}
	w.WriteString("\n## Event types\n\n| eventType | msgName | serviceType | modes | sent when |\n| --- | --- | --- | --- | --- |\n")
	for _, e := range x.Events {
		fmt.Fprintf(&w, "| [%d](#%d) | `%s` | %d | %s | %s |\n", e.Type, e.Type, e.Msg, e.Service, e.Modes, e.When)
	}
	w.WriteString("\n## Details\n\nEvery `details` object has `msgName`, and these.\n")
	for _, e := range x.Events {
		fmt.Fprintf(&w, "\n### %d\n\n`%s`: %s.\n", e.Type, e.Msg, e.When)
		e.mdTable(&w)
	}
	w.WriteString("\n## Objects in lists\n")
	for _, o := range x.Objects {
		fmt.Fprintf(&w, "\n### %s\n\n%s.\n", o.Name, o.Doc)
		o.mdTable(&w)
	}
	return w.Bytes()
}

func (s shape) mdTable(w *bytes.Buffer) {
	if len(s.Fields) == 0 {
		return
	}
	w.WriteString("\n| key | type | meaning |\n| --- | --- | --- |\n")
	for _, f := range s.Fields {
		fmt.Fprintf(w, "| `%s` | %s | %s |\n", f.JSON, f.jsonType(), f.Doc)
	}
}

// TestTable: the table is in order and refers to what it has.
func TestTable(t *testing.T) {
	x := readTable(t)
	services := map[int]bool{}
	for _, s := range x.Services {
		services[s.Number] = true
	}
	if !slices.IsSortedFunc(x.Events, func(a, b struct {
		shape
		Type, Service int
		Msg           string
		Modes, When   string
	}) int {
		return a.Type - b.Type
	}) {
		t.Error("the events are not in order")
	}
	for _, e := range x.Events {
		if !services[e.Service] || e.Msg == "" || e.When == "" || e.Modes == "" {
			t.Errorf("event %d is incomplete", e.Type)
		}
	}
}
