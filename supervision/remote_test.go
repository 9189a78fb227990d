package supervision_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote/remotetest"
	sv "github.com/portmesh/portmesh/supervision"
)

// A planet is a mesh of nodes. The supervisor of a test is on the node "a", and
// its workers note where they start and end.
type planet struct {
	*world
	mesh *remotetest.Mesh
	live map[string]int // incarnations of each worker that are there, as far as one can see from above
	most map[string]int // and how many there were at most

	last    map[string]*life
	workers []*life // all that ever were
	crashed map[*actor.System]bool
}

func onPlanet(t *testing.T, test func(p *planet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &planet{live: make(map[string]int), most: make(map[string]int),
			last: make(map[string]*life), crashed: make(map[*actor.System]bool)}
		p.mesh = remotetest.NewMesh(t)
		a := p.mesh.Start("a", quiet)
		p.world = newWorldOn(t, a.System())
		defer time.Sleep(time.Second) // idle goroutines of the systems end
		defer p.mesh.Close()
		defer p.killAll("")
		test(p)
		synctest.Wait()
	})
}

var quiet = remotetest.WithSystem(actor.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))

// nodes starts nodes with everything that can be spawned in these tests.
func (p *planet) nodes(ids ...actor.NodeID) {
	for _, id := range ids {
		p.mesh.Start(id, quiet, remotetest.WithSetup(func(sys *actor.System) {
			for _, err := range []error{
				sv.Register(sys, "Test::worker", p.worker),
				sys.Register("Test::plain", p.worker),
				sv.Register(sys, "Test::broken", func(*actor.Context, actor.Message) error { return errors.New("no disk") }),
				sv.Register(sys, "Test::panics", func(*actor.Context, actor.Message) error { panic("no clue") }),
				sv.Register(sys, "Test::idle", func(*actor.Context, actor.Message) error { return sv.ErrIgnore }),
				sv.RegisterTree(sys, "Test::tree", p.tree),
			} {
				if err != nil {
					p.t.Error(err)
				}
			}
		}))
	}
}

// worker is a child of the name that is its first argument.
func (p *planet) worker(c *actor.Context, args actor.Message) error {
	var name string
	if err := args.Scan(&name); err != nil {
		return err
	}
	at := fmt.Sprintf("%s@%s", name, c.Node())
	p.mu.Lock()
	if last := p.last[name]; last != nil && last.gone(c) {
		last.end() // its monitor has not got to it yet
	}
	p.live[name]++
	p.most[name] = max(p.most[name], p.live[name])
	p.ports[name] = c.Self()
	sys, ended := c.System(), false
	life := &life{sys: sys, port: c.Self(), end: func() {
		if !ended && !p.crashed[sys] {
			p.live[name]--
			p.notes = append(p.notes, "-"+at)
		}
		ended = true
	}}
	p.last[name] = life
	p.workers = append(p.workers, life)
	p.notes = append(p.notes, "+"+at)
	p.mu.Unlock()
	sys.Monitor(c.Self(), func(actor.Reason) {
		p.mu.Lock()
		defer p.mu.Unlock()
		life.end()
	})
	c.Receive("crash", func(*actor.Context, actor.Message) error { return errors.New("crashed") })
	return nil
}

// A life is that of one incarnation of a worker.
type life struct {
	sys  *actor.System
	port actor.PortID
	end  func()
}

// gone reports whether a life is over, now that there is another one.
func (l *life) gone(next *actor.Context) bool {
	_, alive := l.sys.Actors().ProcessRegistry.GetLocal(l.port.Name())
	return !alive || l.sys == next.System() && l.port == next.Self()
}

// tree is a supervisor of workers with the names in the arguments; "broken" is
// one that does not start.
func (p *planet) tree(args actor.Message) (sv.Spec, error) {
	spec := sv.Spec{Strategy: sv.OneForAll}
	for _, arg := range args {
		name := fmt.Sprint(arg)
		switch name {
		case "bad":
			return spec, errors.New("bad arguments")
		case "broken":
			spec.Children = append(spec.Children, sv.Child{ID: name, Start: sv.Local{Init: func(*actor.Context, actor.Message) error {
				return errors.New("no disk")
			}}})
		default:
			spec.Children = append(spec.Children, sv.Child{ID: name, Start: sv.Local{Init: p.worker, Args: []any{name}}})
		}
	}
	return spec, nil
}

