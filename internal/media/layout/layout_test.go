package layout

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"

	"tapedeck/internal/session"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func users(n int) []uint32 {
	u := make([]uint32, n)
	for i := range u {
		u[i] = uint32(100 + i + 1) // user k has uid 100+k
	}
	return u
}

func find(t *testing.T, rs []Region, uid uint32) Region {
	t.Helper()
	for _, r := range rs {
		if r.UID == uid {
			return r
		}
	}
	t.Fatalf("user %d has no region in %v", uid, rs)
	return Region{}
}

// The vectors of spec/layouts.md section 9, before rounding.
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		name       string
		l          session.Layout
		n          int
		uid        uint32
		x, y, w, h float64
	}{
		{"floating, user 2", session.Layout{}, 17, 102, 15.36, 542.16, 300.80, 169.20},
		{"floating, user 5", session.Layout{}, 17, 105, 963.84, 542.16, 300.80, 169.20},
		{"floating, user 6", session.Layout{}, 17, 106, 15.36, 364.32, 300.80, 169.20},
		{"floating, user 17", session.Layout{}, 17, 117, 963.84, 8.64, 300.80, 169.20},
		{"best fit n=2, user 2", session.Layout{Kind: BestFit}, 2, 102, 640, 0, 640, 720},
		{"best fit n=5, user 5", session.Layout{Kind: BestFit}, 5, 105, 426.67, 240, 426.67, 240},
		{"best fit n=17, user 1", session.Layout{Kind: BestFit}, 17, 101, 128, 0, 256, 144},
		{"best fit n=17, user 17", session.Layout{Kind: BestFit}, 17, 117, 512, 576, 256, 144},
		{"vertical n=5 large", session.Layout{Kind: Vertical, MaxUID: 101}, 5, 101, 0, 0, 1024, 720},
		{"vertical n=5, small 4", session.Layout{Kind: Vertical, MaxUID: 101}, 5, 105, 1024, 540, 256, 180},
		{"vertical n=7, small 6", session.Layout{Kind: Vertical, MaxUID: 101}, 7, 107, 1097.14, 600, 182.86, 120},
		{"vertical n=9, small 8", session.Layout{Kind: Vertical, MaxUID: 101}, 9, 109, 1137.78, 630, 142.22, 90},
		{"vertical n=17, small 1", session.Layout{Kind: Vertical, MaxUID: 101}, 17, 102, 1152, 0, 128, 90},
		{"vertical n=17, small 9", session.Layout{Kind: Vertical, MaxUID: 101}, 17, 110, 1024, 0, 128, 90},
	} {
		r := find(t, Place(c.l, users(c.n), 1280, 720), c.uid)
		for i, e := range [][2]float64{
			{float64(r.X), c.x}, {float64(r.Y), c.y}, {float64(r.X + r.W), c.x + c.w}, {float64(r.Y + r.H), c.y + c.h},
		} {
			// 1.02 instead of 1: two of the vectors are rounded to 0.01 themselves.
			if math.Abs(e[0]-e[1]) > 1.02 {
				t.Errorf("%s: edge %d is %v, want the even pixel next to %v", c.name, i, e[0], e[1])
			}
		}
	}
}

type goldenCase struct {
	Name   string         `json:"name"`
	Layout session.Layout `json:"layout"`
	Users  int            `json:"users"`
	W      int            `json:"w"`
	H      int            `json:"h"`
}

func goldenCases() []goldenCase {
	var cs []goldenCase
	add := func(name string, l session.Layout, w, h int, ns ...int) {
		for _, n := range ns {
			cs = append(cs, goldenCase{name, l, n, w, h})
		}
	}
	add("floating", session.Layout{}, 1280, 720, 1, 2, 5, 6, 17, 18)
	add("best fit", session.Layout{Kind: BestFit}, 1280, 720, 1, 2, 3, 4, 5, 9, 10, 16, 17, 20)
	add("best fit, portrait", session.Layout{Kind: BestFit}, 360, 640, 1, 2, 4, 7)
	add("vertical", session.Layout{Kind: Vertical, MaxUID: 101}, 1280, 720, 1, 2, 5, 6, 7, 8, 9, 10, 17, 20)
	add("vertical without large", session.Layout{Kind: Vertical}, 1280, 720, 1, 2, 5, 17)
	add("vertical, large not there", session.Layout{Kind: Vertical, MaxUID: 7}, 1280, 720, 1, 4, 5)
	add("custom", session.Layout{Kind: Custom, Regions: []session.CustomRegion{
		{UID: 102, X: 0, Y: 0, W: 1, H: 0.5, Alpha: 1, Fit: true},
		{X: 0, Y: 0.5, W: 0.5, H: 0.5, Alpha: 1, Fit: true},
		{X: 0.5, Y: 0.5, W: 0.5, H: 0.5, Alpha: 0.4},
		{UID: 9, X: 0.1, Y: 0.1, W: 0.1, H: 0.1, Alpha: 1},
		{X: 0.2, Y: 0.2, W: 0.000001, H: 0.5, Alpha: 1},
	}}, 640, 360, 0, 1, 2, 3, 4, 5)
	return cs
}

