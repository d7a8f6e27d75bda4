package app

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"tapedeck/internal/config"
	"tapedeck/internal/ledger"
)

const keyUsage = `tapedeck key SID    print the content key of an encrypted recording, 32 hex digits, and its address in the playlists

--data DIR or --config FILE says which running service. A recording is known until 72 h after its end.
`

// heldKey is the answer of GET /v1/recordings/{sid}/key.
type heldKey struct {
	Key string `json:"key"` // hex
	URI string `json:"uri"` // in the playlists; "" = the file with the key lies beside them
}

// keyRoutes hands out the content keys of recordings to the operator.
func (a *App) keyRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/recordings/{sid}/key", func(w http.ResponseWriter, r *http.Request) {
		k, err := a.contentKey(r.Context(), r.PathValue("sid"))
		answer(w, k, err)
	})
}

func (a *App) contentKey(ctx context.Context, sid string) (heldKey, error) {
	rec, _, err := a.ledger.Get(ctx, sid)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return heldKey{}, &badRequest{"there is no recording " + sid}
	case err != nil:
		return heldKey{}, err
	case rec.Plan.HLS == nil:
		return heldKey{}, &badRequest{"recording " + sid + " is not encrypted"}
	}
	private, err := a.unseal(sid, rec.Private)
	if err != nil {
		return heldKey{}, err
	}
	return heldKey{Key: hex.EncodeToString(private.ContentKey), URI: rec.Plan.HLS.KeyURI}, nil
}

// KeyCommand runs `tapedeck key`. load reads the settings that the flags config
// and data name.
func KeyCommand(ctx context.Context, args []string, load func(file, data string) (config.Config, error), out, errs io.Writer) error {
	fs := flag.NewFlagSet("tapedeck key", flag.ContinueOnError)
	fs.SetOutput(errs)
	fs.Usage = func() { _, _ = io.WriteString(errs, keyUsage) }
	file, data := fs.String("config", "", "settings"), fs.String("data", "", "data folder")
	if err := fs.Parse(args); err != nil {
		return flag.ErrHelp
	}
	if fs.NArg() != 1 {
		fs.Usage()
		return flag.ErrHelp
	}
	settings, err := load(*file, *data)
	if err != nil {
		return err
	}
	var k heldKey
	if err := operatorCall(ctx, settings.Data, http.MethodGet, "/v1/recordings/"+url.PathEscape(fs.Arg(0))+"/key", nil, &k); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, k.Key, k.URI)
	return err
}
