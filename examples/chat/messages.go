package main

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/portmesh/portmesh/actor"
)

// servers is the family of the registry in which all servers are.
const servers = "chat:servers"

// What members say to a server. The last field is the member's port.
type (
	joining struct {
		Name   string
		Member actor.PortID
	}
	saying struct {
		Text   string
		Member actor.PortID
	}
	leaving struct{ Member actor.PortID }
)

// What a server says to its members.
type (
	welcome struct {
		Server actor.NodeID
		Names  []string // who else is there
	}
	refused struct{ Why string }
)

// What a server says to its members and to the other servers, which pass it on
// to theirs.
type (
	said   struct{ Who, Text string }
	notice struct{ Text string }
)

// The words by which these go over the wire, as a Perl program would write them:
// snd $server, join => "larry", $SELF.
var (
	_ = actor.Bind[joining]("join")
	_ = actor.Bind[saying]("say")
	_ = actor.Bind[leaving]("leave")
	_ = actor.Bind[welcome]("welcome")
	_ = actor.Bind[refused]("refused")
	_ = actor.Bind[said]("said")
	_ = actor.Bind[notice]("notice")
)

// checkName tells what is wrong with a member's name, if anything is.
func checkName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return errors.New("a name must not be empty")
	case utf8.RuneCountInString(name) > 30:
		return errors.New("a name must not be longer than 30 characters")
	case name != printable(name):
		return errors.New("a name must be printable")
	}
	return nil
}

// printable returns text from elsewhere as it can be shown on a terminal, which
// control characters could turn upside down.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
