#!/usr/bin/env bash
# 1,000 outputs of 1 MB, a backlog of 64 MB and nobody reading: held, and says so; then all are delivered in order, a bridge
# being killed meanwhile.
. "$(dirname "$0")/../support/tap.sh"
start_redis
: "${TASKS:=250}"
ranq join --lease 3s -n 2 >"$T/join1" 2>&1 &
head -c 999990 /dev/zero | tr '\0' x >"$T/filling"
j=$(ranq submit --lease 3s --backlog 64MB --range "1-$TASKS" -- \
	sh -c "[ {} -lt $((TASKS * 3 / 4)) ] || until [ -e $T/go ]; do sleep 0.1; done; cat $T/filling; printf '%09d\n' {}")
held() { ranq info --json "$j" | grep -q '"held": *true'; }
ok wait_for 120 held
TEST="wait ends by its time-out" status 5 ranq wait --timeout 1s "$j"
like "$err" 'held' "and says that the job is held"
like "$err" 'results' "and why"
stored=$(ranq info --json "$j" | sed -n 's/.*"result_bytes": *\([0-9]*\).*/\1/p')
if [ "$stored" -le 70400000 ]; then pass "stored: $stored bytes"; else fail "at most the backlog + 10 %" "$stored"; fi
ranq results "$j" 2>"$T/results.err" | tee >(wc -c >"$T/bytes") | stdbuf -oL tr -d x >"$T/numbers" &
reader=$!
half() { [ "$(wc -l <"$T/numbers")" -gt "$((TASKS / 4))" ]; }
ok wait_for 180 half
TEST="the reader is in the middle" ok kill -0 $reader
for p in $(marked_pids); do
	case "$(cat "/proc/$p/comm" 2>/dev/null)" in mpirun | ranq-bridge | ranq-exec) kill -9 "$p" ;; esac
done
touch "$T/go"
ranq join --lease 3s -n 2 >"$T/join2" 2>&1 &
ok wait_for 180 bash -c "! kill -0 $reader 2>/dev/null"
ok cmp "$T/numbers" <(seq -f %09.0f "$TASKS")
is "$(cat "$T/bytes")" "$((TASKS * 1000000))" "every byte"
TEST="complete" status 0 ranq wait --timeout 300s "$j"
done_testing
