# shellcheck shell=bash
# slurm.sh - a real Slurm of pretend hosts around a shell test. Source it first in a tests/slurm/*.t, then call
#
#   slurm_enter N        starts the script again inside a sandbox where hosts h1..hN are nodes of a running Slurm
#   slurm_host hK CMD... runs CMD on that host           slurm_host_kill|cut|heal hK   power off, link down, link up
#   slurmd_kill hK, slurmd_start hK                      its daemon only
#   slurmctld_stop, slurmctld_cont (hangs, goes on), slurmctld_kill, slurmctld_start
#
# The sandbox is a network, mount and pid namespace of its own (an ordinary user: within a user namespace; the uid stays the same). Each host has
# its own hostname, network, pids and /dev/shm, all on one bridge (h1 = 10.88.0.1 ..., the sandbox itself = 10.88.0.254).
# When the sandbox's init goes, by whatever way, the kernel kills daemons, hosts and jobs with it. Nothing in /etc is used.
# Where namespaces are forbidden (some containers) all daemons share the one host on ports of loopback: nodes are h1..hN there too and
# SLURM_ONE_HOST=1 is set; tests that kill hosts call slurm_need_hosts.
#
# Knobs (environment, before slurm_enter): SLURM_CPUS (of a node, 2), SLURM_EXTRA_CONF (lines of slurm.conf), SLURM_KILL_WAIT (5)
slurm_need_programs() {
	local program
	PATH=$PATH:/usr/sbin:/sbin
	for program in slurmctld slurmd munged sbatch ip unshare nsenter setpriv; do
		command -v "$program" >/dev/null || { echo "1..0 # SKIP $program is missing"; exit 77; }
	done
}

slurm_enter() {
	[ -n "${SLURM_SANDBOX:-}" ] && { slurm_up "$1"; return; }
	slurm_need_programs
	local dir outer rc namespaces=(--net --mount --pid --fork --mount-proc --kill-child)
	dir=$(mktemp -d "${TMPDIR:-/tmp}/ranq-slurm-XXXXXX") && chmod 711 "$dir" || exit 1
	# root in a user namespace cannot change its groups, which slurmctld wants to
	[ "$(id -u)" = 0 ] || namespaces=(--user --map-current-user --keep-caps "${namespaces[@]}")
	export SLURM_SANDBOX=$dir
	if [ -z "${SLURM_ONE_HOST:-}" ] && unshare "${namespaces[@]}" sh -c 'ip link add ranq-try type bridge' 2>/dev/null; then
		setpriv --pdeathsig KILL unshare "${namespaces[@]}" bash "$0" &
	else
		SLURM_ONE_HOST=1 setpriv --pdeathsig KILL bash "$0" &
	fi
	outer=$!
	trap 'kill -KILL $outer 2>/dev/null' INT TERM HUP # --kill-child takes the rest
	wait $outer
	rc=$?
	[ -e "$dir/pids" ] && slurm_kill_strays "$dir"
	rm -rf "$dir"
	exit $rc
}
slurm_need_hosts() { [ -z "${SLURM_ONE_HOST:-}" ] || { echo "1..0 # SKIP namespaces are forbidden here"; exit 77; }; }

# ---- hosts

# The commands of a host: first its init, which collects orphans and lives until it is killed.
slurm_host_init() {
	local n=$1 unshared pid='' end=$((SECONDS + 10))
	setsid unshare --net --uts --ipc --mount --pid --fork --mount-proc --kill-child sh -c "hostname h$n
		mount -t tmpfs tmpfs /dev/shm; mount --bind $SLURM_SANDBOX/hosts /etc/hosts; ip link set lo up
		: >$SLURM_SANDBOX/h$n.ready; while :; do sleep 1000 & wait; done" </dev/null >"$SLURM_SANDBOX/log/h$n" 2>&1 &
	unshared=$!
	until [ -n "$pid" ] || [ $SECONDS -gt $end ]; do
		{ read -r pid _ <"/proc/$unshared/task/$unshared/children"; } 2>/dev/null
	done
	echo "$pid" >"$SLURM_SANDBOX/h$n.pid"
	ip link add "vh$n" type veth peer name eth0 netns "$pid" && ip link set "vh$n" master ranq up
	nsenter -t "$pid" -n sh -c "ip addr add 10.88.0.$n/24 dev eth0; ip link set eth0 up"
	until [ -e "$SLURM_SANDBOX/h$n.ready" ] || [ $SECONDS -gt $end ]; do sleep 0.01; done
}
slurm_hosts_up() {
	local n
	ip link set lo up
	ip link add ranq type bridge && ip addr add 10.88.0.254/24 dev ranq && ip link set ranq up || return
	{ echo "127.0.0.1 localhost"; for n in $(seq "$1"); do echo "10.88.0.$n h$n"; done; echo "10.88.0.254 $(hostname -s)"; } >"$SLURM_SANDBOX/hosts"
	for n in $(seq "$1"); do slurm_host_init "$n" || return; done
}
slurm_host() {
	local host=$1
	shift
	if [ -n "${SLURM_ONE_HOST:-}" ]; then "$@"; else nsenter -t "$(cat "$SLURM_SANDBOX/$host.pid")" -m -u -i -n -p --wd="$PWD" "$@"; fi
}
# The link first, so that peers get no FIN and no RST, as when the power fails.
slurm_host_kill() { ip link set "v$1" down; kill -KILL "$(cat "$SLURM_SANDBOX/$1.pid")"; }
slurm_host_cut() { ip link set "v$1" down; }
slurm_host_heal() { ip link set "v$1" up; }

