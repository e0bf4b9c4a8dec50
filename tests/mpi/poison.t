#!/usr/bin/env bash
# A task that kills what runs it, again and again, ends as DIED; the other 199 complete and `ranq join` is still there.
. "$(dirname "$0")/../support/tap.sh"
start_redis

ranq join --lease 3s -n 2 >"$T/join" 2>&1 &
join=$!
check() { # NAME COMMAND [MAX_DEATHS]
	local j
	j=$(ranq submit --lease 3s --max-deaths "${3:-5}" --range 1-200 -- sh -c "if [ {} = 77 ]; then $2; sleep 20; fi; echo {}")
	TEST="$1: done, a task failed" status 1 ranq wait --timeout 300s "$j"
	ranq results "$j" >"$T/results" 2>/dev/null
	if cmp -s "$T/results" <(seq 200 | grep -vx 77); then pass "$1: the other 199 results are there"; else fail "$1: the other 199 results" "$(diff "$T/results" <(seq 200 | grep -vx 77) | head -5)"; fi
	ranq tasks --json --state failed "$j" >"$T/tasks" 2>&1
	like "$(cat "$T/tasks")" '"status": ?"DIED"' "$1: it is DIED"
	like "$(cat "$T/tasks")" '"index": ?76' "$1: task 76"
	ok kill -0 "$join"
	ranq rm "$j"
}
check "killed executor" 'kill -9 $PPID'
check "killed fork server" 'kill -9 $(awk "{print \$4}" /proc/$PPID/stat)'
# the rank is the parent of the fork server; mpirun then kills the whole bridge
check "killed rank" 'g=$(awk "{print \$4}" /proc/$PPID/stat); kill -9 $(awk "{print \$4}" /proc/$g/stat)' 2
# the bridge may just be dead, and on its way back
ok wait_for 20 drained "$join"
done_testing
