package remotetest

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/actor"
)

// connected returns a network with two nodes, and both ends of a connection
// between them.
func connected(t *testing.T) (m *Mesh, a, b net.Conn) {
	t.Helper()
	m = NewMesh(t)
	m.net.listen("a")
	l := m.net.listen("b")
	a, err := m.dial(t.Context(), "a", Address("b"))
	if err != nil {
		t.Fatal(err)
	}
	b, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return m, a, b
}

// outcome is what a read or write came to, and when.
type outcome struct {
	n    int
	err  error
	took time.Duration
}

// later starts an operation and tells its outcome in time.
func later(operation func() (int, error)) *outcome {
	o := &outcome{n: -1}
	start := time.Now()
	go func() {
		n, err := operation()
		*o = outcome{n, err, time.Since(start)}
	}()
	return o
}

// What ends a connection, or a wait, as both ends see it. Each is done to end
// a after it has written one byte; then both ends read and write.
func TestEndOfConnection(t *testing.T) {
	part := func(m *Mesh) { m.Partition([]actor.NodeID{"a"}, []actor.NodeID{"b"}) }
	for _, test := range []struct {
		name                       string
		do                         func(m *Mesh, a net.Conn)
		aRead, aWrite, bRead, then error
		bWrite                     error
	}{
		{"CloseWrite", func(_ *Mesh, a net.Conn) { a.(*conn).CloseWrite() },
			os.ErrDeadlineExceeded, syscall.EPIPE, nil, io.EOF, nil},
		{"Close", func(_ *Mesh, a net.Conn) { a.Close() },
			net.ErrClosed, net.ErrClosed, nil, io.EOF, syscall.EPIPE},
		{"deadline", func(_ *Mesh, a net.Conn) { a.SetDeadline(time.Unix(1, 0)) },
			os.ErrDeadlineExceeded, os.ErrDeadlineExceeded, nil, os.ErrDeadlineExceeded, nil},
		{"cut", func(m *Mesh, _ net.Conn) { m.Cut("a", "b") },
			syscall.ECONNRESET, syscall.ECONNRESET, syscall.ECONNRESET, syscall.ECONNRESET, syscall.ECONNRESET},
		{"crash", func(m *Mesh, _ net.Conn) { m.net.unplug("a") },
			syscall.ECONNRESET, syscall.ECONNRESET, syscall.ECONNRESET, syscall.ECONNRESET, syscall.ECONNRESET},
		{"crash behind partition", func(m *Mesh, _ net.Conn) { part(m); m.net.unplug("a") },
			syscall.ECONNRESET, syscall.ECONNRESET, os.ErrDeadlineExceeded, os.ErrDeadlineExceeded, nil},
		{"close behind partition", func(m *Mesh, a net.Conn) { part(m); a.Close() },
			net.ErrClosed, net.ErrClosed, os.ErrDeadlineExceeded, os.ErrDeadlineExceeded, nil},
		{"partition", func(m *Mesh, _ net.Conn) { part(m) },
			os.ErrDeadlineExceeded, nil, os.ErrDeadlineExceeded, os.ErrDeadlineExceeded, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, a, b := connected(t)
				a.Write([]byte("x"))
				b.SetReadDeadline(time.Now().Add(2 * time.Second))
				a.SetReadDeadline(time.Now().Add(time.Second))
				test.do(m, a)
				wantErr := func(what string, got, want error) {
					t.Helper()
					if !errors.Is(got, want) && got != want {
						t.Errorf("%s: got error %v, want %v", what, got, want)
					}
				}
				buf := make([]byte, 10)
				_, err := a.Read(buf)
				wantErr("a reads", err, test.aRead)
				_, err = b.Read(buf)
				wantErr("b reads", err, test.bRead)
				_, err = b.Read(buf)
				wantErr("b reads again", err, test.then)
				_, err = b.Write(buf)
				wantErr("b writes", err, test.bWrite)
				if test.aWrite != nil {
					_, err = a.Write(buf)
					wantErr("a writes", err, test.aWrite)
				}
			})
		})
	}
}

// A write waits when the buffer is full, until somebody reads or time is up.
func TestBoundedBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := connected(t)
		if n, err := a.Write(make([]byte, room)); n != room || err != nil {
			t.Fatalf("got %d, %v, want %d bytes without waiting", n, err, room)
		}
		write := later(func() (int, error) { return a.Write(make([]byte, 10)) })
		time.Sleep(time.Second)
		synctest.Wait()
		if write.n != -1 {
			t.Fatal("a write into a full buffer has returned")
		}
		if n, err := io.ReadFull(b, make([]byte, 4)); err != nil {
			t.Fatal(n, err)
		}
		a.SetWriteDeadline(time.Now().Add(time.Second))
		time.Sleep(time.Second)
		synctest.Wait()
		if write.n != 4 || !errors.Is(write.err, os.ErrDeadlineExceeded) || write.took != 2*time.Second {
			t.Errorf("got %+v, want 4 bytes and the deadline after 2s", *write)
		}
		if got, err := io.ReadAll(io.LimitReader(b, room)); len(got) != room || err != nil {
			t.Errorf("got %d bytes, %v, want %d", len(got), err, room)
		}
	})
}

// A deadline that is moved, and one that is taken away, frees nobody.
func TestMovedDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := connected(t)
		read := later(func() (int, error) { return b.Read(make([]byte, 10)) })
		b.SetReadDeadline(time.Now().Add(time.Second))
		b.SetReadDeadline(time.Now().Add(3 * time.Second))
		time.Sleep(2 * time.Second)
		b.SetReadDeadline(time.Time{})
		time.Sleep(time.Hour)
		synctest.Wait()
		if read.n != -1 {
			t.Fatalf("the read has returned: %+v", *read)
		}
		io.WriteString(a, "hello")
		synctest.Wait()
		if read.n != 5 || read.err != nil {
			t.Errorf("got %+v, want 5 bytes", *read)
		}
	})
}

// What was in the buffers when the cable was pulled out arrives behind Heal.
func TestHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a, b := connected(t)
		m.Partition([]actor.NodeID{"a"}, []actor.NodeID{"b"})
		io.WriteString(a, "hello")
		a.Close()
		read := later(func() (int, error) {
			text, err := io.ReadAll(b)
			return len(text), err
		})
		dial := later(func() (int, error) {
			c, err := m.dial(t.Context(), "b", Address("a"))
			if err == nil {
				c.Close()
			}
			return 0, err
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		if read.n != -1 || dial.n != -1 {
			t.Fatalf("something came through: %+v %+v", *read, *dial)
		}
		m.Heal()
		synctest.Wait()
		if read.n != 5 || read.err != nil || dial.err != nil || dial.n != 0 {
			t.Errorf("got %+v and %+v, want 5 bytes and a connection", *read, *dial)
		}
	})
}

func TestDialErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _, _ := connected(t)
		for address, want := range map[string]string{
			"b":           "missing port",
			"b:1":         "nobody listens at b:1",
			"nobody:4040": "connection refused",
		} {
			if _, err := m.dial(t.Context(), "a", address); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("dial %s: got error %v, want one with %q", address, err, want)
			}
		}
	})
}
