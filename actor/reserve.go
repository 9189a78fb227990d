package actor

import (
	"math"
	"runtime/metrics"
	"sync"
)

// reserveSize is how much a process may have in garbage beyond what it would have
// otherwise. Twice as much makes hardly any difference.
const reserveSize = 8 << 20

// reserve is memory that nobody ever touches, so that the process is not given any
// for it. It is there for the pace of the garbage collector, which runs when the
// heap has become twice as large as what is in use. Ports and links use very little:
// a link at full speed would have it run for each four megabytes, thirty times a
// second and more, with hardly anything to be found each time, and spend a fifth of
// its time waiting for it.
var reserve []byte

// keepReserve makes the reserve, unless the program has said by itself how the
// garbage collector is to work.
var keepReserve = sync.OnceFunc(func() {
	settings := []metrics.Sample{{Name: "/gc/gogc:percent"}, {Name: "/gc/gomemlimit:bytes"}}
	metrics.Read(settings)
	for i, usual := range []uint64{100, math.MaxInt64} {
		if v := settings[i].Value; v.Kind() != metrics.KindUint64 || v.Uint64() != usual {
			return
		}
	}
	reserve = make([]byte, reserveSize)
})
