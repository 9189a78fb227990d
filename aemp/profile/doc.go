// Package profile reads and changes the configuration file that all AEMP
// programs of a user share, be they written in Go or in Perl (section 9 of the
// protocol). It is ~/.perl-anyevent-mp, or what the environment variable
// PERL_ANYEVENT_MP_RC names, and the aemp tool edits it.
//
// A [File] has defaults, and profiles, which are named sets of the same keys: a
// program gets the values of its profile, then those of the profile's parent,
// and so on, and then the defaults. [Read] gives a program all of it as
// [Settings]; a program that calls remote.Start with Config.Profile needs no
// more than the name. [Update] changes the file.
//
// # The form of the file
//
// It is JSON with commas allowed behind the last element of a list, and
// comments from # to the end of a line:
//
//	{
//	   "secret" : "x7Zp0q...",       # the same on all hosts
//	   "seeds" : ["doomed", "10.0.0.2:4040"],
//	   "profile" : {
//	      "server" : {
//	         "nodeid" : "%n/server",
//	         "binds" : ["*:4040"],
//	      },
//	      "archive" : { "parent" : "server", "nodeid" : "archive" },
//	   },
//	}
//
// What is changed keeps everything else: keys that are not known here, their
// order, numbers of any size digit by digit, and comments. (Perl's tool drops the
// comments.) As in Perl, a number may be written as a string, and the other way
// round; a switch is off if it is 0, "0", "", false or null, and on otherwise. A
// key with null is as good as not there, but inherits nothing.
//
// # The environment
//
// For containers, where a file is a nuisance, environment variables replace
// values: PORTMESH_ and the name of the key in capitals, so PORTMESH_NODEID,
// PORTMESH_SECRET, PORTMESH_CERT, PORTMESH_SEEDS, PORTMESH_BINDS,
// PORTMESH_SERVICES, PORTMESH_SECURE, PORTMESH_MONITOR_TIMEOUT,
// PORTMESH_CONNECT_INTERVAL, PORTMESH_FRAMING_FORMAT and PORTMESH_AUTH_ACCEPT.
// Lists are separated by commas; PORTMESH_SERVICES may be JSON as well.
// PORTMESH_SECRET_FILE and PORTMESH_CERT_FILE name files to read these from.
// PORTMESH_PROFILE names another profile than the program does. A variable that
// is empty counts as not set.
//
// # What is not done
//
// The keys autocork, nodelay, auth_offer and eval are kept for Perl and have no
// effect here.
package profile
