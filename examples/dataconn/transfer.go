package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/portmesh/portmesh/actor"
)

// What goes over a data connection is up to those at its ends. Here, the sender
// names the file and its size with the request; the receiver says by a line
// whether it wants the file; the sender sends the content and its checksum; and
// the receiver says by another line that all is well. In the place of either
// line it may say what is wrong.
const (
	receiver = "receiver"       // the node
	function = "Files::take"    // what it does with a data connection
	wanted   = "go ahead"       // its first answer
	accepted = "ok"             // its second answer
	idle     = 30 * time.Second // after this time without progress, either gives up
)

// An outgoing file.
type outgoing struct {
	*os.File
	name string
	size int64
}

func open(path string) (*outgoing, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &outgoing{f, filepath.Base(path), info.Size()}, nil
}

// put sends the file, and waits until the receiver has it. It returns the
// checksum.
func (o *outgoing) put(conn net.Conn, progress io.Writer) ([]byte, error) {
	answers := bufio.NewReader(io.LimitReader(patient{conn}, 4096))
	if err := expect(answers, wanted); err != nil {
		return nil, err
	}
	hash := sha256.New()
	if n, err := io.Copy(io.MultiWriter(patient{conn}, hash, progress), io.LimitReader(o, o.size)); err != nil {
		return nil, fmt.Errorf("sending %s: %w", o.name, err)
	} else if n < o.size {
		return nil, fmt.Errorf("sending %s: it has become shorter meanwhile", o.name)
	}
	sum := hash.Sum(nil)
	if _, err := (patient{conn}).Write(sum); err != nil {
		return nil, fmt.Errorf("sending %s: %w", o.name, err)
	}
	return sum, expect(answers, accepted)
}

// expect reads an answer of the receiver.
func expect(answers *bufio.Reader, want string) error {
	line, err := answers.ReadString('\n')
	switch line = strings.TrimSpace(line); {
	case err != nil:
		return fmt.Errorf("the receiver does not answer: %w", err)
	case line != want:
		return fmt.Errorf("the receiver refuses: %q", line)
	}
	return nil
}

// An inbox is a folder for files that others send.
type inbox struct {
	dir     string
	largest int64 // bytes
}

// take receives a file. It gets its name when all of it is there and the
// checksum is right; until then, and if that fails, nothing can be seen of it.
func (in inbox) take(conn net.Conn, args actor.Message) (path string, err error) {
	defer func() {
		answer := accepted
		if err != nil {
			answer = err.Error()
		}
		fmt.Fprintln(patient{conn}, answer)
	}()
	var name string
	var size int64
	if err := args.Scan(&name, &size); err != nil {
		return "", err
	}
	if path, err = in.path(name); err != nil {
		return "", err
	}
	if size < 0 || size > in.largest {
		return "", fmt.Errorf("%d bytes are too many, at most %d are taken", size, in.largest)
	}
	f, err := os.CreateTemp(in.dir, ".incoming-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := fmt.Fprintln(patient{conn}, wanted); err != nil {
		return "", err
	}
	hash := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, hash), patient{conn}, size); err != nil {
		return "", fmt.Errorf("%s is incomplete: %w", name, err)
	}
	want := make([]byte, sha256.Size)
	if _, err := io.ReadFull(patient{conn}, want); err != nil {
		return "", fmt.Errorf("%s has no checksum: %w", name, err)
	}
	if got := hash.Sum(nil); !bytes.Equal(got, want) {
		return "", fmt.Errorf("%s is damaged: its checksum is %x, and should be %x", name, got, want)
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	// Unlike a renaming, this does not replace a file that exists.
	return path, os.Link(f.Name(), path)
}

// path returns where a file of that name goes: into the folder, and nowhere
// else.
func (in inbox) path(name string) (string, error) {
	control := strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
	if name == "" || control || name != filepath.Base(name) || !filepath.IsLocal(name) || strings.HasPrefix(name, ".") {
		return "", fmt.Errorf("%q is not a name for a file", name)
	}
	path := filepath.Join(in.dir, name)
	if _, err := os.Lstat(path); err == nil {
		return "", fmt.Errorf("there is a file %s already", name)
	}
	return path, nil
}

// patient reads and writes as long as there is some progress.
type patient struct{ net.Conn }

func (p patient) Read(b []byte) (int, error) {
	p.SetReadDeadline(time.Now().Add(idle))
	return p.Conn.Read(b)
}

func (p patient) Write(b []byte) (int, error) {
	p.SetWriteDeadline(time.Now().Add(idle))
	return p.Conn.Write(b)
}
