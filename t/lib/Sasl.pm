package Sasl;

# A daemon with -S, whose only user is bob with the password secret, in a sasldb
# of its own.
#
#   my $mc = sasl_memcached('-vv');

use strict;
use warnings;

use Exporter qw(import);
use POSIX ();
use Test::More;

use Binary;
use Memcached;

our @EXPORT = qw(binary_stats sasl_folder sasl_memcached told);

# The folder for SASL_CONF_PATH. Skips the test where something is missing.
sub sasl_folder
{
    my ($exit, undef, $err) = run_binary('-S', '-B', 'ascii');
    plan skip_all => 'built without SASL' if $err =~ /not built with SASL/;
    my $tool = '/usr/sbin/saslpasswd2';
    plan skip_all => 'saslpasswd2 is missing (sasl2-bin)' if !-x $tool;
    my $folder = scratch();
    my $db     = "$folder/sasldb";
    scratch_file('memcached.conf',
        "mech_list: plain cram-md5\npwcheck_method: auxprop\n"
            . "auxprop_plugin: sasldb\nsasldb_path: $db\n");
    my $host = (POSIX::uname())[1];
    open my $pipe, '|-', $tool, '-p', '-c', '-f', $db, '-a', 'memcached', '-u',
        $host, 'bob' or die "$tool: $!";
    print $pipe 'secret';
    close $pipe or die "$tool: failed";
    return $folder;
}

sub sasl_memcached
{
    my (@args) = @_;
    local $ENV{SASL_CONF_PATH} = sasl_folder();
    my $mc = spawn_memcached('-S', @args);
    wait_for { $mc->alive or die $mc->stderr; $mc->try_client } 20
        or die $mc->stderr;
    return $mc;
}

# The one reply to some bytes, as text; `closed`.
sub told
{
    my ($b, $bytes) = @_;
    $b->client->send($bytes);
    my $head = $b->client->read(24);
    return 'closed' if length $head < 24;
    return shown_packets($head . $b->client->read(unpack 'x8N', $head));
}

# The rows of `stats`, or of stats $sub, as a hash.
sub binary_stats
{
    my ($b, $sub) = @_;
    my %rows;
    $b->client->send(packet('stat', key => $sub));
    while (my $r = $b->reply) {
        return %rows if $r->{key} eq '';
        $rows{$r->{key}} = $r->{value};
    }
    return %rows;
}

1;
