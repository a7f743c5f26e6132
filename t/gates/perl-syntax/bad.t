#!/usr/bin/perl
use strict;
use warnings;
my $x = ;
