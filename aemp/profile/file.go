package profile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Environment variables that say where the file is, or replace its values.
const (
	// EnvFile names the file.
	EnvFile = "PERL_ANYEVENT_MP_RC"
	// EnvProfile names the profile.
	EnvProfile = "PORTMESH_PROFILE"
	// EnvPrefix and the name of a key in capitals make the variable that
	// replaces the key's value: PORTMESH_NODEID.
	EnvPrefix = "PORTMESH_"
)

const (
	fileName    = "perl-anyevent-mp"
	fileVersion = 1
	// maxSize bounds a file: much more than a thousand certificates.
	maxSize = 16 << 20
)

// Path returns the path of the user's file: that of the environment variable
// [EnvFile], or ".perl-anyevent-mp" in the home directory. It is empty if there
// is neither.
func Path() string { return PathIn(os.Getenv) }

// PathIn is [Path] in the environment that getenv tells of.
func PathIn(getenv func(string) string) string {
	if p := getenv(EnvFile); p != "" {
		return p
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, "."+fileName)
	}
	if data := getenv("APPDATA"); data != "" {
		return filepath.Join(data, fileName)
	}
	return ""
}

// ErrCycle: a profile inherits from itself. It wraps [ErrValue].
var ErrCycle error = cycleError{}

type cycleError struct{}

func (cycleError) Error() string { return "a circle of parents" }

func (cycleError) Unwrap() error { return ErrValue }

// A File is the content of a configuration file: a section of defaults, and
// named profiles. It may be used by one goroutine at a time.
type File struct {
	document
	path  string
	dirty bool
}

