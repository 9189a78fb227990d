package tap

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/portmesh/portmesh/aemp"
)

// maxLine bounds the lines of a handshake (section 2 of the protocol).
const maxLine = 4096

// A Decoder makes events of the reads of any number of connections, in the
// order in which they come. It is for one goroutine at a time. The zero value
// is ready for use.
//
// What cannot be decoded is told by one [Problem], after which that side of the
// connection is passed over. It holds at most one packet of each side, which
// [aemp.DefaultMessageSize] bounds.
type Decoder struct {
	conns map[int]*conversation
}

// A conversation is what is known of a connection.
type conversation struct {
	dialler, listener side
}

// A phase is what is expected of a side.
type phase int

const (
	greeting phase = iota
	nonce
	decision // plain or TLS, when both sides have greeted
	auth
	packets
	data    // of a data connection
	skipped // nothing is decoded any more
	ended
)

// A side is one of the two nodes of a conversation: what it has sent, and how
// far we have come with that.
type side struct {
	name     string
	phase    phase
	rest     []byte // not yet decoded
	tls      bool   // the last bytes came out of TLS
	greeting *aemp.Greeting
	framing  string
	decoder  aemp.Decoder
	packets  int
}

// Read takes a read and returns the events that are complete with it.
func (d *Decoder) Read(r Read) []Event {
	c := d.conns[r.Conn]
	if c == nil {
		c = &conversation{dialler: side{name: "dialler"}, listener: side{name: "listener"}}
		if d.conns == nil {
			d.conns = make(map[int]*conversation)
		}
		d.conns[r.Conn] = c
	}
	from, to := &c.listener, &c.dialler
	if r.Dialled {
		from, to = to, from
	}
	var events []Event
	emit := func(from, to *side, e Event) {
		e.Time, e.Conn, e.From, e.To = r.Time, r.Conn, from.name, to.name
		events = append(events, e)
	}
	if r.From != "" && from.greeting == nil && from.phase == greeting {
		from.name = printable(r.From)
	}
	if r.To != "" && to.greeting == nil && to.phase == greeting {
		to.name = printable(r.To)
	}
	if from.phase < skipped {
		from.tls = r.TLS
		from.rest = append(from.rest, r.Data...)
		from.decode(to, func(e Event) { emit(from, to, e) })
		if to.phase == decision { // it was waiting for this side's greeting
			to.decode(from, func(e Event) { emit(to, from, e) })
		}
	}
	if r.Lost && from.phase < skipped {
		from.give(skipped)
		emit(from, to, Event{Kind: Problem, Text: "the recorder could not keep up; the rest is not shown"})
	}
	if (r.EOF || r.Error != "") && from.phase != ended {
		emit(from, to, Event{Kind: Closed, Text: from.end(to, r.Error)})
		from.give(ended)
		if to.phase == ended {
			delete(d.conns, r.Conn)
		}
	}
	return events
}

// give goes to a phase in which nothing is kept.
func (s *side) give(p phase) {
	s.phase = p
	s.rest, s.decoder = nil, nil
}

// decode takes from the rest what is complete.
func (s *side) decode(peer *side, emit func(Event)) {
	for s.phase < skipped && (len(s.rest) > 0 || s.phase == decision) {
		before := s.phase
		switch s.phase {
		case greeting, nonce, auth:
			line, ok := s.line(emit)
			if !ok {
				return
			}
			s.handshake(line, peer, emit)
		case decision:
			if !s.decide(peer, emit) {
				return
			}
		case packets:
			if !s.packet(emit) {
				return
			}
		case data:
			emit(Event{Kind: Data, Size: len(s.rest)})
			s.rest = nil
		}
		if s.phase == skipped && before != skipped {
			s.give(skipped)
		}
	}
}

// line takes a whole line.
func (s *side) line(emit func(Event)) (string, bool) {
	line, rest, ok := bytes.Cut(s.rest, []byte("\n"))
	if len(line) >= maxLine {
		s.fail(emit, "the line is longer than %d bytes", maxLine)
		return "", false
	}
	if ok {
		s.rest = rest
	}
	return strings.TrimSuffix(string(line), "\r"), ok
}

