#!/usr/bin/env bash
# Reductions: one value, exactly; ordered ones with the same bits whatever workers and chunks, and whoever is killed: a bridge, the
# reader, then Redis.
. "$(dirname "$0")/../support/tap.sh"
start_redis
m="$RANQ_TEST_BUILDDIR/tests/modules/reduce.so" noop="$RANQ_TEST_BUILDDIR/tests/modules/noop.so"
bridge() { ranq join -n "$1" --lease 3s >>"$T/join" 2>&1 & }
leave() { ranq drain all --wait >/dev/null 2>&1 || ranq drain all >/dev/null 2>&1; wait_for 20 bash -c '! ranq workers --json | grep -q bridge'; }
# bytes that Redis holds for jobs
memory() { rcli --scan --pattern 'ranq:*:j:*' | while read -r key; do rcli memory usage "$key"; done | awk '{n += $1} END {print n + 0}'; }
run() { timeout 300 ranq run --lease 3s --module "$m" "$@"; }
count() { ranq info --json "$1" | sed -n 's/.*"done": *\([0-9]*\).*/\1/p' | head -1; }
more_than() { [ "$(count "$1")" -gt "$2" ]; }

bridge 2
is "$(ranq run --lease 3s --module "$noop" --function noop --range 1-3000000 --reduce sum_int64)" 4499998500000 "a sum of three million"
like "$(ranq info last)" 'COMPLETE' "its job is complete"
is "$(ranq results last)" 4499998500000 "the sum is there still, and reading it again changes nothing"
is "$(ranq results --consume last)" 4499998500000 "nor does a consumer that comes later"
used=$(memory)
if [ "$used" -gt 100 ] && [ "$used" -lt 4096 ]; then pass "Redis holds $used bytes for it"; else fail "Redis holds a number for it" "$used bytes"; fi
is "$(ranq run --json --module "$noop" --function noop --range 1-1000 --reduce max_int64 | sed 's/"job":"[^"]*",//')" \
	'{"schema":"ranq.value/1","reduce":"max_int64","tasks":1000,"succeeded":1000,"value":999,"output":"999"}' "JSON"
is "$(ranq run --reduce sum_double -- echo 0.25 {} ::: 1 2 3)" "0.75 6" "numbers that commands print"
status 1 ranq run --reduce sum_int64 -- echo ::: 1 2 x
is "$out" 3 "what is no number fails, the others have their sum"
like "$err" 'task 2 \(x\) ERROR: its output is not only whole numbers' "and it is named"

# failed tasks have no share; those that succeed at a later attempt have
status 1 run --function some_fail --range 1-1000 --reduce sum_int64
is "$out" 900 "failed tasks are left out"
like "$err" '100 of 1000 tasks failed' "and counted"
j=$(ranq submit --range 1-40 --chunk 3 --reduce sum_int64 --reduce-ordered -- "test {} -gt 35 -a ! -e $T/now && exit 1; echo {}")
TEST="five fail" status 1 ranq wait --timeout 300s "$j"
is "$(ranq results "$j" 2>/dev/null)" $((35 * 36 / 2)) "a sum without them"
touch "$T/now"
ranq retry "$j" >/dev/null
TEST="the retry succeeds" status 0 ranq wait --timeout 300s "$j"
is "$(ranq results "$j")" $((40 * 41 / 2)) "a sum with them"

# functions of modules
want=$(seq 0 999 | tr '\n' ' ')
is "$(run --function word --range 1-1000 --reduce join_words --as text)" "$want" "a function that is not commutative"
is "$(run --function word --range 1-1000 --reduce join_words --reduce-ordered --as text)" "$want" "the same, ordered"
j=$(ranq submit --module "$m" --function word --range 1-100 --reduce join_words)
TEST="whoever reads must name the module" status 2 ranq results --follow "$j"
like "$err" "function 'join_words' of its module" "and is told so"
is "$(ranq results --follow --module "$m" --as text "$j")" "$(seq 0 99 | tr '\n' ' ')" "then it reads"
is "$(run --function histogram --range 1-10240 --reduce sum_int64 | tr ' ' '\n' | sort -n | uniq -c | xargs)" "1024 10" "arrays"
TEST="values that do not go together" status 2 run --function word --range 1-100 --reduce refuse
like "$err" "do not go together" "is said"
j=$(ranq submit --module "$m" --function term --range 1-1000 --reduce crash_at_505 --chunk 50)
TEST="a reduce function that crashes in an executor costs that one" status 0 ranq wait --timeout 300s "$j"
TEST="no such function" status 2 ranq submit --module "$m" --function term --reduce nothing
like "$err" "exports no function 'nothing'" "is said"
TEST="unfinished" status 5 ranq results "$(ranq submit --require nobody --range 1-3 --reduce count -- true)"
ranq cancel last >/dev/null

# ... which executors join also across chunks and ranks, before the queue has them
bins=$(run --function slow_histogram --range 1-4096 --reduce sum_int64 --as hex)
stored() { ranq info --json "$1" | sed -n 's/.*"result_bytes": *\([0-9]*\).*/\1/p' | head -1; }
joined() { # function, option...: the value is right; what Redis has of it is in $bytes
	local f=$1
	shift
	j=$(ranq submit --module "$m" --function slow_histogram --range 1-4096 --reduce "$f" "$@")
	TEST="$f $*" status 0 ranq wait --timeout 300s "$j"
	is "$(ranq results --module "$m" --as hex "$j")" "$bins" "$f $*: its value"
	bytes=$(stored "$j")
}
joined crash_in_merges
apart=$bytes
like "$(cat "$T/join")" "its reduce function fails" "the bridge stops asking for it"
joined add_bins
if [ "$bytes" -lt $((apart / 3)) ]; then pass "$bytes bytes instead of $apart"; else fail "less in Redis" "$bytes $apart"; fi
joined crash_in_merges --reduce-ordered
apart=$bytes
joined add_bins --reduce-ordered
if [ "$bytes" -lt $((apart * 2 / 3)) ]; then pass "ordered: $bytes bytes instead of $apart"; else fail "less in Redis" "$bytes $apart"; fi
# a bridge that leaves does not wait for them
hangs=$(ranq submit --module "$m" --function slow_histogram --range 1-4096 --reduce hang_in_merges)
ok wait_for 30 more_than "$hangs" 200

# the same bits
ordered() { run --function term --range 1-20011 --reduce sum_double --reduce-ordered "$@"; }
want=$(ordered)
for chunk in 1 7 1000; do is "$(ordered --chunk $chunk)" "$want" "the same bits in chunks of $chunk"; done
leave
bridge 5
is "$(ordered --chunk 333)" "$want" "the same bits of five ranks"
TEST="a reduce function without end" status 0 ranq wait --timeout 300s "$hangs"
is "$(ranq results --module "$m" --as hex "$hangs")" "$bins" "costs nothing of the value"

# kill a bridge, the reader, then Redis
kill_bridge() {
	local p
	for p in $(marked_pids); do
		case "$(cat "/proc/$p/comm" 2>/dev/null)" in mpirun | orted | ranq-bridge | ranq-exec | mpiexec* | hydra*) kill -9 "$p" 2>/dev/null ;; esac
	done
}
j=$(ranq submit --module "$m" --function slow_term --range 1-20011 --reduce sum_double --reduce-ordered)
ranq results --consume "$j" >"$T/value1" 2>&1 &
reader=$!
ok wait_for 30 more_than "$j" 2000
kill_bridge
bridge 3
ok wait_for 30 more_than "$j" 5000
kill -9 "$reader"
wait "$reader" 2>/dev/null
ranq results --consume "$j" >"$T/value2" 2>"$T/reader2" &
reader=$!
ok wait_for 30 more_than "$j" 7000
kill -9 "$REDIS_PID"
wait "$REDIS_PID" 2>/dev/null
start_redis
TEST="it completes" status 0 ranq wait --timeout 300s "$j"
wait "$reader"
is "$? $(cat "$T/value2")" "0 $want" "a bridge, the reader and Redis were killed: the same bits"
is "$(ranq results "$j")" "$want" "for another reader too"
for j in $(ranq jobs --json | grep -o '"job":"[^"]*"' | cut -d'"' -f4); do ranq rm "$j" >/dev/null; done
leave
lasting() { rcli --scan --pattern 'ranq:*' | while read -r key; do if [ "$(rcli ttl "$key")" = -1 ]; then echo "$key"; fi; done; }
is "$(lasting)" "" "no key is left but what expires: bells of the killed, modules of late"
done_testing