func TestGolden(t *testing.T) {
	type row struct {
		goldenCase
		Regions []Region `json:"regions"`
	}
	var rows []row
	for _, c := range goldenCases() {
		rows = append(rows, row{c, Place(c.Layout, users(c.Users), c.W, c.H)})
	}
	got, err := json.MarshalIndent(rows, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "regions.json")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Fatalf("regions changed; if that is meant: go test ./internal/media/layout -update\n%s", got)
	}
}

// Every layout, number of users and canvas: regions are inside, have even
// edges, are not empty, are sorted by Z, and do not overlap within one Z.
func TestInvariants(t *testing.T) {
	custom := []session.CustomRegion{
		{X: 0, Y: 0, W: 1, H: 1, Alpha: 1}, {X: 0.333333, Y: 0.333333, W: 0.666667, H: 0.666667, Alpha: 0.5},
		{X: 0.5, Y: 0.5, W: 0.25, H: 0.25, Alpha: 0}, {UID: 103, X: 0.9, Y: 0.9, W: 0.1, H: 0.1, Alpha: 1},
	}
	sizes := [][2]int{{1280, 720}, {360, 640}, {1919, 1079}, {97, 33}, {16, 16}, {3, 3}, {2, 2}}
	for kind := Floating; kind <= Custom; kind++ {
		for _, s := range sizes {
			for n := 0; n <= 20; n++ {
				for _, big := range []uint32{0, 101, 105, 999} {
					l := session.Layout{Kind: kind, MaxUID: big, Regions: custom}
					check(t, Place(l, users(n), s[0], s[1]), l, n, s[0], s[1])
				}
			}
		}
	}
}

func check(t *testing.T, rs []Region, l session.Layout, n, w, h int) {
	t.Helper()
	if len(rs) > MaxRegions || len(rs) > n {
		t.Fatalf("kind %d, %d users: %d regions", l.Kind, n, len(rs))
	}
	for i, r := range rs {
		if (r.X|r.Y|r.W|r.H)&1 != 0 || r.X < 0 || r.Y < 0 || r.W <= 0 || r.H <= 0 || r.X+r.W > w || r.Y+r.H > h {
			t.Fatalf("kind %d, %d users on %dx%d: bad region %+v", l.Kind, n, w, h, r)
		}
		for _, o := range rs[:i] {
			if o.Z > r.Z || o.Z == r.Z && o.Overlaps(r) || o.UID == r.UID {
				t.Fatalf("kind %d, %d users on %dx%d: %+v after %+v", l.Kind, n, w, h, r, o)
			}
		}
	}
}

// The cells of a full grid leave no pixel uncovered.
func TestNoSeams(t *testing.T) {
	for _, n := range []int{1, 2, 4, 9, 16} {
		for _, s := range [][2]int{{1280, 720}, {854, 480}, {362, 638}} {
			area := 0
			for _, r := range Place(session.Layout{Kind: BestFit}, users(n), s[0], s[1]) {
				area += r.W * r.H
			}
			if area != s[0]*s[1] {
				t.Errorf("best fit of %d on %v covers %d pixels of %d", n, s, area, s[0]*s[1])
			}
		}
	}
}

func TestHostileNumbers(t *testing.T) {
	nan := math.NaN()
	for _, b := range []session.CustomRegion{
		{X: nan, Y: nan, W: nan, H: nan, Alpha: 1}, {X: -5, Y: -1, W: 100, H: 1e300, Alpha: 7},
		{X: math.Inf(-1), Y: 0, W: math.Inf(1), H: 1, Alpha: nan}, {X: 2, Y: 2, W: 1, H: 1, Alpha: 1},
	} {
		l := session.Layout{Kind: Custom, Regions: []session.CustomRegion{b}}
		check(t, Place(l, users(1), 1280, 720), l, 1, 1280, 720)
	}
}
