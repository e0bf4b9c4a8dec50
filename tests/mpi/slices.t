#!/usr/bin/env bash
# Results that are too large to travel whole: slice by slice through rank 0 and the queue, whole or not at all, gone with their job.
. "$(dirname "$0")/../support/tap.sh"
bodies=$RANQ_TEST_BUILDDIR/tests/modules/bodies.so
start_redis --appendonly no
keys() { rcli --scan --pattern 'ranq:*' | grep -v -E ':(blob|bell|up):' | grep -c -E "${1:-.}"; } # a module, bells and results whose bridge died stay for a minute
size=20000000
big() { yes "$1" | head -c "$size"; }

RANQ_FAULT="sliced:0.06:${SEED:-$RANDOM}" ranq join --lease 3s -n 3 >"$T/join" 2>&1 &
join=$!
# every other one is large; rank 0 dies now and then in their middle
ranq run --lease 3s --chunk 1 --max-output 100M --shell "if [ \$(({} % 2)) = 0 ]; then yes {} | head -c $size; else echo {}; fi" ::: 1 2 3 4 5 6 >"$T/out" 2>"$T/err"
is "$?" 0 "commands with large results: $(head -c 500 "$T/err")"
want=$(for i in 1 2 3 4 5 6; do if [ $((i % 2)) = 0 ]; then big $i; else echo $i; fi; done | sha256sum)
is "$(sha256sum <"$T/out")" "$want" "all of them, in order; rank 0 died $(grep -c 'fault point' "$T/join") times"
is "$(keys ':v:')" 0 "what was read is gone"
ranq rm last

# functions, a failed command; read twice, and through memory that holds no value whole
j=$(ranq submit --max-output 100M --module "$bodies" --function large ::: $size 10 $size)
TEST="a function" status 0 ranq wait --timeout 300s "$j"
is "$(ranq results --json "$j" | grep -c '"OK"')" 3 "as JSON"
is "$(ranq results --as raw "$j" | wc -c)" $((2 * size + 10)) "as bytes"
is "$(ranq info --json "$j" | grep -o '"result_bytes":[0-9]*' | tr -dc 0-9 | cut -c1-2)" 40 "they count"
name=$(rcli --scan --pattern 'ranq:*:v:*' | head -1)
rcli hset "$name" 1 "$(rcli hget "$name" 1 | head -c 100)" >/dev/null
TEST="a slice was changed" status 2 ranq results --as raw "$j"
like "$err" "task [02]: .*value" "which task"
rcli del "$name" >/dev/null
TEST="a value is gone" status 2 ranq results --as raw "$j"
like "$err" "task [02]: the server has its value no more" "which task"
ranq rm "$j"
j=$(ranq submit --max-output 100M --shell "head -c $size /dev/zero; exit 3")
TEST="a failed one" status 1 ranq wait --timeout 300s "$j"
is "$(ranq results "$j" 2>/dev/null | wc -c)" $size "its output"
ranq rm "$j"
is "$(keys ':v')" 0 "no slice is left"
if wait_for 60 drained "$join"; then pass "join ends"; else fail "join ends" "$(tail -20 "$T/join")"; fi
is "$(keys)" 0 "no key is left: $(rcli --scan --pattern 'ranq:*' | head -3 | tr '\n' ' ')"
done_testing
