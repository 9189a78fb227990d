# A node of AnyEvent::MP, of either generation, that does what it is asked to by
# eval requests and has a port named "echo". It prints the address that it listens
# on.
#
#    perl node.pl NODEID SECRET [SEED...]

use strict;
use warnings;
use AnyEvent;
use AnyEvent::MP;

my ($nodeid, $secret, @seeds) = @ARGV;

configure
   nodeid => $nodeid,
   secret => $secret,
   seeds  => \@seeds,
   binds  => ["127.0.0.1:0"];

# says back what it gets, to where the message says
sub echo {
   my ($port) = @_;
   rcv $port,
      die => sub { kil $port, @_ },
      sub { my $reply = pop; snd $reply, @_ };
}
echo "$NODE#echo";

# what others may spawn
sub Adder::init {
   my ($x, $owner) = @_;
   mon $owner, $SELF if $owner;
   rcv $SELF,
      add => sub { my ($y, $reply) = @_; snd $reply, sum => $x + $y },
      die => sub { die "told to die\n" };
}

sub Adder::broken { die "broken\n" }

$| = 1;
no warnings "once";
my $binds = $AnyEvent::MP::Kernel::BINDS || $AnyEvent::MP::Kernel::LISTENER; # generation 2, 1
print "@$binds\n";

my $stdin = AE::io *STDIN, 0, sub { exit 0 unless sysread STDIN, my $buffer, 1024 };

AE::cv->recv;
