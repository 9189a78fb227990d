package tap

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/portmesh/portmesh/aemp"
)

// A Kind says what an [Event] is about.
type Kind string

// The kinds of events.
const (
	Greeting  Kind = "greeting"  // Text is the line
	Nonce     Kind = "nonce"     // Text is the line
	Auth      Kind = "auth"      // Text is the method, Framing what the side will send
	Request   Kind = "request"   // Message is for the node port
	Message   Kind = "message"   // Message is for the port of the name Port
	KeepAlive Kind = "keepalive" // an empty packet
	Data      Kind = "data"      // Size bytes on a data connection
	TLS       Kind = "tls"       // from here on encrypted; Text says whether it is read
	Problem   Kind = "problem"   // Text says why the rest of this side is not shown
	Closed    Kind = "closed"    // the side sends nothing any more; Text may say more
)

// An Event is one thing that one side of a connection has said or done.
type Event struct {
	// Time is when its last byte came, in seconds since the recording began.
	Time float64
	// Conn is the number of the connection, from 1.
	Conn int
	// From and To are node IDs, or "dialler" and "listener" before the
	// greetings.
	From, To string
	Kind     Kind
	Text     string
	Framing  string // of packets, and in an Auth
	Port     string
	Message  aemp.Message
	Size     int // of a packet as sent, or of data, in bytes
}

// Format returns the event as a line for people, without its end. Messages are
// cut to about limit bytes, unless limit is zero.
func (e Event) Format(limit int) string {
	line := fmt.Sprintf("%9.4f #%d %s -> %s  %-9s %s", e.Time, e.Conn, e.From, e.To, e.Kind, e.detail(limit))
	return strings.TrimRight(line, " ")
}

// String returns the event as a line for people, whole.
func (e Event) String() string { return e.Format(0) }

func (e Event) detail(limit int) string {
	switch e.Kind {
	case Auth:
		return fmt.Sprintf("%s, sends %s", printable(e.Text), printable(e.Framing))
	case Request:
		return cut(e.Message.String(), limit)
	case Message:
		return printable(e.Port) + " " + cut(e.Message.String(), limit)
	case Data:
		return fmt.Sprintf("%d bytes", e.Size)
	default:
		return printable(e.Text)
	}
}

// cut shortens a line, and says what was there.
func cut(s string, limit int) string {
	if limit <= 0 || len(s) <= limit {
		return s
	}
	end := limit
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s... (%d bytes)", s[:end], len(s))
}

// printable returns s as it is if that does no harm to a terminal, else quoted.
func printable(s string) string {
	if q := strconv.Quote(s); len(q) != len(s)+2 && !plainText(s) {
		return q
	}
	return s
}

// plainText reports whether all that keeps s from being its own quotation are
// quotes and backslashes.
func plainText(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) < 0
}
