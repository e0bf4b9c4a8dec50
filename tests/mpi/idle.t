#!/usr/bin/env bash
# An idle bridge costs next to nothing: under 1 % of a core a rank and fewer than 2 Redis commands a second, at the default lease.
. "$(dirname "$0")/../support/tap.sh"
start_redis
ranq join -n 2 >"$T/join" 2>&1 &
ok wait_for 30 bash -c 'ranq workers --json | grep -q "\"ranks\": *2"'
j=$(ranq submit --range 1-10 -- echo {})
TEST="it works" status 0 ranq wait --timeout 300s "$j"
ticks() { # of all processes of the bridge
	local p
	for p in $(pgrep -x ranq-bridge) $(pgrep -x ranq-exec); do
		{ tr '\0' '\n' <"/proc/$p/environ"; } 2>/dev/null | grep -qx "RANQ_TEST_MARK=$RANQ_TEST_MARK" && sed 's/.*) //' "/proc/$p/stat" | awk '{print $12+$13}'
	done | awk '{s+=$1} END {print s+0}'
}
# by the server's own count, which includes what the functions do inside
commands() { rcli info stats | awk -F: '/^total_commands_processed/ {print $2+0}'; }
# what the job leaves to do is over: no call for a second
calls() { rcli info commandstats | sed -n 's/^cmdstat_fcall:calls=\([0-9]*\).*/\1/p'; }
settled() { local before; before=$(calls); read -r -t 1 <> <(:) || [ "$(calls)" = "$before" ]; }
ok wait_for 30 settled
seconds=30
t0=$(ticks) c0=$(commands) n0=$(date +%s%N)
# measuring takes time by its nature: this is the interval, not a wait for something
read -r -t "$seconds" <> <(:) || :
t1=$(ticks) c1=$(commands) n1=$(date +%s%N)
hz=$(getconf CLK_TCK)
ranks=3
cpu=$(awk -v t=$((t1 - t0)) -v hz="$hz" -v ns=$((n1 - n0)) -v r=$ranks 'BEGIN{printf "%.3f", 100*t/hz/(ns/1e9)/r}')
rate=$(awk -v c=$((c1 - c0)) -v ns=$((n1 - n0)) 'BEGIN{printf "%.2f", c/(ns/1e9)}')
echo "# idle: $cpu % of a core a rank, $rate commands/s"
if awk -v x="$cpu" 'BEGIN{exit !(x<1)}'; then pass "under 1 % a rank"; else fail "under 1 % a rank" "$cpu %"; fi
if awk -v x="$rate" 'BEGIN{exit !(x<2)}'; then pass "fewer than 2 commands a second"; else fail "fewer than 2 commands a second" "$rate"; fi
done_testing
