package wire

import (
	"github.com/go-json-experiment/json/jsontext"

	"tapedeck/internal/resource"
)

const (
	defaultExpiredHour = 72
	maxExpiredHour     = 720
	maxScene           = 2

	// SceneWeb is the scene that web page recordings are acquired for.
	SceneWeb = 1
	// ScenePostponed is the scene of postponed transcoding.
	ScenePostponed = 2
)

// Acquire is the clientRequest of acquire with its defaults (rest-api.md 2.1).
type Acquire struct {
	Region      resource.Region
	ExpiredHour int
	Scene       int            // also set, as far as it could be read, when Err is
	Start       jsontext.Value // startParameter, nil if it was not given
	Err         error          // what is wrong with the options: other checks come first
}

// acquireOptions is clientRequest as it comes.
type acquireOptions struct {
	Region      string         `json:"region"`
	ExpiredHour *int           `json:"resourceExpiredHour"` // 0 is out of range, so it is not the same as absent
	Scene       int            `json:"scene"`
	Start       jsontext.Value `json:"startParameter"`
	Exclude     []string       `json:"excludeResourceIds"` // one cluster: nothing to keep apart
	Affinity    int            `json:"regionAffinity"`     // what the Go client sends instead of region
}

// DecodeAcquire reads the body of acquire. The error concerns what every body
// has, as that of DecodeEnvelope.
func DecodeAcquire(body []byte) (Envelope, Acquire, error) {
	if env, opts, ok := scanAcquire(body); ok {
		env, err := env.check()
		return env, opts.check(nil), err
	}
	env, err := DecodeEnvelope(body)
	if err != nil {
		return env, Acquire{}, err
	}
	var o acquireOptions
	err = decode(env.Options, &o)
	return env, o.check(err), nil
}

// check fills in the defaults. err is what was wrong already.
func (o *acquireOptions) check(err error) Acquire {
	a := Acquire{Scene: o.Scene, ExpiredHour: or(o.ExpiredHour, defaultExpiredHour), Err: err}
	if a.Err == nil {
		a.Err = check(
			rule{"resourceExpiredHour", o.ExpiredHour, 1, maxExpiredHour},
			rule{"scene", &o.Scene, 0, maxScene},
		)
	}
	if a.Err == nil {
		a.Region, a.Err = o.region()
	}
	if a.Err == nil {
		a.Start, a.Err = startParameter(o.Start)
	}
	return a
}

func (o *acquireOptions) region() (resource.Region, error) {
	region, ok := resource.Affinity(o.Affinity)
	if !ok {
		return region, bad("regionAffinity")
	}
	if o.Region == "" {
		return region, nil
	}
	if region, ok = resource.ParseRegion(o.Region); !ok {
		return region, bad("region")
	}
	return region, nil
}

// startParameter: any object will do, acquire does not look into it. An empty
// one says nothing; no start could be equal to it.
func startParameter(v jsontext.Value) (jsontext.Value, error) {
	switch {
	case !present(v) || isEmptyObject(v):
		return nil, nil
	case v.Kind() != '{':
		return nil, bad("startParameter")
	}
	return v, nil
}

func isEmptyObject(v jsontext.Value) bool {
	for i, c := range v {
		switch c {
		case '{', '}', ' ', '\t', '\r', '\n':
		default:
			return false
		}
		if c == '}' {
			return i > 0
		}
	}
	return false
}