// crashNode ends a node as its process would, with all that is on it.
func (p *planet) crashNode(id actor.NodeID) {
	p.mesh.Crash(id)
	p.killAll(id)
}

// killAll kills all workers, or those on a node that has crashed, because
// nothing else ends what runs in this process.
func (p *planet) killAll(on actor.NodeID) {
	if on == "" {
		for _, s := range p.supervisors {
			s.Kill()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.workers {
		if on == "" || l.port.Node() == on && !p.crashed[l.sys] {
			l.sys.Kill(l.port)
		}
	}
	for _, l := range p.workers {
		if on != "" && l.sys.Node() == on {
			p.crashed[l.sys] = true
		}
	}
	for name, port := range p.ports {
		if port.Node() == on {
			p.live[name] = 0
		}
	}
}

func (p *planet) wantMost(name string, most int) {
	p.t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.most[name] != most {
		p.t.Errorf("there were %d of %s at once, want %d", p.most[name], name, most)
	}
}

// wantSorted is want where the order is not to be known, because monitors on
// several nodes tell.
func (p *planet) wantSorted(notes string) {
	p.t.Helper()
	if got := sorted(p.take()); got != notes {
		p.t.Errorf("got %q, want %q", got, notes)
	}
}

func at(node actor.NodeID) sv.Remote {
	return sv.Remote{Node: node, Function: "Test::worker", Args: []any{"w"}}
}

func among(nodes ...actor.NodeID) sv.Remote {
	return sv.Remote{
		Nodes:    func(context.Context) ([]actor.NodeID, error) { return nodes, nil },
		Function: "Test::worker", Args: []any{"w"},
	}
}

func one(start sv.Starter, change ...func(*sv.Child)) sv.Spec {
	c := sv.Child{ID: "w", Start: start}
	for _, f := range change {
		f(&c)
	}
	return sv.Spec{Children: []sv.Child{c}, Intensity: 3, Period: time.Minute}
}

func lost(wait time.Duration, then sv.Verdict) func(*sv.Child) {
	return func(c *sv.Child) { c.Lost = sv.Lost{Wait: wait, Then: then} }
}

func apart(ids ...actor.NodeID) []actor.NodeID { return ids }

func TestRemoteChild(t *testing.T) {
	for _, function := range []string{"Test::worker", "Test::plain"} {
		t.Run(function, func(t *testing.T) {
			onPlanet(t, func(p *planet) {
				p.nodes("b")
				r := at("b")
				r.Function = function
				s := p.start(sv.Spec{Children: []sv.Child{p.child("x"), {ID: "w", Start: r}, p.child("y")}})
				p.wantSorted("+w@b +x +y")
				p.crash("w")
				p.wantSorted("+w@b -w@b")
				st, err := s.Child(p.t.Context(), "w")
				if err != nil || st.Port != p.port("w") || st.Last.String() != "die crashed" {
					t.Errorf("got %+v, %v", st, err)
				}
				p.stop(s)
				p.wantSorted("-w@b -x -y")
				p.wantMost("w", 1)
			})
		})
	}
}

func TestRemoteStartFailures(t *testing.T) {
	for _, test := range []struct {
		start sv.Remote
		path  string
		want  string
	}{
		{sv.Remote{Node: "b", Function: "Test::broken"}, "w", "die no disk"},
		{sv.Remote{Node: "b", Function: "Test::panics"}, "w", "die no clue"},
		{sv.Remote{Node: "b", Function: "Test::nonesuch"}, "w", "no_such_port cannot monitor nonexistent port"},
		{sv.Remote{Node: "b", Function: "Test::tree", Tree: true, Args: []any{"u", "broken", "v"}}, "w/broken", "die no disk"},
		{sv.Remote{Node: "b", Function: "Test::tree", Tree: true, Args: []any{"bad"}}, "w", "die bad arguments"},
		{sv.Remote{Node: "nowhere", Function: "Test::worker"}, "w", "transport_error nowhere"},
		{among(), "w", "die there is no node for it"},
		{sv.Remote{Nodes: func(context.Context) ([]actor.NodeID, error) { return nil, errors.New("no registry") }, Function: "f"}, "w", "die no registry"},
		{sv.Remote{Nodes: func(context.Context) ([]actor.NodeID, error) { panic("oops") }, Function: "f"}, "w", "die panic: oops"},
		{sv.Remote{Nodes: func(ctx context.Context) ([]actor.NodeID, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, Function: "f"}, "w", "die did not start within 30s"},
	} {
		t.Run(test.start.Function+" "+test.want, func(t *testing.T) {
			onPlanet(t, func(p *planet) {
				p.nodes("b")
				spec := one(test.start)
				spec.Children = append([]sv.Child{p.child("x")}, spec.Children...)
				_, err := sv.Start(p.t.Context(), p.sys, spec)
				failed, ok := errors.AsType[*sv.StartError](err)
				if !ok || failed.Path != test.path || !strings.HasPrefix(failed.Reason.String(), test.want) {
					t.Errorf("got error %v, want %s: %s", err, test.path, test.want)
				}
				// What ended on b, where monitors note it, may be noted later.
				if got := p.take(); !slices.Contains(strings.Fields(got), "-x") {
					t.Errorf("noted %q", got)
				}
			})
		})
	}
}

func TestRemoteIgnore(t *testing.T) {
	onPlanet(t, func(p *planet) {
		p.nodes("b")
		s := p.start(one(sv.Remote{Node: "b", Function: "Test::idle"}))
		p.wantStates(s, "w:stopped")
		p.stop(s)
	})
}

// A link that flaps does not harm a child that is waited for.
func TestShortLossIsNoDeath(t *testing.T) {
	for name, part := range map[string]func(p *planet){
		"cut": func(p *planet) { p.mesh.Cut("a", "b") },
		"partition": func(p *planet) {
			p.mesh.Partition(apart("a"), apart("b"))
			time.Sleep(50 * time.Second)
			p.mesh.Heal()
		},
	} {
		t.Run(name, func(t *testing.T) {
			onPlanet(t, func(p *planet) {
				p.nodes("b", "c")
				s := p.start(one(among("b"), lost(2*time.Minute, sv.Replace), func(c *sv.Child) { c.Lost.Wait = 2 * time.Minute }))
				p.want("+w@b")
				port := p.port("w")
				for range 3 {
					part(p)
					time.Sleep(10 * time.Second)
					p.wantStates(s, "w:running")
				}
				p.want("")
				if p.port("w") != port || p.count(sv.NodeLost) != 3 || p.count(sv.NodeFound) != 3 || p.count(sv.Died) != 0 {
					t.Errorf("lost %d times, found %d times, died %d times", p.count(sv.NodeLost), p.count(sv.NodeFound), p.count(sv.Died))
				}
				p.crash("w") // it is monitored as before
				p.want("-w@b +w@b")
				p.stop(s)
			})
		})
	}
}

// A long loss: the child is started on another node, when the old one, which
// watches its supervisor's node, has ended.
func TestLongLossMovesTheChild(t *testing.T) {
	onPlanet(t, func(p *planet) {
		p.nodes("b", "c")
		s := p.start(one(among("b", "c"), lost(2*time.Minute, sv.Replace)))
		p.take()
		old := p.port("w").Node()
		p.mesh.Partition(apart("a"), apart(old))
		time.Sleep(time.Minute)
		p.wantStates(s, "w:unreachable")
		time.Sleep(2 * time.Minute)
		p.wantStates(s, "w:running")
		now := p.port("w").Node()
		if now == old {
			t.Errorf("it is still at %s", now)
		}
		p.want(fmt.Sprintf("-w@%s +w@%s", old, now))
		p.wantMost("w", 1)
		p.mesh.Heal()
		time.Sleep(time.Minute)
		p.want("")
		if p.count(sv.Fenced) != 1 {
			t.Error("it is not known that the old one is dead")
		}
		p.stop(s)
	})
}

// A child that does not end by itself is killed when its node is back.
func TestFencing(t *testing.T) {
	for _, function := range []string{"Test::worker", "Test::plain"} {
		t.Run(function, func(t *testing.T) {
			onPlanet(t, func(p *planet) {
				p.nodes("b", "c")
				r := among("b", "c")
				r.Function, r.Orphan = function, -1
				s := p.start(one(r, lost(time.Minute, sv.Replace)))
				old := p.port("w").Node()
				p.take()
				p.mesh.Partition(apart("a"), apart(old))
				time.Sleep(5 * time.Minute)
				now := p.port("w").Node()
				p.want(fmt.Sprintf("+w@%s", now))
				p.wantMost("w", 2) // nobody can know
				p.mesh.Heal()
				time.Sleep(10 * time.Second)
				p.want(fmt.Sprintf("-w@%s", old))
				if p.count(sv.Fenced) != 1 {
					t.Error("there is no event that tells")
				}
				p.stop(s)
			})
		})
	}
}

// A child that has heard of its supervisor lives on for as long as an orphan
// may, so the supervisor's clock begins anew as well.
func TestContactOfTheChildCounts(t *testing.T) {
	onPlanet(t, func(p *planet) {
		p.nodes("b", "c")
		s := p.start(one(among("b", "c"), lost(2*time.Minute, sv.Replace)))
		p.mesh.Partition(apart("a"), apart(p.port("w").Node()))
		time.Sleep(2 * time.Minute)
		p.wantStates(s, "w:unreachable")
		if _, err := p.sys.Call(p.t.Context(), s.Port(), "ping", p.port("w")); err != nil {
			t.Error(err)
		}
		time.Sleep(2*time.Minute - time.Second)
		p.wantStates(s, "w:unreachable")
		time.Sleep(2 * time.Second)
		p.wantStates(s, "w:running")
		p.stop(s)
	})
}

// A child that its supervisor does not know any more ends as soon as it hears
// of that.
func TestStrayEnds(t *testing.T) {
	onPlanet(t, func(p *planet) {
		p.nodes("b")
		s := p.start(one(at("b")))
		p.sys.Spawn("b", "Test::worker::supervised", s.Port(), 3600, "path", "stray")
		p.want("+w@b +stray@b")
		p.mesh.Cut("a", "b") // when it is back, it asks
		time.Sleep(time.Minute)
		if got := p.take(); !strings.Contains(got, "-stray@b") {
			t.Errorf("noted %q", got)
		}
		p.stop(s)
	})
}

// On the same node, no new one is started before the old one is dead.
func TestFencingOnTheSameNode(t *testing.T) {
	for _, orphan := range []time.Duration{-1, 0} {
		onPlanet(t, func(p *planet) {
			p.nodes("b")
			r := at("b")
			r.Orphan = orphan
			spec := one(r, lost(time.Minute, sv.Replace), func(c *sv.Child) { c.StartTimeout = time.Hour })
			s := p.start(spec)
			p.take()
			p.mesh.Partition(apart("a"), apart("b"))
			time.Sleep(10 * time.Minute)
			p.wantStates(s, "w:starting")
			p.mesh.Heal()
			time.Sleep(10 * time.Second)
			p.want("-w@b +w@b")
			p.wantStates(s, "w:running")
			p.wantMost("w", 1)
			p.stop(s)
		})
	}
}

// A process that is gone and comes back has lost its children; the supervisor
// finds out at once.
func TestNodeRestarts(t *testing.T) {
	onPlanet(t, func(p *planet) {
		p.nodes("b")
		s := p.start(one(at("b"), lost(time.Hour, sv.Replace)))
		p.take()
		p.crashNode("b")
		time.Sleep(time.Minute)
		p.wantStates(s, "w:unreachable")
		p.nodes("b")
		time.Sleep(5 * time.Second)
		p.want("+w@b")
		p.wantStates(s, "w:running")
		p.stop(s)
	})
}

func TestNodeCrashMovesTheChild(t *testing.T) {
	onPlanet(t, func(p *planet) {
		p.nodes("b", "c")
		s := p.start(one(among("b", "c")))
		old := p.port("w").Node()
		p.take()
		p.crashNode(old)
		time.Sleep(10 * time.Second)
		now := p.port("w").Node()
		if now == old {
			t.Errorf("it is still at %s", now)
		}
		p.want(fmt.Sprintf("+w@%s", now))
		p.stop(s)
	})
}

// A node that is in the family but cannot do the work does not get all of it
// because it has none.
func TestBadNodesComeLast(t *testing.T) {
	onPlanet(t, func(p *planet) {
		p.nodes("b", "c")
		p.mesh.Start("useless", quiet) // knows no function
		spec := sv.Spec{Intensity: 1000, Children: []sv.Child{{ID: "w", Start: at("b")}, {ID: "v", Start: at("c")}}}
		s := p.start(spec)
		r := among("b", "c", "useless", "nowhere")
		r.Args = []any{"x"}
		for i := range 10 {
			for attempt := 0; ; attempt++ {
				_, err := s.StartChild(p.t.Context(), sv.Child{ID: fmt.Sprint(i), Start: r})
				if err == nil {
					break
				}
				if attempt == 2 {
					t.Fatal(err)
				}
			}
		}
		p.stop(s)
	})
}

func TestGiveUpWhenLost(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Minute} {
		onPlanet(t, func(p *planet) {
			p.nodes("b")
			s := p.start(sv.Spec{Children: []sv.Child{
				p.child("x"), {ID: "w", Start: at("b"), Lost: sv.Lost{Wait: wait, Then: sv.GiveUp}},
			}})
			p.take()
			start := time.Now()
			p.crashNode("b")
			<-s.Done()
			if took := time.Since(start).Round(time.Second); took != wait {
				t.Errorf("it took %v", took)
			}
			p.want("-x")
			p.wantEnded(s, "shutdown", `the node of child "w" is lost:`)
		})
	}
}

// However many children a node had, its loss is one restart.
func TestLossOfANodeCountsOnce(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Second} {
		onPlanet(t, func(p *planet) {
			p.nodes("b", "c")
			spec := sv.Spec{Intensity: 1, Period: time.Hour}
			for i := range 20 {
				r := among("b", "c")
				r.Args = []any{fmt.Sprint(i)}
				spec.Children = append(spec.Children, sv.Child{ID: fmt.Sprint(i), Start: r, Lost: sv.Lost{Wait: wait}})
			}
			s := p.start(spec)
			onB := strings.Count(p.take(), "@b")
			if onB != 10 {
				t.Errorf("%d of 20 children are on b", onB)
			}
			p.crashNode("b")
			time.Sleep(10 * time.Second)
			p.wantAlive(s)
			if got := p.take(); strings.Count(got, "@c") != 10 {
				t.Errorf("noted %q", got)
			}
			p.stop(s)
		})
	}
}

// The other way round: it is the supervisor's node that is lost.
func TestOrphansEnd(t *testing.T) {
	for name, test := range map[string]struct {
		orphan time.Duration
		do     func(p *planet)
		ends   bool
	}{
		"crash":               {20 * time.Second, func(p *planet) { p.mesh.Crash("a"); time.Sleep(21 * time.Second) }, true},
		"crash, not yet":      {20 * time.Second, func(p *planet) { p.mesh.Crash("a"); time.Sleep(19 * time.Second) }, false},
		"crash, never":        {-1, func(p *planet) { p.mesh.Crash("a"); time.Sleep(time.Hour) }, false},
		"the process is anew": {time.Hour, func(p *planet) { p.mesh.Crash("a"); p.mesh.Start("a", quiet); time.Sleep(10 * time.Second) }, true},
		"process anew, never": {-1, func(p *planet) { p.mesh.Crash("a"); p.mesh.Start("a", quiet); time.Sleep(10 * time.Second) }, true},
		"a short partition": {time.Minute, func(p *planet) {
			p.mesh.Partition(apart("a"), apart("b"))
			time.Sleep(time.Minute)
			p.mesh.Heal()
			time.Sleep(time.Hour)
		}, false},
		"a long partition":      {time.Minute, func(p *planet) { p.mesh.Partition(apart("a"), apart("b")); time.Sleep(2 * time.Minute) }, true},
		"the supervisor killed": {time.Hour, func(p *planet) { p.sys.Kill("a#sup") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			onPlanet(t, func(p *planet) {
				p.nodes("b")
				r, tree := at("b"), sv.Remote{Node: "b", Function: "Test::tree", Args: []any{"u"}, Tree: true, Orphan: test.orphan}
				r.Orphan = test.orphan
				p.start(sv.Spec{Children: []sv.Child{{ID: "sup", Name: "sup", Start: sv.Spec{Children: []sv.Child{
					{ID: "w", Start: r, Lost: sv.Lost{Wait: 24 * time.Hour}}, {ID: "u", Start: tree, Lost: sv.Lost{Wait: 24 * time.Hour}},
				}}, Restart: sv.Temporary}}})
				p.want("+w@b +u@b")
				test.do(p)
				want := ""
				if test.ends {
					want = "-u@b -w@b"
				}
				p.wantSorted(want)
			})
		})
	}
}

func TestTreeAcrossNodes(t *testing.T) {
	onPlanet(t, func(p *planet) {
		p.nodes("b", "c")
		s := p.start(sv.Spec{Intensity: 10, Children: []sv.Child{
			p.child("x"),
			{ID: "b", Name: "treeb", Start: sv.Remote{Node: "b", Function: "Test::tree", Args: []any{"u", "v"}, Tree: true}},
			{ID: "c", Name: "treec", Start: sv.Remote{Node: "c", Function: "Test::tree", Tree: true}, Lost: sv.Lost{Wait: time.Hour}},
		}})
		p.want("+x +u@b +v@b")
		p.crash("v")
		p.wantSorted("+u@b +v@b -u@b -v@b")
		tree, err := s.Tree(p.t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b := tree.Children[1]
		if len(b.Children) != 2 || b.Port != "b#treeb" || b.Children[1].Port != p.port("v") || b.Children[1].Restarts != 1 ||
			b.Children[1].Last.String() != "die crashed" || b.Strategy != sv.OneForAll {
			t.Errorf("got\n%s", tree)
		}
		if n, err := sv.Of(p.sys, b.Port).Count(p.t.Context()); err != nil || n.Active != 2 {
			t.Errorf("got %+v, %v", n, err)
		}
		if _, err := sv.Of(p.sys, b.Port).StartChild(p.t.Context(), p.child("y")); !errors.Is(err, sv.ErrSpec) {
			t.Errorf("got error %v", err)
		}
		if err := sv.Of(p.sys, b.Port).TerminateChild(p.t.Context(), "u"); err != nil {
			t.Error(err)
		}
		p.wantSorted("-u@b")
		p.crash("v") // v is started again, and u with it
		p.wantSorted("+u@b +v@b -v@b")
		p.crash("v")
		time.Sleep(time.Second) // the supervisor on b gives up, and ours starts it anew
		if got := p.take(); strings.Count(got, "+") != 2 {
			t.Errorf("noted %q", got)
		}
		p.crashNode("c")
		synctest.Wait()
		if tree, err = s.Tree(p.t.Context()); err != nil || tree.Children[2].Missing != "its node is lost" || tree.Children[2].State != sv.Unreachable {
			t.Errorf("got %v\n%s", err, tree)
		}
		p.stop(s) // does not wait for what is lost
		p.wantSorted("-u@b -v@b -x")
	})
}

// A supervisor that is silent is missing in the tree.
func TestTreeOfAFrozenNode(t *testing.T) {
	onPlanet(t, func(p *planet) {
		p.nodes("b")
		s := p.start(one(sv.Remote{Node: "b", Function: "Test::tree", Args: []any{"u"}, Tree: true}))
		p.mesh.Partition(apart("a"), apart("b"))
		tree, err := s.Tree(p.t.Context())
		if err != nil || tree.Children[0].Missing != "it does not answer" {
			t.Errorf("got %v\n%s", err, tree)
		}
		p.mesh.Heal()
		p.stop(s)
	})
}

func TestRemoteNames(t *testing.T) {
	onPlanet(t, func(p *planet) {
		p.nodes("b")
		var mu sync.Mutex
		known := actor.PortID("")
		set := func(port actor.PortID) {
			mu.Lock()
			defer mu.Unlock()
			known = port
		}
		want := func(port actor.PortID) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if known != port {
				t.Errorf("it is known as %q, want %q", known, port)
			}
		}
		s := p.start(one(at("b"), lost(time.Hour, sv.Replace), func(c *sv.Child) {
			c.Name = "desk"
			c.Announce = func(port actor.PortID) (func(), error) {
				set(port)
				return func() { set("") }, nil
			}
		}))
		for range 3 {
			if p.port("w") != "b#desk" {
				t.Errorf("the port is %s", p.port("w"))
			}
			want("b#desk")
			p.crash("w")
		}
		p.mesh.Partition(apart("a"), apart("b"))
		time.Sleep(time.Minute)
		want("")
		p.mesh.Heal()
		time.Sleep(10 * time.Second)
		want("b#desk")
		p.stop(s)
		p.wantMost("w", 1)
	})
}

func TestSelfArgument(t *testing.T) {
	onPlanet(t, func(p *planet) {
		p.nodes("b")
		r := at("b")
		r.Args = []any{sv.Self}
		s := p.start(one(r))
		p.want(fmt.Sprintf("+%s@b", s.Port()))
		p.stop(s)
	})
}

// A supervisor that has to stop does not wait for a start that cannot succeed.
func TestStopWhileARemoteStarts(t *testing.T) {
	for name, r := range map[string]sv.Remote{
		"unreachable": at("nowhere"),
		"placing": {Function: "f", Nodes: func(ctx context.Context) ([]actor.NodeID, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			onPlanet(t, func(p *planet) {
				ctx, cancel := context.WithTimeout(p.t.Context(), time.Second)
				defer cancel()
				_, err := sv.Start(ctx, p.sys, sv.Spec{Children: []sv.Child{p.child("x"), {ID: "w", Start: r}}})
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got error %v", err)
				}
				p.want("+x -x")
			})
		})
	}
}