# ---- daemons

slurm_conf() {
	local n here=127.0.0.1 port=${SLURM_PORT:-27800}
	[ -n "${SLURM_ONE_HOST:-}" ] || here=10.88.0.254
	cat <<-CONF
		ClusterName=ranqtest
		SlurmctldHost=$(hostname -s)($here)
		SlurmctldPort=$port
		SlurmdPort=$((port + 1))
		SlurmUser=$(id -un)
		SlurmdUser=$(id -un)
		AuthType=auth/munge
		AuthInfo=socket=$SLURM_SANDBOX/munge/socket,cred_expire=5
		CredType=cred/munge
		StateSaveLocation=$SLURM_SANDBOX/state
		SlurmdSpoolDir=$SLURM_SANDBOX/spool.%n
		# of its own for each node: nodes on one machine would take each other's PMIx directories
		TmpFS=$SLURM_SANDBOX/tmp.%n
		TaskProlog=$SLURM_SANDBOX/prolog
		SlurmctldPidFile=$SLURM_SANDBOX/slurmctld.pid
		SlurmdPidFile=$SLURM_SANDBOX/slurmd.%n.pid
		SlurmctldLogFile=$SLURM_SANDBOX/log/slurmctld.log
		SlurmdLogFile=$SLURM_SANDBOX/log/slurmd.%n.log
		PlugStackConfig=$SLURM_SANDBOX/plugstack.conf
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		SwitchType=switch/none
		MpiDefault=none
		JobAcctGatherType=jobacct_gather/none
		AccountingStorageType=accounting_storage/none
		JobCompType=jobcomp/filetxt
		JobCompLoc=$SLURM_SANDBOX/jobcomp.log
		SchedulerType=sched/backfill
		# looks again as soon as something changes
		SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=0,sched_min_interval=10000,default_queue_depth=1000
		SelectType=select/cons_tres
		SelectTypeParameters=CR_CPU
		PreemptType=preempt/partition_prio
		PreemptMode=REQUEUE
		ReturnToService=2
		SlurmdTimeout=10
		SlurmctldTimeout=10
		MessageTimeout=10
		BatchStartTimeout=10
		KillWait=${SLURM_KILL_WAIT:-5}
		MinJobAge=${SLURM_MIN_JOB_AGE:-300}
		InactiveLimit=0
		JobRequeue=1
		UnkillableStepTimeout=20
		TCPTimeout=2
		SlurmdParameters=config_overrides
	CONF
	for n in $(seq "$1"); do
		if [ -n "${SLURM_ONE_HOST:-}" ]; then
			echo "NodeName=h$n NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((port + 10 + n)) CPUs=${SLURM_CPUS:-2} RealMemory=1000 State=UNKNOWN"
		else
			echo "NodeName=h$n NodeHostname=h$n NodeAddr=10.88.0.$n Port=$((port + 1)) CPUs=${SLURM_CPUS:-2} RealMemory=1000 State=UNKNOWN"
		fi
	done
	cat <<-CONF
		PartitionName=main Nodes=ALL Default=YES MaxTime=60 DefaultTime=10 State=UP PriorityTier=10 PreemptMode=OFF
		PartitionName=low Nodes=ALL MaxTime=60 DefaultTime=10 State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=${SLURM_GRACE:-10}
		PartitionName=down Nodes=ALL MaxTime=60 State=DOWN
		${SLURM_EXTRA_CONF:-}
	CONF
}
slurm_daemon() { # NAME COMMAND...: in a session of its own; its pid stands in NAME.run
	local name=$1
	shift
	setsid "$@" >"$SLURM_SANDBOX/log/$name.out" 2>&1 </dev/null &
	echo $! >"$SLURM_SANDBOX/$name.run"
	echo $! >>"$SLURM_SANDBOX/pids"
	disown
}
slurm_munge() {
	local flags=()
	[ "$(id -u)" = 0 ] || flags=(--force) # in a user namespace the directories of root seem to be nobody's
	(umask 077; head -c 128 /dev/urandom >"$SLURM_SANDBOX/munge/key")
	slurm_daemon munged munged --foreground "${flags[@]}" --key-file="$SLURM_SANDBOX/munge/key" --socket="$SLURM_SANDBOX/munge/socket" \
		--pid-file="$SLURM_SANDBOX/munge/pid" --log-file="$SLURM_SANDBOX/munge/log" --seed-file="$SLURM_SANDBOX/munge/seed" --num-threads=2
	until [ -S "$SLURM_SANDBOX/munge/socket" ]; do kill -0 "$(cat "$SLURM_SANDBOX/munged.run")" 2>/dev/null || return; sleep 0.01; done
}
slurmctld_start() { slurm_daemon slurmctld slurmctld -D "$@"; }
slurmctld_stop() { kill -STOP "$(cat "$SLURM_SANDBOX/slurmctld.run")"; }
slurmctld_cont() { kill -CONT "$(cat "$SLURM_SANDBOX/slurmctld.run")"; }
slurmctld_kill() { kill -KILL "$(cat "$SLURM_SANDBOX/slurmctld.run")"; }
slurmd_start() {
	if [ -n "${SLURM_ONE_HOST:-}" ]; then
		slurm_daemon "slurmd.$1" slurmd -D -N "$1"
	else
		slurm_daemon "slurmd.$1" nsenter -t "$(cat "$SLURM_SANDBOX/$1.pid")" -m -u -i -n -p slurmd -D -N "$1"
	fi
}
slurmd_kill() { # the daemon below nsenter; steps that run live on
	local pid child
	pid=$(cat "$SLURM_SANDBOX/slurmd.$1.run")
	read -r child _ <"/proc/$pid/task/$pid/children" || child=
	kill -KILL "${child:-$pid}"
}
slurm_idle_nodes() { timeout 2 sinfo -h -N -p main -t idle -o %N 2>/dev/null | sort -u | wc -l; }

