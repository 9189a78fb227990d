package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/portmesh/portmesh/internal/perltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestInterop runs the Go half, and with it each script for each Perl that there
// is.
func TestInterop(t *testing.T) {
	perls := perltest.All(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	listening := make(chan string, 1)
	done := make(chan error, 1)
	var out bytes.Buffer
	go func() { done <- run(ctx, &out, "127.0.0.1:0", "secret", listening) }()
	var address string
	select {
	case address = <-listening:
	case err := <-done:
		t.Fatal(err)
	}
	goSays := []string{`the answer is: 4 words in "just another Perl hacker"`, "greeter go#", "the counter died: thanks that was all", "node perl is down"}
	for _, perl := range perls {
		script := func(name string, wants ...string) {
			text, err := perl.Command(name, address, "secret").CombinedOutput()
			if err != nil {
				t.Errorf("%s, %s: %v", perl.Name(), name, err)
			}
			expect(t, string(text), wants)
		}
		script("node.pl", "node go is up", "Conny is spawned by Go as perl#", `Conny counts "just another Perl hacker"`,
			"the answer is: hello Larry from go", "the greeter died: bye it was nice", "Conny was killed: thanks that was all")
		script(fmt.Sprintf("service%d.pl", perl.Generation()), "found go#", "the answer is: HELLO FROM PERL!", `counting "just another Perl hacker"`)
		goSays = append(goSays, fmt.Sprintf("found perl%d#", perl.Generation()))
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	expect(t, out.String(), goSays)
}

func expect(t *testing.T, text string, wants []string) {
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}
