package account

import "tapedeck/internal/notify"

// Webhooks returns the endpoints of all enabled apps.
func (d *Directory) Webhooks() []notify.Endpoint {
	var all []notify.Endpoint
	for _, app := range d.now.Load().apps {
		if app.Enabled {
			all = append(all, app.Webhooks...)
		}
	}
	return all
}

// Told reports whether anybody wants to hear of an app's recordings, and
// whether of event 13 as well, which is sent to those who ask for it only.
func (d *Directory) Told(id string) (told, registered bool) {
	app, ok := d.App(id)
	if !ok || !app.Enabled {
		return false, false
	}
	for _, w := range app.Webhooks {
		told, registered = true, registered || w.Wants(notify.TypeSessionRegistered)
	}
	return told, registered
}