slurm_up() {
	local n end=$((SECONDS + 30))
	PATH=$PATH:/usr/sbin:/sbin
	export SLURM_CONF=$SLURM_SANDBOX/slurm.conf PATH
	umask 022
	mkdir -p "$SLURM_SANDBOX"/{log,state,munge}
	chmod 711 "$SLURM_SANDBOX/munge"
	for n in $(seq "$1"); do mkdir -p "$SLURM_SANDBOX/spool.h$n" "$SLURM_SANDBOX/tmp.h$n"; done
	: >"$SLURM_SANDBOX/plugstack.conf"
	# hosts that share /dev/shm and a hostname would take each other's shared-memory segments
	{ echo '#!/bin/sh'; echo "echo export TMPDIR=$SLURM_SANDBOX/tmp.\$SLURMD_NODENAME"
		[ -n "${SLURM_ONE_HOST:-}" ] && echo 'echo export OMPI_MCA_btl=self,tcp'; echo exit 0; } >"$SLURM_SANDBOX/prolog"
	chmod 755 "$SLURM_SANDBOX/prolog"
	# one host: ports of our own
	[ -n "${SLURM_ONE_HOST:-}" ] && SLURM_PORT=$((20000 + $$ % 8000))
	slurm_conf "$1" >"$SLURM_CONF"
	slurm_munge && { [ -n "${SLURM_ONE_HOST:-}" ] || slurm_hosts_up "$1"; } || { echo "Bail out! no sandbox: $(cat "$SLURM_SANDBOX"/log/*)"; exit 1; }
	slurmctld_start -c
	for n in $(seq "$1"); do slurmd_start "h$n"; done
	until [ "$(slurm_idle_nodes)" = "$1" ]; do
		[ $SECONDS -lt $end ] || { echo "Bail out! Slurm does not start: $(tail -n 3 "$SLURM_SANDBOX"/log/*)"; exit 1; }
		sleep 0.02
	done
}

# Where there is no sandbox whose end would do it: daemons by their pid, steps (which outlive their slurmd by design) and tasks by the
# SLURM_CONF in their environment.
slurm_kill_strays() {
	local environ pid
	while read -r pid; do
		grep -qaE 'slurmctld|slurmd|munged|nsenter' "/proc/$pid/cmdline" 2>/dev/null && kill -KILL "$pid" 2>/dev/null
	done <"$1/pids"
	for environ in $(grep -lzxs "SLURM_CONF=$1/slurm.conf" /proc/[0-9]*/environ); do
		pid=${environ#/proc/} pid=${pid%/environ}
		[ "$pid" = $$ ] || [ "$pid" = "$BASHPID" ] || kill -KILL "$pid" 2>/dev/null
	done
}
