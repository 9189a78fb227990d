package profile

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portmesh/portmesh/aemp"
)

// ErrValue: a key of the configuration, or an environment variable, has a value
// that makes no sense for it.
var ErrValue = errors.New("invalid value")

// A Kind is what the values of a key are.
type Kind uint8

// The kinds of keys.
const (
	Text     Kind = iota // a string
	Bundle               // a certificate, in PEM: private key, certificate, further certificates
	Address              // a list of addresses, "host:port" and the like
	Services             // a list of names, or lists of a name and arguments
	Names                // a list of words
	Seconds              // a positive number
	Switch               // on or off
	Code                 // an expression in Perl
)

// A Key is a key of the configuration that AEMP programs know.
type Key struct {
	Name string
	Kind Kind
	Help string // what it is, in some words
}

// keys is the table of section 9 of the protocol, but for parent, profile and
// version, which say something of the file.
var keys = []Key{
	{"nodeid", Text, "the ID of the node"},
	{"secret", Text, "the secret that all nodes of the mesh share"},
	{"cert", Bundle, "the certificate and key that all nodes of the mesh share"},
	{"seeds", Address, "addresses of nodes to be connected with"},
	{"binds", Address, "addresses to listen on"},
	{"services", Services, "what is to run in the node"},
	{"secure", Switch, "let no other node spawn or call functions here"},
	{"monitor_timeout", Seconds, "after what time a node is given up (30)"},
	{"connect_interval", Seconds, "how long one address of a node is tried (2)"},
	{"framing_format", Names, "framings to use, best first"},
	{"auth_accept", Names, "authentication methods for others to use"},
	{"auth_offer", Names, "authentication methods to use (only Perl)"},
	{"autocork", Switch, "gather what is sent (only Perl)"},
	{"nodelay", Switch, "send small packets at once (only Perl)"},
	{"eval", Code, "code to run at the start (only Perl)"},
}

// Keys returns the keys that AEMP programs know.
func Keys() []Key { return slices.Clone(keys) }

// LookupKey returns the key of that name.
func LookupKey(name string) (Key, bool) {
	i := slices.IndexFunc(keys, func(k Key) bool { return k.Name == name })
	if i < 0 {
		return Key{}, false
	}
	return keys[i], true
}

// Parse makes the value of a key from text: lists are separated by commas,
// switches are 1, on, yes, true or the reverse. The result is what [Section.Set]
// takes. The error wraps [ErrValue].
func (k Key) Parse(text string) (any, error) {
	switch k.Kind {
	case Address, Services, Names:
		var list []any
		for _, s := range splitList(text) {
			list = append(list, s)
		}
		return k.Check(list)
	case Switch:
		switch strings.ToLower(text) {
		case "1", "on", "yes", "true":
			return json.Number("1"), nil
		case "0", "off", "no", "false", "":
			return json.Number("0"), nil
		}
		return nil, fmt.Errorf("%s: want on or off, have %q: %w", k.Name, text, ErrValue)
	}
	return k.Check(text)
}

func splitList(text string) []string {
	var list []string
	for s := range strings.SplitSeq(text, ",") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// Check returns the value in the form in which it is written to the file, or an
// error that wraps [ErrValue].
func (k Key) Check(v any) (any, error) {
	switch k.Kind {
	case Address:
		list, err := k.names(v)
		if err != nil {
			return nil, err
		}
		for _, address := range list {
			if _, err := parseAddress(address, ""); err != nil {
				return nil, fmt.Errorf("%s: %w", k.Name, err)
			}
		}
		return list, nil
	case Names:
		list, err := k.names(v)
		return list, err
	case Services:
		if _, err := k.services(v); err != nil {
			return nil, err
		}
		if text, ok := v.(string); ok {
			return splitList(text), nil
		}
		return v, nil
	case Seconds:
		if _, err := k.seconds(v); err != nil {
			return nil, err
		}
		if text, ok := v.(string); ok {
			return json.Number(strings.TrimSpace(text)), nil
		}
		return v, nil
	case Switch:
		on, err := k.on(v)
		if err != nil {
			return nil, err
		}
		if on {
			return json.Number("1"), nil
		}
		return json.Number("0"), nil
	}
	text, err := k.text(v)
	if err != nil {
		return nil, err
	}
	switch {
	case k.Name == "nodeid":
		if _, err := NodeID(text); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", k.Name, ErrValue, err)
		}
	case k.Kind == Bundle:
		if _, err := aemp.NewTLSConfig([]byte(text)); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", k.Name, ErrValue, err)
		}
	}
	return text, nil
}

func (k Key) wrong(want string, v any) error {
	have := "nothing"
	switch v := v.(type) {
	case nil:
	case map[string]any:
		have = "an object"
	case []any:
		have = "a list"
	case string:
		have = strconv.Quote(v)
	default:
		have = fmt.Sprint(v)
	}
	if k.Name == "secret" || k.Kind == Bundle {
		have = "something else" // what is secret stays so
	}
	return fmt.Errorf("%s: want %s, have %s: %w", k.Name, want, have, ErrValue)
}

// text reads a value as Perl does, which makes no difference between 1 and "1".
func (k Key) text(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case int:
		return strconv.Itoa(v), nil
	}
	return "", k.wrong("a string", v)
}

func (k Key) seconds(v any) (time.Duration, error) {
	text, err := k.text(v)
	if err != nil {
		return 0, k.wrong("a number of seconds", v)
	}
	text = strings.TrimSpace(text)
	seconds, err := strconv.ParseFloat(text, 64)
	// The form must be that of JSON, which knows neither infinity nor 0x1p4.
	if err != nil || !json.Valid([]byte(text)) || !(seconds > 0) || seconds > 1e9 {
		return 0, k.wrong("a positive number of seconds", v)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// on reads a switch as Perl does: what is neither empty nor zero is on, even the
// string "false".
func (k Key) on(v any) (bool, error) {
	switch v := v.(type) {
	case nil:
		return false, nil
	case bool:
		return v, nil
	case string:
		return v != "" && v != "0", nil
	case json.Number:
		f, err := v.Float64()
		return err != nil || f != 0, nil
	}
	return false, k.wrong("a switch, 1 or 0", v)
}

// names reads a list of strings. A single string is split at commas.
func (k Key) names(v any) ([]string, error) {
	switch v := v.(type) {
	case string:
		return splitList(v), nil
	case json.Number: // 4040, where ["4040"] is meant
		return []string{v.String()}, nil
	case []any:
		list := []string{}
		for _, element := range v {
			text, err := k.text(element)
			if err != nil {
				return nil, k.wrong("a list of strings", element)
			}
			list = append(list, splitList(text)...)
		}
		return list, nil
	case []string:
		return v, nil
	}
	return nil, k.wrong("a list", v)
}

// A Service is something that a node is to run.
type Service struct {
	Name string
	Args []any // of the types that [encoding/json] has, with [json.Number]
}

func (k Key) services(v any) ([]Service, error) {
	var list []Service
	switch v := v.(type) {
	case string:
		for _, name := range splitList(v) {
			list = append(list, Service{Name: name})
		}
		return list, nil
	case []any:
		for _, element := range v {
			args, isList := element.([]any)
			if !isList {
				args = []any{element}
			}
			if len(args) == 0 {
				return nil, k.wrong("the name of a service", nil)
			}
			name, err := k.text(args[0])
			if err != nil || name == "" {
				return nil, k.wrong("the name of a service", args[0])
			}
			list = append(list, Service{name, args[1:]})
		}
		return list, nil
	}
	return nil, k.wrong("a list", v)
}
