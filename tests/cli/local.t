#!/usr/bin/env bash
# `ranq run --local` leaves nothing behind: no process, socket or file, whoever of it is killed.
. "$(dirname "$0")/../support/tap.sh"
[ -x "$RANQ_TEST_BINDIR/ranq-bridge" ] || skip_all "built without ranq-bridge"
ours() { pgrep -f "$XDG_RUNTIME_DIR/ranq-local-|$T/marker" | grep -vx $$; }
nothing_left() { [ -z "$(ours)" ] && [ -z "$(find "$XDG_RUNTIME_DIR" "$TMPDIR" -mindepth 1)" ]; }
expect_nothing() {
	if wait_for 20 nothing_left; then pass "$1: nothing is left"; else
		fail "$1: nothing is left" "$(pgrep -af "$XDG_RUNTIME_DIR|$T/marker"; find "$XDG_RUNTIME_DIR" "$TMPDIR" -mindepth 1)"; fi
}
working() { [ -e "$T/marker/on" ]; }
begin() { # a run whose tasks last for ever
	rm -rf "$T/marker"
	mkdir "$T/marker"
	ranq run --local=2 -- sh -c "touch $T/marker/on; exec tail -f /dev/null --pid=1 $T/marker/on" ::: 1 2 3 4 >"$T/run.out" 2>&1 &
	run=$!
	wait_for 30 working || fail "$1: the run works" "$(cat "$T/run.out")"
}
of_run() { pgrep -f "$1.*$XDG_RUNTIME_DIR/ranq-local-" | head -1; }

TEST="a run" status 0 ranq run --local=2 -- echo {} ::: a b
is "$out" "a
b" "its outputs"
# descriptors: a task has as many as the user, the processes that work for many of them (here that above the executor) may have more
guardian="/proc/\$(cut -d' ' -f4 /proc/\$PPID/stat)"
of_guardian="ulimit -Sn; awk '/open files/ { print (\$4 > 300) }' $guardian/limits; cut -d' ' -f2 $guardian/stat"
TEST="a run with few descriptors" status 0 bash -c 'ulimit -Sn 300; exec ranq run --local=1 --shell -- "$1"' - "$of_guardian"
is "$out" "300
1
(ranq-exec)" "the limit of its task and of ranq-exec"
expect_nothing "after a run"

begin "interrupted"
kill -TERM $run
wait $run
is $? 130 "TERM: status 130"
expect_nothing "interrupted"

begin "killed"
kill -KILL $run
wait $run 2>/dev/null
expect_nothing "ranq killed -9"

begin "keeper killed"
keeper=$(pgrep -P $run | head -1)
kill -KILL "$keeper"
wait $run
if [ $? != 0 ]; then pass "the keeper killed -9: the run fails"; else fail "the keeper killed -9: the run fails"; fi
expect_nothing "keeper killed -9"

begin "server killed"
kill -KILL "$(of_run redis-server)"
wait_for 90 bash -c "! kill -0 $run 2>/dev/null" || fail "server killed: the run ends" "$(cat "$T/run.out")"
wait $run
is $? 3 "the private server killed -9: status 3"
like "$(cat "$T/run.out")" 'private Redis server' "and why"
expect_nothing "server killed -9"

# a private server that does not get to run for some seconds is not lost
for i in $(seq 60); do echo $i; sleep 0.1; done | ranq run --local=2 -a - -- echo {} >"$T/slow.out" 2>"$T/slow.err" &
run=$!
wait_for 30 test -s "$T/slow.out"
server=$(of_run redis-server)
kill -STOP "$server"
given_up() { ! kill -0 $run; }
within 2 given_up && fail "it waits for a silent server" # longer than for one that is gone
kill -CONT "$server"
wait $run
is $? 0 "a server that is silent for 2 s: the run goes on"
if cmp -s "$T/slow.out" <(seq 60); then pass "and has all results"; else fail "and has all results" "$(tail -3 "$T/slow.err")"; fi

# both at once: the next run removes what they left
begin "both killed"
keeper=$(pgrep -P $run | head -1)
kill -KILL "$run" "$keeper"
wait $run 2>/dev/null
no_server() { [ -z "$(of_run redis-server)" ]; }
ok wait_for 20 no_server
touch -d '10 minutes ago' "$XDG_RUNTIME_DIR"/ranq-local-*
rm -rf "$T/marker"
TEST="the run after that" status 0 ranq run --local=1 -- echo again
is "$(find "$XDG_RUNTIME_DIR" -mindepth 1 | wc -l)" 0 "removes the directory of the killed one"

TEST="no redis-server" RANQ_REDIS_SERVER="$T/none" status 2 ranq run --local=1 -- true
like "$err" 'RANQ_REDIS_SERVER' "is one clear line"
expect_nothing "after a start that failed"
done_testing
