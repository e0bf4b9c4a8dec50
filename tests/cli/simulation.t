#!/usr/bin/env bash
# The load generator: real proxies on a real server with simulated ranks; its verification sees what is wrong.
. "$(dirname "$0")/../support/tap.sh"
simulate=$RANQ_TEST_BINDIR/bench-simulation
[ -x "$simulate" ] || skip_all "built without the bridge"
start_redis

# Figures are those of a machine with nothing else to do: one of five runs must have them.
has() { grep -qE -- "$1" "$T/out"; }
right() { ! grep -v '"verified":true' "$T/out" && grep -q '"case":"server CPU".*"tasks_per_second"' "$T/out"; }
TEST="three bridges run a job" status 0 timeout 300 "$simulate" --bridges 3 --ranks 8 --task 5ms --tasks 3000
TEST="and all of it is accounted for" ok right
is "$(rcli dbsize)" 0 "nothing stays behind"

# on a busy machine the ranks oversleep many such tasks
busy='"efficiency":(0\.0[3-9]|0\.[1-9]|1\.)'
for _ in 1 2 3 4 5; do
	TEST="a window of endless work" status 0 timeout 300 "$simulate" --bridges 2 --ranks 20 --task 200us --spread 0 --chunk 7 \
		--results count --warm 200ms --window 300ms
	has "$busy" && break
done
TEST="measured while it ran" ok right
like "$out" "$busy" "the ranks were busy"

# Nobody waits: results are committed about once a second. Long tasks: not each by a lease of its own.
busy='"efficiency":(0\.[89]|1\.)' few='"calls_per_bridge_second":[0-9]\.'
for _ in 1 2 3 4 5; do
	TEST="many ranks, tasks that end one by one" status 0 timeout 300 "$simulate" --bridges 2 --ranks 100 --task 1200ms --spread 0.9 \
		--warm 2500ms --window 2s
	has "$busy" && has "$few" && break
done
TEST="and their results are right" ok right
like "$out" "$few" "a few calls a second are enough for a bridge"
like "$out" "$busy" "and no rank waits for long"

# A bridge of a crowd, most of which is only registered here, asks and commits for four seconds at a time, in one go. In slow time, besides.
rcli hset 'ranq:{simulation}:q' schema 2 lease 22500 >/dev/null
rcli zadd 'ranq:{simulation}:L' $(seq -f '900000000000000 %.0f0000000000000000000000000000' 1000 1999) >/dev/null
few='"calls_per_bridge_second":[01]\.'
for _ in 1 2 3 4 5; do
	TEST="bridges in a crowd, in slow time" status 0 timeout 300 "$simulate" --bridges 6 --ranks 64 --task 1200ms --spread 0.9 --slow 1.5 \
		--warm 4s --window 3s
	has "$busy" && has "$few" && break
done
TEST="and their results are right as well" ok right
like "$out" "$few" "fewer calls than a bridge makes that is almost alone"
like "$out" "$busy" "and no rank waits for long"
like "$out" '"slow":1\.5.*"late_ms":' "how late the ranks were is told"
rcli flushall >/dev/null

together='"tasks_per_item":[0-9]{2,}\.'
for _ in 1 2 3 4 5; do
	TEST="a thousand ranks" status 0 timeout 300 "$simulate" --bridges 1 --ranks 1000 --task 20ms --warm 1500ms --window 1s
	has "$together" && break
done
TEST="and their results are right, too" ok right
like "$out" "$together" "results of neighbours are stored together, whatever order they came in"

# somebody changes a counter of the running job
rcli hset 'ranq:{simulation}:q' schema 2 jobseq 8 >/dev/null
redis-cli -s "$T/redis/s" -r -1 -i 0.01 eval "local counts = redis.call('hget', KEYS[1], 'counts')
	local v = counts and {cmsgpack.unpack(counts)} or {}
	if v[4] and v[4] > 0 and v[15] == 0 then
		v[15] = 1
		redis.call('hset', KEYS[1], 'counts', cmsgpack.pack(unpack(v)))
	end" 1 'ranq:{simulation}:j:9' >/dev/null &
tamper=$!
TEST="a wrong count is found" status 1 timeout 300 "$simulate" --bridges 2 --ranks 8 --task 40ms --tasks 400
kill "$tamper"
wait "$tamper"
like "$err" 'bench-simulation: 399 of 400 tasks are OK' "and named"
like "$out" '"verified":false' "and its figures are not verified"

TEST="a bad option" status 2 "$simulate" --bridges none
done_testing
