// Package docs_test checks that the pages tell the truth, as far as a program
// can: that what they quote is in the files, and that what they name exists.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pages returns the paths of all pages of the project, from this folder.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".md") {
			all = append(all, path)
		}
		return err
	})
	if err != nil || len(all) < 5 {
		t.Fatalf("pages: %v, %v", all, err)
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// goFiles returns the paths of the Go files in a folder.
func goFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %v", dir, files, err)
	}
	return files
}

var (
	link = regexp.MustCompile(`\]\(([^)]*)\)`)
	code = regexp.MustCompile("(?s)```.*?```|`[^`]*`")
)

// Links to files lead to files.
func TestLinks(t *testing.T) {
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(read(t, page), ""), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), target)); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

// Commands that pages tell to run are there.
func TestCommands(t *testing.T) {
	found := 0
	for _, page := range pages(t) {
		for _, m := range regexp.MustCompile(`go (?:run|install) \./([\w/-]+)`).FindAllStringSubmatch(read(t, page), -1) {
			found++
			if _, err := os.Stat(filepath.Join("..", m[1], "main.go")); err != nil {
				t.Errorf("%s: %s: %v", page, m[0], err)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d commands were found", found)
	}
}

// A quote is a block of code on a page, and the file that the paragraph before
// it ends with a link to.
type quote struct {
	language, code, file string
}

var quotes = regexp.MustCompile("(?ms)([^\n]*)\n\n```(go|perl)\n(.*?)^```$")

// quotesOf returns the quotes of a page.
func quotesOf(page string) []quote {
	var all []quote
	for _, m := range quotes.FindAllStringSubmatch(page, -1) {
		q := quote{language: m[2], code: m[3]}
		if links := link.FindAllStringSubmatch(m[1], -1); len(links) > 0 {
			q.file = links[len(links)-1][1]
		}
		all = append(all, q)
	}
	return all
}

// All code of the tutorial is code of the examples, which their tests run.
func TestTutorialQuotesTheExamples(t *testing.T) {
	page := read(t, "tutorial.md")
	all := quotesOf(page)
	if n := strings.Count(page, "\n```go\n") + strings.Count(page, "\n```perl\n"); n != len(all) || n < 10 {
		t.Errorf("found %d blocks of %d", len(all), n)
	}
	for _, q := range all {
		switch {
		case !strings.HasPrefix(q.file, "../examples/"):
			t.Errorf("the paragraph before this code does not end with a link to a file of the examples:\n%s", q.code)
		case !strings.Contains(read(t, q.file), "\n"+q.code):
			t.Errorf("%s does not contain\n%s", q.file, q.code)
		}
	}
}

// What the tutorial shows as output is what the tests of the examples expect, as
// far as it is always the same.
func TestTutorialShowsOutput(t *testing.T) {
	var expected []string
	literal := regexp.MustCompile("\"(?:[^\"\\\\\n]|\\\\.)*\"|`[^`]*`")
	for _, dir := range []string{"../examples/chat", "../examples/tutorial/01-message", "../examples/tutorial/02-processes", "../examples/tutorial/03-registry"} {
		for _, file := range goFiles(t, dir) {
			if !strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, quoted := range literal.FindAllString(read(t, file), -1) {
				if text, err := strconv.Unquote(quoted); err == nil && len(strings.TrimSpace(text)) >= 8 {
					expected = append(expected, strings.TrimSpace(text))
				}
			}
		}
	}
	found := 0
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(read(t, "tutorial.md"), -1) {
		if !strings.Contains(m[1], "$ go run") {
			continue
		}
		for line := range strings.Lines(m[1]) {
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "$ ") {
				continue
			}
			found++
			if !slices.ContainsFunc(expected, func(text string) bool { return strings.Contains(line, text) }) {
				t.Errorf("no test expects %q", line)
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d lines were checked", found)
	}
}

func TestQuotes(t *testing.T) {
	got := quotesOf("One, in [a](../x.go) and [b](../y.go):\n\n```go\na\n```\n\nTwo.\n\n```perl\nb\n```\n\n```sh\nc\n```\n")
	want := []quote{{"go", "a\n", "../y.go"}, {"perl", "b\n", ""}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
