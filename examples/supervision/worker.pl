#!/usr/bin/perl
# The Perl part of the example: a node of AnyEvent::MP (1.x or 2.x, from CPAN)
# with a worker that a supervisor in Go starts, watches and starts again. There
# is nothing of the supervisor in here.
#
#    perl worker.pl ADDRESS SECRET
#
# go run ./examples/supervision perl does that.

use strict;
use warnings;
use AnyEvent;
use AnyEvent::MP;

my ($address, $secret) = @ARGV;
$address && $secret or die "usage: worker.pl ADDRESS SECRET\n";

$| = 1;

# Counts the words of texts, and sends the number to the port that a message
# ends with.
sub Counter::init {
   my ($supervisor) = @_;
   mon $supervisor => $SELF; # end with it
   print "   [perl] counter starts as $SELF\n";
   rcv $SELF, count => sub {
      my ($text, $reply) = @_;
      die "there is nothing to count\n" unless defined $reply;
      my @words = split " ", $text;
      snd $reply, counted => scalar @words;
   };
}

configure
   nodeid => "perl",
   secret => $secret,
   seeds  => [$address],
   binds  => ["127.0.0.1:0"];

AE::cv->recv;
