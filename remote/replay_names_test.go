package remote_test

import (
	"reflect"
	"strings"
)

// names matches the port names that beta chose with ours, one to one.
type names struct {
	chosen   map[string]bool // by beta
	toOurs   map[string]string
	toTheirs map[string]string
}

// newNames finds the names that beta chose: those of the ports that it spawned,
// and those that it told as its own.
func newNames(rec *recording) names {
	n := names{make(map[string]bool), make(map[string]string), make(map[string]string)}
	for _, step := range rec.steps {
		for _, p := range step.packets {
			if p.from != "beta" || rec.leftOut(p) {
				continue
			}
			if p.tag() == "AnyEvent::MP::_spawn" {
				n.chosen[p.message[1].(string)] = true
			}
			n.find([]any(p.message))
		}
	}
	return n
}

// find looks for port IDs of beta.
func (n names) find(v any) {
	switch v := v.(type) {
	case string:
		if name, ok := strings.CutPrefix(v, "beta#"); ok {
			n.chosen[name] = true
		}
	case []any:
		for _, v := range v {
			n.find(v)
		}
	}
}

// same compares packets.
func (n names) same(want, got packet) bool {
	return n.sameValue(want.port, got.port) && n.sameValue([]any(want.message), []any(got.message))
}

func (n names) sameValue(want, got any) bool {
	switch w := want.(type) {
	case string:
		g, ok := got.(string)
		return ok && n.sameText(w, g)
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !n.sameValue(w[i], g[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(want, got)
}

// sameText compares texts, which may be port IDs and port names. A name of
// beta's is matched with ours when it is first seen.
func (n names) sameText(want, got string) bool {
	wantNode, wantName := cutName(want)
	gotNode, gotName := cutName(got)
	if !n.chosen[wantName] {
		return want == got
	}
	return wantNode == gotNode && n.match(wantName, gotName)
}

// match returns whether the two names belong together, for ever if they are
// new.
func (n names) match(theirs, ours string) bool {
	if n.toOurs[theirs] == "" && n.toTheirs[ours] == "" {
		n.toOurs[theirs], n.toTheirs[ours] = ours, theirs
	}
	return n.toOurs[theirs] == ours && n.toTheirs[ours] == theirs
}

// ours returns a value of alpha's with our names in the place of beta's.
func (n names) ours(v any) any {
	switch v := v.(type) {
	case string:
		if node, name := cutName(v); n.toOurs[name] != "" {
			return node + n.toOurs[name]
		}
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = n.ours(v[i])
		}
		return list
	}
	return v
}

// cutName splits a port ID, or a mere name, in front of the name.
func cutName(text string) (node, name string) {
	i := strings.IndexByte(text, '#') + 1
	return text[:i], text[i:]
}
