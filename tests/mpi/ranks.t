#!/usr/bin/env bash
# Bridges of several sizes under mpirun, without any launcher, on pretended nodes: all tasks once and in order.
. "$(dirname "$0")/../support/tap.sh"
. "$(dirname "$0")/../support/bridges.sh"
start_redis

for n in 1 2 3 5; do
	bridge "$n"
	j=$(ranq submit --lease 3s --range 1-300 -- echo {})
	TEST="$n ranks: complete" status 0 ranq wait --timeout 300s "$j"
	in_order "$j" 300 "$n ranks: in order"
	ranq drain all >/dev/null 2>&1
	ends_with 0 "$n ranks: drained, status 0"
done

# one task among short ones that takes long: nothing waits behind it
bridge 3
j=$(ranq submit --range 1-800 --shell "[ {} != 400 ] || until [ -e '$T/go' ]; do sleep 0.1; done; echo {}")
all_but_one() { [ "$(field "$j" done)" = 799 ]; }
if wait_for 40 all_but_one; then pass "all others are done before it"; else fail "all others are done before it" "$(ranq tasks "$j")"; fi
touch "$T/go"
TEST="a long task: complete" status 0 ranq wait --timeout 300s "$j"
in_order "$j" 800 "a long task: in order"
ranq drain all >/dev/null 2>&1
ends_with 0 "a long task: drained, status 0"

# without any launcher
ranq-bridge --lease 3s --slots 2 >"$T/bridge" 2>&1 &
bridge=$!
j=$(ranq submit --lease 3s --range 1-100 -- echo {})
TEST="no launcher: complete" status 0 ranq wait --timeout 300s "$j"
in_order "$j" 100 "no launcher: in order"
kill -TERM "$bridge"
ends_with 0 "no launcher: TERM drains, status 0"

# two nodes that share nothing but MPI, a module and data for both
export RANQ_TEST_NODES=2
bridge 5
head -c 3000000 /dev/urandom >"$T/data"
j=$(ranq submit --lease 3s --range 1-200000 --data "$T/data" --module "$RANQ_TEST_BUILDDIR/tests/modules/noop.so" --function noop)
TEST="two nodes: complete" status 0 ranq wait --timeout 300s "$j"
is "$(ranq results --as int64 "$j" | awk '$1 != NR-1 {bad++} END {print NR, bad+0}')" "200000 0" "two nodes: every result once, in order"
ranq drain all >/dev/null 2>&1
ends_with 0 "two nodes: drained, status 0"
unset RANQ_TEST_NODES

no_process_left
done_testing
