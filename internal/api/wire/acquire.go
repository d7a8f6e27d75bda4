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
	Scene       int
	Start       jsontext.Value // startParameter, nil if it was not given
}

// DecodeAcquire reads and checks the options of acquire. With an error the Scene
// is still what the options say, as far as they could be read.
func DecodeAcquire(options jsontext.Value) (Acquire, error) {
	var o struct {
		Region      *string        `json:"region"`
		ExpiredHour *int           `json:"resourceExpiredHour"`
		Scene       *int           `json:"scene"`
		Start       jsontext.Value `json:"startParameter"`
		Exclude     []string       `json:"excludeResourceIds"` // one cluster: nothing to keep apart
		Affinity    *int           `json:"regionAffinity"`     // what the Go client sends instead of region
	}
	err := decode(options, &o)
	a := Acquire{Scene: or(o.Scene, 0)}
	if err != nil {
		return a, err
	}
	if err := check(
		rule{"resourceExpiredHour", o.ExpiredHour, between(1, maxExpiredHour)},
		rule{"scene", o.Scene, between(0, maxScene)},
	); err != nil {
		return a, err
	}
	a.ExpiredHour = or(o.ExpiredHour, defaultExpiredHour)
	var ok bool
	if a.Region, ok = resource.Affinity(or(o.Affinity, 0)); !ok {
		return a, bad("regionAffinity")
	}
	if name := text(o.Region); name != "" {
		if a.Region, ok = resource.ParseRegion(name); !ok {
			return a, bad("region")
		}
	}
	a.Start, err = startParameter(o.Start)
	return a, err
}

// startParameter: any object will do, acquire does not look into it. An empty
// one says nothing; no start could be equal to it.
func startParameter(v jsontext.Value) (jsontext.Value, error) {
	switch v.Kind() {
	case '{':
		if isEmptyObject(v) {
			return nil, nil
		}
		return v, nil
	case 'n', 0:
		return nil, nil
	}
	return nil, bad("startParameter")
}

func isEmptyObject(v jsontext.Value) bool {
	for _, c := range v[1:] {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c == '}'
		}
	}
	return false
}
