//go:build unix

package remote

import (
	"net"
	"syscall"
	"time"
)

// A socket writes without ever waiting. It is for one goroutine at a time, and its
// method gather for another one.
type socket struct {
	raw  syscall.RawConn
	try  func(fd uintptr) (done bool) // made once
	data []byte
	n    int
}

// newSocket returns nil if the connection is no socket, or more than that.
func newSocket(nc net.Conn) *socket {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{raw: raw}
	s.try = func(fd uintptr) bool {
		s.n, _ = syscall.Write(int(fd), s.data)
		return true
	}
	return s
}

// gather waits, and is not disturbed by what comes meanwhile, up to that many bytes: each
// packet would wake the thread that looks after the network, though nobody waits for it.
func (s *socket) gather(d time.Duration, bytes int) {
	s.setLowWater(bytes)
	time.Sleep(d)
	s.setLowWater(1)
}

// setLowWater says how much must have come for the socket to be ready. Where that
// cannot be said, it is ready when anything has come.
func (s *socket) setLowWater(bytes int) {
	s.raw.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, bytes) })
}

// write writes as much as there is room for, and returns how much that was. Of
// errors, the next write that waits tells.
func (s *socket) write(data []byte) int {
	s.data, s.n = data, 0
	s.raw.Write(s.try)
	s.data = nil
	return max(s.n, 0)
}
