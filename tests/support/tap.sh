# shellcheck shell=bash
# tap.sh - for the shell tests: source it, make checks, end with `done_testing`.
#   ok COMMAND...            runs it (output shown when it fails); name in $TEST
#   is "$got" "$want" name   compares
#   wait_for SECONDS COMMAND...   polls a condition; no fixed sleeps anywhere. The limit is that of a quiet machine: it waits four times as long
#   within SECONDS COMMAND...     the same, no longer than that
#   start_redis              a private redis-server on a Unix socket under $T; sets RANQ_SERVER and REDIS_PID
#   skip_all REASON          ends with 77
# $T is a private directory; everything started with RANQ_TEST_MARK in its environment is killed at the end.
set -u
: "${RANQ_TEST_SOURCEDIR:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
: "${RANQ_TEST_BUILDDIR:=$RANQ_TEST_SOURCEDIR/build/dev}"
: "${RANQ_TEST_BINDIR:=$RANQ_TEST_BUILDDIR/bin}"
export RANQ_TEST_SOURCEDIR RANQ_TEST_BUILDDIR RANQ_TEST_BINDIR
export PATH="$RANQ_TEST_BINDIR:$PATH" LC_ALL=C.UTF-8
T=$(mktemp -d "${TMPDIR:-/tmp}/ranq-t-XXXXXX")
export T HOME="$T/home" XDG_RUNTIME_DIR="$T/run" XDG_CONFIG_HOME="$T/home/.config" XDG_STATE_HOME="$T/home/.local/state" \
	XDG_DATA_HOME="$T/home/.local/share" TMPDIR="$T/tmp" RANQ_TEST_MARK="ranq-test-$$"
mkdir -p "$HOME" "$XDG_RUNTIME_DIR" "$TMPDIR"
chmod 700 "$T" "$XDG_RUNTIME_DIR"
unset RANQ_SERVER RANQ_QUEUE RANQ_PASSWORD_FILE
tap_n=0 tap_failed=0

# pids that carry our mark, zombies and ourselves excepted
marked_pids() {
	local p
	for p in $(grep -lzx "RANQ_TEST_MARK=$RANQ_TEST_MARK" /proc/[0-9]*/environ 2>/dev/null); do
		p=${p#/proc/} p=${p%/environ}
		[ "$p" = "$$" ] && continue
		case "$(sed 's/.*) //' "/proc/$p/stat" 2>/dev/null)" in Z* | "") continue ;; esac
		# our own subshells: same program, same environment, nothing of their own
		cmp -s "/proc/$p/cmdline" "/proc/$$/cmdline" && continue
		echo "$p"
	done
}
tap_cleanup() {
	local p
	disown -a 2>/dev/null
	# redis-server writes its title over its environment, so the mark does not find it
	[ -n "${REDIS_PID:-}" ] && kill -9 "$REDIS_PID" 2>/dev/null
	for p in $(marked_pids) $(marked_pids); do kill -9 "$p" 2>/dev/null; done
	rm -rf "$T"
}
trap tap_cleanup EXIT
trap 'exit 1' INT TERM

pass() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $1"; }
fail() {
	tap_n=$((tap_n + 1)) tap_failed=$((tap_failed + 1))
	echo "not ok $tap_n - $1"
	[ $# -gt 1 ] && printf '%s\n' "$2" | head -c 4000 | sed 's/^/# /'
	return 0
}
ok() {
	local out name="${TEST:-$*}"
	if out=$("$@" 2>&1); then pass "$name"; else fail "$name" "status $?: $out"; fi
	unset TEST
}
is() { if [ "$1" = "$2" ]; then pass "$3"; else fail "$3" "got:  $1
want: $2"; fi; }
like() { if printf '%s' "$1" | grep -qE -- "$2"; then pass "$3"; else fail "$3" "got: $1
want a match of: $2"; fi; }
# status WANT COMMAND...: exit status; output in $out, errors in $err
status() {
	local want=$1 got
	shift
	"$@" >"$T/out" 2>"$T/err" </dev/null
	got=$?
	out=$(head -c 100000 "$T/out") err=$(head -c 100000 "$T/err")
	if [ "$got" = "$want" ]; then pass "${TEST:-status $want: $*}"; else fail "${TEST:-status $want: $*}" "status $got
$out
$err"; fi
	unset TEST
}
wait_for() {
	local seconds=$1
	shift
	within $((seconds * 4)) "$@"
}
within() {
	local end=$(($(date +%s%N) + ${1}000000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s%N)" -gt "$end" ] && return 1
		sleep 0.02
	done
}
start_redis() {
	mkdir -p "$T/redis"
	redis-server --port 0 --unixsocket "$T/redis/s" --dir "$T/redis" --save '' --appendonly yes --appendfsync no \
		--maxmemory-policy noeviction --loglevel warning --logfile redis.log "$@" >/dev/null 2>&1 &
	REDIS_PID=$!
	export RANQ_SERVER="unix://$T/redis/s"
	wait_for 10 answers || { echo "Bail out! redis-server does not start"; exit 1; }
}
answers() { [ "$(redis-cli -s "$T/redis/s" ping)" = PONG ]; } # and is not loading its data
rcli() { redis-cli -s "$T/redis/s" "$@"; }
# Has the join with that pid ended? A bridge that dies while it leaves is started again, so it is asked again: for wait_for.
drained() { kill -0 "$1" 2>/dev/null || return 0; ranq drain all >/dev/null 2>&1; return 1; }
skip_all() { echo "1..0 # SKIP $1"; exit 77; }
done_testing() {
	echo "1..$tap_n"
	[ "$tap_failed" = 0 ] && [ "$tap_n" -gt 0 ] || { echo "# $tap_failed of $tap_n failed"; exit 1; }
	exit 0
}
