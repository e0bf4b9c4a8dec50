#!/usr/bin/env bash
# While a job drains, any one process of the bridge is killed with -9; another bridge joins; every result is there, once and in order.
# The lease is longer than the test has patience: what a killed bridge held comes back because `ranq join` says so (exec/black_box.h).
# TASKS sets the length of each job.
. "$(dirname "$0")/../support/tap.sh"
start_redis
: "${TASKS:=3000}"
lease=10m

# pid of the n-th process of our bridge whose command name is $1
victim() {
	local p
	for p in $(marked_pids); do
		[ "$(cat "/proc/$p/comm" 2>/dev/null)" = "$1" ] && echo "$p"
	done | sort -n
}
some_done() { [ "$(ranq info --json "$1" | jq_done)" -gt "$2" ]; }
jq_done() { sed -n 's/.*"done": *\([0-9]*\).*/\1/p' | head -1; }

round() { # NAME KIND PICK
	local j kind=$2 pick=$3 p out join1 join2 rc
	ranq join --lease $lease -n 2 >"$T/join1" 2>&1 &
	join1=$!
	: >"$T/ran"
	j=$(ranq submit --lease $lease --range "1-$TASKS" -- sh -c "echo {} >>$T/ran; echo {}")
	wait_for 30 some_done "$j" 50 || { fail "$1: the bridge works" "$(cat "$T/join1")"; return; }
	p=$(victim "$kind" | $pick)
	if [ -z "$p" ]; then fail "$1: there is a '$kind' to kill" "$(ps -ef | tail -20)"; else kill -9 "$p"; fi
	ranq join --lease $lease -n 2 >"$T/join2" 2>&1 &
	join2=$!
	ranq wait --timeout 300s "$j" >"$T/wait" 2>&1
	rc=$?
	is "$rc" 0 "$1: the job completes"
	ranq results "$j" >"$T/results" 2>"$T/results.err"
	if cmp -s "$T/results" <(seq "$TASKS"); then pass "$1: every result once, in order"; else
		fail "$1: every result once, in order" "$(cat "$T/wait" "$T/results.err"; diff "$T/results" <(seq "$TASKS") | head -5)"; fi
	# the log of what ran: a result is never there without its task, and what ran for nothing is what a bridge held
	is "$(sort -nu "$T/ran" | wc -l)" "$TASKS" "$1: every task ran"
	again=$(($(wc -l <"$T/ran") - TASKS))
	echo "# $1: $again tasks ran again"
	if [ "$again" -lt "$TASKS" ]; then pass "$1: not all ran again"; else fail "$1: not all ran again" "$again"; fi
	wait_for 60 drained || { fail "$1: join ends" "$(cat "$T/join1" "$T/join2")"; kill -9 "$join1" "$join2" 2>/dev/null; }
	wait "$join1" "$join2" 2>/dev/null
	out=$(wait_for 10 no_bridge || ps -ef | grep -E 'ranq|mpirun' | grep -v grep)
	is "$out" "" "$1: no process of the bridges is left"
	ranq rm "$j" >/dev/null 2>&1
}
# a bridge may join only now, or again: a drain reaches those that are there
drained() {
	kill -0 "$join1" 2>/dev/null || kill -0 "$join2" 2>/dev/null || return 0
	ranq drain all >/dev/null 2>&1
	return 1
}
no_bridge() { [ -z "$(victim ranq-bridge)$(victim ranq-exec)$(victim mpirun)" ]; }

round "executor or fork server" ranq-exec "tail -1"
round "fork server" ranq-exec "head -1"
round "compute rank" ranq-bridge "tail -1"
round "rank 0" ranq-bridge "head -1"
round "mpirun" mpirun "head -1"
is "$(rcli --scan --pattern 'ranq:*' | sort | tr '\n' ' ')" "" "no key is left"
done_testing
