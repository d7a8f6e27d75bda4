package app

import (
	"context"
	"os"
	"path/filepath"

	"tapedeck/internal/config"
	"tapedeck/internal/demo"
	"tapedeck/internal/obs"
	"tapedeck/internal/testkit/client"
)

// StartForDemo starts the service as `tapedeck serve` does without
// configuration, on a free port, with its log in the data folder.
func StartForDemo(ctx context.Context, data string) (demo.Running, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return demo.Running{}, err
	}
	logFile, err := os.OpenFile(filepath.Join(data, "serve.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return demo.Running{}, err
	}
	c := config.Default()
	c.Data, c.Listen = data, "127.0.0.1:0"
	a, err := Start(ctx, c, obs.NewLogger(logFile, c.Log.Level, c.Log.Format))
	if err != nil {
		_ = logFile.Close()
		return demo.Running{}, err
	}
	return demo.Running{
		BaseURL: "http://" + a.Addr(),
		Creds:   client.Credentials(a.dev),
		Store:   recordingsDir(a.cfg.Data),
		Stop: func(ctx context.Context) error {
			defer func() { _ = logFile.Close() }()
			return a.Stop(ctx)
		},
	}, nil
}
