#!/bin/sh
# Makes ./configure from configure.ac and Makefile.am.
set -eu
cd "$(dirname "$0")"

# AC_REQUIRE_AUX_FILE does not create the directory it installs to.
mkdir -p build-aux
exec autoreconf --install --force --warnings=all
