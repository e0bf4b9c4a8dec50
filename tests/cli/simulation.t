#!/usr/bin/env bash
# The load generator: real proxies on a real server with simulated ranks; its verification sees what is wrong.
. "$(dirname "$0")/../support/tap.sh"
simulate=$RANQ_TEST_BINDIR/bench-simulation
[ -x "$simulate" ] || skip_all "built without the bridge"
start_redis

right() { ! grep -v '"verified":true' "$T/out" && grep -q '"case":"server CPU".*"tasks_per_second"' "$T/out"; }
TEST="three bridges run a job" status 0 timeout 60 "$simulate" --bridges 3 --ranks 8 --task 5ms --tasks 3000
TEST="and all of it is accounted for" ok right
is "$(rcli dbsize)" 0 "nothing stays behind"

TEST="a window of endless work" status 0 timeout 60 "$simulate" --bridges 2 --ranks 20 --task 200us --spread 0 --chunk 7 \
	--results count --warm 200ms --window 300ms
TEST="measured while it ran" ok right
like "$out" '"efficiency":(0\.[3-9]|1\.)' "the ranks were busy"

# somebody changes a counter of the running job
tamper() { [ "$(rcli hget 'ranq:{simulation}:j:2' done)" -gt 0 ] && rcli hincrby 'ranq:{simulation}:j:2' c1 1; }
rcli hset 'ranq:{simulation}:q' schema 1 jobseq 1 >/dev/null
(wait_for 30 tamper) &
TEST="a wrong count is found" status 1 timeout 60 "$simulate" --bridges 2 --ranks 8 --task 20ms --tasks 400
wait $!
like "$err" 'bench-simulation: 399 of 400 tasks are OK' "and named"
like "$out" '"verified":false' "and its figures are not verified"

TEST="a bad option" status 2 "$simulate" --bridges none
done_testing
