package recorder

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rest sleeps for restFor at a time, and in between lets all goroutines run for which
// there is something to do, until stop is closed.
//
// The runtime is not told of the sleep, so this thread keeps the only right to run Go
// and nothing wakes up. Then the goroutine waits for a descriptor that is ready as soon
// as the runtime asks the kernel, which it does when nobody else can run: with this
// goroutine it finds everybody whose packets have come. If it cannot be made, there is
// no rest, which is only dearer.
func rest(stop <-chan struct{}) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(fd), "rest")
	defer func() { _ = f.Close() }()
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	one := uint64(1)
	pause := unix.NsecToTimespec(restFor.Nanoseconds())
	for {
		select {
		case <-stop:
			return
		default:
		}
		_, _, _ = syscall.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&pause)), 0, 0)
		asked := false
		err := conn.Read(func(fd uintptr) bool {
			if asked {
				return true
			}
			asked = true
			_, _, _ = syscall.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one))
			return false
		})
		if err != nil {
			return
		}
		runtime.Gosched() // behind those who were found
	}
}
