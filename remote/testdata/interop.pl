# The Perl half of TestInterop: a node of AnyEvent::MP, of either generation,
# that has the node at ADDRESS as its seed and does what that node asks for.
#
#    perl interop.pl ADDRESS SECRET FRAMING

use strict;
use warnings;
use AnyEvent;
use AnyEvent::MP;

my ($address, $secret, $framing) = @ARGV;

# what the Go node spawns

sub Peer::echo {
   my ($reply, @args) = @_;
   rcv $SELF,
      die => sub { die "told to die\n" },
      only => sub { rcv $SELF, only => undef },
      sub { snd $reply, @args, "echo", @_ };
}

sub Peer::linked {
   my ($owner) = @_;
   mon $owner, $SELF;
   rcv $SELF, ping => sub { snd $_[0], "pong" };
}

sub Peer::broken { die "broken\n" }

sub Peer::hello {
   my ($port, @tag) = @_;
   snd $port, @tag, "hello", $NODE;
}

# adds what the call has before its last element, which is where to answer
sub Peer::adder {
   rcv $SELF, add => sub {
      my ($x, $y, $reply) = @_;
      snd $reply, "sum", $x + $y;
   };
}

# data connections, which work in generation 1: echo each line, from either side

sub Peer::data {
   my ($greeting, $hdl) = @_;
   our %data;
   $data{$hdl} = $hdl;
   $hdl->on_error (sub { delete $data{$_[0]}; $_[0]->destroy });
   $hdl->push_write ("$greeting\n");
   $hdl->on_read (sub {
      $_[0]->push_read (line => sub { $_[0]->push_write ("echo $_[1]\n") });
   });
}

sub Driver::data {
   my ($report, $go, $func) = @_;
   require AnyEvent::MP::DataConn;
   my $self = $SELF;
   rcv $self, done => sub { };
   AnyEvent::MP::DataConn::connect_to ($go, 5, $func, "from perl", sub {
      my ($hdl) = @_;
      our %data;
      $data{$hdl} = $hdl;
      $hdl->on_error (sub { delete $data{$_[0]}; $_[0]->destroy });
      $hdl->push_write ("a line\n");
      $hdl->push_read (line => sub {
         my $greeting = $_[1];
         $hdl->push_read (line => sub { snd $report, "data", $greeting, $_[1] });
      });
   });
}

# what the Perl node does to the Go node, each step reported to a port there

sub Driver::init {
   my ($report, $go) = @_;
   my $self = $SELF;

   # A Go port answers, and is killed with a reason.
   my $echo = spawn $go, "Peer::echo", $SELF, "via", 1;
   rcv $SELF,
      via  => sub { snd $report, "echoed", @_ },
      done => sub { snd $report, "done" };
   snd $echo, "hello", 42, "caf\xe9", "\x{20ac}", [1, { k => undef }];
   mon $echo, sub {
      snd $report, "killed", @_;
      my $port = spawn $go, "Peer::echo", $self;
      mon $port, sub {
         snd $report, "died", @_;
         mon "$go#nosuchport", sub {
            snd $report, "nonexistent", @_;
            mon +(spawn $go, "Peer::nosuchfunc"), sub {
               snd $report, "nofunc", @_;
               my $linked = spawn $go, "Peer::linked", my $owner = port;
               my $pong = port { snd $report, "linked"; kil $owner, "gone", "away" };
               mon $linked, sub { snd $report, "unlinked", @_; snd $self, "done" };
               snd $linked, "ping", $pong;
            };
         };
      };
      snd $port, "die";
   };
   snd $go, "Peer::hello", $report, "tag";
   # The relay comes back behind all that was sent before.
   snd $go, "snd", $SELF, "via", "relayed";
   my $when; $when = AE::timer 0.1, 0, sub { undef $when; kil $echo, "because", 3, ["x"] };
}

configure
   nodeid         => "perl",
   secret         => $secret,
   seeds          => [$address],
   binds          => ["127.0.0.1:0"],
   framing_format => [$framing];

my $stdin = AE::io *STDIN, 0, sub { exit 0 unless sysread STDIN, my $buffer, 1024 };

AE::cv->recv;
