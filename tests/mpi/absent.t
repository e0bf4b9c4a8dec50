#!/usr/bin/env bash
# The server, the connections or rank 0 are away for a while: all tasks once and in order.
. "$(dirname "$0")/../support/tap.sh"
. "$(dirname "$0")/../support/bridges.sh"
start_redis
bridge 3

# the server hangs for longer than the lease: nobody's lease expires by that, nothing is computed twice
j=$(ranq submit --lease 3s --range 1-2000 -- echo {})
wait_for 30 more_than "$j" 50
kill -STOP "$REDIS_PID"
# the time itself is what is tested
read -r -t 5 <> <(:) || :
kill -CONT "$REDIS_PID"
TEST="frozen server: complete" status 0 ranq wait --timeout 300s "$j"
in_order "$j" 2000 "frozen server: in order"
is "$(field "$j" requeued)" "0" "frozen server: nothing was given out again"

# connections cut and functions forgotten in mid-run
j=$(ranq submit --lease 3s --range 1-2000 -- echo {})
for k in 200 500 800 1100 1400; do
	wait_for 30 more_than "$j" "$k"
	rcli client kill type normal skipme yes >/dev/null
	[ "$k" = 800 ] && rcli function flush >/dev/null
done
TEST="cut connections: complete" status 0 ranq wait --timeout 300s "$j"
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
TEST="zombie: complete" status 0 ranq wait --timeout 300s "$j"
in_order "$j" 1200 "zombie: in order"
ok wait_for 20 back
ranq drain all >/dev/null
ends_with 0 "zombie: drained, status 0"
ok wait_for 20 bash -c "! kill -0 $second 2>/dev/null"

no_process_left
done_testing
