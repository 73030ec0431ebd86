# An agent that answers each line with the line in capitals.
use IO::Socket::UNIX;
my $server = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 5) or die $!;
while (my $client = $server->accept) {
    my $line = <$client>;
    print $client uc $line if defined $line;
}
