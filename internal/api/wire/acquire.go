package wire

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tapedeck/internal/resource"
)

const (
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

// acquireOptions is clientRequest as the table leaves it.
type acquireOptions struct {
	Region      string         `json:"region"`
	ExpiredHour int            `json:"resourceExpiredHour"`
	Scene       int            `json:"scene"`
	Start       jsontext.Value `json:"startParameter"`
	Affinity    int            `json:"regionAffinity"` // what the Go client sends instead of region
}

// Acquire reads the body of acquire. The error concerns what every body has, as
// that of Envelope.
func (r *Rules) Acquire(body []byte) (Envelope, Acquire, error) {
	if env, opts, ok := r.scanAcquire(body); ok {
		env, err := env.check()
		return env, opts.resolve(nil), err
	}
	return r.acquireByTable(body)
}

// acquireByTable is Acquire for every body.
func (r *Rules) acquireByTable(body []byte) (Envelope, Acquire, error) {
	env, err := r.Envelope(body)
	if err != nil {
		return env, Acquire{}, err
	}
	var o acquireOptions
	err = r.request(Call{}, r.Table.Requests["acquire"], env.Options, &o)
	if err != nil {
		o.Scene = looseScene(env.Options)
	}
	return env, o.resolve(err), nil
}

// looseScene reads the scene of options that are wrong somewhere.
func looseScene(options jsontext.Value) int {
	var raw struct {
		Scene jsontext.Value `json:"scene"`
	}
	var scene int
	if json.Unmarshal(options, &raw) == nil && json.Unmarshal(raw.Scene, &scene) == nil {
		return scene
	}
	return 0
}

// resolve makes the result. err is what was wrong already; then there is nothing
// but the scene.
func (o *acquireOptions) resolve(err error) Acquire {
	region, ok := resource.Affinity(o.Affinity)
	if err == nil && !ok {
		err = bad("regionAffinity")
	}
	if err == nil && o.Region != "" {
		if region, ok = resource.ParseRegion(o.Region); !ok {
			err = bad("region")
		}
	}
	if err != nil {
		return Acquire{Scene: o.Scene, Err: err}
	}
	a := Acquire{Region: region, Scene: o.Scene, ExpiredHour: o.ExpiredHour}
	// An empty start parameter says nothing; no start could be equal to it.
	if present(o.Start) && !isEmpty(o.Start) {
		a.Start = o.Start
	}
	return a
}
