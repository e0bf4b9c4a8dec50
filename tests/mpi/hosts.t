#!/usr/bin/env bash
# Three hosts with a network between them, in one allocation: started over mpirun's remote shell, idle cost of the polling ranks, a link that
# is cut and comes back, a host that loses its power. (Started as PBS would: a node file, no TM.)
. "$(dirname "$0")/../support/hosts.sh"
hosts_enter 3
. "$(dirname "$0")/../support/tap.sh"
. "$(dirname "$0")/../support/bridges.sh"

cd "$T" || exit 1
status 0 ranq server start --listen 10.88.0.254
for h in h1 h2 h3; do echo $h; echo $h; done >"$T/nodes"
export PBS_JOBID=7.hub PBS_NODEFILE="$T/nodes" PBS_ENVIRONMENT=PBS_BATCH NCPUS=2 RANQ_PBS_RSH="$SANDBOX/rsh"
ranq join --lease 4s -n 6 >"$T/join" 2>&1 &
join=$!
wait_for 40 bash -c 'ranq workers --json | grep -q "\"ranks\": *6"' || { fail "join" "$(cat "$T/join")"; done_testing; }
pass "six ranks on three hosts"

# shellcheck disable=SC2016 # for the shell of the task
j=$(ranq submit --range 1-300 --chunk 5 --shell 'echo {} $(hostname)')
TEST="a job over the network" status 0 ranq wait --timeout 300s "$j"
ranq results "$j" >"$T/out"
is "$(cut -d' ' -f1 <"$T/out" | md5sum)" "$(seq 300 | md5sum)" "results in order"
is "$(cut -d' ' -f2 <"$T/out" | sort -u | tr '\n' ' ')" "h1 h2 h3 " "from all hosts"

# Idle: MPI has no cheap wait between nodes, so the lowest rank of each node polls and wakes its neighbours.
local_rank() { # rank 0 has secrets, so that an ordinary user cannot look into it
	{ tr '\0' '\n' <"/proc/$1/environ" || echo OMPI_COMM_WORLD_LOCAL_RANK=0; } 2>/dev/null | sed -n 's/^OMPI_COMM_WORLD_LOCAL_RANK=//p'
}
cost() { # "LOCAL_RANK TICKS" of each rank
	local p
	for p in $(pgrep -x ranq-bridge); do
		echo "$(local_rank "$p") $(sed 's/.*) //' "/proc/$p/stat" | awk '{print $12+$13}') $p"
	done | sort -k3
}
seconds=5 hz=$(getconf CLK_TCK)
cheap() { awk '($1 == 0 && $2 > 5) || ($1 > 0 && $2 >= 1) {bad = 1} END {exit bad}' "$T/idle"; }
# what the caches forget costs more beside other work: one of three
for _ in 1 2 3; do
	cost >"$T/before"
	# the interval that is measured, not a wait for something
	read -r -t "$seconds" <> <(:) || :
	cost >"$T/after"
	paste -d' ' "$T/before" "$T/after" | awk -v s=$seconds -v hz="$hz" '{printf "%s %.2f\n", $1, 100 * ($5 - $2) / hz / s}' | sort >"$T/idle"
	echo "# idle, local rank and % of a core: $(tr '\n' ',' <"$T/idle")"
	cheap && break
done
is "$(wc -l <"$T/idle")" 7 "seven ranks idle"
TEST="at little cost" ok cheap

# A link is cut without a word: what that host had in hand runs elsewhere; its late results count once. (For two leases: then its ranks give
# rank 0 up and end, and after about ten seconds mpirun gives the host up.)
# shellcheck disable=SC2016
j=$(ranq submit --range 1-600 --shell 'sleep 0.03; echo {}')
wait_for 30 more_than "$j" 60
host_cut h3
ok wait_for 30 grep -q 'rank 6 on h3 is lost: silent' "$T/join"
host_heal h3
ok wait_for 30 grep -q 'rank 6 on h3 is back' "$T/join"
TEST="a cut link: complete" status 0 ranq wait --timeout 300s "$j"
in_order "$j" 600 "a cut link: each result once, in order"
# the kernel's own retransmissions have backed off meanwhile, so its first chunk may take some seconds
# shellcheck disable=SC2016
works_again() { ranq run --range 1-50 --shell 'sleep 0.02; hostname' 2>/dev/null | grep -q h3; }
TEST="healed: its rank works again" ok wait_for 60 works_again

# A host loses its power: mpirun ends all ranks, join starts them again on what is left.
# shellcheck disable=SC2016
j=$(ranq submit --range 1-400 --shell 'sleep 0.03; echo {}')
wait_for 30 more_than "$j" 60
host_kill h2
TEST="a host without power: complete" status 0 ranq wait --timeout 300s "$j"
in_order "$j" 400 "a host without power: each result once, in order"
like "$(cat "$T/join")" 'left out, because no answer comes from there: h2' "the dead host is left out"
is "$(ranq workers --json | grep -o '"ranks": *[0-9]*' | tr -dc 0-9)" "4" "four of the six ranks are left"

status 0 ranq drain all
gone() { ! kill -0 "$join" 2>/dev/null; }
ok wait_for 30 gone
status 0 ranq server stop
no_process_left
done_testing
