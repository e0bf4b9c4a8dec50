#!/usr/bin/env bash
# Bodies that end badly: each costs its own task only and says why; the others are right, and the ranks live.
. "$(dirname "$0")/../support/tap.sh"
start_redis
bodies=$RANQ_TEST_BUILDDIR/tests/modules/bodies.so
ranq join --lease 3s -n 2 >"$T/join" 2>&1 &
join=$!

set -- segfault exit overflow leak-crash leak-return pipe spin
run=(--lease 3s --module "$bodies" --function misbehave --memory 200MB --timeout 1s --grace 100ms --max-deaths 2)
TEST="functions" status 1 ranq run "${run[@]}" -- ::: ok "$1" ok "$2" ok "$3" ok "$4" ok "$5" ok "$6" ok "$7" ok
failed() { ranq tasks last --json --state failed | sed 's/},{/}\n{/g' | grep '"index"'; }
reason() { failed | grep "\"index\": *$1,"; }
is "$(failed | wc -l)" 7 "seven tasks failed"
like "$(reason 1)" '"DIED".*killed by signal 11 \(Segmentation fault\)' "segfault"
like "$(reason 3)" '"DIED".*exited with status 3 inside the body' "exit"
like "$(reason 5)" '"DIED".*killed by signal 11' "stack overflow"
like "$(reason 7)" '"DIED".*\(memory limit 200 MB, peak ' "a leak, and a crash for it"
like "$(reason 9)" '"ERROR".*no memory \(memory limit 200 MB, in use ' "a leak, noticed by the body"
like "$(reason 11)" '"DIED".*killed by signal 13 \(Broken pipe\)' "a closed pipe"
like "$(reason 13)" '"TIMEOUT".*timed out after 1' "no end"
like "$(ranq info last --json)" '"ok": *8\b' "the other eight are right"

run=(--lease 3s --memory 200MB --timeout 1s --grace 100ms)
TEST="commands" status 1 ranq run "${run[@]}" -- sh -c '{}; echo fine' ::: \
	true 'kill -SEGV $$' true 'exit 3' true 'head -c 400000000 /dev/zero | tail -n 1 || exit 4' true 'kill -PIPE $$' true 'sleep 100' true
like "$(reason 1)" '"ERROR".*killed by signal 11' "command: segfault"
like "$(reason 3)" '"ERROR".*exit status 3' "command: exit"
like "$(reason 5)" '"ERROR".*exit status 4 \(memory limit 200 MB, peak ' "command: a leak"
like "$(reason 7)" '"ERROR".*killed by signal 13' "command: a closed pipe"
like "$(reason 9)" '"TIMEOUT".*timed out after 1' "command: no end"
is "$(printf '%s\n' "$out" | grep -cx fine)" 6 "the other six are right"

TEST="less than any program needs" status 2 ranq submit --memory 1000 -- true
ok kill -0 "$join"
TEST="both ranks take work" status 0 ranq run --lease 3s --chunk 1 --range 1-20 -- sh -c 'sleep 0.05; echo $RANQ_RANK'
is "$(printf '%s\n' "$out" | sort -u | wc -l)" 2 "both ranks live"
is "$(grep -ci 'lost\|silent\|broken' "$T/join")" 0 "and nobody missed one"
ranq drain all >/dev/null
ok wait_for 20 bash -c "! kill -0 $join"
done_testing
