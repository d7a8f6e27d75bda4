package wire

import (
	"github.com/go-json-experiment/json/jsontext"

	"tapedeck/internal/session"
)

// layoutParams are the members that start's transcodingConfig and updateLayout
// have in common (rest-api.md 3.4, 7), as the table leaves them.
type layoutParams struct {
	Kind                int                `json:"mixedVideoLayout"`
	MaxUID              string             `json:"maxResolutionUid"`
	Background          string             `json:"backgroundColor"`
	BackgroundImage     string             `json:"backgroundImage"`
	UserBackgroundImage string             `json:"defaultUserBackgroundImage"`
	Regions             []layoutRegion     `json:"layoutConfig"`
	UserImages          []backgroundConfig `json:"backgroundConfig"`
}

type layoutRegion struct {
	UID    string  `json:"uid"`
	X      float64 `json:"x_axis"`
	Y      float64 `json:"y_axis"`
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
	Alpha  float64 `json:"alpha"`
	Render int     `json:"render_mode"`
}

type backgroundConfig struct {
	UID    string `json:"uid"`
	Image  string `json:"image_url"`
	Render int    `json:"render_mode"`
}

const layoutCustom = 3

// Layout reads the clientRequest of updateLayout. What it leaves out returns to
// its default.
func (r *Rules) Layout(c Call, options jsontext.Value) (session.Layout, error) {
	c.Mode = session.Mix
	var p layoutParams
	if err := r.request(c, r.Table.Requests["updateLayout"], options, &p); err != nil {
		return session.Layout{}, err
	}
	return p.layout()
}

func (p *layoutParams) layout() (session.Layout, error) {
	l := session.Layout{
		Kind: p.Kind, Background: p.Background, BackgroundImage: p.BackgroundImage,
		UserBackgroundImage: p.UserBackgroundImage,
	}
	l.MaxUID, _ = parseUID(p.MaxUID)
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
	case kind != layoutCustom && len(in) > 0:
		return nil, bad("layoutConfig")
	case kind == layoutCustom && len(in) == 0:
		return nil, absent("layoutConfig")
	}
	var out []session.CustomRegion
	for _, r := range in {
		if field := outside(r.X, r.Y, r.Width, r.Height); field != "" {
			return nil, bad(field)
		}
		c := session.CustomRegion{X: r.X, Y: r.Y, W: r.Width, H: r.Height, Alpha: r.Alpha, Fit: r.Render == 1}
		c.UID, _ = parseUID(r.UID)
		out = append(out, c)
	}
	return out, nil
}

// outside names the side that reaches beyond the canvas, "" if none does.
// Fractions come with six decimals: a hair over 1 is a sum that was meant to be 1.
func outside(x, y, width, height float64) string {
	const hair = 1e-9
	switch {
	case x+width > 1+hair:
		return "width"
	case y+height > 1+hair:
		return "height"
	}
	return ""
}

// imageList reads backgroundConfig: one picture a user.
func imageList(in []backgroundConfig) ([]session.UserBackground, error) {
	var out []session.UserBackground
	seen := map[string]bool{}
	for _, b := range in {
		if seen[b.UID] {
			return nil, bad("uid")
		}
		seen[b.UID] = true
		uid, _ := parseUID(b.UID)
		out = append(out, session.UserBackground{UID: uid, Image: b.Image, Fit: b.Render == 1})
	}
	return out, nil
}
