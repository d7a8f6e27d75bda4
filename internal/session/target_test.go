package session

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// The sealed form is read by another version of the program after an upgrade.
func TestTargetForm(t *testing.T) {
	full := Target{
		Vendor: 1, Region: 2, Bucket: "b", AccessKey: "ak", SecretKey: "sk", STSToken: "st",
		STSExpiration: 1750014400, Prefix: "d1/d2/", SSE: "kms", Tag: "K=v", Endpoint: "https://e",
	}
	for want, target := range map[string]Target{
		`{"vendor":1,"region":2,"bucket":"b","accessKey":"ak","secretKey":"sk","stsToken":"st","stsExpiration":1750014400,"prefix":"d1/d2/","sse":"kms","tag":"K=v","endpoint":"https://e"}`: full,
		`{"vendor":0,"region":0,"bucket":"","accessKey":"","secretKey":""}`: {},
	} {
		got, err := json.Marshal(target)
		if err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
		var back Target
		if err := json.Unmarshal([]byte(want), &back); err != nil || back != target {
			t.Errorf("%s is read as another target: %v", want, err)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %s", full, full, full, full.LogValue()); strings.Contains(text, "ak") || strings.Contains(text, "sk") || strings.Contains(text, "st ") {
		t.Errorf("%s tells a credential", text)
	}
}

// What is private is in no message, by whatever way it is printed.
func TestPrivateIsNotPrinted(t *testing.T) {
	p := Private{MediaSecret: "hide-a", PageURL: "hide-b", Push: []string{"hide-c"}, MediaSalt: []byte("hide-d")}
	if text := fmt.Sprintf("%v %+v %#v %s %v", p, p, p, p.LogValue(), struct{ P Private }{p}); strings.Contains(text, "hide") || strings.Contains(text, "104 105") {
		t.Error(text)
	}
}
