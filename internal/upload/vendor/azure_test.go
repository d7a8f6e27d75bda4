package vendor_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/outbound"
	"tapedeck/internal/testkit/stores"
	"tapedeck/internal/upload/azure"
	"tapedeck/internal/upload/vendor"
)

// azurite holds vendor 5 to the contract.
func azurite(t *testing.T) {
	server := stores.Azurite(t)
	server.MakeContainer(bucket)
	open := func(change func(*azure.Config)) vendor.Store {
		cfg := azure.Config{
			Endpoint: server.Endpoint + "/" + server.AccessKey, Account: server.AccessKey, Key: server.SecretKey,
			Container: bucket, Transport: outbound.Policy{Trusted: true}.Transport(),
		}
		change(&cfg)
		st, err := azure.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	st := open(func(*azure.Config) {})
	conformance(t, subject{store: st})
	t.Run("caller's faults", func(t *testing.T) {
		wrong := base64.StdEncoding.EncodeToString([]byte("another key 0123456789"))
		for name, c := range map[string]struct {
			change func(*azure.Config)
			code   string
		}{
			"wrong key":    {func(c *azure.Config) { c.Key = wrong }, "AuthorizationFailure"},
			"no container": {func(c *azure.Config) { c.Container = "no-such-container" }, "ContainerNotFound"},
		} {
			for _, n := range []int{10, 17 << 20} {
				b := randomBytes(n)
				_, err := open(c.change).Put(within(t, 20*time.Second), describe("x.ts", b), bytes.NewReader(b))
				if vendor.FaultOf(err) != vendor.Caller || vendor.Code(err) != c.code || strings.Contains(err.Error(), wrong) {
					t.Errorf("%s, %d bytes: fault of %s, code %q: %v", name, n, vendor.FaultOf(err), vendor.Code(err), err)
				}
			}
		}
	})
	t.Run("cut connection", func(t *testing.T) {
		cutConnection(t, server, st, func(addr string) vendor.Store {
			return open(func(c *azure.Config) { c.Endpoint = "http://" + addr + "/" + server.AccessKey })
		})
	})
	t.Run("down and back", func(t *testing.T) {
		// Azurite writes its list of containers every few seconds only.
		downAndBack(t, server, st, func() { server.MakeContainer(bucket) })
	})
}
