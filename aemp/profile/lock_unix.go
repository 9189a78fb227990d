//go:build unix && !solaris && !aix

package profile

import (
	"errors"
	"os"
	"syscall"
)

// closeToRename: the file keeps the lock until it has its new name.
const closeToRename = false

// tryLock locks a file if nobody else has. The lock ends with the file, also
// when the process is killed.
func tryLock(f *os.File) (bool, error) {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, err
		}
	}
}
