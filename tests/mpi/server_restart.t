#!/usr/bin/env bash
# kill -9 of redis-server in mid-run and a restart with its AOF: workers stay, the job completes, and no task runs again for it.
. "$(dirname "$0")/../support/tap.sh"
start_redis
ranq join --lease 30s -n 2 >"$T/join" 2>&1 &
join=$!
j=$(ranq submit --lease 30s --range 1-3000 -- sh -c "echo {} >>$T/ran; echo {}")
done_count() { ranq info --json "$j" | sed -n 's/.*"done": *\([0-9]*\).*/\1/p' | head -1; }
more_than() { [ "$(done_count)" -gt "$1" ]; }
for round in 1 2; do
	ok wait_for 60 more_than "$((round * 500))"
	kill -9 "$REDIS_PID"
	wait "$REDIS_PID" 2>/dev/null
	start_redis
done
TEST="the job completes" status 0 ranq wait --timeout 300s "$j"
ranq results "$j" >"$T/results"
ok cmp "$T/results" <(seq 3000)
# a server that lost nothing takes no lease away: what ran is committed under its token when it is back
is "$(sort -n "$T/ran" | uniq -c | awk '$1 != 1 {bad++} END {print NR, bad+0}')" "3000 0" "each task ran once"
ok kill -0 "$join"
is "$(grep -c -iE 'restart|crash' "$T/join")" 0 "the bridge was not restarted"
ranq drain all >/dev/null
ok wait_for 20 bash -c "! kill -0 $join"
done_testing
