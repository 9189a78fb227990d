package command

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// openTerminal returns the two sides of a pseudo-terminal.
func openTerminal(t *testing.T) (control, terminal *os.File) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("NOT RUN: there are no pseudo-terminals here (%v); the shell was tried without a terminal only", err)
	}
	t.Cleanup(func() { control.Close() })
	ioctl := func(request uintptr, value *int32) {
		t.Helper()
		raw, err := control.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(value))); errno != 0 {
				err = errno
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var unlock, number int32
	ioctl(syscall.TIOCSPTLCK, &unlock)
	ioctl(syscall.TIOCGPTN, &number)
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return control, terminal
}

// The shell on a terminal: editing, history, completion, and what is typed to stop
// a subcommand.
func TestShellTerminal(t *testing.T) {
	a := startNode(t, "alpha")
	echo := a.echo()
	if _, err := a.Set("fruit", "apple", 1); err != nil {
		t.Fatal(err)
	}
	control, terminal := openTerminal(t)
	screen := newWatched()
	go func() {
		for buf := make([]byte, 4096); ; {
			n, err := control.Read(buf)
			if err != nil {
				return
			}
			screen.Write(buf[:n])
		}
	}()
	tool := toolFor(t, a)
	tool.Stdin, tool.Stdout, tool.Stderr = terminal, terminal, newWatched()
	code := make(chan int, 1)
	go func() { code <- tool.Run(t.Context(), []string{"shell"}) }()
	seen := 0
	// see waits for text behind what was seen before.
	see := func(text string) {
		t.Helper()
		eventually(t, fmt.Sprintf("%q on the screen", text), func() bool {
			rest := screen.String()[seen:]
			i := strings.Index(rest, text)
			if i >= 0 {
				seen += i + len(text)
			}
			return i >= 0
		})
	}
	typed := func(keys string) {
		t.Helper()
		if _, err := control.WriteString(keys); err != nil {
			t.Fatal(err)
		}
	}
	const up, left = "\x1b[A", "\x1b[D"

	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("screen: %q, errors: %s", screen, tool.Stderr)
		}
	})
	see("alpha> ")
	typed("ca\tal\ttimx" + "\x7f" + "e\r") // completion twice, and a correction
	see("cal alpha tim")
	see(".") // seconds, with a fraction
	see("alpha> ")
	typed(up + "\r") // history
	see("cal alpha time")
	see(".")
	see("alpha> ")
	typed("db \t\t") // several to choose from
	see("del  families  get  keys  set  watch")
	typed("\x03db keys fr\t\r") // a family, which the shell has asked for by now
	see("db keys fruit")
	see("apple")
	see("alpha> ")
	typed("snd " + string(echo) + " hallo $SELF" + strings.Repeat(left, 6) + "\x7f\x7f\x7f\x7f" + "ello\r") // ^C clears the line
	see("message sent successfully")
	see("alpha> ")
	typed("kil alpha#\t\r") // a port that was seen
	see("kil " + string(echo))
	see("alpha> ")
	typed("ping --count 0 --interval 0.01 alpha\r")
	see("seq=2 ")
	typed("\x03")
	see("answers from alpha: min")
	see("alpha> ")
	typed("=beta\r")
	see("beta> ")
	typed("\x04") // ^D
	select {
	case c := <-code:
		if c != ExitOK {
			t.Errorf("exit code %d: %s", c, tool.Stderr)
		}
	case <-time.After(15 * time.Second):
		t.Fatalf("the shell does not end: %q", screen)
	}
	control.Close() // ends the goroutines that read
	terminal.Close()
}
