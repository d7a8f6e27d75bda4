package livekit

import (
	"reflect"
	"testing"

	"tapedeck/internal/channel"
)

func TestThoseWhoAreThereComeByUID(t *testing.T) {
	joined := func(uid uint32) channel.Event { return channel.Joined{User: channel.User{UID: uid}} }
	tr := &channel.Track{ID: "t", User: channel.User{UID: 30}}
	got := usersFirst([]channel.Event{joined(30), channel.Started{Track: tr}, joined(7), joined(12)})
	want := []channel.Event{joined(7), joined(12), joined(30), channel.Started{Track: tr}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	left := []channel.Event{joined(30), channel.Left{User: channel.User{UID: 30}}, joined(7)}
	if got := usersFirst(left); !reflect.DeepEqual(got, left) {
		t.Errorf("with somebody who left: %v", got)
	}
}
