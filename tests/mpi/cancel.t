#!/usr/bin/env bash
# Cancel (F45): within a second nothing of the job runs any more, whatever its tasks started; twice and after the end changes nothing.
. "$(dirname "$0")/../support/tap.sh"
start_redis
ranq join --lease 3s -n 2 >"$T/join" 2>&1 &
join=$!
# each task leaves a grandchild in its group and one that ignores TERM
cat >"$T/task" <<'EOT'
#!/bin/sh
trap '' TERM
echo "$RANQ_TASK" >>"$T/started"
tail -f /dev/null &
tail -f /dev/null
EOT
chmod +x "$T/task"
waiting() { for p in $(pgrep -x tail); do grep -qzx "RANQ_TEST_MARK=$RANQ_TEST_MARK" "/proc/$p/environ" 2>/dev/null && echo "$p"; done; }
four() { [ "$(waiting | wc -l)" -ge 4 ]; }
none() { [ -z "$(waiting)" ]; }
# one of these rounds may be slow by whatever else this machine does
for _ in 1 2 3; do
	long=$(ranq submit --lease 3s --range 1-100 -- "$T/task")
	ok wait_for 30 four
	started=$(wc -l <"$T/started")
	t=$(date +%s%N)
	TEST="cancel" status 0 ranq cancel "$long"
	TEST="done with status 1" status 1 ranq wait --timeout 300s "$long"
	if wait_for 10 none; then pass "nothing of it runs"; else fail "nothing of it runs" "$(ps -ef | grep tail)"; fi
	ms=$((($(date +%s%N) - t) / 1000000))
	is "$(wc -l <"$T/started")" "$started" "no further task was started"
	[ "$ms" -ge 2000 ] || break
	echo "# after $ms ms"
done
# whatever they ignore
if [ "$ms" -lt 2000 ]; then pass "after $ms ms"; else fail "soon" "$ms ms"; fi
again() { ranq cancel "$long" >"$T/again" 2>&1; [ $? -le 2 ]; }
ok again
like "$(ranq info "$long")" 'CANCELLED' "it stays CANCELLED"
TEST="the bridge takes the next job" status 0 ranq run --range 1-20 -- echo {}
is "$out" "$(seq 20)" "with its results"
ok kill -0 "$join"
TEST="rm" status 0 ranq rm "$long"
ranq drain all >/dev/null 2>&1
gone() { ! kill -0 "$join" 2>/dev/null; }
ok wait_for 20 gone
ranq rm last >/dev/null 2>&1
done_testing
