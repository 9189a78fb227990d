package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A progress counts the bytes that are written to it, and shows them as a bar.
type progress struct {
	out   io.Writer
	name  string
	total int64
	done  int64
	drawn time.Time
}

// newProgress returns something that shows progress, if there is somebody to see
// it: in a file or pipe, a bar would be in the way.
func newProgress(out *os.File, name string, total int64) io.Writer {
	if info, err := out.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return io.Discard
	}
	return &progress{out: out, name: name, total: total}
}

// Write counts, and draws the bar ten times a second and at the end.
func (p *progress) Write(b []byte) (int, error) {
	p.done += int64(len(b))
	if now := time.Now(); p.done >= p.total || now.Sub(p.drawn) >= 100*time.Millisecond {
		p.drawn = now
		end := ""
		if p.done >= p.total {
			end = "\n"
		}
		fmt.Fprintf(p.out, "\r%s %s%s", p.name, bar(p.done, p.total), end)
	}
	return len(b), nil
}

// bar draws how much of the total is done.
func bar(done, total int64) string {
	const width = 40
	share := 1.0
	if total > 0 {
		share = float64(done) / float64(total)
	}
	full := int(share * width)
	return fmt.Sprintf("[%s%s] %3.0f%%", strings.Repeat("#", full), strings.Repeat(" ", width-full), 100*share)
}
