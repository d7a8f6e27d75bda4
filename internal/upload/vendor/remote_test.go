package vendor_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"tapedeck/internal/testkit/stores"
	"tapedeck/internal/upload/s3"
	"tapedeck/internal/upload/vendor"
)

func tags(t *testing.T, s subject) {
	st := s.open(t, func(c *s3.Config) { c.Tag = "RETENTION_DAYS=30&team=a b" })
	for _, n := range []int{10, 17 << 20} {
		put(t, st, "tagged.ts", randomBytes(n))
		got, err := s.server.Client().GetObjectTagging(t.Context(), bucket, "tagged.ts", minio.GetObjectTaggingOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if m := got.ToMap(); m["RETENTION_DAYS"] != "30" || m["team"] != "a b" || len(m) != 2 {
			t.Errorf("%d bytes: tags %v", n, m)
		}
	}
}

// callersFaults: what only the caller can mend is told apart, by its code, and
// without the secrets.
func callersFaults(t *testing.T, s subject) {
	for name, c := range map[string]struct {
		change func(*s3.Config)
		code   string
	}{
		"wrong secret": {func(c *s3.Config) { c.SecretKey = "another-secret-0123456789" }, "SignatureDoesNotMatch"},
		"unknown key":  {func(c *s3.Config) { c.AccessKey = "nobody-0123456789" }, ""}, // each server has its own code
		"no bucket":    {func(c *s3.Config) { c.Bucket = "no-such-bucket" }, "NoSuchBucket"},
		"wrong secret, region known": {func(c *s3.Config) {
			c.SecretKey, c.Region = "another-secret-0123456789", "us-east-1"
		}, "SignatureDoesNotMatch"},
		"no bucket, region known": {func(c *s3.Config) { c.Bucket, c.Region = "no-such-bucket", "us-east-1" }, "NoSuchBucket"},
		"false token":             {func(c *s3.Config) { c.STSToken = "false-token-0123456789" }, ""},
	} {
		cfg := s.config
		c.change(&cfg)
		st := s.open(t, c.change)
		for _, n := range []int{10, 17 << 20} {
			b := randomBytes(n)
			_, err := st.Put(within(t, 20*time.Second), describe("x.ts", b), bytes.NewReader(b))
			if name == "false token" && err == nil {
				continue // a server without temporary credentials ignores it
			}
			if vendor.FaultOf(err) != vendor.Caller || (c.code != "" && vendor.Code(err) != c.code) {
				t.Errorf("%s, %d bytes: fault of %s, code %q: %v", name, n, vendor.FaultOf(err), vendor.Code(err), err)
			}
			for _, secret := range []string{cfg.SecretKey, cfg.AccessKey, cfg.STSToken} {
				if err != nil && secret != "" && strings.Contains(err.Error(), secret) {
					t.Errorf("%s: a credential is in %q", name, err)
				}
			}
		}
	}
}

// cutConnection puts through a relay that ends the connection in the middle of
// the body.
func cutConnection(t *testing.T, server *stores.Server, plain vendor.Store, through func(addr string) vendor.Store) {
	for name, n := range map[string]int{"whole": 4 << 20, "parts": 34 << 20} {
		st := through(relay(t, server.Addr, int64(n)/2))
		b := randomBytes(n)
		_, err := st.Put(within(t, 30*time.Second), describe("cut.ts", b), bytes.NewReader(b))
		if err == nil || vendor.FaultOf(err) != vendor.Destination {
			t.Errorf("%s: fault of %s: %v", name, vendor.FaultOf(err), err)
		}
		absent(t, plain, "cut.ts")
		put(t, plain, "cut.ts", b)
		check(t, plain, "cut.ts", b)
		if err := plain.Delete(t.Context(), "cut.ts"); err != nil {
			t.Fatal(err)
		}
	}
}

// relay forwards connections and cuts each that has sent limit bytes, and all
// that come after it.
func relay(t *testing.T, to string, limit int64) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	left := make(chan int64, 1)
	left <- limit
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go forward(c, to, left)
		}
	}()
	return l.Addr().String()
}

