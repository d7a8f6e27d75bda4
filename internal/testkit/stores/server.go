package stores

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	azcontainer "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Server is a running object store. Its data lives as long as the test.
type Server struct {
	Name      string
	Addr      string // 127.0.0.1:port
	Endpoint  string // http://127.0.0.1:port
	AccessKey string
	SecretKey string

	t       testing.TB
	command func() *exec.Cmd
	cmd     *exec.Cmd
	log     *safeBuffer
}

const readyTimeout = 30 * time.Second

// VersityGW starts versitygw over a folder of its own.
func VersityGW(t testing.TB) *Server {
	t.Helper()
	program, err := VersityGWProgram()
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "versitygw")
	data, side := t.TempDir(), t.TempDir()
	s.command = func() *exec.Cmd {
		return exec.Command(program, "--quiet", "--port", s.Addr, "--access", s.AccessKey, "--secret", s.SecretKey,
			"posix", "--sidecar", side, data)
	}
	s.Start()
	return s
}

// MinIO starts MinIO's server over a folder of its own.
func MinIO(t testing.TB) *Server {
	t.Helper()
	program, err := MinIOProgram()
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "minio")
	data, console := t.TempDir(), freeAddr(t)
	s.command = func() *exec.Cmd {
		c := exec.Command(program, "server", "--quiet", "--address", s.Addr, "--console-address", console, data)
		c.Env = append(c.Environ(), "MINIO_ROOT_USER="+s.AccessKey, "MINIO_ROOT_PASSWORD="+s.SecretKey, "MINIO_UPDATE=off",
			"MINIO_KMS_SECRET_KEY=test:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
		return c
	}
	s.Start()
	return s
}

// azuriteKey is the key of Azurite's account, Base64 as Azure has them.
const azuriteKey = "dGFwZWRlY2stdGVzdC1rZXktMDEyMzQ1Njc4OWFiY2RlZg=="

// Azurite starts the emulator of Azure Blob Storage over a folder of its own.
// AccessKey is its account, SecretKey the account's key.
func Azurite(t testing.TB) *Server {
	t.Helper()
	dir, err := AzuriteProgram()
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "azurite")
	s.AccessKey, s.SecretKey = "tapedecktest", azuriteKey
	host, port, _ := strings.Cut(s.Addr, ":")
	data := t.TempDir()
	s.command = func() *exec.Cmd {
		c := exec.Command("node", filepath.Join(dir, "node_modules", "azurite", "dist", "src", "blob", "main.js"),
			"--blobHost", host, "--blobPort", port, "--location", data, "--silent", "--skipApiVersionCheck", "--disableTelemetry")
		c.Env = append(c.Environ(), "AZURITE_ACCOUNTS="+s.AccessKey+":"+s.SecretKey)
		return c
	}
	s.Start()
	return s
}

// MakeContainer makes a container of Azurite, if there is none of that name.
func (s *Server) MakeContainer(name string) {
	s.t.Helper()
	cred, err := azcontainer.NewSharedKeyCredential(s.AccessKey, s.SecretKey)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := azcontainer.NewClientWithSharedKeyCredential(s.Endpoint+"/"+s.AccessKey+"/"+name, cred, nil)
	if err == nil {
		_, err = c.Create(context.Background(), nil)
	}
	if err != nil && !bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
		s.t.Fatalf("stores: %s: make container %s: %v", s.Name, name, err)
	}
}

func newServer(t testing.TB, name string) *Server {
	s := &Server{
		Name: name, Addr: freeAddr(t), AccessKey: "tapedeck-test-user", SecretKey: "tapedeck-test-secret-0123456789",
		t: t, log: &safeBuffer{},
	}
	s.Endpoint = "http://" + s.Addr
	t.Cleanup(s.Kill)
	return s
}

func freeAddr(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Start starts the server, again after Kill, on the same address and data, and
// waits until it answers.
func (s *Server) Start() {
	s.t.Helper()
	s.cmd = s.command()
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("stores: start %s: %v", s.Name, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !s.answers(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.Kill()
			s.t.Fatalf("stores: %s did not get ready\n%s", s.Name, s.log)
		}
	}
}

func (s *Server) answers(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint+"/", nil)
	if err != nil {
		return false
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode < 500
}

// Kill ends the server at once, as a power cut would. Data stays.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // the error says that it was killed
	s.cmd = nil
}

// Hang stops the server's process; connections stay open and nobody answers.
func (s *Server) Hang() {
	s.signal(syscall.SIGSTOP)
	// The signal is on its way when kill(2) returns; on a busy machine the
	// process may still answer for a while.
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
		_, state, ok := strings.Cut(string(b), ") ")
		if err != nil || !ok || state[0] == 'T' {
			return
		}
	}
}

// Resume ends a Hang.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Errorf("stores: %s: %v", s.Name, err)
	}
}

// MakeBucket makes a bucket.
func (s *Server) MakeBucket(name string) {
	s.t.Helper()
	if err := s.Client().MakeBucket(context.Background(), name, minio.MakeBucketOptions{}); err != nil {
		s.t.Fatalf("stores: %s: make bucket %s: %v", s.Name, name, err)
	}
}

// Client returns an independent client, for what a Store does not offer.
func (s *Server) Client() *minio.Client {
	s.t.Helper()
	c, err := minio.New(s.Addr, &minio.Options{Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, "")})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// String describes the server in failures.
func (s *Server) String() string { return fmt.Sprintf("%s at %s", s.Name, s.Endpoint) }

// safeBuffer holds what a server prints.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
