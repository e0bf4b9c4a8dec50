#!/usr/bin/env bash
# shrink.t - a long task runs on one node of an allocation, the others are idle: they go back to Slurm, and the bridge works on. Then the end of the
# allocation moves, and `ranq workers` shows it.
SLURM_CPUS=2
. "$(dirname "$0")/../support/slurm.sh"
slurm_enter 3
hosts_needed
. "$(dirname "$0")/../support/tap.sh"
. "$(dirname "$0")/../support/bridges.sh"
cd "$T" || exit 1
start_redis
export RANQ_END_POLL=1s
nodes() { squeue -h -o %D -j "$job"; }
has_nodes() { [ "$(nodes)" = "$1" ]; }
worker() { ranq workers --json 2>/dev/null | grep -oE "\"$1\": *\"?[0-9a-f]+" | grep -oE '[0-9a-f]+$'; }
is_worker() { [ "$(worker "$1")" = "$2" ]; }
told() { grep -q "$1" "join.$job"; }
no_allocation() { [ -z "$(squeue -h)" ]; }

job=$(sbatch --parsable -N 3 -t 10 -o "$T/join.%j" "$RANQ_TEST_SOURCEDIR/slurm/join.sbatch" default --give-back 1s --lease 3s)
ok wait_for 60 is_worker ranks 6
bridge=$(worker worker)
restarts() { grep -c 'restart in' "join.$job"; }
at_first=$(restarts) # MPI_Init may have failed, see survive.t
# one task until we say so, on whichever node; another one so that each node had work
long=$(ranq submit --shell "hostname >'$T/where'; until [ -e '$T/go' ]; do sleep 0.1; done; echo done")
ok wait_for 30 test -s where
ok wait_for 60 told 'given back to the scheduler'
stay=$(printf '%s\n' h1 "$(cat where)" | sort -u | wc -l)
TEST="idle nodes go back, the first one and the one at work stay" ok wait_for 20 has_nodes "$stay"
TEST="workers shows what is left" ok wait_for 20 is_worker ranks $((2 * stay))
TEST="others may use them" ok timeout 60 srun -N 1 -n 1 -t 1 true
j=$(ranq submit --range 1-40 -- echo {})
TEST="the bridge works on" status 0 ranq wait --timeout 30s "$j"
in_order "$j" 40 "each result once, in order"
touch go
TEST="the long task ends" status 0 ranq wait --timeout 30s "$long"
is "$(ranq results "$long") $(worker worker)" "done $bridge" "with its result, by the same bridge"
if told 'is lost' || [ "$(restarts)" != "$at_first" ]; then fail "nobody was lost" "$(cat "join.$job")"; else pass "nobody was lost"; fi

# ---- the end of another one moves (this Slurm has no accounting: a job that has shrunk cannot be changed any more)
scancel "$job"
ok wait_for 30 no_allocation
job=$(sbatch --parsable -N 1 -t 10 -o "$T/join.%j" "$RANQ_TEST_SOURCEDIR/slurm/join.sbatch" default)
ok wait_for 30 is_worker ranks 2
before=$(worker end_ms)
ok scontrol update JobId="$job" TimeLimit=20
moved() { [ "$(worker end_ms)" -gt $((before + 300000)) ]; }
TEST="workers shows the new end" ok wait_for 30 moved
TEST="srun in a task" status 0 ranq run -- srun --overlap -N 1 -n 1 -t 1 sh -c 'echo $SLURM_JOB_ID'
is "$out" "$job" "is a step of the same allocation"
TEST="mpirun in a task" status 0 ranq run --env OMPI_ALLOW_RUN_AS_ROOT=1 --env OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 -- mpirun --oversubscribe -n 2 echo here
is "$out" "here
here" "starts its ranks"
scancel "$job"
TEST="the end" ok wait_for 60 no_allocation
done_testing
