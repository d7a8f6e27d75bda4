package conform

import (
	"fmt"
	"io"
)

// Table prints results as they come and counts them.
type Table struct {
	Out                  io.Writer
	Same, Other, Skipped int
}

// Add prints one line, and one more for everything that differs.
func (t *Table) Add(r Result) {
	verdict := "ok"
	switch {
	case r.Skipped != "":
		t.Skipped++
		verdict = "not tried: " + r.Skipped
	case len(r.Differs) > 0:
		t.Other++
		verdict = "DIFFERS (" + r.Example.Verification + ")"
	default:
		t.Same++
	}
	_, _ = fmt.Fprintf(t.Out, "%-46s %s\n", r.Example.ID, verdict)
	for _, d := range r.Differs {
		_, _ = fmt.Fprintf(t.Out, "%-46s   %s\n", "", d)
	}
}

// End prints the sum.
func (t *Table) End() {
	_, _ = fmt.Fprintf(t.Out, "\n%d ok, %d differ, %d not tried\n", t.Same, t.Other, t.Skipped)
}
