//go:build !unix

package command

import "errors"

// restart leaves it to the watchdog, or to the one of the system, to start the
// node anew: a process cannot replace itself here.
func restart() error { return errors.New("the node has ended in order to be started anew") }
