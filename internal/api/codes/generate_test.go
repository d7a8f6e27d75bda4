package codes

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

var update = flag.Bool("update", false, "write codes_gen.go and docs/api/codes.md")

const codesPage = "../../../docs/api/codes.md"

// line is one row of codes.json.
type line struct {
	Name      string   `json:"name"`      // of the Go constant
	Status    int      `json:"status"`    // HTTP
	Code      int      `json:"code"`      // 0: an answer of the gateway
	Text      string   `json:"text"`      // message or reason
	Endpoints []string `json:"endpoints"` // that give it
	Cause     string   `json:"cause"`
	Client    string   `json:"client"`             // what the caller does about it
	Operator  string   `json:"operator,omitempty"` // what an operator does about it
	Owner     bool     `json:"owner,omitempty"`    // the owner of a recording may reply with it
}

func readTable(t *testing.T) []line {
	t.Helper()
	raw, err := os.ReadFile("codes.json")
	if err != nil {
		t.Fatal(err)
	}
	var lines []line
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&lines); err != nil {
		t.Fatal(err)
	}
	return lines
}

// The constants and the page are what the table says.
func TestGenerated(t *testing.T) {
	lines := readTable(t)
	src, err := format.Source(goSource(lines))
	if err != nil {
		t.Fatal(err)
	}
	for path, got := range map[string][]byte{"codes_gen.go": src, codesPage: page(lines)} {
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
			t.Errorf("%s is not what codes.json says: go generate ./internal/api/codes", path)
		}
	}
}

func goSource(lines []line) []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("// Code generated from codes.json by TestGenerated; DO NOT EDIT.\n\npackage codes\n")
	p("// The answers.\nconst (")
	for i, l := range lines {
		typ := ""
		if i == 0 {
			typ = " Answer = iota"
		}
		p("%s%s // %d, %d: %s", l.Name, typ, l.Status, l.Code, l.Cause)
	}
	p("\nanswers // how many there are\n)\n")
	p("func table() [answers]Row {\nreturn [answers]Row{")
	for _, l := range lines {
		p("%s: {%d, %d, %q},", l.Name, l.Status, l.Code, l.Text)
	}
	p("}\n}\n")
	p("// ofOwner are the answers that the owner of a recording may reply with.\nfunc ofOwner() []Answer {\nreturn []Answer{")
	for _, l := range lines {
		if l.Owner {
			p("%s,", l.Name)
		}
	}
	p("}\n}\n")
	p("// Advice says what an operator can do about an answer that is not the client's\n// fault, \"\" for the others.\nfunc (a Answer) Advice() string {\nswitch a {")
	for _, l := range lines {
		if l.Operator != "" {
			p("case %s:\nreturn %q", l.Name, l.Operator)
		}
	}
	p("}\nreturn \"\"\n}")
	return b.Bytes()
}

func page(lines []line) []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Answers that are not a success\n\nMade from `internal/api/codes/codes.json`; do not edit by hand.\n")
	p("There are two shapes. An answer of the gateway is `{\"message\": …}`, one of the service `{\"code\": …, \"reason\": …}` and may")
	p("name the recording by `cname`, `uid`, `resourceId` and `sid` besides. Every answer has an `X-Request-Id`, which the log lines")
	p("about the call have as `request`. The reason of code 2 says which field is wrong.\n")
	p("| HTTP | code | text | calls | cause | what to do |\n| --- | --- | --- | --- | --- | --- |")
	for _, l := range lines {
		code := "–"
		if l.Code != 0 {
			code = fmt.Sprint(l.Code)
		}
		todo := l.Client
		if l.Operator != "" {
			todo += " Operator: " + l.Operator + "."
		}
		p("| %d | %s | `%s` | %s | %s | %s |", l.Status, code, l.Text, strings.Join(l.Endpoints, ", "), l.Cause, todo)
	}
	return b.Bytes()
}

// Rows are whole, and none is there twice.
func TestTableIsSound(t *testing.T) {
	names := map[string]bool{}
	for _, l := range readTable(t) {
		if names[l.Name] || l.Text == "" || l.Cause == "" || l.Client == "" || len(l.Endpoints) == 0 {
			t.Errorf("row %+v", l)
		}
		names[l.Name] = true
		if !slices.Contains([]int{201, 206, 400, 401, 404, 429, 500, 504}, l.Status) {
			t.Errorf("%s: HTTP status %d is not one of the API", l.Name, l.Status)
		}
		if slices.Contains([]int{1033, 1036, 1049, 15, 1028}, l.Code) {
			t.Errorf("%s: code %d is not to be given", l.Name, l.Code)
		}
	}
}
