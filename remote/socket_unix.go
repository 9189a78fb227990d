//go:build unix

package remote

import (
	"net"
	"syscall"
)

// A socket writes without ever waiting. It is for one goroutine at a time.
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

// write writes as much as there is room for, and returns how much that was. Of
// errors, the next write that waits tells.
func (s *socket) write(data []byte) int {
	s.data, s.n = data, 0
	s.raw.Write(s.try)
	s.data = nil
	return max(s.n, 0)
}
