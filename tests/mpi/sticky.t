#!/usr/bin/env bash
# Sticky jobs: the worker that had a task gets it again, and no worker waits for that.
. "$(dirname "$0")/../support/tap.sh"
start_redis
module=$RANQ_TEST_BUILDDIR/tests/modules/keeper.so
loop() { ranq run --timeout 60s --module "$module" --function keep --range 1-24 "$@"; }
two() { [ "$(ranq workers --json | grep -o '"ranks": *2' | wc -l)" = "$1" ]; }

ranq join -n 2 >"$T/one" 2>&1 &
one=$!
ranq join -n 2 >"$T/two" 2>&1 &
two=$!
ok wait_for 30 two 2
TEST="the first time" status 0 loop --sticky
is "$(grep -c new "$T/out")" 24 "nobody has anything"
# one of these rounds may be disturbed by whatever else this machine does
best=0
for _ in 1 2 3; do
	TEST="again" status 0 loop --sticky
	kept=$(grep -c kept "$T/out")
	echo "# $kept of 24 were there already"
	[ "$kept" -le "$best" ] || best=$kept
done
ok [ "$best" -ge 22 ]

# the place of half of the tasks is gone
kill -TERM "$two"
wait "$two"
is "$?" 0 "a bridge leaves"
TEST="with one bridge less" status 0 loop --sticky
is "$(wc -l <"$T/out")" 24 "all tasks"

# or is slow: it does what it had begun and put aside, the other one the rest
KEEPER_SLOW_MS=1000 ranq join -n 2 >"$T/three" 2>&1 &
three=$!
ok wait_for 30 two 2
for _ in 1 2 3; do
	TEST="with a slow bridge" status 0 loop --sticky
	slow=$(grep -c slow "$T/out")
	echo "# $slow of 24 by the slow one"
	[ "$slow" -lt 1 ] || [ "$slow" -gt 8 ] || break
done
ok [ "$slow" -ge 1 ]
ok [ "$slow" -le 8 ]
kill -TERM "$one" "$three"
wait "$one" "$three"
done_testing
