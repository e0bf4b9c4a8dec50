#!/usr/bin/env bash
# A server that is reading its data after a restart is waited for, not reported as out of reach.
. "$(dirname "$0")/../support/tap.sh"
start_redis
j=$(ranq submit --range 1-3 -- echo {})
for ((k = 0; k < 1500; k++)); do echo "set filler:$k x"; done | rcli >/dev/null
# a slow machine may look when it has loaded all
is_up() { state=$(rcli ping 2>&1); case "$state" in *LOADING* | PONG) return 0 ;; esac; return 1; }
for _ in 1 2 3 4 5; do
	kill -9 "$REDIS_PID"
	wait "$REDIS_PID" 2>/dev/null
	redis-server --port 0 --unixsocket "$T/redis/s" --dir "$T/redis" --save '' --appendonly yes --maxmemory-policy noeviction \
		--loglevel warning --logfile redis.log --key-load-delay 1000 --loading-process-events-interval-bytes 1024 >/dev/null 2>&1 &
	REDIS_PID=$!
	wait_for 10 is_up
	[ "$state" = PONG ] || break
done
like "$state" LOADING "it is loading"
TEST="the question is answered" status 0 ranq info --json "$j"
like "$out" '"tasks": ?3' "from what was loaded"
done_testing
