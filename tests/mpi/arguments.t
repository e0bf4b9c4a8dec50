#!/usr/bin/env bash
# Arguments that are too large to travel whole: slice by slice into the queue, as a file to the executor, gone with their job.
. "$(dirname "$0")/../support/tap.sh"
bodies=$RANQ_TEST_BUILDDIR/tests/modules/bodies.so
start_redis --appendonly no
keys() { rcli --scan --pattern 'ranq:*' | grep -c -v -E ':(blob|bell):'; } # a module and bells stay for a minute
text() { seq "$1" 9999999 | tr '\n' ' ' | head -c "$2"; echo; }
# the second one has three slices, the last one is at the limit of what is none; equal ones, too
for n in 3000000 20000000 5 1048577 3000000 1048576; do text 1 $n; done >"$T/lines"
for n in 7 2000000; do text $n $n; done >>"$T/lines"
body() { tr -d '\n' <"$1" | sha256sum; }

# two pretended nodes; rank 0 dies now and then when it has given a task to a lane
RANQ_TEST_NODES=2 RANQ_FAULT="dispatched:0.04:${SEED:-$RANDOM}" ranq join --lease 3s -n 3 >"$T/join" 2>&1 &
join=$!
run() { ranq run --lease 3s --chunk 1 --max-output 100M --as raw --module "$bodies" --function same "$@"; }
run -a "$T/lines" >"$T/out" 2>"$T/err"
is "$?" 0 "lines of a file: $(head -c 300 "$T/err")"
is "$(sha256sum <"$T/out")" "$(body "$T/lines")" "all of them, in order; rank 0 died $(grep -c 'fault point' "$T/join") times"
tac "$T/lines" | run -a - >"$T/out" 2>"$T/err"
is "$?" 0 "lines of a pipe: $(head -c 300 "$T/err")"
is "$(sha256sum <"$T/out")" "$(tac "$T/lines" | tr -d '\n' | sha256sum)" "all of them, in order"
ranq rm 1 2

TEST="a command" status 2 ranq submit -a "$T/lines" -- true
like "$err" "longer than 1048576" "says what is too long"
TEST="columns" status 2 ranq submit --colsep , -a "$T/lines" --module "$bodies" --function same
like "$err" "longer than 1048576" "so do they"

ranq pause >/dev/null
j=$(ranq submit --chunk 1 --max-output 100M --module "$bodies" --function same -a "$T/lines")
rcli hdel "ranq:{default}:j:${j##*/}:in" "$(rcli hkeys "ranq:{default}:j:${j##*/}:in" | grep ':1$')" >/dev/null
ranq resume >/dev/null
TEST="a slice is gone" status 1 ranq wait --timeout 300s "$j"
like "$(ranq log "$j" 1)" "its argument is missing or damaged" "its task says so"
is "$(ranq info --json "$j" | tr -d ' ' | grep -o '"ok":[0-9]*')" '"ok":7' "the others ran: $(ranq tasks --state failed "$j" | tail -3)"
ranq rm "$j"

if wait_for 60 drained "$join"; then pass "join ends"; else fail "join ends" "$(tail -20 "$T/join")"; fi
is "$(keys)" 0 "no key is left: $(rcli --scan --pattern 'ranq:*' | head -3 | tr '\n' ' ')"
done_testing
