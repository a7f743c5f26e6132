#!/usr/bin/perl
use strict;
use warnings;
my $x = 1;
my $x = 2;
