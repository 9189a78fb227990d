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
	peer  Peer      // if it is not local, and the route is kept
}

// A routeTable has routes of the PortIDs that were sent to lately. It is read and
// changed by any goroutine, without a lock.
type routeTable [256]struct {
	route  atomic.Pointer[route]
	missed atomic.Uintptr // where the text of the PortID is that had no route last
}

// find returns the route of a PortID, or nil, and the mailbox of its port if it leads
// to one. Who sends to a port again and again mostly has one text for it, so that
// routes are searched by where the text is: that spares even looking at it.
func (t *routeTable) find(to PortID, net *network) (*route, *mailbox) {
	r := t[slotOf(to)].route.Load()
	if r == nil || r.to != to || r.net != net {
		return nil, nil
	}
	if r.port == nil {
		return r, nil
	}
	box := r.port.open()
	if box == nil {
		return nil, nil
	}
	return r, box
}

// again tells whether the same text had no route the last time either, in its slot.
func (t *routeTable) again(to PortID) bool {
	missed := &t[slotOf(to)].missed
	if place := placeOf(to); missed.Load() != place {
		missed.Store(place)
		return false
	}
	return true
}

func (t *routeTable) clear() {
	for i := range t {
		t[i].route.Store(nil)
	}
}

func slotOf(to PortID) uintptr {
	place := placeOf(to)
	return (place>>4 ^ place>>12) % uintptr(len(routeTable{}))
}

// placeOf returns where the text of a PortID is. It tells nothing about the text:
// there may be another one later.
func placeOf(to PortID) uintptr { return uintptr(unsafe.Pointer(unsafe.StringData(string(to)))) }

// newRoute finds out where a PortID leads, and keeps it if it is worth that: who
// sends to ever new ports, as with answers, pays little for routes. It returns the
// mailbox as well, as find does.
func (s *System) newRoute(to PortID, net *network) (r route, box *mailbox) {
	r = route{to: to, net: net}
	r.node, r.name = to.Split()
	r.local = net.isLocal(r.node)
	leads := net.provider != nil
	if r.local {
		r.port, box = s.shortcuts.find(r.name)
		leads = r.port != nil
	}
	if !leads || !s.routes.again(to) {
		return r, box
	}
	if !r.local {
		r.peer = net.provider.Peer(r.node)
	}
	kept := r
	s.routes[slotOf(to)].route.Store(&kept)
	return r, box
}
