package wire

import (
	"net/url"

	"tapedeck/internal/session"
)

// layoutParams are the members that start's transcodingConfig and updateLayout
// have in common (rest-api.md 3.4, 7).
type layoutParams struct {
	Kind                *int               `json:"mixedVideoLayout"`
	MaxUID              *string            `json:"maxResolutionUid"`
	Background          *string            `json:"backgroundColor"`
	BackgroundImage     *string            `json:"backgroundImage"`
	UserBackgroundImage *string            `json:"defaultUserBackgroundImage"`
	Regions             []layoutRegion     `json:"layoutConfig"`
	UserImages          []backgroundConfig `json:"backgroundConfig"`
}

type layoutRegion struct {
	UID    *string  `json:"uid"`
	X      *float64 `json:"x_axis"`
	Y      *float64 `json:"y_axis"`
	Width  *float64 `json:"width"`
	Height *float64 `json:"height"`
	Alpha  *float64 `json:"alpha"`
	Render *int     `json:"render_mode"`
}

type backgroundConfig struct {
	UID    *string `json:"uid"`
	Image  *string `json:"image_url"`
	Render *int    `json:"render_mode"`
}

const (
	layoutCustom      = 3
	maxRegions        = 17
	defaultBackground = "#000000"
)

// layout checks the parameters and fills in the defaults.
func (p *layoutParams) layout() (session.Layout, error) {
	if err := check(rule{"mixedVideoLayout", p.Kind, 0, layoutCustom}); err != nil {
		return session.Layout{}, err
	}
	l := session.Layout{
		Kind:                or(p.Kind, 0),
		Background:          defaultBackground,
		BackgroundImage:     text(p.BackgroundImage),
		UserBackgroundImage: text(p.UserBackgroundImage),
	}
	var ok bool
	if uid := text(p.MaxUID); uid != "" {
		if l.MaxUID, ok = parseUID(uid); !ok {
			return session.Layout{}, bad("maxResolutionUid")
		}
	}
	if colour := text(p.Background); colour != "" {
		l.Background = colour
	}
	switch {
	case !hexColour(l.Background):
		return session.Layout{}, bad("backgroundColor")
	case l.BackgroundImage != "" && !pictureURL(l.BackgroundImage):
		return session.Layout{}, bad("backgroundImage")
	case l.UserBackgroundImage != "" && !pictureURL(l.UserBackgroundImage):
		return session.Layout{}, bad("defaultUserBackgroundImage")
	}
	var err error
	if l.Regions, err = regionList(l.Kind, p.Regions); err != nil {
		return session.Layout{}, err
	}
	l.UserImages, err = imageList(p.UserImages)
	return l, err
}

// regionList: windows are given if and only if the layout is custom (R12).
func regionList(kind int, in []layoutRegion) ([]session.CustomRegion, error) {
	switch {
	case kind != layoutCustom && len(in) > 0, len(in) > maxRegions:
		return nil, bad("layoutConfig")
	case kind == layoutCustom && len(in) == 0:
		return nil, absent("layoutConfig")
	}
	var out []session.CustomRegion
	for i := range in {
		r, err := in[i].region()
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func (r *layoutRegion) region() (session.CustomRegion, error) {
	fractions := []struct {
		field string
		value *float64
	}{{"x_axis", r.X}, {"y_axis", r.Y}, {"width", r.Width}, {"height", r.Height}}
	for _, f := range fractions {
		if f.value == nil {
			return session.CustomRegion{}, absent(f.field)
		}
		if !fraction(*f.value) {
			return session.CustomRegion{}, bad(f.field)
		}
	}
	out := session.CustomRegion{
		X: *r.X, Y: *r.Y, W: *r.Width, H: *r.Height,
		Alpha: or(r.Alpha, 1), Fit: or(r.Render, 0) == 1,
	}
	// Fractions come with six decimals: a hair over 1 is a sum that was meant to be 1.
	const hair = 1e-9
	if uid := text(r.UID); uid != "" {
		var ok bool
		if out.UID, ok = parseUID(uid); !ok {
			return session.CustomRegion{}, bad("uid")
		}
	}
	switch {
	case out.X+out.W > 1+hair:
		return session.CustomRegion{}, bad("width")
	case out.Y+out.H > 1+hair:
		return session.CustomRegion{}, bad("height")
	case !fraction(out.Alpha):
		return session.CustomRegion{}, bad("alpha")
	}
	return out, check(rule{"render_mode", r.Render, 0, 1})
}

func fraction(f float64) bool { return 0 <= f && f <= 1 }

// imageList reads backgroundConfig: one picture a user.
func imageList(in []backgroundConfig) ([]session.UserBackground, error) {
	var out []session.UserBackground
	seen := map[uint32]bool{}
	for _, b := range in {
		uid, ok := parseUID(text(b.UID))
		switch {
		case text(b.UID) == "":
			return nil, absent("uid")
		case !ok || seen[uid]:
			return nil, bad("uid")
		case text(b.Image) == "":
			return nil, absent("image_url")
		case !pictureURL(*b.Image):
			return nil, bad("image_url")
		}
		if err := check(rule{"render_mode", b.Render, 0, 1}); err != nil {
			return nil, err
		}
		seen[uid] = true
		out = append(out, session.UserBackground{UID: uid, Image: *b.Image, Fit: or(b.Render, 0) == 1})
	}
	return out, nil
}

// hexColour accepts "#" and six hex digits.
func hexColour(s string) bool {
	return len(s) == 7 && s[0] == '#' && every(s[1:], func(c byte) bool {
		return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
	})
}

// pictureURL accepts an absolute http or https URL. Whether it may be fetched is
// for the egress policy.
func pictureURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && oneOf(u.Scheme, "http", "https") && u.Hostname() != "" && plain(s)
}

// DecodeLayout reads the clientRequest of updateLayout. What it leaves out
// returns to its default.
func DecodeLayout(options []byte) (session.Layout, error) {
	var p layoutParams
	if err := decode(options, &p); err != nil {
		return session.Layout{}, err
	}
	return p.layout()
}