// Load reads a file. One that does not exist is empty. The error of a broken one
// wraps a [*SyntaxError].
func Load(path string) (*File, error) {
	if path == "" {
		return nil, fmt.Errorf("profile: no configuration file: neither %s nor HOME is set", EnvFile)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &File{document: document{root: &object{}}, path: path}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("profile: read: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("profile: read: %w", err)
	}
	if len(text) > maxSize {
		return nil, fmt.Errorf("profile: read %s: larger than %d bytes, so that it can hardly be a configuration", path, maxSize)
	}
	file, err := Parse(text)
	if syntax := new(SyntaxError); errors.As(err, &syntax) {
		syntax.Path = path
	}
	if err != nil {
		return nil, err
	}
	file.path = path
	return file, nil
}

// Parse reads the text of a file. The error wraps a [*SyntaxError].
func Parse(text []byte) (*File, error) {
	doc, err := readDocument(string(text))
	if err != nil {
		return nil, err
	}
	f := &File{document: doc}
	if m := doc.root.find("version"); m != nil && fmt.Sprint(m.value) != fmt.Sprint(fileVersion) {
		return nil, fmt.Errorf("profile: version %v of the configuration is not known, only %d", m.value, fileVersion)
	}
	if m := doc.root.find("profile"); m != nil {
		profiles, ok := m.value.(*object)
		if !ok {
			return nil, fmt.Errorf("profile: profile: want an object of profiles: %w", ErrValue)
		}
		for _, p := range profiles.members {
			if _, ok := p.value.(*object); !ok {
				return nil, fmt.Errorf("profile: profile %q: want an object: %w", p.key, ErrValue)
			}
		}
	}
	return f, nil
}

// Bytes returns the text of the file, in the form in which Perl's tool writes
// it, with comments where there were any.
func (f *File) Bytes() []byte { return f.document.bytes() }

// A Section is the part of a file that holds the keys of one profile, or the
// defaults for all.
type Section struct {
	file   *File
	name   string // empty: the defaults
	object *object
}

// Defaults returns the section at the top level, which all profiles inherit
// from.
func (f *File) Defaults() *Section { return &Section{f, "", f.root} }

// Profiles returns the names of the profiles, in the order of the file.
func (f *File) Profiles() []string {
	var names []string
	if profiles := f.profiles(); profiles != nil {
		for _, m := range profiles.members {
			names = append(names, m.key)
		}
	}
	return names
}

func (f *File) profiles() *object {
	if m := f.root.find("profile"); m != nil {
		return m.value.(*object)
	}
	return nil
}

// Profile returns the section of a profile, or nil if there is no such profile.
func (f *File) Profile(name string) *Section {
	if profiles := f.profiles(); profiles != nil {
		if m := profiles.find(name); m != nil {
			return &Section{f, name, m.value.(*object)}
		}
	}
	return nil
}

// Create returns the section of a profile, which it makes if there is none.
func (f *File) Create(name string) *Section {
	if s := f.Profile(name); s != nil {
		return s
	}
	profiles := f.profiles()
	if profiles == nil {
		profiles = &object{}
		f.root.set("profile", profiles)
	}
	profiles.set(name, &object{})
	f.dirty = true
	return f.Profile(name)
}

// Delete deletes a profile, and reports whether there was one.
func (f *File) Delete(name string) bool {
	if f.Profile(name) == nil {
		return false
	}
	f.profiles().delete(name)
	f.dirty = true
	return true
}

// Name returns the name of the profile, or an empty string for the defaults.
func (s *Section) Name() string { return s.name }

// Keys returns the keys of the section in the order of the file, without those
// that it inherits.
func (s *Section) Keys() []string {
	var names []string
	for _, m := range s.object.members {
		if s.name != "" || m.key != "profile" && m.key != "version" {
			names = append(names, m.key)
		}
	}
	return names
}

// Get returns the value of a key of this section itself: nil, a bool, a string, a
// [json.Number], a []any, or a map[string]any.
func (s *Section) Get(key string) (any, bool) {
	m := s.object.find(key)
	if m == nil {
		return nil, false
	}
	return plain(m.value), true
}

// Set gives a key a value, of the types of [Section.Get], or an int, or a
// []string. A key of [Keys] takes only what makes sense for it; the error wraps
// [ErrValue].
func (s *Section) Set(key string, value any) error {
	if k, ok := LookupKey(key); ok {
		checked, err := k.Check(value)
		if err != nil {
			return fmt.Errorf("profile: %w", err)
		}
		value = checked
	}
	switch {
	case s.name == "" && (key == "profile" || key == "version" || key == "parent"):
		return fmt.Errorf("profile: %s cannot be set at the top level: %w", key, ErrValue)
	case key == "parent":
		parent, ok := value.(string)
		if !ok || parent == "" {
			return fmt.Errorf("profile: parent: want the name of a profile: %w", ErrValue)
		}
	}
	var old any
	if m := s.object.find(key); m != nil {
		old = m.value
	}
	v, err := fromPlain(value, old)
	if err != nil {
		return fmt.Errorf("profile: %s: %w: %w", key, ErrValue, err)
	}
	s.object.set(key, v)
	s.file.dirty = true
	return nil
}

// Delete deletes a key, so that its value is inherited again.
func (s *Section) Delete(key string) {
	if s.object.find(key) != nil {
		s.object.delete(key)
		s.file.dirty = true
	}
}

// MarshalJSON returns the section as it is in the file, without comments.
func (s *Section) MarshalJSON() ([]byte, error) { return json.Marshal(plain(s.object)) }

// Bytes returns the section as it is in the file.
func (s *Section) Bytes() []byte { return append(writeValue(nil, s.object, ""), '\n') }

// chain returns the section of a profile and those that it inherits from, the
// defaults being the last. A profile that does not exist has the defaults only.
func (f *File) chain(name string) ([]*Section, error) {
	var chain []*Section
	var names []string
	for s := f.Profile(name); s != nil; {
		chain = append(chain, s)
		names = append(names, s.name)
		m := s.object.find("parent")
		if m == nil || m.value == nil || m.value == "" {
			break
		}
		parent, ok := m.value.(string)
		if !ok {
			return nil, fmt.Errorf("profile: profile %q: parent: want the name of a profile: %w", s.name, ErrValue)
		}
		for _, n := range names {
			if n == parent {
				return nil, fmt.Errorf("profile: profile %q inherits from itself: %s: %w", n, strings.Join(append(names, parent), " -> "), ErrCycle)
			}
		}
		next := f.Profile(parent)
		if next == nil {
			return nil, fmt.Errorf("profile: profile %q: there is no profile %q, its parent: %w", s.name, parent, ErrValue)
		}
		s = next
	}
	return append(chain, f.Defaults()), nil
}
