package wire

import "tapedeck/internal/session"

const wildcard = "#allstream#"

// audioLists and videoLists are the lists of a body; nil is absent.
type audioLists struct {
	Allow []string `json:"subscribeAudioUids"`
	Deny  []string `json:"unsubscribeAudioUids"`
}

type videoLists struct {
	Allow []string `json:"subscribeVideoUids"`
	Deny  []string `json:"unsubscribeVideoUids"`
}

// choice is one kind's allow and deny list.
type choice struct {
	allowName, denyName string
	allow, deny         []string
}

func (a audioLists) choice() choice {
	return choice{"subscribeAudioUids", "unsubscribeAudioUids", a.Allow, a.Deny}
}

func (v videoLists) choice() choice {
	return choice{"subscribeVideoUids", "unsubscribeVideoUids", v.Allow, v.Deny}
}

func (c choice) given() bool { return c.allow != nil || c.deny != nil }

// list turns the choice into a list of users, nil if neither list was given.
func (c choice) list() (*session.UIDList, error) {
	switch {
	case c.allow != nil && c.deny != nil: // R4
		return nil, bad(c.denyName)
	case len(c.allow) == 1 && c.allow[0] == wildcard:
		return &session.UIDList{All: true}, nil
	case c.allow != nil:
		return &session.UIDList{Allow: uidList(c.allow)}, nil
	case c.deny != nil:
		return &session.UIDList{All: true, Deny: uidList(c.deny)}, nil
	}
	return nil, nil
}

// uidList reads checked user ids; one that is there twice counts once.
func uidList(entries []string) []uint32 {
	uids := make([]uint32, 0, len(entries))
	for _, s := range entries {
		uid, _ := parseUID(s)
		if !(session.UIDList{Allow: uids}).Has(uid) {
			uids = append(uids, uid)
		}
	}
	return uids
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
	var sub session.Subscription
	if a != nil {
		sub.Audio = *a
	}
	if v != nil {
		sub.Video = *v
	}
	return sub, nil
}
