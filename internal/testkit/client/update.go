package client

import (
	"context"
	"net/http"
)

// Update changes a running recording. options is clientRequest.
func (c *Client) Update(ctx context.Context, t Task, options any) error {
	path := "resourceid/" + t.ResourceID + "/sid/" + t.SID + "/mode/" + string(t.Mode) + "/update"
	var out struct{}
	_, err := c.call(ctx, http.MethodPost, path, request{t.CName, t.UID, options}, &out)
	return err
}
