// Command tapedeck-worker makes one recording, or other files out of one that
// has ended. A node starts it with the recording's spool folder and tells it
// what to do over the socket there (docs/formats/link.md), or with a job's folder
// (docs/formats/job.md). It is the only program that links the codecs.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"tapedeck/internal/obs"
	"tapedeck/internal/recorder"
	"tapedeck/internal/transcode"
	"tapedeck/internal/webpage/jail"
)

func main() {
	jail.Main() // a browser is shut in by this program, started under another name
	dir := flag.String("dir", "", "spool folder of the recording")
	job := flag.String("job", "", "folder of a job on a finished recording")
	convert := flag.String("convert", "", "a job as JSON; its files go to the folder in the argument")
	level := flag.String("log", "info", "debug, info, warn or error")
	flag.Parse()
	given := 0
	for _, s := range []string{*dir, *job, *convert} {
		if s != "" {
			given++
		}
	}
	if given != 1 || (flag.NArg() == 1) != (*convert != "") {
		fmt.Fprintln(os.Stderr, "usage: tapedeck-worker -dir FOLDER   (started by tapedeck, not by hand)")
		os.Exit(2)
	}
	log := obs.NewLogger(os.Stderr, *level, "text")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	switch {
	case *job != "":
		end(log, transcode.Worker(ctx, *job, os.Stdin, log, time.Now))
		return
	case *convert != "":
		end(log, byHand(ctx, *convert, flag.Arg(0)))
		return
	}
	settings, err := recorder.SettingsFromEnv(os.Getenv)
	if err != nil {
		log.Error("the environment is wrong", "err", err)
		os.Exit(2)
	}
	w := recorder.NewWorker(*dir, log, time.Now)
	w.Configure(settings)
	end(log, w.Run(ctx))
}

func end(log *slog.Logger, err error) {
	if err != nil {
		log.Error("the work failed", "err", err)
		os.Exit(1)
	}
}

// byHand does a job for somebody who waits: progress and result are lines of JSON.
func byHand(ctx context.Context, job, out string) error {
	var j transcode.Job
	if err := json.Unmarshal([]byte(job), &j); err != nil {
		return fmt.Errorf("the job cannot be read: %w", err)
	}
	enc := json.NewEncoder(os.Stdout)
	return transcode.Convert(ctx, j, out, func(v any) { _ = enc.Encode(v) })
}
