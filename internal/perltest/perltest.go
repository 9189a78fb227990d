// Package perltest finds real Perl for tests that talk to it. PORTMESH_PERL is a
// list of perls, separated as PATH is, so that both generations of AnyEvent::MP
// can take part in one run; without it, the perl in the path is tried.
//
// A test that lacks what it needs is skipped, and says loudly that it was not
// run.
package perltest

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const envPerl = "PORTMESH_PERL"

// A Perl is a perl that has AnyEvent::MP.
type Perl struct {
	Path    string
	Version string // of AnyEvent::MP, for example "2.01"
	tool    string // the script aemp that came with it; empty if there is none
}

// perls returns all that the environment names, looked at once.
var perls = sync.OnceValue(func() (found []Perl) {
	for _, path := range paths() {
		// The tool is installed in the folder bin beside, or above, the one
		// with the modules.
		out, err := exec.Command(path, "-MAnyEvent::MP", "-e", `print "$AnyEvent::MP::VERSION\n$INC{'AnyEvent/MP.pm'}\n"`).Output()
		version, module, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		if err != nil {
			continue
		}
		found = append(found, Perl{path, version, findTool(module)})
	}
	return found
})

func paths() []string { return filepath.SplitList(cmp.Or(os.Getenv(envPerl), "perl")) }

// findTool returns the aemp that belongs to a module, and not one of ours.
func findTool(module string) string {
	for dir := filepath.Dir(module); ; dir = filepath.Dir(dir) {
		tool := filepath.Join(dir, "bin", "aemp")
		if text, err := os.ReadFile(tool); err == nil && bytes.HasPrefix(text, []byte("#!")) && bytes.Contains(text, []byte("use AnyEvent::MP;")) {
			return tool
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// All returns the perls that have AnyEvent::MP of any generation: one at least,
// or the test is skipped.
func All(t testing.TB) []Perl {
	t.Helper()
	found := perls()
	if len(found) == 0 {
		t.Skipf("NOT RUN: no AnyEvent::MP is installed for %s; nothing was tried with real Perl nodes", strings.Join(paths(), ", "))
	}
	return found
}

// Generation returns a perl that has AnyEvent::MP of that generation, 1 or 2. The
// test is skipped if there is none.
func Generation(t testing.TB, generation int) Perl {
	t.Helper()
	for _, p := range perls() {
		if p.Generation() == generation {
			return p
		}
	}
	t.Skipf("NOT RUN: no AnyEvent::MP %d.x is installed for %s; nothing was tried with real Perl nodes of that generation",
		generation, strings.Join(paths(), ", "))
	panic("not reached")
}

// With returns a perl that has all of these modules. The test is skipped if there
// is none.
func With(t testing.TB, modules ...string) string {
	t.Helper()
	args := []string{"-e1"}
	for _, module := range modules {
		args = append([]string{"-M" + module}, args...)
	}
	var last []byte
	for _, path := range paths() {
		out, err := exec.Command(path, args...).CombinedOutput()
		if err == nil {
			return path
		}
		last = out
	}
	t.Skipf("NOT RUN: needs Perl with %s: %s", strings.Join(modules, ", "), last)
	panic("not reached")
}

// Generation returns the generation of the protocol that it speaks, 1 or 2.
func (p Perl) Generation() int {
	if strings.HasPrefix(p.Version, "1.") {
		return 1
	}
	return 2
}

// Name returns what to call it in the names of tests.
func (p Perl) Name() string { return "AnyEvent-MP-" + p.Version }

// Command returns a command that runs a script, with the given arguments, under
// no configuration but that of the script.
func (p Perl) Command(args ...string) *exec.Cmd { return p.command(os.DevNull, args) }

// CommandWith returns a command that does so under that configuration, a text in
// the format of Perl's file.
func (p Perl) CommandWith(t testing.TB, config string, args ...string) *exec.Cmd {
	t.Helper()
	rc := filepath.Join(t.TempDir(), "rc")
	if err := os.WriteFile(rc, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return p.command(rc, args)
}

// Tool returns a command that runs Perl's own aemp under that configuration. The
// test is skipped if the tool is not installed.
func (p Perl) Tool(t testing.TB, config string, args ...string) *exec.Cmd {
	t.Helper()
	if p.tool == "" {
		t.Skipf("NOT RUN: %s is installed without its tool aemp; nothing was tried with that", p.Name())
	}
	return p.CommandWith(t, config, append([]string{p.tool}, args...)...)
}

// lifetime is what a Perl process has, in seconds, should the tests be ended before
// they could end it. Perl's shell, for one, would run for ever.
const lifetime = 300

func (p Perl) command(rc string, args []string) *exec.Cmd {
	// An alarm survives exec.
	prefix := []string{"-e", fmt.Sprintf("alarm %d; exec @ARGV or die", lifetime), p.Path}
	cmd := exec.Command(p.Path, append(prefix, args...)...)
	cmd.Env = append(os.Environ(), "PERL_ANYEVENT_MP_RC="+rc)
	return cmd
}
