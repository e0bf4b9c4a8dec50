#!/usr/bin/env bash
# The server runs out of memory in mid-run (F27): submits are refused whole, what runs is committed, reading drains the queue,
# and it goes on.
. "$(dirname "$0")/../support/tap.sh"
start_redis
ranq join --lease 3s -n 2 >"$T/join" 2>&1 &
: "${TASKS:=300}"
j=$(ranq submit --lease 3s --backlog 1GB --range "1-$TASKS" -- \
	sh -c "[ {} -le 60 ] || until [ -e $T/go ]; do sleep 0.05; done; head -c 99990 /dev/zero | tr '\\0' x; printf '%09d\n' {}")
field() { ranq info --json "$j" | sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" | head -1; }
more_than() { [ "$(field done)" -gt "$1" ]; }
ok wait_for 60 more_than 20
used=$(rcli info memory | awk -F: '/^used_memory:/{print $2+0}')
rcli config set maxmemory "$((used + 2000000))" >/dev/null
touch "$T/go"
full() { rcli set filler x | grep -q OOM; }
ok wait_for 60 full
# without those of the job that runs, or has ended by now, and results on their way to it, which may have all been leased, its bridge and bells
keys() { rcli hget 'ranq:{default}:q' jobseq; rcli --scan --pattern 'ranq:*' | grep -vE '}:(j:1|ready|held|exp|b|bell|idle|up)(:|$)' | sort; }
keys=$(keys)
status 3 ranq submit --range 1-3 -- echo refused
like "$err" 'memory' "the refusal says why"
is "$(keys)" "$keys" "and changed nothing"
ranq results --follow --consume "$j" 2>"$T/results.err" | tr -d x >"$T/numbers"
is "${PIPESTATUS[0]}" 0 "reading drains the queue"
ok cmp "$T/numbers" <(seq -f %09.0f "$TASKS")
TEST="complete" status 0 ranq wait --timeout 300s "$j"
TEST="submit works again" status 0 ranq run --range 1-3 -- echo {}
is "$out" "$(seq 3)" "with its results"
done_testing
