package main

import (
	"fmt"
	"time"

	"github.com/portmesh/portmesh/actor"
)

// A station is a port that collects readings.
type station struct {
	config   stationConfig
	readings map[string][]reading
}

// newStation makes a station of a new port. Any node can spawn one, and the
// arguments come as a struct.
func newStation(c *actor.Context, config stationConfig) error {
	s := &station{config, make(map[string][]reading)}
	// A reading that makes no sense is reported, and the station lives on. With
	// On in the place of OnError it would die.
	actor.OnError(c, s.read, func(c *actor.Context, m actor.Message, err error) error {
		fmt.Printf("%s cannot read %v: %v\n", config.Name, m, err)
		return nil
	})
	actor.On(c, s.answer)
	return nil
}

func (s *station) read(c *actor.Context, r reading) error {
	s.readings[r.Sensor] = append(s.readings[r.Sensor], r)
	return nil
}

func (s *station) answer(c *actor.Context, q query) error {
	sum := summary{Sensor: q.Sensor, Notes: make(map[string]int)}
	for _, r := range s.readings[q.Sensor] {
		if s.config.Keep > 0 && time.Since(r.At) > s.config.Keep {
			continue
		}
		if sum.Count == 0 || r.Celsius < sum.Range.Lowest {
			sum.Range.Lowest = r.Celsius
		}
		if sum.Count == 0 || r.Celsius > sum.Range.Highest {
			sum.Range.Highest = r.Celsius
		}
		for _, note := range r.Notes {
			sum.Notes[note]++
		}
		sum.Count++
	}
	return c.Respond(sum)
}
