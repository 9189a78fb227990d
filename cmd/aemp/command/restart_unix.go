//go:build unix

package command

import (
	"fmt"
	"os"
	"syscall"
)

// restart begins the process anew, as it was started. It returns only if that
// fails.
func restart() error {
	path, err := os.Executable()
	if err == nil {
		err = syscall.Exec(path, os.Args, os.Environ())
	}
	return fmt.Errorf("restart: %w", err)
}
