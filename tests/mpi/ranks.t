#!/usr/bin/env bash
# Bridges of several sizes under mpirun: all tasks once and in order; signals, stops, a server that freezes or forgets, pretended nodes.
. "$(dirname "$0")/../support/tap.sh"
command -v mpirun >/dev/null || skip_all "no mpirun"
start_redis
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
: "${MPIRUN:=mpirun --oversubscribe --bind-to none}"

# bridge RANKS [OPTION]...: in the background; its pid in $bridge, of the launcher
bridge() {
	local n=$1
	shift
	$MPIRUN -n "$n" ranq-bridge --lease 3s "$@" >"$T/bridge" 2>&1 &
	bridge=$!
}
ended() { ! kill -0 "$bridge" 2>/dev/null; }
field() { ranq info --json "$1" | sed -n "s/.*\"$2\": *\\([0-9]*\\).*/\\1/p" | head -1; }
more_than() { [ "$(field "$1" done)" -gt "$2" ]; }
# rank K: pid of the rank K of our launcher (children in order of their start are in order of their ranks)
rank() { pgrep -P "$bridge" -x ranq-bridge | sort -n | sed -n "$(($1 + 1))p"; }
ends_with() { # STATUS NAME
	local rc
	wait_for 20 ended || { fail "$2" "still there: $(cat "$T/bridge")"; kill -9 "$bridge"; return; }
	wait "$bridge"
	rc=$?
	if [ "$rc" = "$1" ]; then pass "$2"; else fail "$2" "status $rc: $(cat "$T/bridge")"; fi
}
in_order() { # JOB N NAME
	ranq results "$1" >"$T/results" 2>"$T/results.err"
	if cmp -s "$T/results" <(seq "$2"); then pass "$3"; else fail "$3" "$(head -c 300 "$T/results.err"; diff "$T/results" <(seq "$2") | head -5)"; fi
}

for n in 1 2 3 5; do
	bridge "$n"
	j=$(ranq submit --lease 3s --range 1-300 -- echo {})
	TEST="$n ranks: complete" status 0 ranq wait --timeout 60s "$j"
	in_order "$j" 300 "$n ranks: in order"
	ranq drain all >/dev/null 2>&1
	ends_with 0 "$n ranks: drained, status 0"
done

# without any launcher
ranq-bridge --lease 3s --slots 2 >"$T/bridge" 2>&1 &
bridge=$!
j=$(ranq submit --lease 3s --range 1-100 -- echo {})
TEST="no launcher: complete" status 0 ranq wait --timeout 60s "$j"
in_order "$j" 100 "no launcher: in order"
kill -TERM "$bridge"
ends_with 0 "no launcher: TERM drains, status 0"

# two nodes that share nothing but MPI, a module and data for both
export RANQ_TEST_NODES=2
bridge 5
head -c 3000000 /dev/urandom >"$T/data"
j=$(ranq submit --lease 3s --range 1-200000 --data "$T/data" --module "$RANQ_TEST_BUILDDIR/tests/modules/noop.so" --function noop)
TEST="two nodes: complete" status 0 ranq wait --timeout 60s "$j"
is "$(ranq results --as int64 "$j" | awk '$1 != NR-1 {bad++} END {print NR, bad+0}')" "200000 0" "two nodes: every result once, in order"
ranq drain all >/dev/null 2>&1
ends_with 0 "two nodes: drained, status 0"
unset RANQ_TEST_NODES

# mpirun hands USR1 on to all ranks: drain
bridge 3 --grace 500ms
j=$(ranq submit --lease 3s --range 1-4 -- sh -c "[ -e $T/go ] || exec sleep 1000; echo {}")
wait_for 20 bash -c "ranq info --json '$j' | grep -q '\"running\": *[1-9]'"
kill -USR1 "$bridge"
ends_with 0 "USR1: drained with grace, status 0"
is "$(field "$j" running)" "0" "USR1: the running tasks went back"
is "$(field "$j" deaths)" "0" "USR1: nobody is to blame"
touch "$T/go"

# TERM of mpirun: its killing sequence; what we hold goes back at once, not by expiry of the lease
rm "$T/go"
bridge 3
wait_for 20 bash -c "ranq info --json '$j' | grep -q '\"running\": *[1-9]'"
kill -TERM "$bridge"
wait_for 20 ended
is "$(field "$j" running)" "0" "TERM of mpirun: everything went back"
is "$(ranq workers --json | grep -c '"host"')" "0" "TERM of mpirun: no bridge is registered"
touch "$T/go"
bridge 3
TEST="TERM of mpirun: another bridge completes the job" status 0 ranq wait --timeout 30s "$j"
in_order "$j" 4 "TERM of mpirun: in order"

# stopped and continued as a whole, shorter than the lease: goes on
j=$(ranq submit --lease 3s --range 1-2000 -- echo {})
wait_for 30 more_than "$j" 50
for r in 0 1 2; do kill -STOP "$(rank $r)"; done
before=$(field "$j" done)
for r in 0 1 2; do kill -CONT "$(rank $r)"; done
TEST="stop and continue: complete" status 0 ranq wait --timeout 60s "$j"
in_order "$j" 2000 "stop and continue: in order ($before before)"
ok kill -0 "$bridge"

# the server hangs for longer than the lease: nobody's lease expires by that, nothing is computed twice
j=$(ranq submit --lease 3s --range 1-2000 -- echo {})
wait_for 30 more_than "$j" 50
kill -STOP "$REDIS_PID"
# the time itself is what is tested
read -r -t 5 <> <(:) || :
kill -CONT "$REDIS_PID"
TEST="frozen server: complete" status 0 ranq wait --timeout 60s "$j"
in_order "$j" 2000 "frozen server: in order"
is "$(field "$j" requeued)" "0" "frozen server: nothing was given out again"

# connections cut and functions forgotten in mid-run
j=$(ranq submit --lease 3s --range 1-2000 -- echo {})
for k in 200 500 800 1100 1400; do
	wait_for 30 more_than "$j" "$k"
	rcli client kill type normal skipme yes >/dev/null
	[ "$k" = 800 ] && rcli function flush >/dev/null
done
TEST="cut connections: complete" status 0 ranq wait --timeout 60s "$j"
in_order "$j" 2000 "cut connections: in order"

# rank 0 stands still for longer than the lease while another bridge takes over, then wakes up as a zombie; its workers give it up
# after two leases only
back() { [ "$(ranq workers --json | grep -o '"host"' | wc -l)" = 2 ]; }
$MPIRUN -n 3 ranq-bridge >"$T/bridge2" 2>&1 &
second=$!
ok wait_for 20 back
# some seconds of work, so that both bridges hold some of it when the one is stopped
j=$(ranq submit --lease 3s --range 1-1200 -- sh -c 'sleep 0.02; echo {}')
wait_for 30 more_than "$j" 50
zombie=$(rank 0)
kill -STOP "$zombie"
requeued() { [ "$(field "$j" requeued)" -gt 0 ]; }
ok wait_for 30 requeued
kill -CONT "$zombie"
TEST="zombie: complete" status 0 ranq wait --timeout 60s "$j"
in_order "$j" 1200 "zombie: in order"
ok wait_for 20 back
ranq drain all >/dev/null
ends_with 0 "zombie: drained, status 0"
ok wait_for 20 bash -c "! kill -0 $second 2>/dev/null"

is "$(for p in $(marked_pids); do cat "/proc/$p/comm"; done 2>/dev/null | grep -E 'ranq|mpirun' | sort | uniq -c)" "" "no process is left"
done_testing
