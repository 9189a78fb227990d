package aemp_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/portmesh/portmesh/aemp"
)

func TestPortID(t *testing.T) {
	tests := []struct {
		id        aemp.PortID
		node      aemp.NodeID
		name      string
		canonical aemp.PortID
	}{
		{"cat#mouse", "cat", "mouse", "cat#mouse"},
		{"cat", "cat", "", "cat"},
		{"cat#", "cat", "", "cat"},
		{"cat##", "cat", "#", "cat##"},
		{"cat#a#b", "cat", "a#b", "cat#a#b"},
		{"cat#a;b c\n", "cat", "a;b c\n", "cat#a;b c\n"},
		{"web/eu/1#XIldThnzEKc", "web/eu/1", "XIldThnzEKc", "web/eu/1#XIldThnzEKc"},
		{"10.0.0.1:4040#x", "10.0.0.1:4040", "x", "10.0.0.1:4040#x"},
		{"größe#é", "größe", "é", "größe#é"},
		{"", "", "", ""},
		{"#", "", "", ""},
		{"#a", "", "a", "#a"},
	}
	for _, tt := range tests {
		t.Run(string(tt.id), func(t *testing.T) {
			if got := tt.id.Node(); got != tt.node {
				t.Errorf("Node: got %q, want %q", got, tt.node)
			}
			if got := tt.id.Name(); got != tt.name {
				t.Errorf("Name: got %q, want %q", got, tt.name)
			}
			if node, name := tt.id.Split(); node != tt.node || name != tt.name {
				t.Errorf("Split: got %q, %q, want %q, %q", node, name, tt.node, tt.name)
			}
			if got := tt.id.Canonical(); got != tt.canonical {
				t.Errorf("Canonical: got %q, want %q", got, tt.canonical)
			}
			if got, want := tt.id.IsNodePort(), tt.name == ""; got != want {
				t.Errorf("IsNodePort: got %v, want %v", got, want)
			}
			if got := tt.node.Port(tt.name).Canonical(); got != tt.canonical {
				t.Errorf("Port: got %q, want %q", got, tt.canonical)
			}
		})
	}
}

func TestNodeIDPorts(t *testing.T) {
	n := aemp.NodeID("cat")
	if got := n.Port("mouse"); got != "cat#mouse" {
		t.Errorf("Port: got %q", got)
	}
	if got := n.Port(""); got != "cat#" {
		t.Errorf("Port without a name: got %q", got)
	}
	if got := n.NodePort(); got != "cat" || !got.IsNodePort() {
		t.Errorf("NodePort: got %q", got)
	}
}

func TestValidateID(t *testing.T) {
	tests := []struct {
		id   string // of a node
		tell string // what is wrong with it
	}{
		{"cat", ""},
		{"web/eu/1", ""},
		{"anon/XIldThnzEKc", ""},
		{"10.0.0.1:4040", ""},
		{"[::1]:4040", ""},
		{"a b", ""},
		{"größe", ""},
		{"猫", ""},
		{"%3b", ""},
		{"a=b,c", ""},
		{"", "node ID is empty"},
		{";", `node ID ";" contains ';'`},
		{"a;b", `node ID "a;b" contains ';'`},
		{"a\nb", `node ID "a\nb" contains '\n'`},
		{"a\r", `contains '\r'`},
		{"\x00", `contains '\x00'`},
		{"a\tb", `contains '\t'`},
		{"a\x7f", `contains '\x7f'`},
		{"a\u0085", `contains '\u0085'`},
		{"a\u00a0b", `contains '\u00a0'`},
		{"a\u2028b", `contains '\u2028'`},
		{"a\u202eb", `contains '\u202e'`},
		{"a\xff", `node ID "a\xff" contains '�'`},
		{"a\xe2\x82", `contains '�'`},
		{"a\ufffd", `contains '�'`},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			node, port := aemp.NodeID(tt.id), aemp.NodeID(tt.id).Port("any # ; name\n")
			for name, err := range map[string]error{"node": node.Validate(), "port": port.Validate(), "node port": node.NodePort().Validate()} {
				if tt.tell == "" {
					if err != nil {
						t.Errorf("%s: got error %v", name, err)
					}
					continue
				}
				if !errors.Is(err, aemp.ErrInvalidID) || !strings.Contains(err.Error(), tt.tell) {
					t.Errorf("%s: got error %v, want %v ... %s", name, err, aemp.ErrInvalidID, tt.tell)
				}
			}
		})
	}
	if err := aemp.NodeID("a#b").Validate(); !errors.Is(err, aemp.ErrInvalidID) || !strings.Contains(err.Error(), `node ID "a#b" contains '#'`) {
		t.Errorf("node with a port name: got error %v", err)
	}
	if err := aemp.PortID("a;#b").Validate(); err == nil || !strings.HasPrefix(err.Error(), `port ID "a;#b": invalid ID: `) {
		t.Errorf("port: got error %v", err)
	}
}

func FuzzPortID(f *testing.F) {
	for _, id := range []string{"cat#mouse", "cat", "cat#", "cat##", "", "#", "#a", "a;b#c", "a\xff#", "größe#é", "a\n"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id := aemp.PortID(s)
		node, name := id.Split()
		if node != id.Node() || name != id.Name() || strings.Contains(string(node), "#") {
			t.Fatalf("%q: Split %q, %q, Node %q, Name %q", s, node, name, id.Node(), id.Name())
		}
		canonical := id.Canonical()
		if canonical.Canonical() != canonical || canonical.Node() != node || canonical.Name() != name {
			t.Fatalf("%q: Canonical %q, whose own is %q", s, canonical, canonical.Canonical())
		}
		if again := node.Port(name).Canonical(); again != canonical {
			t.Fatalf("%q: put together again %q, want %q", s, again, canonical)
		}
		if id.IsNodePort() != (canonical == node.NodePort()) {
			t.Fatalf("%q: IsNodePort %v, Canonical %q", s, id.IsNodePort(), canonical)
		}
		err := id.Validate()
		if (err == nil) != (node.Validate() == nil) || err != nil && !errors.Is(err, aemp.ErrInvalidID) {
			t.Fatalf("%q: Validate %v, that of the node %v", s, err, node.Validate())
		}
		if err != nil {
			return
		}
		// It has to fit into a greeting.
		if node == "" || !utf8.ValidString(string(node)) || strings.ContainsFunc(string(node), unicode.IsControl) || strings.Contains(string(node), ";") {
			t.Fatalf("%q: valid node ID %q", s, node)
		}
	})
}
