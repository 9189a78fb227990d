# A bare node of AnyEvent::MP 2.x for TestInterop, which does what it is asked
# to by eval requests. It prints the address that it listens on.
#
#    perl mesh.pl SECRET [SEED...]

use strict;
use warnings;
use AnyEvent;
use AnyEvent::MP;

my ($secret, @seeds) = @ARGV;

configure
   nodeid => "perl",
   secret => $secret,
   seeds  => \@seeds,
   binds  => ["127.0.0.1:0"];

$| = 1;
print "@$AnyEvent::MP::Kernel::BINDS\n";

my $stdin = AE::io *STDIN, 0, sub { exit 0 unless sysread STDIN, my $buffer, 1024 };

AE::cv->recv;
