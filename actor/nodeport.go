package actor

import "strings"

// A requestFunc answers a request to the node port (section 5 of the
// protocol). The arguments are those behind the request's name.
type requestFunc func(s *System, from NodeID, args Message)

// requests are the requests that the node port knows, of both generations.
// What is not here is the name of a function, or unknown. The monitor requests
// are not here because they belong to a connection: see package remote.
var requests map[string]requestFunc

func init() { // because can looks into the table that it is in
	requests = map[string]requestFunc{
		"":             func(*System, NodeID, Message) {},
		"devnull":      func(*System, NodeID, Message) {},
		"snd":          (*System).relay,
		"snd_multiple": (*System).requestSendMultiple,
		"kil":          (*System).requestKill,
		"kil1":         (*System).requestKill,
		"can":          (*System).requestCan,
		"time":         (*System).requestTime,
		"eval":         (*System).requestEval,
		"info":         func(s *System, from NodeID, args Message) { s.answer(from, args, s.Node()) },
		"up_nodes":     func(s *System, from NodeID, args Message) { s.answer(from, args, s.upNodes()...) },
		"known_nodes": func(s *System, from NodeID, args Message) {
			s.answer(from, args, append(s.upNodes(), s.Node())...)
		},
		requestSpawn: (*System).requestSpawn,
	}
}

// A RequestHandler answers a request to the node port. Unlike a [CallFunc] it is
// called by the goroutine that reads the connection, in order with all other
// messages of that node, and must not wait.
type RequestHandler func(from NodeID, args Message)

// HandleRequest makes a request to the node port known, for packages that
// extend the protocol between nodes; nil removes it. The requests of the
// protocol itself cannot be replaced.
func (s *System) HandleRequest(name string, h RequestHandler) {
	if h == nil {
		s.handlers.Delete(name)
		return
	}
	s.handlers.Store(name, h)
}

// connectionRequests are the requests that package remote answers.
const connectionRequests = " mon0 mon1 kil0 "

// request carries out a request to the node port. What allow says about
// functions holds for those of the user and for evaluating code.
func (s *System) request(from NodeID, m Message, allow func(from NodeID, function string) bool) {
	name, ok := m.Tag()
	if !ok {
		if len(m) > 0 {
			s.log.Debug("request is not a string", "node", from, "request", m.String())
		}
		return
	}
	f := requests[name]
	if f == nil {
		if handler, ok := s.handlers.Load(name); ok {
			handler.(RequestHandler)(from, m[1:])
			return
		}
	}
	_, call := s.functions.lookup(name)
	if allow != nil && (f == nil && call != nil || name == requestSpawn || name == "eval") {
		function := name
		if name == requestSpawn && len(m) > 2 {
			function, _ = m[2].(string)
		}
		if !allow(from, function) {
			s.log.Warn("request is not allowed", "node", from, "request", name, "function", function)
			return
		}
	}
	if f != nil {
		f(s, from, m[1:])
		return
	}
	if call == nil {
		s.log.Info("unknown request", "node", from, "request", name)
		return
	}
	// User code does not run in the goroutine that reads a connection.
	s.callbacks.Run(func() {
		if err := call(from, m[1:]); err != nil {
			s.log.Error("called function failed", "function", name, "node", from, "err", err)
		}
	})
}

// relay sends a message whose first element is the port that it is for.
func (s *System) relay(from NodeID, m Message) {
	port, ok := portArg(m, 0)
	if !ok {
		return
	}
	// A node that does not read its answers must not keep us from reading.
	if err := s.send(port, m[1:], "", port.Node() == from); err != nil {
		s.log.Warn("message cannot be relayed", "port", port, "err", err)
	}
}

// answer sends a result to the port that the request names first, behind the
// other arguments of the request.
func (s *System) answer(to NodeID, args Message, result ...any) {
	s.relay(to, append(args[:len(args):len(args)], result...))
}

// upNodes returns the nodes that are connected, as elements of an answer.
func (s *System) upNodes() (nodes []any) {
	if p, err := s.provider(); err == nil {
		for _, node := range p.Nodes() {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

func (s *System) requestSendMultiple(from NodeID, args Message) {
	for _, m := range args {
		if m, ok := m.([]any); ok {
			s.relay(from, m)
		}
	}
}

func (s *System) requestKill(_ NodeID, args Message) {
	if name, ok := stringArg(args, 0); ok {
		s.kill(name, Reason(args[1:]))
	}
}

func (s *System) requestCan(from NodeID, args Message) {
	name, ok := stringArg(args, 0)
	if !ok {
		return
	}
	// Perl's truth values are strings here.
	known := ""
	spawn, call := s.functions.lookup(name)
	_, handled := s.handlers.Load(name)
	if handled || requests[name] != nil || spawn.init != nil || call != nil || strings.Contains(connectionRequests, " "+name+" ") {
		known = "1"
	}
	s.answer(from, args[1:], known)
}

func (s *System) requestTime(from NodeID, args Message) {
	s.answer(from, args, unixTime())
}

func (s *System) requestSpawn(from NodeID, args Message) {
	var name, function string
	if err := args.Scan(&name, &function); err != nil || name == "" {
		s.log.Warn("bad spawn request", "node", from, "request", args.String(), "err", err)
		return
	}
	s.spawn(name, function, args[2:])
}

func stringArg(args Message, i int) (string, bool) {
	var text string
	if len(args) <= i || args[i] == nil {
		return "", false
	}
	err := args[i:].Scan(&text)
	return text, err == nil
}

func portArg(args Message, i int) (PortID, bool) {
	text, ok := stringArg(args, i)
	port := PortID(text)
	return port, ok && port.Validate() == nil
}
