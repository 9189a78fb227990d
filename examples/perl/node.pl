#!/usr/bin/perl
# A Perl half of the example: a node of AnyEvent::MP (1.x or 2.x, from CPAN) that
# spawns a port on the Go node, and lets the Go node spawn one here.
#
#    perl examples/perl/node.pl [ADDRESS [SECRET]]
#
# Start the Go half first: go run ./examples/perl

use strict;
use warnings;
use AnyEvent;
use AnyEvent::MP;
use AnyEvent::MP::Kernel ();

my $address = $ARGV[0] // "127.0.0.1:4040";
my $secret  = $ARGV[1] // "portmesh-example";

$| = 1;
sub note { print "   [perl] ", @_, "\n" }

my $left = 2;       # things to do: ours and theirs
my $done = AE::cv;
sub finished { $done->send unless --$left }

# Go spawns this one. It counts the words of the texts that it gets, and dies with
# the port that it was spawned for.
sub Counter::init {
   my ($owner, $name) = @_;
   note "$name is spawned by Go as $SELF";
   mon $owner, $SELF;
   rcv $SELF, count => sub {
      my ($text, $reply) = @_;
      my @words = split " ", $text;
      note "$name counts \"$text\"";
      snd $reply, counted => scalar @words;
   };
   mon $SELF, sub {
      note "$name was killed: @_";
      finished;
   };
}

# This is what Perl does to Go.
sub visit {
   my ($go) = @_;
   snd $go, "Example::visit";                     # a function there: it visits us, too
   my $me = port;
   my $greeter = spawn $go, "Greeter::init", $me;
   note "spawned $greeter";
   # Without the time, in seconds, cal would call this again when the greeter dies.
   cal $greeter, greet => "Larry", sub {
      note "the answer is: @_";
      kil $me, "bye", "it was nice";              # and the greeter dies with us
   }, 10;
   mon $greeter, sub {
      note "the greeter died: @_";
      finished;
   };
}

configure
   nodeid => "perl",
   secret => $secret,
   seeds  => [$address],
   binds  => ["127.0.0.1:0"];

my $nodes = AnyEvent::MP::Kernel::mon_nodes sub {
   my ($node, $is_up) = @_;
   note "node $node is ", $is_up ? "up" : "down";
   visit ($node) if $is_up and $node eq "go";
};

my $timeout = AE::timer 30, 0, sub { die "no Go node at $address within 30 seconds\n" };
$done->recv;
note "good bye";
# What is on its way goes out before the process ends.
my $flushed = AE::cv;
my $linger = AE::timer 0.2, 0, sub { $flushed->send };
$flushed->recv;
