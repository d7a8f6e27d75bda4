package h264

import (
	"bytes"
	"testing"
)

func TestUnits(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want [][]byte
	}{
		"nothing":         {nil, nil},
		"no start code":   {[]byte{1, 2, 3}, nil},
		"both codes":      {[]byte{0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2}, [][]byte{{0x67, 1}, {0x68, 2}}},
		"trailing zeros":  {[]byte{0, 0, 1, 0x65, 9, 0, 0, 0, 0, 0, 1, 0x41}, [][]byte{{0x65, 9}, {0x41}}},
		"empty unit":      {[]byte{0, 0, 1, 0, 0, 1, 0x41}, [][]byte{{0x41}}},
		"rubbish before":  {[]byte{9, 9, 0, 0, 1, 0x41}, [][]byte{{0x41}}},
		"ends in a code":  {[]byte{0, 0, 1, 0x41, 0, 0, 1}, [][]byte{{0x41}}},
		"only start code": {[]byte{0, 0, 0, 1}, nil},
	} {
		var got [][]byte
		for u := range Units(c.in) {
			got = append(got, u)
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %x", name, got)
			continue
		}
		for i := range got {
			if !bytes.Equal(got[i], c.want[i]) {
				t.Errorf("%s: unit %d is %x", name, i, got[i])
			}
		}
	}
}

func TestParameterSets(t *testing.T) {
	au := []byte{0, 0, 0, 1, 0x09, 0xF0, 0, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 0, 1, 0x68, 4, 0, 0, 1, 0x65, 5}
	sps, pps := ParameterSets(au)
	if !bytes.Equal(sps, []byte{0x67, 1, 2, 3}) || !bytes.Equal(pps, []byte{0x68, 4}) {
		t.Errorf("%x %x", sps, pps)
	}
	if sps, pps = ParameterSets([]byte{0, 0, 1, 0x41, 1}); sps != nil || pps != nil {
		t.Errorf("%x %x in a slice without them", sps, pps)
	}
}

func TestRecordRefusesWhatItCannotRead(t *testing.T) {
	for _, c := range [][2][]byte{{nil, nil}, {{0x67, 1, 2, 3}, nil}, {{0x67, 0x42, 0, 0x1E}, {0x68}}} {
		if _, err := Record(c[0], c[1]); err == nil {
			t.Errorf("%x %x was accepted", c[0], c[1])
		}
	}
}

func FuzzUnits(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		for u := range Units(b) {
			n += len(u)
			if bytes.Contains(u, []byte{0, 0, 1}) {
				t.Fatalf("%x holds a start code", u)
			}
		}
		if n > len(b) {
			t.Fatal("units are longer than the stream")
		}
		sps, pps := ParameterSets(b)
		_, _ = Record(sps, pps)
		_, _, _ = Size(sps)
	})
}
