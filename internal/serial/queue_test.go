package serial_test

import (
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/portmesh/portmesh/internal/serial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Functions run in order, one at a time, and one that panics harms no other.
func TestQueue(t *testing.T) {
	var causes []any
	q := serial.Queue{Panicked: func(cause any) { causes = append(causes, cause) }}
	var got []int // no lock: that is the point
	var done sync.WaitGroup
	const n = 1000
	done.Add(n)
	for i := range n {
		q.Run(func() {
			defer done.Done()
			if i%100 == 7 {
				panic(i)
			}
			got = append(got, i)
		})
	}
	done.Wait()
	finished := make(chan bool)
	q.Run(func() { close(finished) }) // behind the last recovery
	<-finished
	if len(got) != n-10 || len(causes) != 10 || causes[0] != 7 {
		t.Fatalf("%d ran and %v panicked", len(got), causes)
	}
	for i := 1; i < len(got); i++ {
		if got[i] <= got[i-1] {
			t.Fatalf("%d ran behind %d", got[i], got[i-1])
		}
	}
}
