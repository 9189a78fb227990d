#!/usr/bin/perl
# A member of the chat, in Perl. It takes AnyEvent::MP 2.x from CPAN.
#
#    perl examples/chat/member.pl NAME [SEED [SECRET]]

use strict;
use warnings;
use AnyEvent;
use AnyEvent::Handle;
use AnyEvent::MP;

my ($name, $seed, $secret) = @ARGV;
defined $name or die "usage: member.pl NAME [SEED [SECRET]]\n";

$| = 1;
binmode STDOUT, ":utf8";

configure
   nodeid => "perl/",
   secret => $secret // "portmesh-example",
   seeds  => [$seed // "127.0.0.1:4040"],
   binds  => ["127.0.0.1:0"];

my $quit = AE::cv;
my $me = port;
my ($servers, $server);

# What the server says to us.
rcv $me,
   welcome => sub { my ($node, $names) = @_; print "* you are on $node, with: ", (join ", ", @$names), "\n" },
   refused => sub { $quit->send ("refused: $_[0]\n") },
   said    => sub { my ($who, $text) = @_; print "$who: $text\n" },
   notice  => sub { print "* $_[0]\n" };

# Join any server, if we are with none.
sub choose {
   my @all = keys %{ $servers || {} };
   return if $server || !@all;
   $server = $all[rand @all];
   mon $server, sub {
      print "* the server is gone (@_)\n";
      undef $server;
      after 0.5, \&choose;
   };
   snd $server, join => $name, $me;
}

my $guard = db_mon "chat:servers", sub {
   ($servers) = @_;
   choose;
};

# What the user says to the server.
my $input; $input = AnyEvent::Handle->new (
   fh       => \*STDIN,
   on_error => sub { $quit->send ("") },
   on_eof   => sub { $quit->send ("") },
   on_read  => sub {
      $_[0]->push_read (line => sub {
         my $text = $_[1];
         utf8::decode $text;
         return $quit->send ("") if $text eq "/quit";
         snd $server, say => $text, $me if $server;
      });
   },
);

my $why = $quit->recv;
snd $server, leave => $me if $server;
# What is on its way goes out before the process ends.
my $flushed = AE::cv;
my $linger = AE::timer 0.2, 0, sub { $flushed->send };
$flushed->recv;
die $why if $why;
