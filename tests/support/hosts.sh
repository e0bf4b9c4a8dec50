# shellcheck shell=bash
# hosts.sh - pretend hosts around a shell test: several machines with a network between them on one. Source it first, then call
#
#   hosts_enter N          starts the script again inside a sandbox with hosts h1..hN
#   host hK CMD...         runs CMD on that host (rsh_agent: the same as a program for mpirun's plm_rsh_agent)
#   host_kill hK, host_cut hK, host_heal hK     power off, link down, link up
#
# The sandbox is a network, mount and pid namespace of its own (an ordinary user: within a user namespace; the uid stays the same). Each host has
# its own hostname, network, pids and /dev/shm, all on one bridge (h1 = 10.88.0.1 ..., the sandbox itself = 10.88.0.254).
# When the sandbox's init goes, by whatever way, the kernel kills the hosts and all that runs there. Nothing in /etc is used.
# Where namespaces are forbidden (some containers) HOSTS_NONE=1 is set and the script goes on without them; what needs them calls hosts_needed.

# sandbox_enter: runs the script again inside of the sandbox (then it returns at once) and ends with its status. SANDBOX is its directory.
sandbox_enter() {
	[ -z "${SANDBOX:-}" ] || return 0
	local dir outer rc namespaces=(--net --mount --pid --fork --mount-proc --kill-child)
	dir=$(mktemp -d "${TMPDIR:-/tmp}/ranq-hosts-XXXXXX") && chmod 711 "$dir" && mkdir "$dir/log" || exit 1
	# root in a user namespace cannot change its groups, which slurmctld wants to
	[ "$(id -u)" = 0 ] || namespaces=(--user --map-current-user --keep-caps "${namespaces[@]}")
	export SANDBOX=$dir
	if [ -z "${HOSTS_NONE:-}" ] && unshare "${namespaces[@]}" sh -c 'ip link add ranq-try type bridge' 2>/dev/null; then
		setpriv --pdeathsig KILL unshare "${namespaces[@]}" bash "$0" &
	else
		HOSTS_NONE=1 setpriv --pdeathsig KILL bash "$0" &
	fi
	outer=$!
	trap 'kill -KILL $outer 2>/dev/null' INT TERM HUP # --kill-child takes the rest
	wait $outer
	rc=$?
	[ -e "$dir/pids" ] && sandbox_kill_strays "$dir"
	rm -rf "$dir"
	exit $rc
}
# For users of the sandbox that start processes even without namespaces: they write their pids into SANDBOX/pids and say here how to end them.
sandbox_kill_strays() { :; }
hosts_needed() { [ -z "${HOSTS_NONE:-}" ] || { echo "1..0 # SKIP namespaces are forbidden here"; exit 77; }; }

# The commands of a host: first its init, which collects orphans and lives until it is killed.
host_init() {
	local n=$1 unshared pid='' end=$((SECONDS + 10))
	setsid unshare --net --uts --ipc --mount --pid --fork --mount-proc --kill-child sh -c "hostname h$n
		mount -t tmpfs tmpfs /dev/shm; mount --bind $SANDBOX/hosts /etc/hosts; ip link set lo up
		: >$SANDBOX/h$n.ready; while :; do sleep 1000 & wait; done" </dev/null >"$SANDBOX/log/h$n" 2>&1 &
	unshared=$!
	until [ -n "$pid" ] || [ $SECONDS -gt $end ]; do
		{ read -r pid _ <"/proc/$unshared/task/$unshared/children"; } 2>/dev/null
	done
	echo "$pid" >"$SANDBOX/h$n.pid"
	ip link add "vh$n" type veth peer name eth0 netns "$pid" && ip link set "vh$n" master ranq up
	nsenter -t "$pid" -n sh -c "ip addr add 10.88.0.$n/24 dev eth0; ip link set eth0 up"
	until [ -e "$SANDBOX/h$n.ready" ] || [ $SECONDS -gt $end ]; do sleep 0.01; done
}
hosts_up() {
	local n
	ip link set lo up
	ip link add ranq type bridge && ip addr add 10.88.0.254/24 dev ranq && ip link set ranq up || return
	{ echo "127.0.0.1 localhost"; for n in $(seq "$1"); do echo "10.88.0.$n h$n"; done; echo "10.88.0.254 $(hostname -s)"; } >"$SANDBOX/hosts"
	mount --bind "$SANDBOX/hosts" /etc/hosts || return # names for the sandbox itself
	for n in $(seq "$1"); do host_init "$n" || return; done
	# shellcheck disable=SC2016 # for the script
	printf '%s\n' '#!/bin/sh' 'host=$1; shift' \
		"exec nsenter -t \"\$(cat $SANDBOX/\$host.pid)\" -m -u -i -n -p --wd=\"\$PWD\" sh -c \"\$*\"" >"$SANDBOX/rsh"
	chmod 755 "$SANDBOX/rsh"
}
hosts_enter() {
	local program
	PATH=$PATH:/usr/sbin:/sbin
	for program in ip unshare nsenter setpriv; do
		command -v "$program" >/dev/null || { echo "1..0 # SKIP $program is missing"; exit 77; }
	done
	sandbox_enter
	hosts_needed
	hosts_up "$1" || { echo "Bail out! no hosts: $(cat "$SANDBOX"/log/*)"; exit 1; }
}
host() {
	local host=$1
	shift
	if [ -n "${HOSTS_NONE:-}" ]; then "$@"; else nsenter -t "$(cat "$SANDBOX/$host.pid")" -m -u -i -n -p --wd="$PWD" "$@"; fi
}
# The link first, so that peers get no FIN and no RST, as when the power fails.
host_kill() { ip link set "v$1" down; kill -KILL "$(cat "$SANDBOX/$1.pid")"; }
host_cut() { ip link set "v$1" down; }
host_heal() { ip link set "v$1" up; }
