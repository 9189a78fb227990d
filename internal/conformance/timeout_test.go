package conformance

import (
	"testing"
	"testing/synctest"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"
)

func TestReceiveTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSide(t)
		d := newDiary(t)
		begin := time.Now()
		pid := s.spawn(func(c proto.Context) {
			switch c.Message().(type) {
			case *proto.Started:
				c.SetReceiveTimeout(10 * time.Second)
			case *proto.ReceiveTimeout:
				d.note("timeout after %v", time.Since(begin))
			}
			switch tag(c) {
			case "set":
				c.SetReceiveTimeout(15 * time.Second)
				begin = time.Now()
			case "cancel":
				c.CancelReceiveTimeout()
			}
		})
		time.Sleep(6 * time.Second)
		s.Send(pid, msg("hello")) // begins anew
		d.want("timeout after 16s")
		time.Sleep(time.Hour) // it comes once

		s.Send(pid, msg("set"))
		d.want("timeout after 15s")

		s.Send(pid, msg("set"))
		time.Sleep(5 * time.Second)
		s.Send(pid, msg("cancel"))
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(d.entries) > 0 {
			t.Errorf("got %q after it was cancelled", <-d.entries)
		}
	})
}

// An actor to whom nobody sends from another node any more hears of it.
func TestReceiveTimeoutAcrossNodes(t *testing.T) {
	w := twoNodes(t)
	d := newDiary(t)
	pid := w.far.spawn(func(c proto.Context) {
		d.Receive(c)
		if tag(c) == "begin" {
			c.SetReceiveTimeout(200 * time.Millisecond)
		}
	})
	w.near.Send(pid, msg("begin"))
	d.want("Started", `["begin"]`, "ReceiveTimeout")
}
