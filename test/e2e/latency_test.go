package e2e

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/cast"
	"tapedeck/internal/testkit/clips"
)

// BenchmarkStartToFirstFrame measures from the answer of start to the first
// recorded frame, and from stop to files final, as medians in ms:
//
//	go test -run '^$' -bench StartToFirstFrame -benchtime 10x ./test/e2e
func BenchmarkStartToFirstFrame(b *testing.B) {
	for _, mode := range []session.Mode{session.Mix, session.Individual} {
		b.Run(string(mode), func(b *testing.B) {
			s := serve(b)
			c, err := cast.Prepare(b.Context(), clips.Cast()[:2])
			if err != nil {
				b.Fatal(err)
			}
			if err := c.Join(b.Context(), s.Creds, "room"); err != nil {
				b.Fatal(err)
			}
			defer c.Leave()
			options := mixOptions("b", 1280, 720, 30)
			if mode == session.Individual {
				options = individualOptions("b", session.StreamStandard)
			}
			var first, stop []float64
			for i := 0; b.Loop(); i++ {
				t, err := s.Record(b.Context(), mode, "room", strconv.Itoa(1000+i), options)
				answered := time.Now()
				if err != nil {
					b.Fatal(err)
				}
				if _, err := s.Await(b.Context(), t); err != nil {
					b.Fatal(err)
				}
				if err := wait(b.Context(), 1500*time.Millisecond); err != nil {
					b.Fatal(err)
				}
				st, err := s.Stop(b.Context(), t, false)
				if err != nil {
					b.Fatal(err)
				}
				begin := st.Files[0].StartMilli
				for _, f := range st.Files {
					begin = min(begin, f.StartMilli)
				}
				first = append(first, float64(time.UnixMilli(begin).Sub(answered).Milliseconds()))
				stop = append(stop, float64(st.AnsweredIn.Milliseconds()))
			}
			b.ReportMetric(middle(first), "ms/first-frame")
			b.ReportMetric(middle(stop), "ms/stop")
			b.Logf("first frame %v, stop %v", first, stop)
		})
	}
}

func middle(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
