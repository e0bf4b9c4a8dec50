#!/usr/bin/env bash
# Rank 0 dies, or loses a reply, at the worst moments, again and again (fault points, see bridge/fault.h); `ranq join` starts it anew.
# Every task has one result, in order, and nothing is left. SEED changes the moments.
. "$(dirname "$0")/../support/tap.sh"
start_redis
seed=${SEED:-$RANDOM}
echo "# seed $seed"
struck=0
# What came back three times is leased in small pieces, each with its own chance to strike, so that a bridge may no longer live for ten
# seconds; `ranq join` gives up on the twentieth such in a row, as it should, and whoever wants the job done joins again.
serve() { # FAULT
	local times
	for times in 1 2 3 4 5; do
		RANQ_FAULT=$1 ranq join -n 2 --lease 3s && break
		echo "# join $times gave up"
	done
}
round() { # POINT PROBABILITY TASKS
	local j join
	serve "$1:$2:$seed" >"$T/join" 2>&1 &
	join=$!
	j=$(ranq submit --lease 3s --range "1-$3" -- echo {})
	TEST="$1: complete" status 0 ranq wait --timeout 300s "$j"
	ranq results "$j" >"$T/results" 2>"$T/results.err"
	if cmp -s "$T/results" <(seq "$3"); then pass "$1: in order"; else fail "$1: in order" "$(head -c 300 "$T/results.err"; diff "$T/results" <(seq "$3") | head -5)"; fi
	wait_for 60 drained "$join" || { fail "$1: join ends" "$(tail -20 "$T/join")"; kill -9 "$join"; }
	strikes=$(grep -c 'fault point' "$T/join")
	echo "# $1 struck $strikes times"
	struck=$((struck + strikes))
	ranq rm "$j" >/dev/null
}
round drop_reply 0.05 1000
round leased 0.2 60
round dispatched 0.02 500
round committed 0.02 500
round before_leave 0.5 200
# each of them strikes by chance
if [ "$struck" -ge 1 ]; then pass "the points struck"; else fail "the points struck" "$struck times in all"; fi
# a bridge that died while leaving is found by the next one, whose leave is the last: then no key is left
ranq-bridge --lease 3s --idle-timeout 1s >"$T/last" 2>&1
is "$(rcli --scan --pattern 'ranq:*' | sort | tr '\n' ' ')" "" "no key is left"
is "$(for p in $(marked_pids); do cat "/proc/$p/comm"; done 2>/dev/null | grep -E 'ranq|mpirun' | sort | uniq -c)" "" "no process is left"
done_testing
