package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A word is an element of the command line. One that came from JSON is never
// taken for a flag.
type word struct {
	value any
	json  bool
}

// readWords applies the rules of JSON arguments.
func readWords(args []string) ([]word, error) {
	if len(args) > 0 && strings.HasPrefix(args[0], "[") {
		if len(args) > 1 {
			return nil, Usagef("an argument that begins with [ and stands first replaces all; %d follow it", len(args)-1)
		}
		v, err := readJSON(args[0])
		if err != nil {
			return nil, Usagef("argument 1: %w", err)
		}
		var words []word
		for _, element := range v.([]any) {
			words = append(words, word{element, true})
		}
		return words, nil
	}
	var words []word
	for i, arg := range args {
		if arg == "" || !strings.Contains(`[{"`, arg[:1]) || isIPv6(arg) {
			words = append(words, word{value: arg})
			continue
		}
		v, err := readJSON(arg)
		if err != nil {
			return nil, Usagef("argument %d begins as JSON does: %w (to mean the text, write it as a JSON string)", i+1, err)
		}
		words = append(words, word{v, true})
	}
	return words, nil
}

// isIPv6 reports whether an argument begins with an IPv6 address in brackets,
// as in [::1]:4040. There is no JSON like that.
func isIPv6(arg string) bool {
	host, _, ok := strings.Cut(strings.TrimPrefix(arg, "["), "]")
	address, err := netip.ParseAddr(host)
	return ok && arg[0] == '[' && err == nil && address.Is6()
}

// readJSON reads one value; its numbers are of type [json.Number].
func readJSON(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("it ends too early")
		}
		return nil, fmt.Errorf("invalid JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("invalid JSON: something follows the value at offset %d", d.InputOffset())
	}
	return v, nil
}

// A parser turns words into calls. It keeps where it is, so that completion can
// ask what may come next.
type parser struct {
	tool  *Tool
	env   *Env
	calls []*Call
	call  *Call  // that still takes arguments or flags; nil: a subcommand is next
	plain bool   // "--" has been seen in this call
	wants *Flag  // whose value is next
	first string // first word of a name of two
}

// parse reads the whole command line.
func (t *Tool) parse(env *Env, args []string) ([]*Call, error) {
	i := 0
	p := &parser{tool: t, env: env}
	// Flags may stand before the list that replaces all.
	for i < len(args) && !strings.HasPrefix(args[i], "[") && (p.wants != nil || isFlag(args[i])) {
		if err := p.word(word{value: args[i]}); err != nil {
			return nil, err
		}
		i++
	}
	words, err := readWords(args[i:])
	if err != nil {
		return nil, err
	}
	for _, w := range words {
		if err := p.word(w); err != nil {
			return nil, err
		}
	}
	return p.calls, p.end()
}

func isFlag(s string) bool { return strings.HasPrefix(s, "--") || s == "-h" }

// word takes one more word.
func (p *parser) word(w word) error {
	text, isText := w.value.(string)
	if p.wants != nil {
		flag := *p.wants
		p.wants = nil
		return p.set(flag, argText(w.value))
	}
	if c := p.call; c != nil && !c.full() {
		inRest := c.most < 0 && len(c.Args) > 0
		if w.json || p.plain || inRest || !isFlag(text) {
			c.Args = append(c.Args, w.value)
			return nil
		}
		if text == "--" {
			p.plain = true
			return nil
		}
		return p.flag(text)
	}
	if !w.json && isFlag(text) && text != "--" {
		return p.flag(text)
	}
	if p.call != nil {
		p.call = nil
	}
	if !isText {
		return Usagef("%s stands where a subcommand is expected; see aemp help", argText(w.value))
	}
	return p.command(text)
}

// command begins a call.
func (p *parser) command(name string) error {
	if p.first != "" {
		name, p.first = p.first+" "+name, ""
	}
	c := p.tool.lookup(name)
	if c == nil {
		if !strings.Contains(name, " ") && len(p.tool.second(name)) > 0 {
			p.first = name
			return nil
		}
		return Usagef("%s: no such subcommand%s; see aemp help", name, p.tool.suggest(name))
	}
	p.call = newCall(p.env, c)
	p.calls = append(p.calls, p.call)
	p.plain = false
	return nil
}

// flag takes --name and --name=value.
func (p *parser) flag(text string) error {
	name, value, given := strings.Cut(strings.TrimPrefix(text, "--"), "=")
	if text == "-h" {
		name = "help"
	}
	flag := p.find(name)
	if flag == nil {
		of := ""
		if p.call != nil {
			of = p.call.Command.Name + ": "
		}
		return Usagef("%sno such flag: --%s; see aemp help", of, name)
	}
	if _, isBool := flag.Default.(bool); isBool && !given {
		return p.set(*flag, "true")
	}
	if !given {
		p.wants = flag
		return nil
	}
	return p.set(*flag, value)
}

func (p *parser) find(name string) *Flag {
	flags := globalFlags
	if p.call != nil {
		flags = append(p.call.Command.Flags[:len(p.call.Command.Flags):len(p.call.Command.Flags)], globalFlags...)
	}
	for i := range flags {
		if flags[i].Name == name {
			return &flags[i]
		}
	}
	return nil
}

// set gives a flag its value: for the call if it is one of the command's own,
// or else for all.
func (p *parser) set(flag Flag, text string) error {
	v, err := parseFlag(flag, text)
	if err != nil {
		return err
	}
	if p.call != nil {
		for _, own := range p.call.Command.Flags {
			if own.Name == flag.Name {
				p.call.flags[flag.Name] = v
				return nil
			}
		}
		if flag.Name == "help" {
			p.call.help = true
			return nil
		}
	}
	p.env.flags[flag.Name] = v
	return nil
}

func parseFlag(flag Flag, text string) (v any, err error) {
	switch flag.Default.(type) {
	case bool:
		if v, err = strconv.ParseBool(text); err != nil {
			return nil, Usagef("--%s: want true or false, have %q", flag.Name, text)
		}
	case int:
		if v, err = strconv.Atoi(text); err != nil || v.(int) < 0 {
			return nil, Usagef("--%s: want a number, have %q", flag.Name, text)
		}
	case time.Duration:
		if v, err = parseDuration(text); err != nil {
			return nil, Usagef("--%s: %w", flag.Name, err)
		}
	default:
		if flag.Name == "color" && text != "auto" && text != "always" && text != "never" {
			return nil, Usagef("--color: want auto, always or never, have %q", text)
		}
		v = text
	}
	return v, nil
}

// parseDuration reads "1.5", which are seconds, or "1500ms".
func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		d, err = time.ParseDuration(text + "s")
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("want a duration such as 5s, or a number of seconds, have %q", text)
	}
	return d, nil
}

// end checks that nothing is missing at the end of the command line.
func (p *parser) end() error {
	switch {
	case p.wants != nil:
		return Usagef("--%s: its value is missing", p.wants.Name)
	case p.first != "":
		return Usagef("%s: want one of %s; see aemp help %s", p.first, strings.Join(p.tool.second(p.first), ", "), p.first)
	}
	for _, c := range p.calls {
		if len(c.Args) < c.least && !c.help {
			return Usagef("%s: <%s> is missing; usage: %s", c.Command.Name, c.params[len(c.Args)].name, c.Command.usage())
		}
	}
	return nil
}
