package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/internal/perltest"
)

// TestInterop runs both halves, with each Perl that there is.
func TestInterop(t *testing.T) {
	for _, perl := range perltest.All(t) {
		t.Run(perl.Name(), func(t *testing.T) { interop(t, perl) })
	}
}

func interop(t *testing.T, perl perltest.Perl) {
	listening := make(chan string, 1)
	done := make(chan error, 1)
	var out bytes.Buffer
	go func() { done <- run(t.Context(), &out, "127.0.0.1:0", "secret", listening) }()
	script, err := perl.Command("node.pl", <-listening, "secret").CombinedOutput()
	if err != nil {
		t.Errorf("node.pl: %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	for text, wants := range map[string][]string{
		string(script): {"node go is up", "Conny is spawned by Go as perl#", `Conny counts "just another Perl hacker"`,
			"the answer is: Larry from go", "the greeter died: thanks that was all", "Conny was killed: thanks that was all"},
		out.String(): {"node perl is up", `the answer is: 4 words in "just another Perl hacker"`, "spawned from Perl",
			"the counter died: thanks that was all", "node perl is down"},
	} {
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing", want)
			}
		}
		if t.Failed() {
			t.Log(text)
		}
	}
}
