#!/usr/bin/env bash
# The bridge under MPICH: the parts that touch MPI are compiled anew with its compiler and linked with the libraries of this build.
. "$(dirname "$0")/../support/tap.sh"
command -v mpicc.mpich >/dev/null && command -v mpiexec.hydra >/dev/null || skip_all "no MPICH"
grep -q '^RANQ_SANITIZE:STRING=$' "$RANQ_TEST_BUILDDIR/CMakeCache.txt" || skip_all "the libraries of this build need a sanitizer"
b=$RANQ_TEST_BUILDDIR s=$RANQ_TEST_SOURCEDIR
mkdir "$T/mpich"
packages="libevent_core jansson libsodium hwloc"
for p in msgpack-c msgpack; do pkg-config --exists $p && packages="$packages $p" && break; done
tls=$(pkg-config --exists openssl && pkg-config --libs openssl)
# shellcheck disable=SC2046,SC2086
TEST="it compiles" ok mpicc.mpich -std=gnu11 -O1 -D_GNU_SOURCE -DRANQ_FAULTS '-DRANQ_VERSION="test"' "-I$s/src" "-I$s/src/client" "-I$s/launcher" "-I$s" \
	$(pkg-config --cflags $packages) "$s"/launcher/ranq-bridge/*.c "$s"/src/bridge/link_mpi*.c -o "$T/mpich/ranq-bridge" \
	-Wl,--start-group "$b"/launcher/libranq_launcher.a "$b"/src/libranq_*.a -Wl,--end-group $(pkg-config --libs $packages) $tls -lhiredis -lm -ldl
[ -x "$T/mpich/ranq-bridge" ] || done_testing
like "$("$T/mpich/ranq-bridge" --version)" MPICH "it is MPICH's"
start_redis

bridge() {
	mpiexec.hydra -n "$1" "$T/mpich/ranq-bridge" --lease 3s >"$T/bridge" 2>&1 &
	bridge=$!
}
ended() { ! kill -0 "$bridge" 2>/dev/null; }
ends_with() { # STATUS NAME
	local rc
	wait_for 20 ended || { fail "$2" "still there: $(cat "$T/bridge")"; kill -9 "$bridge"; return; }
	wait "$bridge"
	rc=$?
	if [ "$rc" = "$1" ]; then pass "$2"; else fail "$2" "status $rc: $(cat "$T/bridge")"; fi
}
in_order() { # JOB N NAME
	ranq results "$1" >"$T/results" 2>"$T/results.err"
	if cmp -s "$T/results" <(seq "$2"); then pass "$3"; else fail "$3" "$(cat "$T/results.err")"; fi
}
more_than() { [ "$(ranq info --json "$1" | sed -n 's/.*"done": *\([0-9]*\).*/\1/p' | head -1)" -gt "$2" ]; }
# mpiexec.hydra - hydra_pmi_proxy - ranks
ranks() { pgrep -P "$(pgrep -P "$bridge" hydra_pmi_proxy)" -x ranq-bridge | sort -n; }

for n in 1 3; do
	bridge "$n"
	j=$(ranq submit --lease 3s --range 1-300 -- echo {})
	TEST="$n ranks: complete" status 0 ranq wait --timeout 300s "$j"
	in_order "$j" 300 "$n ranks: in order"
	ranq drain all >/dev/null 2>&1
	ends_with 0 "$n ranks: drained, status 0"
done

# large messages, of a module and its results
bridge 3
j=$(ranq submit --lease 3s --range 1-1000000 --module "$b/tests/modules/noop.so" --function noop)
TEST="functions: complete" status 0 ranq wait --timeout 300s "$j"
is "$(ranq results --as int64 "$j" | awk '$1 != NR-1 {bad++} END {print NR, bad+0}')" "1000000 0" "functions: every result once, in order"
kill -USR2 "$(ranks | head -1)"
ends_with 0 "USR2 drains, status 0"

# one rank dies: hydra kills all of them at once, and nothing is lost
bridge 3
j=$(ranq submit --lease 3s --range 1-2000 -- echo {})
wait_for 30 more_than "$j" 50
kill -9 "$(ranks | tail -1)"
ok wait_for 20 ended
bridge 3
TEST="a dead rank: complete" status 0 ranq wait --timeout 300s "$j"
in_order "$j" 2000 "a dead rank: in order"
ranq drain all >/dev/null 2>&1
ends_with 0 "a dead rank: drained, status 0"

# a task kills its rank, hydra all others without a word: ranq join says what ran, long before the lease ends
ranq rm "$j" >/dev/null
RANQ_BRIDGE=$T/mpich/ranq-bridge RANQ_MPIRUN=$(command -v mpiexec.hydra) ranq join -q poison --lease 10m -n 2 >"$T/join" 2>&1 &
join=$!
j=$(ranq submit -q poison --lease 10m --max-deaths 2 --range 1-100 -- \
	sh -c 'if [ {} = 77 ]; then g=$(awk "{print \$4}" /proc/$PPID/stat); kill -9 $(awk "{print \$4}" /proc/$g/stat); sleep 20; fi; echo {}')
TEST="poison: done, a task failed" status 1 ranq wait -q poison --timeout 300s "$j"
is "$(ranq results -q poison "$j" 2>/dev/null | cksum)" "$(seq 100 | grep -vx 77 | cksum)" "poison: the other 99 results are there"
like "$(ranq tasks -q poison --json --state failed "$j")" '"index": ?76.*"status": ?"DIED"' "poison: task 76 is DIED"
ok kill -0 "$join"
# the bridge may just be dead, and on its way back
drained() { kill -0 "$join" 2>/dev/null || return 0; ranq drain -q poison all >/dev/null 2>&1; return 1; }
ok wait_for 20 drained

# under the launcher of another MPI each rank would be a world of its own
if mpirun --version 2>/dev/null | grep -q "Open MPI"; then
	OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe -n 2 "$T/mpich/ranq-bridge" >"$T/mix" 2>&1
	like "$(cat "$T/mix")" "world of its own" "a launcher that does not fit is named"
fi
done_testing
