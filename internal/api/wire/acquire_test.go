package wire

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tapedeck/internal/resource"
)

// reason is the answer's text for an error, "" for none.
func reason(endpoint string, err error) string {
	var p *Problem
	switch {
	case err == nil:
		return ""
	case errors.As(err, &p):
		return p.Reason(endpoint)
	}
	return err.Error()
}

func TestEnvelope(t *testing.T) {
	const malformed = "wire: the body is not a JSON object"
	cases := map[string]string{
		`{"cname":"a","uid":"1","clientRequest":{}}`:                       "",
		`{"uid":"1","clientRequest":{},"cname":"a","else":[1,{"x":null}]}`: "",
		`{"cname":"a","uid":"4294967295","clientRequest":{}}`:              "",
		`{"uid":"1","clientRequest":{}}`:                                   "Acquire: missing cname!",
		`{"cname":null,"uid":"1","clientRequest":{}}`:                      "Acquire: missing cname!",
		`{"cname":"","uid":"1","clientRequest":{}}`:                        "Acquire: missing cname!",
		`{"CNAME":"a","uid":"1","clientRequest":{}}`:                       "Acquire: missing cname!",
		`{"cname":"a","clientRequest":{}}`:                                 "Acquire: missing uid!",
		`{"cname":"a","uid":"1"}`:                                          "Acquire: missing clientRequest!",
		`{"cname":"a","uid":"1","clientRequest":null}`:                     "Acquire: missing clientRequest!",
		`{"cname":"a","uid":"1","clientRequest":[]}`:                       "Acquire: invalid clientRequest value!",
		`{"cname":"a","uid":"1","clientRequest":"{}"}`:                     "Acquire: invalid clientRequest value!",
		`{"cname":7,"uid":"1","clientRequest":{}}`:                         "Acquire: invalid cname value!",
		`{"cname":"a","uid":1,"clientRequest":{}}`:                         "Acquire: invalid uid value!",
		`{"cname":"a","uid":"alice","clientRequest":{}}`:                   "Acquire: invalid uid value!",
		`{"cname":"a","uid":"-1","clientRequest":{}}`:                      "Acquire: invalid uid value!",
		`{"cname":"a","uid":"+1","clientRequest":{}}`:                      "Acquire: invalid uid value!",
		`{"cname":"a","uid":" 1","clientRequest":{}}`:                      "Acquire: invalid uid value!",
		`{"cname":"a","uid":"1.0","clientRequest":{}}`:                     "Acquire: invalid uid value!",
		`{"cname":"a","uid":"1_0","clientRequest":{}}`:                     "Acquire: invalid uid value!",
		`{"cname":"a","uid":"0","clientRequest":{}}`:                       "post method api body check failed!",
		`{"cname":"a","uid":"007","clientRequest":{}}`:                     "post method api body check failed!",
		`{"cname":"a","uid":"4294967296","clientRequest":{}}`:              "post method api body check failed!",
		`{"cname":"a","uid":"99999999999999999999","clientRequest":{}}`:    "post method api body check failed!",
		``:      malformed,
		`null`:  malformed,
		`[]`:    malformed,
		`"x"`:   malformed,
		`{`:     malformed,
		`{} {}`: malformed,
		`{"cname":"a","uid":"1","clientRequest":{}}x`:                  malformed,
		`{"cname":"a","cname":"b","uid":"1","clientRequest":{}}`:       malformed,
		`{"cname":"a","uid":"1","clientRequest":{"x":1,"x":2}}`:        malformed,
		`{"cname":"a","uid":"1","clientRequest":{},"x":{"y":1,"y":2}}`: malformed,
		"{\"cname\":\"\xff\",\"uid\":\"1\",\"clientRequest\":{}}":      malformed,
		`{"cname":"a","uid":1,"clientRequest":{`:                       malformed, // not JSON at all comes first
		"\ufeff" + `{"cname":"a","uid":"1","clientRequest":{}}`:        malformed,
	}
	for body, want := range cases {
		_, err := rules.Envelope([]byte(body))
		if got := reason("Acquire", err); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestChannelNames(t *testing.T) {
	all := "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !#$%&()+-:;<=.>?@[]^_{}|~,"
	if len(all) != 89 {
		t.Fatalf("%d characters", len(all))
	}
	for c := range 256 {
		if got, want := ChannelName(string([]byte{byte(c)})), strings.IndexByte(all, byte(c)) >= 0; got != want {
			t.Errorf("%q: %v", rune(c), got)
		}
	}
	for n, want := range map[int]bool{0: false, 1: true, 64: true, 65: false} {
		if ChannelName(strings.Repeat("c", n)) != want {
			t.Errorf("%d bytes: %v", n, !want)
		}
	}
	for n, want := range map[int]bool{0: false, 128: true, 129: false} {
		if WebName(strings.Repeat("/", n)) != want {
			t.Errorf("web, %d bytes: %v", n, !want)
		}
	}
}

func TestDecodeAcquire(t *testing.T) {
	deflt := Acquire{ExpiredHour: 72}
	with := func(change func(*Acquire)) Acquire {
		a := deflt
		change(&a)
		return a
	}
	ok := map[string]Acquire{
		`{}`: deflt,
		`{"region":"","resourceExpiredHour":null,"scene":null,"startParameter":null,"excludeResourceIds":null}`: deflt,
		`{"region":"AP"}`:                                       with(func(a *Acquire) { a.Region = resource.Asia }),
		`{"regionAffinity":4}`:                                  with(func(a *Acquire) { a.Region = resource.NorthAmerica }),
		`{"regionAffinity":1,"region":"EU"}`:                    with(func(a *Acquire) { a.Region = resource.Europe }),
		`{"resourceExpiredHour":1}`:                             with(func(a *Acquire) { a.ExpiredHour = 1 }),
		`{"resourceExpiredHour":720}`:                           with(func(a *Acquire) { a.ExpiredHour = 720 }),
		`{"scene":2}`:                                           with(func(a *Acquire) { a.Scene = 2 }),
		`{"startParameter":{}}`:                                 deflt,
		`{"startParameter":{ "storageConfig" : 1 }}`:            with(func(a *Acquire) { a.Start = jsontext.Value(`{ "storageConfig" : 1 }`) }),
		`{"excludeResourceIds":["x","y"],"other":{"deep":[1]}}`: deflt,
	}
	for opts, want := range ok {
		_, got, err := rules.Acquire([]byte(`{"cname":"a","uid":"1","clientRequest":` + opts + `}`))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", opts, got, err, want)
		}
	}
	wrong := map[string]string{
		`{"resourceExpiredHour":0}`:      "resourceExpiredHour",
		`{"resourceExpiredHour":721}`:    "resourceExpiredHour",
		`{"resourceExpiredHour":-1}`:     "resourceExpiredHour",
		`{"resourceExpiredHour":1.5}`:    "resourceExpiredHour",
		`{"resourceExpiredHour":"24"}`:   "resourceExpiredHour",
		`{"resourceExpiredHour":1e99}`:   "resourceExpiredHour",
		`{"scene":3}`:                    "scene",
		`{"scene":-1}`:                   "scene",
		`{"scene":"0"}`:                  "scene",
		`{"region":"cn"}`:                "region",
		`{"region":"US"}`:                "region",
		`{"region":1}`:                   "region",
		`{"regionAffinity":5}`:           "regionAffinity",
		`{"startParameter":"x"}`:         "startParameter",
		`{"startParameter":[]}`:          "startParameter",
		`{"excludeResourceIds":"x"}`:     "excludeResourceIds",
		`{"excludeResourceIds":["x",1]}`: "excludeResourceIds",
	}
	for opts, field := range wrong {
		_, got, err := rules.Acquire([]byte(`{"cname":"a","uid":"1","clientRequest":` + opts + `}`))
		if want := "Acquire: invalid " + field + " value!"; err != nil || reason("Acquire", got.Err) != want {
			t.Errorf("%s: %v, %v; want %s", opts, got.Err, err, want)
		}
	}
}

// rules are what all tests decode by.
var rules = NewRules()

func sameProblem(a, b error) bool { return reason("X", a) == reason("X", b) }

// The scanner is never anything but faster.
func FuzzDecodeAcquire(f *testing.F) {
	for _, s := range []string{
		`{"cname":"lesson-204","uid":"610001","clientRequest":{"region":"CN","resourceExpiredHour":24}}`,
		` { "uid" : "1" , "cname" : "a" , "clientRequest" : { "scene" : 0 , "regionAffinity" : 2 } } `,
		`{"cname":"a","uid":"0","clientRequest":{"scene":7}}`,
		`{"cname":"a","uid":"1","clientRequest":{"scene":01}}`,
		`{"cname":"a","uid":"1","clientRequest":{"scene":1,"scene":1}}`,
		`{"cname":"a","uid":"1","clientRequest":{"resourceExpiredHour":9999999999}}`,
		`{"cname":"a\u0041","uid":"1","clientRequest":{"startParameter":{"a":[]}}}`,
		`{"cname":"a","uid":"1","clientRequest":{},}`,
		`{"cname":"a","uid":"1","clientRequest":{"region":null}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		keep := bytes.Clone(body)
		env, opts, err := rules.Acquire(body)
		slowEnv, slowOpts, slowErr := rules.acquireByTable(body)
		if !bytes.Equal(body, keep) {
			t.Fatal("the body was changed")
		}
		if !sameProblem(err, slowErr) {
			t.Fatalf("%q: %v, but %v slowly", body, err, slowErr)
		}
		if err != nil {
			return
		}
		if !sameProblem(opts.Err, slowOpts.Err) {
			t.Fatalf("%q: %v, but %v slowly", body, opts.Err, slowOpts.Err)
		}
		opts.Err, slowOpts.Err, env.Options, slowEnv.Options = nil, nil, nil, nil
		if !reflect.DeepEqual(env, slowEnv) || !reflect.DeepEqual(opts, slowOpts) {
			t.Fatalf("%q: %+v %+v, but %+v %+v slowly", body, env, opts, slowEnv, slowOpts)
		}
		var echo struct{ CName, UID string }
		out := AppendAcquired(nil, env.CName, env.UIDText, []byte("token"))
		if err := json.Unmarshal(out, &echo, json.MatchCaseInsensitiveNames(true)); err != nil || echo.CName != env.CName || echo.UID != env.UIDText {
			t.Fatalf("%q is echoed as %s: %v", body, out, err)
		}
	})
}
