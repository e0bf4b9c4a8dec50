#!/usr/bin/env bash
# `ranq submit --durable`: ends when the job is on the server's disk; refused where nothing is.
. "$(dirname "$0")/../support/tap.sh"
start_redis
version=$(rcli info server | awk -F'[:.]' '/^redis_version/ {print $2 * 100 + $3}')
t=$(date +%s%N)
TEST="a durable job" status 0 ranq submit --durable --range 1-3 -- echo {}
is "$out" "default/1" "its id"
ms=$((($(date +%s%N) - t) / 1000000))
if [ "$version" -ge 702 ]; then
	is "$(rcli info commandstats | grep -c '^cmdstat_waitaof')" 1 "the server was asked"
elif [ "$ms" -ge 2000 ]; then pass "after $ms ms: an old server writes at least every second"; else fail "too early" "$ms ms"; fi
TEST="it is there" status 0 ranq info default/1
# killed while the client waits: the job was in the file, and is found again
ranq submit --durable --range 1-3 -- echo {} >"$T/id" 2>"$T/err" &
submit=$!
has_id() { [ -s "$T/id" ]; }
ok wait_for 10 has_id
kill -9 "$REDIS_PID"
wait "$REDIS_PID" 2>/dev/null
start_redis
wait "$submit"
is "$?" 0 "a server that was started again meanwhile is waited for"
is "$(ranq jobs --json | grep -o '"job": *"[^"]*"' | wc -l)" 2 "and has both jobs"
rcli config set appendonly no >/dev/null
status 2 ranq submit --durable --range 1-3 -- echo {}
like "$err" 'append-only' "the refusal says why"
is "$(ranq jobs --json | grep -o '"job": *"[^"]*"' | wc -l)" 2 "and nothing was submitted"
done_testing
