package docs_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testsIn returns the names of the tests and fuzz targets in a folder.
func testsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	for _, file := range goFiles(t, dir) {
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		for line := range strings.Lines(read(t, file)) {
			if name, ok := strings.CutPrefix(line, "func "); ok && (strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz")) {
				name, _, _ = strings.Cut(name, "(")
				found[name] = true
			}
		}
	}
	return found
}

// Each promise names tests, and they exist.
func TestPromisesHaveTests(t *testing.T) {
	name := regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz)\\w+)`")
	section, promises := "", 0
	known := make(map[string]map[string]bool) // tests by folder
	for line := range strings.Lines(read(t, "guarantees.md")) {
		if strings.HasPrefix(line, "## ") {
			section = strings.TrimSpace(line[3:])
		}
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| promise") {
			continue
		}
		promises++
		cells := strings.Split(line, "|")
		names := name.FindAllStringSubmatch(cells[2], -1)
		if len(names) == 0 {
			t.Errorf("%s: no test shows that %s", section, cells[1])
		}
		for _, m := range names {
			if known[m[1]] == nil {
				known[m[1]] = testsIn(t, filepath.Join("..", m[1]))
			}
			if !known[m[1]][m[2]] {
				t.Errorf("%s: there is no test %s in %s", section, m[2], m[1])
			}
		}
	}
	if promises < 30 {
		t.Errorf("only %d promises were checked", promises)
	}
}

// The tests that other pages name, without their folders, exist somewhere.
func TestPagesNameTests(t *testing.T) {
	all := make(map[string]bool)
	for _, dir := range []string{"../actor", "../aemp", "../remote", "../registry", "../registry/logcatcher", "../supervision", "../internal/interop"} {
		for name := range testsIn(t, dir) {
			all[name] = true
		}
	}
	names := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(read(t, "aemp.md")+read(t, "perl.md")+read(t, "supervision.md"), -1)
	if len(names) < 30 {
		t.Errorf("only %d tests were found", len(names))
	}
	for _, m := range names {
		if !all[m[1]] {
			t.Errorf("there is no test %s", m[1])
		}
	}
}
