package profile

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/portmesh/portmesh/aemp"
)

// Settings is what the configuration says for one program: the values of its
// profile, of those that this inherits from, and of the environment.
type Settings struct {
	// Profile is the name of the profile.
	Profile string

	NodeID          string // as it is written; see [NodeID]
	Secret          string
	Cert            string   // PEM; see [Settings.TLS]
	Seeds           []string // as they are written; see [Seeds]
	Binds           []string // as they are written; see [Listen]
	Services        []Service
	Secure          bool
	MonitorTimeout  time.Duration
	ConnectInterval time.Duration
	FramingFormat   []string // names; see [Settings.Framings]
	AuthAccept      []string
	AuthOffer       []string

	path    string
	values  map[string]any
	origins map[string]string
}

// Read returns the settings for a program with this profile, from a file and the
// environment. An empty path means [Path]. The environment variable [EnvProfile]
// names another profile.
//
// Errors name what is wrong and where; they wrap a [*SyntaxError] or [ErrValue] or
// that of the operating system.
func Read(path, profile string) (*Settings, error) {
	if path == "" {
		path = Path()
	}
	// A container may well have neither a home nor a file.
	file := &File{document: document{root: &object{}}}
	if path != "" {
		var err error
		if file, err = Load(path); err != nil {
			return nil, err
		}
	}
	if p := os.Getenv(EnvProfile); p != "" {
		profile = p
	}
	return file.Settings(profile, os.Getenv)
}

// Settings returns the settings for a program with this profile, if the
// environment is what getenv tells; nil means that there is none. A profile
// that does not exist has the defaults.
func (f *File) Settings(profile string, getenv func(string) string) (*Settings, error) {
	chain, err := f.chain(profile)
	if err != nil {
		return nil, err
	}
	s := &Settings{Profile: profile, path: f.path, values: make(map[string]any), origins: make(map[string]string)}
	for _, section := range slices.Backward(chain) {
		origin := "defaults"
		if section.name != "" {
			origin = fmt.Sprintf("profile %q", section.name)
		}
		for _, key := range section.Keys() {
			if key == "parent" {
				continue
			}
			s.values[key], _ = section.Get(key)
			s.origins[key] = origin
		}
	}
	if getenv != nil {
		if err := s.environment(getenv); err != nil {
			return nil, err
		}
	}
	// A key with null is as good as not there, but inherits nothing.
	for key, v := range s.values {
		if v == nil {
			delete(s.values, key)
			delete(s.origins, key)
		}
	}
	if err := s.convert(); err != nil {
		return nil, err
	}
	return s, nil
}

// Add gives a key a value if it has none, as a program's own default, say; the
// origin is for [Settings.Origin]. The error wraps [ErrValue].
func (s *Settings) Add(key string, value any, origin string) error {
	if s.Has(key) {
		return nil
	}
	if k, ok := LookupKey(key); ok {
		checked, err := k.Check(value)
		if err != nil {
			return fmt.Errorf("profile: %w", err)
		}
		value = checked
	}
	if err := s.put(key, value, origin); err != nil {
		return err
	}
	return s.convert()
}

// put gives a key a value of the types that [Section.Get] returns.
func (s *Settings) put(key string, value any, origin string) error {
	v, err := fromPlain(value, nil)
	if err != nil {
		return fmt.Errorf("profile: %s: %w: %w", key, ErrValue, err)
	}
	s.values[key], s.origins[key] = plain(v), origin
	return nil
}

// Bytes returns all values in the form of the file, in the order of their keys.
func (s *Settings) Bytes() []byte {
	tree, err := fromPlain(s.values, nil)
	if err != nil { // they come from trees
		panic(err)
	}
	return append(writeValue(nil, tree, ""), '\n')
}

