package child_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/portmesh/portmesh/internal/child"
)

// envRole tells the test program what to be as a child.
const envRole = "PORTMESH_CHILD_TEST"

func TestMain(m *testing.M) {
	switch os.Getenv(envRole) {
	case "node":
		fmt.Println("127.0.0.1:4040", os.Args[1:])
		child.WaitForParent()
		fmt.Println("good bye")
	case "broken":
		os.Exit(1)
	default:
		goleak.VerifyTestMain(m)
	}
}

func TestChild(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p, err := child.Start(out, []string{envRole + "=node"}, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	if want := "127.0.0.1:4040 [a b]"; p.Address != want {
		t.Errorf("got %q, want %q", p.Address, want)
	}
	if p.PID() == os.Getpid() {
		t.Error("it is no other process")
	}
	p.Stop()
	if text, err := os.ReadFile(out.Name()); err != nil || string(text) != "good bye\n" {
		t.Errorf("got %q, %v", text, err)
	}

	killed, err := child.Start(out, []string{envRole + "=node"})
	if err != nil {
		t.Fatal(err)
	}
	if err := killed.Kill(); err != nil {
		t.Error(err)
	}
	killed.Stop()
	if text, err := os.ReadFile(out.Name()); err != nil || string(text) != "good bye\n" {
		t.Errorf("after a kill: got %q, %v", text, err)
	}
}

func TestChildThatDoesNotStart(t *testing.T) {
	_, err := child.Start(os.Stderr, []string{envRole + "=broken"})
	if err == nil || !strings.Contains(err.Error(), "did not start") {
		t.Errorf("got %v", err)
	}
}