// A Nodes that does not listen to its context is given up.
func TestStuckPlacement(t *testing.T) {
	onPlanet(t, func(p *planet) {
		block := make(chan struct{})
		ctx, cancel := context.WithTimeout(p.t.Context(), time.Second)
		defer cancel()
		sv.Start(ctx, p.sys, sv.Spec{Children: []sv.Child{p.child("x"), {ID: "w", Start: sv.Remote{
			Function: "f", Nodes: func(context.Context) ([]actor.NodeID, error) { <-block; return nil, nil }}}}})
		time.Sleep(5 * time.Second)
		p.want("+x -x")
		if p.count(sv.Abandoned) != 1 {
			t.Error("there is no event that tells")
		}
		close(block)
	})
}

type keys []string

func (k keys) Keys(context.Context, string) ([]string, error) { return k, nil }

func TestMembers(t *testing.T) {
	nodes, err := sv.Members(keys{"b#1", "c#7", "b#2", "d"}, "workers")(t.Context())
	if err != nil || fmt.Sprint(nodes) != "[b c d]" {
		t.Errorf("got %v, %v", nodes, err)
	}
}

// Strangers cannot make a port believe that it has a supervisor, and what they
// say of children is not believed.
func TestRemoteGarbage(t *testing.T) {
	onPlanet(t, func(p *planet) {
		p.nodes("b")
		s := p.start(one(at("b")))
		p.take()
		for _, args := range [][]any{nil, {1}, {"a#x", "x", 3}, {"", 1.0, ""}, {"a#x", 1e300, ""}, {"a#x", -1e300, nil, "w2"}} {
			port := p.sys.Spawn("b", "Test::worker::supervised", args...)
			p.sys.Kill(port)
			for _, word := range []string{"ready", "failed", "ignore", "?"} {
				p.sys.Send(s.Port(), append([]any{"supervision child"}, args...)...)
				p.sys.Send(s.Port(), "supervision child", p.port("w"), word)
			}
		}
		time.Sleep(time.Second)
		p.wantStates(s, "w:running")
		p.stop(s)
	})
}
