#!/usr/bin/env bash
# leave.t - the end of an allocation moves while a bridge runs; a preemption; the environment of the nodes.
SLURM_CPUS=2
. "$(dirname "$0")/../support/slurm.sh"
slurm_enter 2
. "$(dirname "$0")/../support/tap.sh"
. "$(dirname "$0")/../support/bridges.sh"
cd "$T" || exit 1
start_redis
export RANQ_END_POLL=1s
template=$RANQ_TEST_SOURCEDIR/slurm/join.sbatch
submit() { sbatch --parsable -o "$T/join.%j" "$@"; }
bridges() { ranq workers --json 2>/dev/null | grep -o '"allocation": *"[^"]*"' | cut -d'"' -f4 | sort; }
count() { [ "$(bridges | wc -l)" = "$1" ]; }
no_allocation() { [ -z "$(squeue -h)" ]; }
printf '%s\n' 'sleep "$1"; echo $2 $SITE' >task.sh

# environment: one file for ranks and tasks; the limit is shortened while tasks run
echo 'export SITE=here' >site.sh
j=$(ranq submit --lease 3s --range 1-2000 --chunk 2 -- sh "$T/task.sh" 0.2 {})
job=$(submit -t 10 -N 2 "$template" default --env-setup site.sh --grace 2s)
TEST="joined" ok wait_for 30 count 1
wait_for 30 more_than "$j" 4
like "$(ranq results "$j" --follow 2>/dev/null | head -1)" '^1 here$' "--env-setup reaches the tasks"
scontrol update "JobId=$job" TimeLimit=1
TEST="the new end is heard" ok wait_for 30 grep -q 'the allocation ends at .* now' "join.$job"
TEST="it leaves before that" ok wait_for 70 count 0
is "$(field "$j" deaths)$(field "$j" requeued)$(field "$j" failed)" 000 "nothing waited for a lease, no death, no failure"
ok wait_for 10 no_allocation
ranq cancel "$j"

# preemption: the steps are told, the work goes elsewhere at once; later the same job is here again as another allocation
j=$(ranq submit --range 1-2000 --chunk 2 -- sh "$T/task.sh" 0.2 {})
job=$(submit -p low -N 2 "$template" default --grace 1s)
ok wait_for 30 count 1
wait_for 30 more_than "$j" 4
vip=$(sbatch --parsable -p main -N 2 --exclusive -o /dev/null --wrap 'sleep 300')
TEST="preempted: it leaves" ok wait_for 30 count 0
is "$(field "$j" deaths)$(field "$j" requeued)$(field "$j" failed)" 000 "preempted: nothing waited for a lease, no death, no failure"
running() { [ "$(squeue -h -o %T -j "$vip")" = RUNNING ]; }
TEST="preempted: the other one runs" ok wait_for 60 running
scancel "$vip"
again() { bridges | grep -qx "slurm:$job.1"; }
TEST="preempted: joins again as another" ok wait_for 60 again
scancel "$job"
ok wait_for 30 no_allocation
ranq cancel "$j"

# what is wrong with the surroundings is said in one line
TEST="no such file" status 2 ranq join --env-setup /nonexistent
like "$err" "cannot read '/nonexistent' \(--env-setup\): No such file" "and says so"
echo false >bad.sh
job=$(submit -N 2 "$template" default --env-setup bad.sh)
ok wait_for 30 no_allocation
like "$(cat "join.$job")" "bad.sh' \(--env-setup\) failed on (h[12]|$(hostname))" "a setup that fails says where"
PATH=/usr/bin:/bin TEST="no apptainer" status 2 "$RANQ_TEST_BINDIR/ranq" join --image x.sif
like "$err" "cannot find 'apptainer'" "and says so"
printf '%s\n' '#!/bin/sh' 'shift 2; SITE=image exec "$@"' >apptainer
chmod +x apptainer && : >x.sif
j=$(ranq submit --range 1-10 -- sh "$T/task.sh" 0 {})
job=$(PATH="$T:$PATH" submit -N 1 "$template" default --image "$T/x.sif" --idle-timeout 1s)
TEST="in an image" status 0 ranq wait --timeout 30s "$j"
is "$(ranq results "$j" | tail -1)" "10 image" "ranks and tasks run in it"
ok wait_for 30 no_allocation
done_testing
