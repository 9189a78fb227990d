# The Perl half of the benchmarks in flood_test.go: a node of AnyEvent::MP, of
# either generation, that sends and receives as fast as it can.
#
#    perl flood.pl SEED SECRET FRAMING AUTOCORK

use strict;
use warnings;
use AnyEvent;
use AnyEvent::MP;

my ($seed, $secret, $framing, $autocork) = @ARGV;

# sends that many messages to a port, and looks after its connections now and then
sub Flood::out {
   my ($port, $left) = @_;
   rcv $SELF, go => sub {
      for (1 .. 500) {
         snd $port, reading => $left, "sixteen bytes...";
         --$left or return;
      }
      my $self = $SELF;
      AE::postpone { snd $self, "go" };
   };
   snd $SELF, "go";
}

# receives that many messages, and says when
sub Flood::in {
   my ($reply, $left) = @_;
   rcv $SELF, reading => sub {
      my ($n, $text) = @_;
      $n == $left or die "out of order: got $n, want $left\n";
      --$left or snd $reply, "done";
   };
}

configure
   nodeid         => "perl",
   secret         => $secret,
   seeds          => [$seed],
   binds          => ["127.0.0.1:0"],
   framing_format => [$framing],
   autocork       => $autocork;

my $stdin = AE::io *STDIN, 0, sub { exit 0 unless sysread STDIN, my $buffer, 1024 };

AE::cv->recv;
