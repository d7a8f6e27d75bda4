package label

import (
	"strings"
	"testing"
)

func TestMake(t *testing.T) {
	m, err := NewMaker()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, c := range []struct {
		text       string
		size, room int
		none       bool
	}{
		{"101", 20, 300, false}, {"Ärzte Ωmega Привет", 24, 600, false}, {"a very long name that has to be cut somewhere", 16, 120, false},
		{strings.Repeat("x", 10000), 16, 8000, false}, {"x", 16, 4, true}, {"", 16, 100, true}, {"\x00\x1b\n", 16, 100, true}, {"日本", 16, 100, false},
		{"bad \xff\xfe utf", 900, 2000, false},
	} {
		s, err := m.Make(c.text, c.size, c.room)
		if err != nil {
			t.Fatal(c.text, err)
		}
		if (s == nil) != c.none {
			t.Errorf("%q: %v", c.text, s)
		}
		if s == nil {
			continue
		}
		if w, h := s.Size(); w > c.room+1 || w%2 != 0 || h%2 != 0 {
			t.Errorf("%q is %dx%d, room for %d", c.text, w, h, c.room)
		}
		if again, _ := m.Make(c.text, c.size, c.room); again != s {
			t.Errorf("%q was made twice", c.text)
		}
	}
}
