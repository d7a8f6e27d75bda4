package app

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tapedeck/internal/config"
	"tapedeck/internal/keyring"
	"tapedeck/internal/ledger"
	"tapedeck/internal/spool"
)

const spoolUsage = `tapedeck spool list                   recordings with files on this node: how many wait, why, since when
tapedeck spool show    SID            every file of a recording and where it is
tapedeck spool retry   SID... | --all  try again now what waits; the running service does it within seconds
tapedeck spool export  SID FOLDER     copy what the spool still has into a new folder, decrypted

--data DIR or --config FILE says which service. All of them may be used while it runs.
`

// SpoolCommand runs `tapedeck spool`. load reads the settings that the flags
// config and data name.
func SpoolCommand(args []string, load func(file, data string) (config.Config, error), out, errs io.Writer) error {
	if len(args) == 0 {
		_, _ = io.WriteString(errs, spoolUsage)
		return flag.ErrHelp
	}
	fs := flag.NewFlagSet("tapedeck spool "+args[0], flag.ContinueOnError)
	fs.SetOutput(errs)
	fs.Usage = func() { _, _ = io.WriteString(errs, spoolUsage) }
	file, data := fs.String("config", "", "settings"), fs.String("data", "", "data folder")
	all := fs.Bool("all", false, "all")
	if err := fs.Parse(args[1:]); err != nil {
		return flag.ErrHelp
	}
	settings, err := load(*file, *data)
	if err != nil {
		return err
	}
	c := spoolCommand{root: spoolDir(settings), keys: filepath.Join(settings.Data, "keys.json"), out: out, now: time.Now()}
	switch rest := fs.Args(); {
	case args[0] == "list" && len(rest) == 0:
		return c.list()
	case args[0] == "show" && len(rest) == 1:
		return c.show(rest[0])
	case args[0] == "retry" && *all && len(rest) == 0:
		return c.retryAll()
	case args[0] == "retry" && !*all && len(rest) > 0:
		return c.retry(rest)
	case args[0] == "export" && len(rest) == 2:
		return c.export(rest[0], rest[1])
	}
	_, _ = io.WriteString(errs, spoolUsage)
	return errors.New("that is not understood")
}

type spoolCommand struct {
	root string
	keys string // file of the key ring
	out  io.Writer
	now  time.Time
}

func (c spoolCommand) list() error {
	sids, err := spool.List(c.root)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "SID\tAPP\tCHANNEL\tSTATE\tWAITING\tSIZE\tOLDEST\tBACKUP\tWHY")
	for _, sid := range sids {
		r, rec, err := c.inspect(sid)
		if err != nil {
			_, _ = fmt.Fprintf(w, "%s\t\t\tunreadable\t\t\t\t\t%v\n", sid, err)
			continue
		}
		waiting, bytes, oldest := r.Count(spool.InSpool)
		backup, _, _ := r.Count(spool.InBackup)
		age := "-"
		if waiting > 0 {
			age = ago(c.now, oldest)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%d\t%s\n",
			sid, rec.App, printable(rec.CName), stateOf(r), waiting, mega(bytes), age, backup, why(c.now, r))
	}
	return w.Flush()
}

func (c spoolCommand) inspect(sid string) (spool.Report, ledger.Record, error) {
	var rec ledger.Record
	dir, err := spool.Open(c.root, sid)
	if err != nil {
		return spool.Report{}, rec, err
	}
	r, err := dir.Inspect()
	if serr := dir.ReadSession(&rec); serr != nil && !errors.Is(serr, spool.ErrNotFound) {
		err = errors.Join(err, serr)
	}
	return r, rec, err
}

func stateOf(r spool.Report) string {
	if r.Ended.IsZero() {
		return "recording"
	}
	return "ended: " + r.Reason
}

func why(now time.Time, r spool.Report) string {
	switch {
	case r.Forward != nil && r.Forward.Ended:
		return fmt.Sprintf("not moved home after %d tries; given up until `tapedeck spool retry`", r.Forward.Tries)
	case r.Why != nil:
		return fmt.Sprintf("fault of %s, %d failures since %s: %s", r.Why.Fault, r.Why.Retries, ago(now, time.Unix(r.Why.Since, 0)), printable(r.Why.Error))
	case r.Forward != nil:
		return fmt.Sprintf("moved home from the backup store next in %s", time.Unix(r.Forward.Next, 0).Sub(now).Round(time.Second))
	}
	return "-"
}

func ago(now, t time.Time) string { return now.Sub(t).Round(time.Second).String() }

func mega(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// printable keeps foreign text from driving the operator's terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

func (c spoolCommand) show(sid string) error {
	r, rec, err := c.inspect(sid)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(c.out, "recording %s of app %s, channel %s, %s, begun %s\n", sid, rec.App, printable(rec.CName), stateOf(r), r.Began.UTC().Format(time.RFC3339))
	_, _ = fmt.Fprintln(c.out, "why:", why(c.now, r))
	slices.SortStableFunc(r.Files, func(a, b spool.FileState) int { return strings.Compare(string(b.Where), string(a.Where)) })
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "WHERE\tSINCE\tSIZE\tKIND\tNAME")
	for _, f := range r.Files {
		since := "-"
		if !f.Since.IsZero() {
			since = ago(c.now, f.Since)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", f.Where, since, mega(f.Size), f.Kind, printable(f.Name))
	}
	return w.Flush()
}

func (c spoolCommand) retryAll() error {
	sids, err := spool.List(c.root)
	if err != nil {
		return err
	}
	var open []string
	for _, sid := range sids {
		r, _, err := c.inspect(sid)
		waiting, _, _ := r.Count(spool.InSpool)
		backup, _, _ := r.Count(spool.InBackup)
		if err == nil && waiting+backup > 0 {
			open = append(open, sid)
		}
	}
	return c.retry(open)
}

func (c spoolCommand) retry(sids []string) error {
	for _, sid := range sids {
		dir, err := spool.Open(c.root, sid)
		if err == nil {
			err = dir.AskRetry()
		}
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(c.out, "%s: the service tries again now, or when it is started\n", sid)
	}
	if len(sids) == 0 {
		_, _ = fmt.Fprintln(c.out, "nothing waits")
	}
	return nil
}

// unlocked opens a folder with its data key, if its recording is encrypted.
func (c spoolCommand) unlocked(sid string) (*spool.Dir, error) {
	dir, err := spool.Open(c.root, sid)
	if err != nil {
		return nil, err
	}
	var rec ledger.Record
	if err := dir.ReadSession(&rec); err != nil || len(rec.SpoolKey) == 0 {
		return dir, nil // Export says so where a key is missing
	}
	ring, err := keyring.Load(c.keys)
	if err != nil {
		return nil, err
	}
	return unlocked(ring, dir, rec)
}

func (c spoolCommand) export(sid, to string) error {
	dir, err := c.unlocked(sid)
	if err != nil {
		return err
	}
	files, err := dir.Export(to)
	damaged := 0
	for _, f := range files {
		note := ""
		if f.Damaged {
			damaged++
			note = "  DAMAGED: not what was recorded"
		}
		_, _ = fmt.Fprintf(c.out, "%10d  %s%s\n", f.Size, printable(f.Name), note)
	}
	if err == nil && damaged > 0 {
		err = fmt.Errorf("%d of %d files are damaged: check the disk", damaged, len(files))
	}
	return err
}
