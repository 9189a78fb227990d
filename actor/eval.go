package actor

import (
	"os"
	"regexp"
	"strings"
	"time"
)

// An EvalFunc answers a fixed expression that another node asks to be evaluated.
// It is called by the goroutine that reads the connection, and must not wait. The
// results follow the error text, which is that of the error or empty.
type EvalFunc func(from NodeID) (results Message, err error)

// HandleEval makes the answer to an expression known; nil removes it. This is not
// evaluation: what Perl's tools ask of nodes, they ask in the form of Perl code,
// and a node of ours knows the questions by their wording (section 10 of the
// protocol). White space does not count, nor does the package that Perl's shell
// puts before a line. The expressions of this package cannot be replaced.
func (s *System) HandleEval(expression string, f EvalFunc) {
	key := normalizeExpression(expression)
	if f == nil {
		s.expressions.Delete(key)
		return
	}
	s.expressions.Store(key, f)
}

// expressions are the questions of which every node knows the answer.
var expressions = map[string]func(s *System) Message{
	"AnyEvent::MP::Kernel::up_nodes":    func(s *System) Message { return s.upNodes() },
	"AnyEvent::MP::Kernel::known_nodes": func(s *System) Message { return append(s.upNodes(), s.Node()) },
	"$AnyEvent::MP::Kernel::NODE":       func(s *System) Message { return Message{s.Node()} },
	"AE::time":                          func(*System) Message { return Message{unixTime()} },
	"$$":                                func(*System) Message { return Message{os.Getpid()} },
}

func unixTime() float64 { return float64(time.Now().UnixMicro()) / 1e6 }

// aliases are other ways to put the same questions, also from within the package
// that Perl's shell begins in.
var aliases = map[string]string{
	"up_nodes":            "AnyEvent::MP::Kernel::up_nodes",
	"known_nodes":         "AnyEvent::MP::Kernel::known_nodes",
	"$NODE":               "$AnyEvent::MP::Kernel::NODE",
	"$AnyEvent::MP::NODE": "$AnyEvent::MP::Kernel::NODE",
	"AE::now":             "AE::time",
	"time":                "AE::time",
}

var (
	// shellPrefix is what Perl's shell puts before each line.
	shellPrefix = regexp.MustCompile(`^package [\w:]+; my \$ECHO = '[^']*'; `)
	emptyCall   = regexp.MustCompile(` ?\( ?\)$`)
)

// longestExpression bounds the work that code of others makes, in bytes.
const longestExpression = 4096

// normalizeExpression makes equal what means the same.
func normalizeExpression(code string) string {
	if len(code) > longestExpression {
		return ""
	}
	code = strings.Join(strings.Fields(code), " ") + " "
	code = shellPrefix.ReplaceAllString(code, "")
	code = strings.TrimRight(code, "; ")
	// The parentheses of a call may be left out; a list in parentheses is
	// something else.
	if short := emptyCall.ReplaceAllString(code, ""); short != "" && !strings.ContainsAny(short, "(){};") {
		code = short
	}
	if long, ok := aliases[code]; ok {
		return long
	}
	return code
}

// requestEval never runs anything.
func (s *System) requestEval(from NodeID, args Message) {
	if len(args) < 2 {
		return
	}
	code, _ := stringArg(args, 0)
	key := normalizeExpression(code)
	if answer := expressions[key]; answer != nil {
		s.answer(from, args[1:], append(Message{""}, answer(s)...)...)
		return
	}
	f, ok := s.expressions.Load(key)
	if !ok {
		s.answer(from, args[1:], "this node does not evaluate code\n")
		return
	}
	results, err := f.(EvalFunc)(from)
	text := ""
	if err != nil {
		text = err.Error() + "\n"
	}
	s.answer(from, args[1:], append(Message{text}, results...)...)
}
