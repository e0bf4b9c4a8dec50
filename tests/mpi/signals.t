#!/usr/bin/env bash
# Signals to a bridge under mpirun: it drains, gives back, stands still and goes on.
. "$(dirname "$0")/../support/tap.sh"
. "$(dirname "$0")/../support/bridges.sh"
start_redis

# mpirun hands USR1 on to all ranks: drain
bridge 3 --grace 500ms
j=$(ranq submit --lease 3s --range 1-4 -- sh -c "[ -e $T/go ] || exec sleep 1000; echo {}")
wait_for 20 bash -c "ranq info --json '$j' | grep -q '\"leased\": *[1-9]'"
like "$(cat "/proc/$(pgrep -x ranq-bridge -P "$bridge" | tail -1)/maps")" '/dev/shm/ranq-mpi-[^/]*/' "the memory of MPI is in a directory of the rank"
like "$(ranq info "$j")" 'tasks +4, 0 done, [1-4] leased' "info says what a worker has"
like "$(ranq tasks --state leased "$j")" '4 tasks succeeded, 0 failed, [1-4] leased' "and so does the list of tasks"
kill -USR1 "$bridge"
ends_with 0 "USR1: drained with grace, status 0"
is "$(field "$j" leased)" "0" "USR1: the running tasks went back"
is "$(field "$j" deaths)" "0" "USR1: nobody is to blame"
touch "$T/go"

# TERM of mpirun: its killing sequence; what we hold goes back at once, not by expiry of the lease
rm "$T/go"
all_back() { ranq drain all; [ "$(field "$j" leased)" = 0 ]; }
# mpirun kills what is there a second later, and on a busy machine that may be all of them: one of three
for _ in 1 2 3; do
	bridge 3
	wait_for 20 bash -c "ranq info --json '$j' | grep -q '\"leased\": *[1-9]'"
	kill -TERM "$bridge"
	wait_for 20 ended
	went_back="$(field "$j" leased) $(ranq workers --json | grep -c '"host"')"
	[ "$went_back" != "0 0" ] || break
	wait_for 10 all_back
done
is "$went_back" "0 0" "TERM of mpirun: everything went back, no bridge is registered"
touch "$T/go"
bridge 3
TEST="TERM of mpirun: another bridge completes the job" status 0 ranq wait --timeout 300s "$j"
in_order "$j" 4 "TERM of mpirun: in order"

# stopped and continued as a whole, shorter than the lease: goes on
j=$(ranq submit --lease 3s --range 1-2000 -- echo {})
wait_for 30 more_than "$j" 50
for r in 0 1 2; do kill -STOP "$(rank $r)"; done
before=$(field "$j" done)
for r in 0 1 2; do kill -CONT "$(rank $r)"; done
TEST="stop and continue: complete" status 0 ranq wait --timeout 300s "$j"
in_order "$j" 2000 "stop and continue: in order ($before before)"
ok kill -0 "$bridge"
ranq drain all >/dev/null
ends_with 0 "drained, status 0"

# PBS stops the sessions that it knows, on the first node that of join alone: ranks and tasks follow, and go on with it
printf '%s\n' "$(hostname)" "$(hostname)" >"$T/nodes"
PBS_JOBID=7.pbs PBS_NODEFILE="$T/nodes" ranq join >"$T/bridge" 2>&1 &
bridge=$!
j=$(ranq submit --lease 3s --range 1-2 --shell "echo \$\$ >$T/pid.{}; until [ -e $T/go.on ]; do sleep 0.02; done; echo {}")
both_run() { [ -s "$T/pid.1" ] && [ -s "$T/pid.2" ]; }
followers() {
	cat "$T/pid.1" "$T/pid.2"
	pgrep -P "$(pgrep -P "$bridge" -o)" -x ranq-bridge
}
are() { # T or something else
	[ "$(for p in $(followers); do sed 's/.*) \(.\).*/\1/' "/proc/$p/stat"; done | grep -c "$1")" = 5 ]
}
ok wait_for 60 both_run
kill -STOP "$bridge"
TEST="suspended: tasks and ranks are stopped" ok wait_for 60 are T
kill -CONT "$bridge"
TEST="resumed: they go on" ok wait_for 60 are '[^T]'
touch "$T/go.on"
TEST="suspended and resumed: complete" status 0 ranq wait --timeout 300s "$j"
in_order "$j" 2 "suspended and resumed: each result once"
is "$(grep -c 'restart in' "$T/bridge")" 0 "suspended and resumed: by the same ranks"
ranq drain all >/dev/null
ends_with 0 "drained after a suspension, status 0"

no_process_left
done_testing
