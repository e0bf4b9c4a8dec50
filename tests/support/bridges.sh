# shellcheck shell=bash
# bridges.sh - for tests that start ranq-bridge under mpirun themselves, without ranq join: source it after tap.sh.
#   bridge RANKS [OPTION]...   in the background; $bridge is the pid of its launcher, $T/bridge what it says
#   rank K                     pid of its rank K
#   ends_with STATUS NAME      its end
command -v mpirun >/dev/null || skip_all "no mpirun"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
: "${MPIRUN:=mpirun --oversubscribe --bind-to none}"

bridge() {
	local n=$1
	shift
	$MPIRUN -n "$n" ranq-bridge --lease 3s "$@" >"$T/bridge" 2>&1 &
	bridge=$!
}
ended() { ! kill -0 "$bridge" 2>/dev/null; }
field() { ranq info --json "$1" | sed -n "s/.*\"$2\": *\\([0-9]*\\).*/\\1/p" | head -1; }
more_than() { [ "$(field "$1" done)" -gt "$2" ]; }
# rank K: pid of the rank K of our launcher (children in order of their start are in order of their ranks)
rank() { pgrep -P "$bridge" -x ranq-bridge | sort -n | sed -n "$(($1 + 1))p"; }
ends_with() { # STATUS NAME
	local rc
	wait_for 20 ended || { fail "$2" "still there: $(cat "$T/bridge")"; kill -9 "$bridge"; return; }
	wait "$bridge"
	rc=$?
	if [ "$rc" = "$1" ]; then pass "$2"; else fail "$2" "status $rc: $(cat "$T/bridge")"; fi
}
in_order() { # JOB N NAME
	ranq results "$1" >"$T/results" 2>"$T/results.err"
	if cmp -s "$T/results" <(seq "$2"); then pass "$3"; else fail "$3" "$(head -c 300 "$T/results.err"; diff "$T/results" <(seq "$2") | head -5)"; fi
}
no_process_left() {
	is "$(for p in $(marked_pids); do cat "/proc/$p/comm"; done 2>/dev/null | grep -E 'ranq|mpirun' | sort | uniq -c)" "" "no process is left"
}
