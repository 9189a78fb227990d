package actor

import (
	"sync/atomic"
	"unsafe"
)

// A route is what a PortID comes to: to take it apart and to look up where it
// leads costs as much as the rest of a sending.
type route struct {
	to   PortID
	net  *network // in which the route holds
	node NodeID
	name string

	local bool
	port  *shortcut // if it is local, and there is one
	peer  Peer      // if it is not local; nil without a network
}

// A routeTable has routes of the PortIDs that were sent to lately. It is read and
// changed by any goroutine, without a lock.
type routeTable [256]struct {
	route  atomic.Pointer[route]
	missed atomic.Uintptr // where the text of the PortID is that had no route last
}

// find returns the route of a PortID, or nil. Who sends to a port again and again
// mostly has one text for it, so that routes are searched by where the text is:
// that spares even looking at it.
func (t *routeTable) find(to PortID, net *network) *route {
	r := t[slotOf(to)].route.Load()
	if r == nil || r.to != to || r.net != net || r.port != nil && r.port.open() == nil {
		return nil
	}
	return r
}

// add keeps a copy of a route if the same text had none the last time.
func (t *routeTable) add(r *route) {
	slot := &t[slotOf(r.to)]
	if place := placeOf(r.to); slot.missed.Load() != place {
		slot.missed.Store(place)
		return
	}
	kept := *r
	slot.route.Store(&kept)
}

func slotOf(to PortID) uintptr {
	place := placeOf(to)
	return (place>>4 ^ place>>12) % uintptr(len(routeTable{}))
}

// placeOf returns where the text of a PortID is. It tells nothing about the text:
// there may be another one later.
func placeOf(to PortID) uintptr { return uintptr(unsafe.Pointer(unsafe.StringData(string(to)))) }

// newRoute finds out where a PortID leads.
func (s *System) newRoute(to PortID, net *network) route {
	r := route{to: to, net: net}
	r.node, r.name = to.Split()
	r.local = net.isLocal(r.node)
	switch {
	case r.local:
		r.port, _ = s.shortcuts.find(r.name)
	case net.provider != nil:
		r.peer = net.provider.Peer(r.node)
	}
	if r.port != nil || r.peer != nil {
		s.routes.add(&r)
	}
	return r
}
