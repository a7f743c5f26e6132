#!/bin/sh
echo ok 1
exit 1
