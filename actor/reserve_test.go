package actor

import (
	"os"
	"testing"
)

// There is a reserve, once a process has a system, unless the user has set the
// pace of the garbage collector.
func TestReserve(t *testing.T) {
	NewSystem()
	NewSystem()
	want := reserveSize
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		want = 0
	}
	if len(reserve) != want {
		t.Errorf("the reserve has %d bytes, want %d", len(reserve), want)
	}
}
