package wire

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/api/fields.md")

const fieldsPage = "../../../docs/api/fields.md"

// The page of the fields is made from the table.
func TestFieldsPage(t *testing.T) {
	got := fieldsDoc(t)
	if *update {
		if err := os.WriteFile(fieldsPage, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(fieldsPage)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("docs/api/fields.md is not what the table says: go test ./internal/api/wire -run TestFieldsPage -update")
	}
}

func fieldsDoc(t *testing.T) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("# Fields of the REST API\n\nMade from `internal/api/wire/fields.json` and `rules.json`; do not edit by hand.\n\n")
	p("`null` counts as absent, and so do an empty string and, where not said otherwise, an empty array. Unknown members are ignored. Names are case sensitive.\n\n")
	p("Modes: I individual, M mix, W web, R raw. In their columns R is required, O optional, – refused, i ignored. ")
	p("`+` tells what holds for apps with `extensions: true`.\n")
	for _, o := range rules.Table.Objects {
		p("\n## %s\n\n%s\n", o.Name, o.Text)
		if o.Include != "" {
			p("It has the members of %s as well.\n", o.Include)
		}
		p("\n| name | type | I | M | W | R | default | allowed | meaning |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
		for _, f := range o.Fields {
			if o.Include != "" && rules.objects[o.Include].field(f.Name) == f {
				continue
			}
			p("| %s | %s | %s | %s | %s | %s |\n", names(f), typeText(f), modesText(f), defaultText(f), strings.ReplaceAll(allowedText(f), "|", "\\|"), f.Text)
		}
	}
	vendorsDoc(p)
	rulesDoc(t, p)
	return b.String()
}

func names(f *Field) string {
	out := "`" + f.Name + "`"
	for _, a := range f.Aliases {
		out += ", also `" + a + "`"
	}
	return out
}

func typeText(f *Field) string {
	switch {
	case f.Variants != nil:
		return "object, by `" + f.By + "`: PageParam or PushParam"
	case f.Type == "object" && f.Object != "":
		return f.Object
	case f.Type == "array" && f.Items == "object":
		return "array of " + f.Object
	case f.Type == "array":
		return "array of " + f.Items
	}
	return f.Type
}

func modesText(f *Field) string {
	letters := func(modes string) []string {
		if len(modes) == 1 {
			modes = strings.Repeat(modes, len(rules.Table.Modes))
		}
		return strings.Split(strings.ReplaceAll(modes, "-", "–"), "")
	}
	plain := letters(f.Modes)
	if f.Extension != nil && f.Extension.Modes != "" {
		for i, e := range letters(f.Extension.Modes) {
			if e != plain[i] {
				plain[i] += " +" + e
			}
		}
	}
	return strings.Join(plain, " | ")
}

func defaultText(f *Field) string {
	if f.Default == nil {
		return ""
	}
	return "`" + string(f.Default) + "`"
}

func allowedText(f *Field) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case f.Min != nil && f.Max != nil:
		add("%v … %v", number(*f.Min), number(*f.Max))
	case f.Min != nil:
		add("from %v", number(*f.Min))
	}
	if f.Enum != nil {
		var values []string
		for _, v := range f.Enum {
			values = append(values, string(v))
		}
		add("%s", strings.Join(values, ", "))
	}
	if f.ItemEnum != nil {
		add("%s", strings.Join(f.ItemEnum, ", "))
	}
	if f.Format != "" {
		add("%s", f.Format)
	}
	if f.MinItems > 0 {
		add("at least %d", f.MinItems)
	}
	if f.MaxItems > 0 {
		add("at most %d", f.MaxItems)
	}
	if f.MaxLength > 0 {
		add("up to %d bytes", f.MaxLength)
	}
	if f.MaxJoined > 0 {
		add("together up to %d bytes", f.MaxJoined)
	}
	if f.EmptyIsGiven {
		add("an empty array is an error")
	}
	if f.Vendors != nil {
		add("vendors %s", strings.Trim(fmt.Sprint(f.Vendors), "[]"))
	}
	if f.Unit != "" {
		add("in %s", f.Unit)
	}
	return strings.Join(parts, "; ")
}

func number(f float64) string { return strings.TrimSuffix(fmt.Sprintf("%.6f", f), ".000000") }

func vendorsDoc(p func(string, ...any)) {
	p("\n## Vendors\n\n| vendor | platform | regions |\n| --- | --- | --- |\n")
	for _, v := range rules.Table.Vendors {
		regions := fmt.Sprintf("0 … %d", v.Last)
		if v.Anywhere {
			regions = "any, or none"
		}
		if v.Gaps != nil {
			regions += fmt.Sprintf(" without %s", strings.Trim(fmt.Sprint(v.Gaps), "[]"))
		}
		p("| %d | %s | %s |\n", v.Number, v.Name, regions)
	}
}

func rulesDoc(t *testing.T, p func(string, ...any)) {
	raw, err := os.ReadFile("rules.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct{ ID, Text string }
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	p("\n## What fields have to do with each other\n\nA violation is answered with HTTP 400 and code 2, if nothing else is said.\n\n| rule | |\n| --- | --- |\n")
	for _, r := range all {
		p("| %s | %s |\n", r.ID, r.Text)
	}
}
