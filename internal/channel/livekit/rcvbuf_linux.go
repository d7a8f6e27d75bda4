package livekit

import (
	"os"
	"strconv"
	"syscall"
)

// rcvbuf is the receive buffer that the UDP sockets get, in bytes: half a
// second of 60 Mbit/s. The kernel's default holds 90 full packets.
const rcvbuf = 4 << 20

// raiseBuffers enlarges the receive buffer of every UDP socket of this process,
// because the library that opens them gives no access to them. Without
// privileges the kernel allows net.core.rmem_max only.
func raiseBuffers() {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range fds {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if kind, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE); err != nil || kind != syscall.SOCK_DGRAM {
			continue
		}
		family, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_DOMAIN)
		if err != nil || family != syscall.AF_INET && family != syscall.AF_INET6 {
			continue
		}
		if now, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF); err != nil || now >= rcvbuf {
			continue
		}
		if syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, rcvbuf) != nil {
			_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, rcvbuf)
		}
	}
}
