#!/bin/sh
echo 1..2
echo ok 1
