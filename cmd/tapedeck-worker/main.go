// Command tapedeck-worker makes one recording. A node starts it with the
// recording's spool folder and tells it what to do over the socket there
// (docs/formats/link.md). It is the only program that links the codecs.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"tapedeck/internal/obs"
	"tapedeck/internal/recorder"
)

func main() {
	dir := flag.String("dir", "", "spool folder of the recording")
	level := flag.String("log", "info", "debug, info, warn or error")
	flag.Parse()
	if *dir == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: tapedeck-worker -dir FOLDER   (started by tapedeck, not by hand)")
		os.Exit(2)
	}
	log := obs.NewLogger(os.Stderr, *level, "text")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	settings, err := recorder.SettingsFromEnv(os.Getenv)
	if err != nil {
		log.Error("the environment is wrong", "err", err)
		os.Exit(2)
	}
	w := recorder.NewWorker(*dir, log, time.Now)
	w.Configure(settings)
	if err := w.Run(ctx); err != nil {
		log.Error("the recording failed", "err", err)
		os.Exit(1)
	}
}
