package main

import (
	"io"
	"net"
	"time"

	"github.com/portmesh/portmesh/benchmarks/bench"
)

// tcp sends bytes there and back between two processes, one goroutine on each
// side: nothing that uses Go's network package can be faster.
type tcp struct{}

// tcpSize is how many bytes that is, somewhat more than our messages need.
const tcpSize = 64

func (tcp) Serve(_ bench.Work, ready func(address string)) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buffer := make([]byte, tcpSize)
		for {
			if _, err := io.ReadFull(conn, buffer); err != nil {
				return
			}
			if _, err := conn.Write(buffer); err != nil {
				return
			}
		}
	}()
	ready(listener.Addr().String())
	return nil
}

func (tcp) Drive(w bench.Work, server string) (bench.Measurement, error) {
	conn, err := net.Dial("tcp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	buffer := make([]byte, tcpSize)
	var latencies []time.Duration
	began := time.Now()
	for now := began; now.Sub(began) < w.Duration; {
		if _, err := conn.Write(buffer); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(conn, buffer); err != nil {
			return nil, err
		}
		arrived := time.Now()
		latencies = append(latencies, arrived.Sub(now))
		now = arrived
	}
	return bench.RoundTrips(latencies, time.Since(began)), nil
}
