# shellcheck shell=bash
# slurm.sh - a real Slurm of pretend hosts (hosts.sh) around a shell test. Source it first in a tests/slurm/*.t, then call
#
#   slurm_enter N        starts the script again inside a sandbox where hosts h1..hN are nodes of a running Slurm
#   slurmd_kill hK, slurmd_start hK                      its daemon only
#   slurmctld_stop, slurmctld_cont (hangs, goes on), slurmctld_end, slurmctld_kill, slurmctld_start
#
# Where namespaces are forbidden all daemons share the one host on ports of loopback: nodes are h1..hN there too and HOSTS_NONE=1 is set;
# tests that kill hosts call hosts_needed.
#
# Knobs (set before slurm_enter): SLURM_CPUS (of a node, 2), SLURM_EXTRA_CONF (lines of slurm.conf), SLURM_KILL_WAIT (5), SLURM_GRACE (10),
# SLURM_MIN_JOB_AGE (300), SLURM_MESSAGE_TIMEOUT (10)
. "$(dirname "${BASH_SOURCE[0]}")/hosts.sh"

slurm_enter() {
	local program
	PATH=$PATH:/usr/sbin:/sbin
	for program in slurmctld slurmd munged sbatch ip unshare nsenter setpriv; do
		command -v "$program" >/dev/null || { echo "1..0 # SKIP $program is missing"; exit 77; }
	done
	sandbox_enter
	slurm_up "$1"
}

# ---- daemons

slurm_conf() {
	local n here=127.0.0.1 port=${SLURM_PORT:-27800}
	[ -n "${HOSTS_NONE:-}" ] || here=10.88.0.254
	cat <<-CONF
		ClusterName=ranqtest
		SlurmctldHost=$(hostname -s)($here)
		SlurmctldPort=$port
		SlurmdPort=$((port + 1))
		SlurmUser=$(id -un)
		SlurmdUser=$(id -un)
		AuthType=auth/munge
		AuthInfo=socket=$SANDBOX/munge/socket,cred_expire=5
		CredType=cred/munge
		StateSaveLocation=$SANDBOX/state
		SlurmdSpoolDir=$SANDBOX/spool.%n
		# of its own for each node: nodes on one machine would take each other's PMIx directories
		TmpFS=$SANDBOX/tmp.%n
		TaskProlog=$SANDBOX/prolog
		SlurmctldPidFile=$SANDBOX/slurmctld.pid
		SlurmdPidFile=$SANDBOX/slurmd.%n.pid
		SlurmctldLogFile=$SANDBOX/log/slurmctld.log
		SlurmdLogFile=$SANDBOX/log/slurmd.%n.log
		PlugStackConfig=$SANDBOX/plugstack.conf
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		SwitchType=switch/none
		MpiDefault=none
		JobAcctGatherType=jobacct_gather/none
		AccountingStorageType=accounting_storage/none
		JobCompType=jobcomp/filetxt
		JobCompLoc=$SANDBOX/jobcomp.log
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
		MessageTimeout=${SLURM_MESSAGE_TIMEOUT:-10}
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
		if [ -n "${HOSTS_NONE:-}" ]; then
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
	setsid "$@" >"$SANDBOX/log/$name.out" 2>&1 </dev/null &
	echo $! >"$SANDBOX/$name.run"
	echo $! >>"$SANDBOX/pids"
	disown
}
slurm_munge() {
	local flags=()
	[ "$(id -u)" = 0 ] || flags=(--force) # in a user namespace the directories of root seem to be nobody's
	(umask 077; head -c 128 /dev/urandom >"$SANDBOX/munge/key")
	slurm_daemon munged munged --foreground "${flags[@]}" --key-file="$SANDBOX/munge/key" --socket="$SANDBOX/munge/socket" \
		--pid-file="$SANDBOX/munge/pid" --log-file="$SANDBOX/munge/log" --seed-file="$SANDBOX/munge/seed" --num-threads=2
	until [ -S "$SANDBOX/munge/socket" ]; do kill -0 "$(cat "$SANDBOX/munged.run")" 2>/dev/null || return; sleep 0.01; done
}
slurmctld_start() { slurm_daemon slurmctld slurmctld -D "$@"; }
slurmctld_stop() { kill -STOP "$(cat "$SANDBOX/slurmctld.run")"; }
slurmctld_cont() { kill -CONT "$(cat "$SANDBOX/slurmctld.run")"; }
slurmctld_end() { # as an administrator does; what it knows is saved
	local pid
	pid=$(cat "$SANDBOX/slurmctld.run")
	kill -TERM "$pid"
	while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
}
slurmctld_kill() { kill -KILL "$(cat "$SANDBOX/slurmctld.run")"; }
slurmd_start() {
	if [ -n "${HOSTS_NONE:-}" ]; then
		slurm_daemon "slurmd.$1" slurmd -D -N "$1"
	else
		slurm_daemon "slurmd.$1" nsenter -t "$(cat "$SANDBOX/$1.pid")" -m -u -i -n -p slurmd -D -N "$1"
	fi
}
slurmd_kill() { # the daemon below nsenter; steps that run live on
	local pid child
	pid=$(cat "$SANDBOX/slurmd.$1.run")
	read -r child _ <"/proc/$pid/task/$pid/children" || child=
	kill -KILL "${child:-$pid}"
}
slurm_idle_nodes() { timeout 2 sinfo -h -N -p main -t idle -o %N 2>/dev/null | sort -u | wc -l; }

