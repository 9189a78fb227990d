// Package conformance holds tests only: programs for protoactor-go, which must
// do on a Portmesh system what they do on a plain one.
//
// A program has two sides, near and far. Each test runs it twice, with both
// sides on one system, and with each on a node of its own; what protoactor-go
// promises must hold in both cases. Tests of what differs, because it is the
// nature of a network or of AEMP, say so in their names and run in one place
// only.
package conformance
