package proctest_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/portmesh/portmesh/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m, echo) }

// echo prints its arguments and then its input, and fails if that is "fail".
func echo() {
	fmt.Println("arguments:", strings.Join(os.Args[1:], "|"))
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if in.Text() == "fail" {
			fmt.Fprintln(os.Stderr, "told to fail")
			os.Exit(3)
		}
		fmt.Println("input:", in.Text())
	}
	fmt.Println("end of input")
}

func TestConversation(t *testing.T) {
	p := proctest.Start(t, "-a", "b c")
	if got, want := p.Line(), "arguments: -a|b c"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.Input("one")
	p.Input("two")
	if got, want := p.Expect("two"), "input: two"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.CloseInput()
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
	if got, want := p.Output(), "arguments: -a|b c\ninput: one\ninput: two\nend of input\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEnds(t *testing.T) {
	failing := proctest.Start(t)
	failing.Input("fail")
	failing.Expect("told to fail") // standard error counts as well
	exit := new(exec.ExitError)
	if err := failing.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("got %v", err)
	}
	killed := proctest.Start(t)
	killed.Line()
	killed.Signal(os.Kill)
	if err := killed.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("got %v", err)
	}
	killed.Signal(os.Kill) // does nothing
}
