#!/usr/bin/env bash
# The example programs with real workers: the answers of the vignettes of doRedis, whatever the chunks.
. "$(dirname "$0")/../support/tap.sh"
start_redis
examples="$RANQ_TEST_BUILDDIR/examples"
ranq join -n 2 >"$T/join.log" 2>&1 &
join=$!
ok wait_for 30 bash -c 'ranq workers | grep -q "$(hostname)"'

TEST="matrix_sum" status 0 "$examples/matrix_sum"
is "$out" "6.216482 4.672254" "listing 5/8: the sums of the chunks"
TEST="matrix_cache" status 0 "$examples/matrix_cache" 10
like "$out" '^6\.216482 4\.672254, 1[0-9] of 20 parts from a cache$' "listings 9-14: workers keep their parts"
TEST="boot" status 0 "$examples/boot"
like "$out" '^t0 1\.5203125, 999 replicates, 95% of them from 1\.2[0-9]* to 2\.[0-2]' "listing 3/6: a parallel boot"
first=$out
TEST="boot again" status 0 "$examples/boot"
is "$out" "$first" "the same numbers"
TEST="stream" status 0 bash -c "seq 5 | '$examples/stream' echo"
is "$(tr '\n' ' ' <"$T/out")" "1 2 3 4 5 " "listing 6: streaming"
TEST="faults" status 0 "$examples/faults"
is "$out" 10 "listing 2: fault tolerance"
TEST="pi_cpp" status 0 "$examples/pi_cpp"
like "$out" '^3\.14[0-9]*$' "listing 1, in C++"
TEST="pi, summed up on the way" status 0 "$examples/pi"
is "$out" "$("$examples/pi")" "the same to the last digit"
like "$out" '^3\.14174' "and right"
like "$(ranq jobs)" '^JOB' "the jobs are gone"
is "$(ranq jobs | wc -l)" 1 "all of them"

own() { ranq run --module "$examples/own_rng.so" --as double "$@"; }
is "$(own --function same --range 1-5 | cut -c1-9 | xargs)" "0.2115148 0.2115148 0.2115148 0.2115148 0.2115148" "listing 4: a generator of one's own"
is "$(own --function different --range 1-50 --seed 1 | sort -u | wc -l)" 50 "with the seeds of the tasks: different numbers"
is "$(own --function same_stream --range 1-3 | sort -u | wc -l)" 1 "a seed of one's own"
is "$(own --function parts --range 1-3 --seed 1 | xargs)" \
	"$(awk '$1 == 1 && $2 < 3 && $3 == 1 {print $4}' "$RANQ_TEST_SOURCEDIR/tests/data/rng.txt" | xargs)" "substreams, as in R"

# tasks start before the input ends: the first output is there while the writer still holds the pipe
mkfifo "$T/lines"
"$examples/stream" echo <"$T/lines" >"$T/first" &
stream=$!
exec 5>"$T/lines"
echo one >&5
ok wait_for 20 grep -q one "$T/first"
echo two >&5
exec 5>&-
wait "$stream"
is "$?" 0 "the stream ends well"
is "$(tr '\n' ' ' <"$T/first")" "one two " "all of a slow input"

kill -TERM "$join"
wait "$join"
rc=$?
if [ "$rc" = 0 ]; then pass "the workers leave"; else fail "the workers leave" "status $rc: $(cat "$T/join.log")"; fi
done_testing
