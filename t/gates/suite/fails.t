#!/bin/sh
echo 1..2
echo ok 1
echo not ok 2
