#!/usr/bin/env bash
# During a foreach the bridge is killed with -9, then the client, then Redis: what a second client ends with is, to the last bit,
# what an undisturbed run ends with.
. "$(dirname "$0")/../support/tap.sh"
start_redis
: "${TASKS:=1600}" # some seconds more than the lease
client="$RANQ_TEST_BUILDDIR/tests/support/main_foreach"
modules="$RANQ_TEST_BUILDDIR/tests/modules"
join() { ranq join --lease 3s -n 2 >>"$T/join.log" 2>&1 & }
# everything of the bridges, launchers and programs that restart them included
bridge_pids() {
	local p
	for p in $(marked_pids); do
		case "$(cat "/proc/$p/comm" 2>/dev/null)" in ranq | ranq-bridge | ranq-exec | mpirun | mpiexec*) echo "$p" ;; esac
	done
}
combined() { [ "$(cat "$T/n" 2>/dev/null || echo 0)" -ge "$1" ]; }

join
ok wait_for 30 bash -c 'ranq workers | grep -q "$(hostname)"' # the queue has its lease now
quick=$("$client" submit "$modules/noop.so" noop "$TASKS")
want=$("$client" combine "$quick" "$T/n")
like "$want" "^$TASKS 0 " "the undisturbed run"
rm "$T/n"

job=$("$client" submit "$modules/sleepy.so" sleepy_10ms "$TASKS")
"$client" combine "$job" "$T/n" >"$T/first" 2>"$T/first.err" &
first=$!
ok wait_for 30 combined 50
# shellcheck disable=SC2046
kill -9 $(bridge_pids)
at=$(cat "$T/n")
join
ok wait_for 30 combined $((at + 100))
kill -9 "$first"
wait "$first" 2>/dev/null
is "$?" 137 "the first client is gone"
is "$(cat "$T/first")" "" "before its end"
"$client" combine "$job" "$T/n" >"$T/second" 2>"$T/second.err" &
second=$!
at=$(cat "$T/n")
ok wait_for 30 combined $((at + 50))
kill -9 "$REDIS_PID"
wait "$REDIS_PID" 2>/dev/null
start_redis
wait "$second"
is "$?" 0 "the second one comes to the end"
is "$(cat "$T/second" "$T/second.err")" "$want" "with the very same result"
like "$(ranq info "$job")" 'state +COMPLETE' "the job is complete"
ranq drain --wait all >/dev/null 2>&1
done_testing
