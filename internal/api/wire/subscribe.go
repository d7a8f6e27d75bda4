package wire

import "tapedeck/internal/session"

const (
	wildcard = "#allstream#"
	maxUIDs  = 32 // entries of one list (R7)
)

// lists are the four subscription lists of a body, each under its own member
// name, and the other spellings that clients send (rest-api.md 12.3).
type audioLists struct {
	Allow []string `json:"subscribeAudioUids"`
	Deny  []string `json:"unsubscribeAudioUids"`
	Deny2 []string `json:"unSubscribeAudioUids"`
}

type videoLists struct {
	Allow []string `json:"subscribeVideoUids"`
	Deny  []string `json:"unsubscribeVideoUids"`
	Deny2 []string `json:"unSubscribeVideoUids"`
	Deny3 []string `json:"unsunscribeVideoUids"`
}

// choice is one kind's allow and deny list; nil slices are absent.
type choice struct {
	allowName, denyName string
	allow               []string
	deny                [][]string // every spelling
	strict              bool       // an empty list is an error (update), not absent (start)
}

func (a audioLists) choice(strict bool) choice {
	return choice{"subscribeAudioUids", "unsubscribeAudioUids", a.Allow, [][]string{a.Deny, a.Deny2}, strict}
}

func (v videoLists) choice(strict bool) choice {
	return choice{"subscribeVideoUids", "unsubscribeVideoUids", v.Allow, [][]string{v.Deny, v.Deny2, v.Deny3}, strict}
}

// list turns the choice into a list of users, nil if neither list was given.
func (c choice) list() (*session.UIDList, error) {
	var deny []string
	for _, d := range c.deny {
		if given(d, c.strict) && given(deny, c.strict) {
			return nil, bad(c.denyName) // the same list under two spellings
		}
		if given(d, c.strict) {
			deny = d
		}
	}
	switch {
	case given(c.allow, c.strict) && given(deny, c.strict): // R4
		return nil, bad(c.denyName)
	case given(c.allow, c.strict):
		if len(c.allow) == 1 && c.allow[0] == wildcard {
			return &session.UIDList{All: true}, nil
		}
		uids, ok := uidList(c.allow)
		if !ok {
			return nil, bad(c.allowName)
		}
		return &session.UIDList{Allow: uids}, nil
	case given(deny, c.strict):
		uids, ok := uidList(deny)
		if !ok {
			return nil, bad(c.denyName)
		}
		return &session.UIDList{All: true, Deny: uids}, nil
	}
	return nil, nil
}

func given(list []string, strict bool) bool { return len(list) > 0 || strict && list != nil }

// uidList reads 1 to maxUIDs user ids; one that is there twice counts once.
func uidList(entries []string) ([]uint32, bool) {
	if len(entries) == 0 || len(entries) > maxUIDs {
		return nil, false
	}
	uids := make([]uint32, 0, len(entries))
	for _, s := range entries {
		uid, ok := parseUID(s)
		if !ok {
			return nil, false
		}
		if !(session.UIDList{Allow: uids}).Has(uid) {
			uids = append(uids, uid)
		}
	}
	return uids, true
}

// subscription puts both kinds together. A kind that streamTypes excludes must
// have no list (R5, R23); when only one kind has a list the other is not
// subscribed at all (R6); without any list everybody is.
func subscription(audio, video choice, streams session.StreamTypes) (session.Subscription, error) {
	a, err := audio.list()
	if err != nil {
		return session.Subscription{}, err
	}
	v, err := video.list()
	switch {
	case err != nil:
		return session.Subscription{}, err
	case a != nil && !streams.Audio():
		return session.Subscription{}, bad(audio.allowName)
	case v != nil && !streams.Video():
		return session.Subscription{}, bad(video.allowName)
	case a == nil && v == nil:
		return session.Subscription{
			Audio: session.UIDList{All: streams.Audio()},
			Video: session.UIDList{All: streams.Video()},
		}, nil
	}
	return session.Subscription{Audio: or(a, session.UIDList{}), Video: or(v, session.UIDList{})}, nil
}