// environment takes what the environment says.
func (s *Settings) environment(getenv func(string) string) error {
	for _, key := range keys {
		name := EnvPrefix + strings.ToUpper(key.Name)
		text := getenv(name)
		if key.Kind == Bundle || key.Name == "secret" {
			if path := getenv(name + "_FILE"); path != "" {
				if text != "" {
					return fmt.Errorf("profile: %s and %s_FILE are both set: %w", name, name, ErrValue)
				}
				content, err := os.ReadFile(path)
				if err != nil {
					return fmt.Errorf("profile: %s_FILE: %w", name, err)
				}
				name += "_FILE"
				text = strings.TrimRight(string(content), "\r\n")
				if text == "" {
					return fmt.Errorf("profile: %s: %s is empty: %w", name, path, ErrValue)
				}
			}
		}
		if text == "" {
			continue
		}
		parse := key.Parse
		if key.Kind == Services && strings.HasPrefix(text, "[") {
			parse = parseList
		}
		v, err := parse(text)
		if err != nil {
			return fmt.Errorf("profile: environment variable %s: %w", name, err)
		}
		if err := s.put(key.Name, v, "environment variable "+name); err != nil {
			return err
		}
	}
	return nil
}

// parseList reads a list in JSON.
func parseList(text string) (any, error) {
	r := &reader{text: text}
	var v any
	err := r.catch(func() {
		v = plain(r.value())
		if r.space(); r.pos < len(text) {
			r.fail("something follows the list")
		}
	})
	if syntax := new(SyntaxError); errors.As(err, &syntax) {
		return nil, fmt.Errorf("character %d: %s: %w", syntax.Column, syntax.Text, ErrValue)
	}
	return v, err
}

// convert gives the fields their values.
func (s *Settings) convert() error {
	path := s.path
	if path != "" {
		path += ": "
	}
	for _, key := range keys {
		v, ok := s.values[key.Name]
		if !ok {
			continue
		}
		var err error
		switch key.Name {
		case "nodeid":
			if s.NodeID, err = key.text(v); err == nil {
				_, err = key.Check(s.NodeID)
			}
		case "secret":
			s.Secret, err = key.text(v)
		case "cert":
			s.Cert, err = key.text(v)
		case "seeds":
			s.Seeds, err = key.names(v)
		case "binds":
			s.Binds, err = key.names(v)
		case "services":
			s.Services, err = key.services(v)
		case "secure":
			s.Secure, err = key.on(v)
		case "monitor_timeout":
			s.MonitorTimeout, err = key.seconds(v)
		case "connect_interval":
			s.ConnectInterval, err = key.seconds(v)
		case "framing_format":
			s.FramingFormat, err = key.names(v)
		case "auth_accept":
			s.AuthAccept, err = key.names(v)
		case "auth_offer":
			s.AuthOffer, err = key.names(v)
		}
		if err != nil {
			return fmt.Errorf("profile: %s%s: %w", path, s.origins[key.Name], err)
		}
	}
	return nil
}

// Origin tells where the value of a key comes from: "defaults", `profile "NAME"`,
// "environment variable NAME", or as [Settings.Add] was told. It is empty if the key has no value.
func (s *Settings) Origin(key string) string { return s.origins[key] }

// Has reports whether a key has a value.
func (s *Settings) Has(key string) bool { return s.origins[key] != "" }

// Values returns the values of all keys, also those that are not known.
func (s *Settings) Values() map[string]any { return s.values }

// TLS returns the configuration for the certificate, or nil if there is none.
func (s *Settings) TLS() (*tls.Config, error) {
	if s.Cert == "" {
		return nil, nil
	}
	config, err := aemp.NewTLSConfig([]byte(s.Cert))
	if err != nil {
		return nil, fmt.Errorf("profile: %s: cert: %w", s.origins["cert"], err)
	}
	return config, nil
}

// Framings returns the framings of framing_format that this module knows; Perl
// programs may know others. Nil means the usual ones.
func (s *Settings) Framings() ([]aemp.Framing, error) {
	if !s.Has("framing_format") {
		return nil, nil
	}
	var framings []aemp.Framing
	for _, name := range s.FramingFormat {
		for _, f := range aemp.DefaultFramings() {
			if f.Name() == name {
				framings = append(framings, f)
			}
		}
	}
	if len(framings) == 0 {
		return nil, fmt.Errorf("profile: %s: framing_format: none of %q is known: %w", s.origins["framing_format"], s.FramingFormat, ErrValue)
	}
	return framings, nil
}
