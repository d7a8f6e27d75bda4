package vendor_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"tapedeck/internal/outbound"
	"tapedeck/internal/upload/vendor"
)

func TestNetwork(t *testing.T) {
	dial := func(err error) error {
		return &url.Error{Op: "Put", URL: "http://x", Err: &net.OpError{Op: "dial", Err: err}}
	}
	for _, c := range []struct {
		err  error
		want vendor.Fault
	}{
		{dial(syscall.ECONNREFUSED), vendor.Destination},
		{dial(&net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}), vendor.Destination},
		{dial(os.ErrDeadlineExceeded), vendor.Destination},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, vendor.Destination},
		{&url.Error{Op: "Put", URL: "http://x", Err: io.EOF}, vendor.Destination},
		{io.ErrUnexpectedEOF, vendor.Destination},
		{context.DeadlineExceeded, vendor.Destination},
		{dial(fmt.Errorf("x: %w", outbound.ErrRefused)), vendor.Caller},
		{outbound.ErrRedirect, vendor.Caller},
		{dial(syscall.EMFILE), vendor.Ours},
		{&url.Error{Op: "Put", URL: "http://x", Err: &fs.PathError{Op: "read", Path: "p", Err: syscall.EIO}}, vendor.Ours},
		{context.Canceled, vendor.Ours},
		{errors.New("anything"), vendor.Ours},
	} {
		if got := vendor.FaultOf(fmt.Errorf("wrapped: %w", c.err)); got != c.want {
			t.Errorf("%v: fault of %s, want %s", c.err, got, c.want)
		}
	}
}

func TestError(t *testing.T) {
	secret := "s3cr3t/+key"
	cause := fmt.Errorf("line one %s\nline two %s \x1b[31m %s: %w", secret, url.QueryEscape(secret), strings.Repeat("x", 1000), io.EOF)
	err := fmt.Errorf("outer: %w", vendor.NewError("put", "k.ts", vendor.Caller, "Code-"+secret, cause, secret, ""))
	text := err.Error()
	for _, bad := range []string{secret, url.QueryEscape(secret), "\n", "\x1b"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q holds %q", text, bad)
		}
	}
	if len(text) > 600 || !strings.Contains(text, "put k.ts: fault of caller: Code-***: line one ***") {
		t.Errorf("%q", text)
	}
	if !errors.Is(err, io.EOF) || vendor.FaultOf(err) != vendor.Caller || vendor.Code(err) != "Code-***" {
		t.Error("the cause, fault or code cannot be found")
	}
	if errors.Unwrap(errors.Unwrap(err)) != nil {
		t.Error("the raw cause can be unwrapped and printed")
	}
}

func TestContentType(t *testing.T) {
	for name, want := range map[string]string{
		"a.m3u8": "application/x-mpegURL", "a.TS": "video/MP2T", "a_0.mp4": "video/mp4", "a.webm": "video/webm",
		"a.mpd": "application/dash+xml", "a.jpg": "image/jpeg", "a.json": "application/json", "a": "application/octet-stream",
	} {
		if got := vendor.ContentType(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
