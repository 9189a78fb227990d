package main

import (
	"context"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/benchmarks/bench"
	"github.com/portmesh/portmesh/remote"
)

// growth shows how the cost of Portmesh grows with the number of something. All
// nodes are in one process, connected over the loopback, so that what each of
// them costs adds up.
type growth struct {
	n     int    // of how many
	setup string // and of what kind
}

// newGrowth returns the measurement of a row like "50 nodes".
func newGrowth(name string) (growth, error) {
	count, setup, _ := strings.Cut(name, " ")
	n, err := strconv.Atoi(strings.ReplaceAll(count, ",", ""))
	return growth{n, setup}, err
}

func (growth) Serve(bench.Work, func(string)) error { return nil }

func (g growth) Drive(w bench.Work, _ string) (bench.Measurement, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return growths[w.Name](g, ctx, w)
}

var growths = map[string]func(g growth, ctx context.Context, w bench.Work) (bench.Measurement, error){
	"handshakes":                 growth.handshakes,
	"mesh formation":             growth.formation,
	"mesh, its global node lost": growth.again,
	"monitors":                   growth.monitors,
	"registry writes":            growth.writes,
	"registry database":          growth.database,
	"ports on each of 2 nodes":   growth.ports,
	"round trips beside floods":  growth.beside,
	"meshed nodes":               growth.meshed,
}

// config is that of a node that listens.
func (g growth) config(id string, seeds ...string) remote.Config {
	return remote.Config{NodeID: actor.NodeID(id), Secret: "benchmarks", Listen: []string{"127.0.0.1:0"}, Seeds: seeds}
}

// handshakes makes connections, one after the other.
func (g growth) handshakes(ctx context.Context, w bench.Work) (bench.Measurement, error) {
	a, b := aemp.Config{NodeID: "a", Secret: "benchmarks"}, aemp.Config{NodeID: "b", Secret: "benchmarks"}
	if strings.Contains(g.setup, "TLS") {
		bundle, err := aemp.GenerateCertificate(aemp.CertificateConfig{CommonName: "benchmarks"})
		if err != nil {
			return nil, err
		}
		if a.TLS, err = aemp.NewTLSConfig(bundle); err != nil {
			return nil, err
		}
		b.TLS = a.TLS
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				if conn, err := aemp.Handshake(ctx, nc, b); err == nil {
					conn.Next() // until the other side closes
				}
			}()
		}
	}()
	began := time.Now()
	for range g.n {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return nil, err
		}
		if _, err := aemp.Handshake(ctx, nc, a); err != nil {
			return nil, err
		}
		nc.Close()
	}
	return bench.Measurement{bench.Rate: float64(g.n) / time.Since(began).Seconds(), bench.Messages: float64(g.n)}, nil
}