func forward(c net.Conn, to string, left chan int64) {
	defer func() { _ = c.Close() }()
	up, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = up.Close() }()
	go func() { _, _ = io.Copy(c, up) }()
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		rest := <-left - int64(n)
		left <- rest
		if err != nil || rest < 0 {
			return
		}
		if _, err := up.Write(buf[:n]); err != nil {
			return
		}
	}
}

// downAndBack: a server that is gone, or answers nothing, is the destination's
// fault; the same store works again when it is back.
// restore, if any, brings back what a server may forget when it is killed.
func downAndBack(t *testing.T, server *stores.Server, st vendor.Store, restore func()) {
	b := randomBytes(1 << 20)
	server.Kill()
	_, err := st.Put(within(t, 20*time.Second), describe("down.ts", b), bytes.NewReader(b))
	if err == nil || vendor.FaultOf(err) != vendor.Destination {
		t.Errorf("down: fault of %s: %v", vendor.FaultOf(err), err)
	}
	server.Start()
	if restore != nil {
		restore()
	}
	put(t, st, "down.ts", b)
	check(t, st, "down.ts", b)

	server.Hang()
	_, err = st.Put(within(t, 500*time.Millisecond), describe("hung.ts", b), bytes.NewReader(b))
	if err == nil || vendor.FaultOf(err) != vendor.Destination {
		t.Errorf("hanging: fault of %s: %v", vendor.FaultOf(err), err)
	}
	server.Resume()
	put(t, st, "hung.ts", b)
	check(t, st, "hung.ts", b)
}

func encryption(t *testing.T, s subject) {
	for sse, want := range map[string]string{"aes256": "AES256", "kms": "aws:kms"} {
		st := s.open(t, func(c *s3.Config) { c.SSE = sse })
		for _, n := range []int{10, 17 << 20} {
			b := randomBytes(n)
			put(t, st, "sealed.ts", b)
			check(t, st, "sealed.ts", b)
			i, err := s.server.Client().StatObject(t.Context(), bucket, "sealed.ts", minio.StatObjectOptions{})
			if err != nil || i.Metadata.Get("X-Amz-Server-Side-Encryption") != want {
				t.Errorf("%s: %v, %v", sse, i.Metadata, err)
			}
		}
	}
}

// versioning: a bucket that keeps old versions shows the newest content, and
// what was deleted is gone for those who do not ask for versions.
func versioning(t *testing.T, s subject) {
	const versioned = "versioned"
	s.server.MakeBucket(versioned)
	if err := s.server.Client().EnableVersioning(t.Context(), versioned); err != nil {
		t.Fatal(err)
	}
	st := s.open(t, func(c *s3.Config) { c.Bucket = versioned })
	replace(t, st)
	listAndDelete(t, st)
	for _, n := range []int{10, 33 << 20} {
		b := randomBytes(n)
		put(t, st, "again.mp4", b)
		check(t, st, "again.mp4", b)
	}
	if err := st.Delete(t.Context(), "again.mp4"); err != nil {
		t.Fatal(err)
	}
	absent(t, st, "again.mp4")
}

func sessionToken(t *testing.T, s subject) {
	creds, err := credentials.NewSTSAssumeRole(s.server.Endpoint, credentials.STSAssumeRoleOptions{
		AccessKey: s.server.AccessKey, SecretKey: s.server.SecretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := creds.GetWithContext(&credentials.CredContext{Client: nil})
	if err != nil {
		t.Fatal(err)
	}
	with := s.open(t, func(c *s3.Config) {
		c.AccessKey, c.SecretKey, c.STSToken = v.AccessKeyID, v.SecretAccessKey, v.SessionToken
	})
	b := randomBytes(1000)
	put(t, with, "sts.ts", b)
	check(t, with, "sts.ts", b)
	without := s.open(t, func(c *s3.Config) { c.AccessKey, c.SecretKey = v.AccessKeyID, v.SecretAccessKey })
	if _, err := without.Put(context.Background(), describe("sts.ts", b), bytes.NewReader(b)); vendor.FaultOf(err) != vendor.Caller {
		t.Errorf("without its token: %v", err)
	}
}
