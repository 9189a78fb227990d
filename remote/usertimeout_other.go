//go:build !linux

package remote

import (
	"syscall"
	"time"
)

// setUserTimeout does nothing where the system has no such timeout.
func setUserTimeout(time.Duration) func(network, address string, c syscall.RawConn) error {
	return nil
}