slurm_up() {
	local n end=$((SECONDS + 30))
	PATH=$PATH:/usr/sbin:/sbin
	export SLURM_CONF=$SANDBOX/slurm.conf PATH
	umask 022
	mkdir -p "$SANDBOX"/{state,munge}
	chmod 711 "$SANDBOX/munge"
	for n in $(seq "$1"); do mkdir -p "$SANDBOX/spool.h$n" "$SANDBOX/tmp.h$n"; done
	: >"$SANDBOX/plugstack.conf"
	# hosts that share /dev/shm and a hostname would take each other's shared-memory segments
	{ echo '#!/bin/sh'; echo "echo export TMPDIR=$SANDBOX/tmp.\$SLURMD_NODENAME"
		[ -n "${HOSTS_NONE:-}" ] && echo 'echo export OMPI_MCA_btl=self,tcp'; echo exit 0; } >"$SANDBOX/prolog"
	chmod 755 "$SANDBOX/prolog"
	# one host: ports of our own
	[ -n "${HOSTS_NONE:-}" ] && SLURM_PORT=$((20000 + $$ % 8000))
	slurm_conf "$1" >"$SLURM_CONF"
	slurm_munge && { [ -n "${HOSTS_NONE:-}" ] || hosts_up "$1"; } || { echo "Bail out! no sandbox: $(cat "$SANDBOX"/log/*)"; exit 1; }
	slurmctld_start -c
	for n in $(seq "$1"); do slurmd_start "h$n"; done
	until [ "$(slurm_idle_nodes)" = "$1" ]; do
		[ $SECONDS -lt $end ] || { echo "Bail out! Slurm does not start: $(tail -n 3 "$SANDBOX"/log/*)"; exit 1; }
		sleep 0.02
	done
}

# Where there is no sandbox whose end would do it: daemons by their pid, steps (which outlive their slurmd by design) and tasks by the
# SLURM_CONF in their environment.
sandbox_kill_strays() {
	local environ pid
	while read -r pid; do
		grep -qaE 'slurmctld|slurmd|munged|nsenter' "/proc/$pid/cmdline" 2>/dev/null && kill -KILL "$pid" 2>/dev/null
	done <"$1/pids"
	for environ in $(grep -lzxs "SLURM_CONF=$1/slurm.conf" /proc/[0-9]*/environ); do
		pid=${environ#/proc/} pid=${pid%/environ}
		[ "$pid" = $$ ] || [ "$pid" = "$BASHPID" ] || kill -KILL "$pid" 2>/dev/null
	done
}
