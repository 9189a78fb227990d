package command

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"
)

// A lockedWriter may be written to by several goroutines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// plainLines reads lines from what is no terminal, without prompts.
type plainLines struct {
	lines chan string // sent by a goroutine that reads, which ends with the input
	err   error       // read when lines is closed
}

// maxShellLine bounds a line, in bytes.
const maxShellLine = 1 << 20

func newPlainLines(ctx context.Context, r io.Reader) *plainLines {
	p := &plainLines{lines: make(chan string)}
	go func() {
		defer close(p.lines)
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxShellLine)
		for lines.Scan() {
			select {
			case p.lines <- lines.Text():
			case <-ctx.Done():
				return
			}
		}
		p.err = lines.Err()
	}()
	return p
}

func (p *plainLines) readLine(ctx context.Context, _ string) (string, error) {
	select {
	case line, ok := <-p.lines:
		if ok {
			return line, nil
		}
		if p.err != nil {
			return "", p.err
		}
	case <-ctx.Done():
	}
	return "", io.EOF
}

func (p *plainLines) during(ctx context.Context, run func(ctx context.Context)) { run(ctx) }

// An editor reads lines from a terminal in raw mode.
type editor struct {
	terminal *term.Terminal
	keys     *keyboard
	in       *os.File
}

func newEditor(ctx context.Context, in, out *os.File, complete func(line string) []string) *editor {
	e := &editor{keys: newKeyboard(ctx, in), in: in}
	e.terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{e.keys, out}, "")
	e.terminal.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		head, tail := line[:pos], line[pos:]
		candidates := complete(head)
		head, again := completed(head, candidates)
		if again {
			// The terminal's lock is held here, so that it cannot be written
			// to by its own method.
			go e.terminal.Write([]byte(strings.Join(candidates, "  ") + "\n"))
		}
		return head + tail, len(head), true
	}
	return e
}

// completed puts what the candidates have in common in the place of the last word.
// It reports whether several are left to choose from and nothing could be added.
func completed(head string, candidates []string) (string, bool) {
	if len(candidates) == 0 {
		return head, false
	}
	start := strings.LastIndexAny(head, " =") + 1
	if !strings.HasPrefix(head, "=") {
		start = strings.LastIndexByte(head, ' ') + 1
	}
	common := candidates[0]
	for _, c := range candidates[1:] {
		for !strings.HasPrefix(c, common) {
			_, size := utf8.DecodeLastRuneInString(common)
			common = common[:len(common)-size]
		}
	}
	if len(candidates) == 1 {
		return head[:start] + common + " ", false
	}
	if len(common) <= len(head)-start {
		return head, true
	}
	return head[:start] + common, false
}

func (e *editor) readLine(_ context.Context, prompt string) (string, error) {
	if width, height, err := term.GetSize(int(e.in.Fd())); err == nil && width > 0 && height > 0 {
		e.terminal.SetSize(width, height)
	}
	e.terminal.SetPrompt(prompt)
	line, err := e.terminal.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	return line, err
}

func (e *editor) during(ctx context.Context, run func(ctx context.Context)) {
	e.terminal.SetPrompt("")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx)
	}()
	e.keys.watch(done, cancel)
	<-done
}

// A keyboard reads the keys that are typed while nobody waits for them, too, so
// that ^C is noticed.
type keyboard struct {
	typed chan []byte // sent by a goroutine that reads, which ends with the input
	rest  []byte
	done  <-chan struct{} // the shell ends
}

const (
	keyInterrupt = 3  // ^C
	keyEnd       = 5  // ^E, to the end of the line
	keyClear     = 21 // ^U, delete all before the cursor
)

func newKeyboard(ctx context.Context, r io.Reader) *keyboard {
	k := &keyboard{typed: make(chan []byte), done: ctx.Done()}
	go func() {
		defer close(k.typed)
		for {
			buf := make([]byte, 256)
			n, err := r.Read(buf)
			if n > 0 {
				select {
				case k.typed <- buf[:n]:
				case <-k.done:
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return k
}

// Read is for the terminal, for which ^C would be the end: here it clears the
// line.
func (k *keyboard) Read(p []byte) (int, error) {
	for len(k.rest) == 0 {
		var keys []byte
		select {
		case keys = <-k.typed:
		case <-k.done:
		}
		if len(keys) == 0 {
			return 0, io.EOF
		}
		for _, key := range keys {
			if key == keyInterrupt {
				k.rest = append(k.rest, keyEnd, keyClear)
			} else {
				k.rest = append(k.rest, key)
			}
		}
	}
	n := copy(p, k.rest)
	k.rest = k.rest[n:]
	return n, nil
}

// watch keeps what is typed for later until done is closed, and calls interrupt
// for ^C, or when the input ends.
func (k *keyboard) watch(done <-chan struct{}, interrupt func()) {
	for {
		select {
		case <-done:
			return
		case keys, ok := <-k.typed:
			if !ok {
				interrupt()
				return
			}
			for _, key := range keys {
				if key == keyInterrupt {
					interrupt()
					k.rest = nil
				} else {
					k.rest = append(k.rest, key)
				}
			}
		}
	}
}

// splitWords splits a line of the shell: at blanks, but not within 'quotes', nor
// within a word that is JSON.
func splitWords(line string) (words []string, err error) {
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return words, nil
		}
		var word string
		switch line[0] {
		case '[', '{', '"':
			d := json.NewDecoder(strings.NewReader(line))
			var v json.RawMessage
			if err := d.Decode(&v); err != nil {
				return nil, Usagef("what begins with %c is no JSON: %w", line[0], err)
			}
			word, line = line[:d.InputOffset()], line[d.InputOffset():]
			if line != "" && line[0] != ' ' && line[0] != '\t' {
				return nil, Usagef("something follows the JSON %s", word)
			}
		case '\'':
			end := strings.IndexByte(line[1:], '\'')
			if end < 0 {
				return nil, Usagef("a ' is missing")
			}
			word, line = quoteWord(line[1:1+end]), line[2+end:]
		default:
			end := strings.IndexAny(line, " \t")
			if end < 0 {
				end = len(line)
			}
			word, line = line[:end], line[end:]
		}
		words = append(words, word)
	}
}

// quoteWord makes text a word that is not taken for JSON, nor for a flag.
func quoteWord(text string) string {
	if text != "" && strings.Contains(`[{"-`, text[:1]) {
		quoted, _ := json.Marshal(text)
		return string(quoted)
	}
	return text
}
