#!/usr/bin/perl
# A Perl half of the example, for AnyEvent::MP 1.x from CPAN: a service that the Go
# node finds by its name, and a client of the service that the Go node has. In 1.x, a
# name is that of a group.
#
#    perl examples/perl/service1.pl [ADDRESS [SECRET]]
#
# Start the Go half first: go run ./examples/perl

use strict;
use warnings;
use AnyEvent;
use AnyEvent::MP;
use AnyEvent::MP::Global;

my $address = $ARGV[0] // "127.0.0.1:4040";
my $secret  = $ARGV[1] // "portmesh-example";

$| = 1;
sub note { print "   [perl 1.x] ", @_, "\n" }

my $left = 2;       # things to do: serve and be served
my $done = AE::cv;
sub finished { $done->send unless --$left }

configure
   nodeid => "perl1",
   secret => $secret,
   seeds  => [$address],
   binds  => ["127.0.0.1:0"];

# The service: a port that counts words.
my $counter = port;
rcv $counter, count => sub {
   my ($text, $reply) = @_;
   note "counting \"$text\"";
   snd $reply, counted => scalar (my @words = split " ", $text);
   finished;
};
my $guard = grp_reg "Example::counters", $counter;

# The client: whoever shouts is used as soon as it is there.
sub shout_at {
   my ($shouter) = @_;
   note "found $shouter";
   cal $shouter, shout => "hello from Perl", sub {
      note "the answer is: @_";
      finished;
   }, 10;
}
my $watch = grp_mon "Example::shouters", sub {
   my ($ports, $added, $removed) = @_;
   shout_at ($_) for @$added;
};

my $timeout = AE::timer 30, 0, sub { die "no Go node at $address within 30 seconds\n" };
$done->recv;
note "good bye";
