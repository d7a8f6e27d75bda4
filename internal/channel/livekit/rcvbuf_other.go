//go:build !linux

package livekit

// raiseBuffers does nothing where sockets cannot be found by number.
func raiseBuffers() {}
