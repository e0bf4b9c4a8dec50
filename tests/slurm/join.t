#!/usr/bin/env bash
# join.t - allocations join a queue in all the ways that Slurm has, and leave it by all the ends that it makes: every result once, no retry used.
SLURM_CPUS=2
. "$(dirname "$0")/../support/slurm.sh"
slurm_enter 4
. "$(dirname "$0")/../support/tap.sh"
. "$(dirname "$0")/../support/bridges.sh"
cd "$T" || exit 1
start_redis
ranq submit --lease 3s -- true >/dev/null
template=$RANQ_TEST_SOURCEDIR/slurm/join.sbatch
submit() { sbatch --parsable -o "$T/join.%A.%a.%j" "$@"; }
bridges() { ranq workers --json 2>/dev/null | grep -o '"allocation": *"[^"]*"' | cut -d'"' -f4 | sort; }
count() { [ "$(bridges | wc -l)" = "$1" ]; }
state() { squeue -h -o %T -j "$1" 2>/dev/null; }
no_allocation() { [ -z "$(squeue -h)" ]; }

# several joins in one allocation
cat >two.sbatch <<-SCRIPT
	#!/bin/bash
	ranq join -n 1 --name a & ranq join -n 1 --name b & wait
SCRIPT
job=$(submit -N 1 two.sbatch)
TEST="two joins in one allocation" ok wait_for 30 count 2
j=$(ranq submit --range 1-40 --shell 'sleep 0.02; echo {}')
TEST="their job" status 0 ranq wait --timeout 30s "$j"
in_order "$j" 40 "two joins: in order"
scancel "$job"
TEST="both drain on scancel" ok wait_for 30 no_allocation
TEST="both left" ok wait_for 10 count 0

# a job array: two bridges, two identities
job=$(submit --array=1-2 -N 1 "$template" default)
TEST="an array of two" ok wait_for 30 count 2
is "$(bridges | sort -u | wc -l)" 2 "two identities: $(bridges | tr '\n' ' ')"
scancel "$job"
TEST="the array ends" ok wait_for 30 no_allocation

# a heterogeneous job: one bridge over its components
job=$(submit -N 1 : -N 2 "$template" default)
TEST="a heterogeneous job joins" ok wait_for 30 count 1
is "$(ranq workers --json | grep -o '"ranks": *[0-9]*' | tr -dc 0-9)" 4 "with the cpus of both components"
if [ -z "${HOSTS_NONE:-}" ]; then
	j=$(ranq submit --range 1-60 --shell 'sleep 0.05; hostname')
	TEST="its job" status 0 ranq wait --timeout 30s "$j"
	is "$(ranq results "$j" | sort -u | tr '\n' ' ')" "h1 h2 h3 " "runs on all of its nodes"
fi
scancel "$job"
TEST="it ends" ok wait_for 30 no_allocation

# requeue: the same id, another identity
job=$(submit -N 1 "$template" default)
TEST="joined" ok wait_for 30 count 1
j=$(ranq submit --range 1-100 --shell 'sleep 0.05; echo {}')
wait_for 30 more_than "$j" 5
scontrol requeue "$job"
again() { bridges | grep -qx "slurm:$job.1"; }
TEST="requeued: joins again as another" ok wait_for 60 again
TEST="requeued: complete" status 0 ranq wait --timeout 60s "$j"
in_order "$j" 100 "requeued: in order"
is "$(field "$j" deaths)$(field "$j" requeued)" 00 "requeued: nothing waited for the lease"

# suspended for longer than the lease and resumed: as a zombie it commits nothing twice
job2=$(submit -N 1 "$template" default)
TEST="a second one" ok wait_for 30 count 2
j=$(ranq submit --range 1-400 --chunk 4 --shell 'sleep 0.05; echo {}')
wait_for 30 more_than "$j" 20
scontrol suspend "$job2"
requeued() { [ "$(field "$j" requeued)" -gt 0 ]; }
TEST="suspended: its work goes elsewhere" ok wait_for 30 requeued
scontrol resume "$job2"
TEST="suspended: complete" status 0 ranq wait --timeout 60s "$j"
in_order "$j" 400 "suspended: in order"
is "$(field "$j" deaths)" 0 "suspended: no death counted"
TEST="resumed: both are there" ok wait_for 30 count 2

# idle allocations end themselves
scancel "$job" "$job2"
ok wait_for 30 no_allocation
job=$(submit -N 1 "$template" default --idle-timeout 1s)
ok wait_for 30 count 1
TEST="an idle allocation ends itself" ok wait_for 60 no_allocation
is "$(scontrol -o show job "$job" | grep -o 'JobState=[A-Z]*')" JobState=COMPLETED "as completed"
done_testing