func (s *side) handshake(line string, peer *side, emit func(Event)) {
	switch s.phase {
	case greeting:
		g, err := aemp.ParseGreeting(line)
		if err != nil {
			s.fail(emit, "%v", err)
			return
		}
		s.greeting, s.name, s.phase = g, string(g.Node), nonce
		emit(Event{Kind: Greeting, Text: line})
	case nonce:
		emit(Event{Kind: Nonce, Text: line})
		s.phase = decision
	case auth:
		fields := strings.Split(line, ";")
		if len(fields) < 3 {
			s.fail(emit, "the authentication line has %d fields, want 3", len(fields))
			return
		}
		s.framing = fields[2]
		emit(Event{Kind: Auth, Text: fields[0], Framing: s.framing})
		if s.isData(peer) {
			s.phase = data
			return
		}
		framings := aemp.DefaultFramings()
		i := slices.IndexFunc(framings, func(f aemp.Framing) bool { return f.Name() == s.framing })
		if i < 0 {
			s.fail(emit, "packets in the framing %s cannot be decoded", printable(s.framing))
			return
		}
		s.decoder, s.phase = framings[i].NewDecoder(aemp.Limits{}.WithDefaults()), packets
	}
}

// isData reports whether the connection is for something else than messages.
func (s *side) isData(peer *side) bool {
	return s.greeting.Protocol != "aemp" || peer.greeting != nil && peer.greeting.Protocol != "aemp"
}

// decide finds out whether TLS begins here, and whether it can be read. It
// reports whether that is known.
func (s *side) decide(peer *side, emit func(Event)) bool {
	switch {
	case !s.greeting.TLS():
		s.phase = auth
		return true
	case peer.phase == skipped || peer.phase == ended:
		s.phase = skipped
		return true
	case peer.greeting == nil || len(s.rest) == 0:
		return false
	case !peer.greeting.TLS():
		s.phase = auth
	case s.tls:
		emit(Event{Kind: TLS, Text: "encrypted, and decrypted by the recorder"})
		s.phase = auth
	default:
		emit(Event{Kind: TLS, Text: "encrypted: to see what is inside, give the proxy the certificate of the mesh"})
		s.phase = skipped
	}
	return true
}

// packet takes a whole packet.
func (s *side) packet(emit func(Event)) bool {
	n, err := s.decoder.Scan(s.rest)
	if err != nil {
		s.fail(emit, "%s packet: %v", s.framing, err)
		return true
	}
	if n == 0 {
		return false
	}
	packet := s.rest[:n]
	s.decoder.Reset(packet)
	e := Event{Kind: KeepAlive, Framing: s.framing, Size: n}
	name, ok, err := aemp.DecodePort(s.decoder)
	if err == nil && ok {
		e.Kind, e.Port = Message, string(name)
		if e.Port == "" {
			e.Kind = Request
		}
		e.Message, err = aemp.DecodeMessage(s.decoder)
		if tag, _ := e.Message.Tag(); e.Kind == Request && tag == "" && len(e.Message) <= 1 {
			e.Kind, e.Message = KeepAlive, nil
		}
	}
	if err != nil {
		s.fail(emit, "%s packet: %v", s.framing, err)
		return true
	}
	emit(e)
	s.packets++
	// What is left moves to the front when a new read is appended to it, so
	// that many packets in one read cost no copying.
	if s.rest = s.rest[n:]; len(s.rest) == 0 {
		s.rest = nil
	}
	return true
}

// fail ends the decoding of a side whose bytes make no sense.
func (s *side) fail(emit func(Event), format string, args ...any) {
	emit(Event{Kind: Problem, Text: fmt.Sprintf(format, args...) + "; the rest is not shown"})
	s.give(skipped)
}

// end says what can be known of the end of a side.
func (s *side) end(peer *side, failure string) string {
	switch {
	case failure != "":
		return failure
	case s.phase == packets && len(bytes.TrimSpace(s.rest)) > 0:
		return fmt.Sprintf("in the middle of a packet, after %d bytes of it", len(s.rest))
	case (s.phase == auth || s.phase == packets) && peer.framing != "" && s.packets+peer.packets == 0:
		return "without a packet after the authentication: perhaps the secrets differ"
	case s.phase == greeting && len(s.rest) == 0:
		return "without a greeting"
	case s.phase < packets:
		return "during the handshake"
	}
	return ""
}
