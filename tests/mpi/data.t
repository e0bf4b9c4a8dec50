#!/usr/bin/env bash
# Job data: two bridges of four ranks on two (pretended) nodes each: the server gives it out twice, not eight times; the
# executors of a node share one copy. RANQ_TEST_DATA_MB: its size (default 20).
. "$(dirname "$0")/../support/tap.sh"
mb=${RANQ_TEST_DATA_MB:-20}
bodies=$RANQ_TEST_BUILDDIR/tests/modules/bodies.so
start_redis --appendonly no
head -c $((mb << 20)) /dev/urandom >"$T/data"
mkdir "$T/here"

export RANQ_TEST_NODES=2
for b in 1 2; do
	ranq join --lease 3s -n 4 --name "b$b" >"$T/join$b" 2>&1 &
	joins[b]=$!
done
unset RANQ_TEST_NODES
both() { [ "$(ranq workers --json | grep -o '"host"' | wc -l)" = 2 ]; }
TEST="two bridges" ok wait_for 30 both

served() { rcli info stats | sed -n 's/^total_net_output_bytes:\([0-9]*\).*/\1/p'; }
before=$(served)
submit() { ranq submit --lease 3s --chunk 1 --data "$T/data" --module "$bodies" --function hold_data ::: "$T/here" "$T/here" "$T/here" "$T/here" "$T/here" "$T/here" "$T/here" "$T/here"; }
j=$(submit)
all() { [ "$(find "$T/here" -type f | wc -l)" = 8 ]; }
TEST="eight executors have read it" ok wait_for 60 all
twice=$(($(served) - before))
times=$((twice / (mb << 20)))
is "$times" 2 "the server gave it out twice ($((twice >> 20)) MiB of $mb)"

# proportional shares of all mappings of the data add up to what is there
pss=0
for p in "$T"/here/*; do
	kb=$(awk '/ranq-blob/ {on=1} /^[0-9a-f]+-[0-9a-f]+ / && !/ranq-blob/ {on=0} on && /^Pss:/ {s+=$2} END {print s+0}' "/proc/${p##*/}/smaps")
	pss=$((pss + kb))
done
# four nodes; the module is such a mapping, too
copies=$(((pss + 512) / (mb << 10)))
is "$copies" 4 "one copy a node ($((pss >> 10)) MiB for eight executors)"

touch "$T/here/go"
TEST="done" status 0 ranq wait --timeout 300s "$j"
ranq results --as text "$j" >"$T/results"
is "$(sort "$T/results" | uniq -c | awk '{print $1, $2}')" "8 $((mb << 20))" "all eight saw the same, and all of it"
ranq drain all >/dev/null 2>&1
gone() { ! kill -0 "${joins[1]}" 2>/dev/null && ! kill -0 "${joins[2]}" 2>/dev/null; }
ok wait_for 20 gone
done_testing
