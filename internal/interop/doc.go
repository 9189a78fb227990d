// Package interop holds tests of Portmesh as a whole against real Perl nodes:
// its packages together, Perl's own tool against our nodes and our tool against
// Perl's, and meshes in which both generations of AnyEvent::MP take part. Package
// perltest finds Perl; make interop runs these tests and those of the packages.
package interop
