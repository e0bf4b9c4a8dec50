#!/usr/bin/env bash
# Bodies that end badly: each costs its own task only and says why; the others are right, and the ranks live.
. "$(dirname "$0")/../support/tap.sh"
start_redis
bodies=$RANQ_TEST_BUILDDIR/tests/modules/bodies.so
ranq join --lease 3s -n 2 >"$T/join" 2>&1 &
join=$!

failed() { ranq tasks last --json --state failed | sed 's/},{/}\n{/g' | grep '"index"'; }
reason() { failed | grep "\"index\": *$1,"; }
functions=(--lease 3s --module "$bodies" --function misbehave --max-deaths 2)
TEST="functions" status 1 ranq run "${functions[@]}" --memory 50MB -- ::: ok segfault ok exit ok overflow ok leak-crash ok leak-return ok pipe ok
is "$(failed | wc -l)" 6 "six tasks failed"
like "$(reason 1)" '"DIED".*killed by signal 11 \(Segmentation fault\)' "segfault"
like "$(reason 3)" '"DIED".*exited with status 3 inside the body' "exit"
like "$(reason 5)" '"DIED".*killed by signal 11' "stack overflow"
like "$(reason 7)" '"DIED".*\(memory limit 50 MB, peak ' "a leak, and a crash for it"
like "$(reason 9)" '"ERROR".*no memory \(memory limit 50 MB, in use ' "a leak, noticed by the body"
like "$(reason 11)" '"DIED".*killed by signal 13 \(Broken pipe\)' "a closed pipe"
like "$(ranq info last --json)" '"ok": *7\b' "the other seven are right"

TEST="commands" status 1 ranq run --lease 3s --memory 50MB -- sh -c '{}; echo fine' ::: \
	true 'kill -SEGV $$' true 'exit 3' true 'head -c 100000000 /dev/zero | tail -n 1 || exit 4' true 'kill -PIPE $$' true
like "$(reason 1)" '"ERROR".*killed by signal 11' "command: segfault"
like "$(reason 3)" '"ERROR".*exit status 3' "command: exit"
like "$(reason 5)" '"ERROR".*exit status 4 \(memory limit 50 MB, peak ' "command: a leak"
like "$(reason 7)" '"ERROR".*killed by signal 13' "command: a closed pipe"
is "$(printf '%s\n' "$out" | grep -cx fine)" 5 "the other five are right"

limit=(--timeout 1s --grace 100ms)
TEST="a function without end" status 1 ranq run "${functions[@]}" "${limit[@]}" -- ::: ok spin ok
like "$(failed)" '"index": *1,.*"TIMEOUT".*timed out after 1' "it says so"
like "$(ranq info last --json)" '"ok": *2\b' "the other two are right"
TEST="a command without end" status 1 ranq run --lease 3s "${limit[@]}" -- sleep 100
like "$(failed)" '"TIMEOUT".*timed out after 1' "it says so, too"

TEST="less than any program needs" status 2 ranq submit --memory 1000 -- true
ok kill -0 "$join"
# whoever takes one waits for the other rank
mkdir "$T/met"
TEST="both ranks take work" status 0 ranq run --lease 3s --chunk 1 --timeout 120s --range 1-4 -- \
	sh -c "touch $T/met/\$RANQ_RANK; until [ \$(ls $T/met | wc -l) -ge 2 ]; do sleep 0.02; done"
is "$(find "$T/met" -type f | wc -l)" 2 "both ranks live"
is "$(grep -ci 'lost\|silent\|broken' "$T/join")" 0 "and nobody missed one"
ranq drain all >/dev/null
ok wait_for 20 bash -c "! kill -0 $join"

# the kernel's own limit, where we may set one: executors go first, and the count of the group tells it from any other signal 9
group=
for g in /sys/fs/cgroup/memory /sys/fs/cgroup; do
	mkdir "$g/ranq-test-$$" 2>/dev/null || continue
	group=$g/ranq-test-$$
	echo 150M 2>/dev/null >"$group/memory.limit_in_bytes" || echo 150M 2>/dev/null >"$group/memory.max" || { rmdir "$group"; group=; continue; }
	for f in memory.memsw.limit_in_bytes memory.swap.max; do [ -w "$group/$f" ] && echo 150M >"$group/$f"; done
	break
done
if [ -n "$group" ]; then
	limited() { bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$@"; }
	TEST="out of memory: functions" status 1 limited ranq run --local=1 --max-deaths 1 --module "$bodies" --function misbehave ::: ok leak-return ok
	like "$err" 'DIED: killed by signal 9 \(Killed\), out of memory' "out of memory: an executor"
	TEST="out of memory: commands" status 1 limited ranq run --local=1 -- sh -c '{}' ::: \
		'echo fine' 'exec tail -n 1 /dev/zero' 'tail -n 1 /dev/zero; exit $?' 'kill -9 $$' 'echo fine'
	like "$err" 'task 1 .*ERROR: killed by signal 9 \(Killed\), out of memory' "out of memory: a command"
	like "$err" 'task 2 .*ERROR: exit status 137, out of memory' "out of memory: the child of a shell"
	like "$err" 'task 3 .*ERROR: killed by signal 9 \(Killed\)$' "signal 9 from elsewhere"
	is "$out" "fine
fine" "the others are right"
	empty() { rmdir "$group"; }
	ok wait_for 10 empty
else
	echo "# no control group of our own: what the kernel kills is not tested"
fi
done_testing
