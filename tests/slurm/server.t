#!/usr/bin/env bash
# server.t - the private server runs in an allocation and is handed on to the next one on another node, while a bridge works and a client waits.
SLURM_CPUS=2
. "$(dirname "$0")/../support/slurm.sh"
slurm_enter 3
hosts_needed
. "$(dirname "$0")/../support/tap.sh"
. "$(dirname "$0")/../support/bridges.sh"
cd "$T" || exit 1
unset RANQ_SERVER
templates=$RANQ_TEST_SOURCEDIR/slurm
no_allocation() { [ -z "$(squeue -h)" ]; }
served_by() { ranq server status --json 2>/dev/null | grep -q "$1"; }
answers() { ranq queues >/dev/null 2>&1; }

sbatch --parsable -w h1 -t 10 -o "$T/server.%j" "$templates/server.sbatch" /proc/no >/dev/null
TEST="a server that cannot start does not queue itself again" ok wait_for 30 no_allocation
first=$(sbatch --parsable -w h1 -t 10 -o "$T/server.%j" "$templates/server.sbatch" "$T/data")
TEST="it serves" ok wait_for 30 answers
two() { [ "$(squeue -h -n ranq-server -o '%T %r' | sort | tr '\n' ',')" = "PENDING Dependency,RUNNING None," ]; }
TEST="and has queued its successor" ok wait_for 30 two
worker=$(sbatch --parsable -w h3 -t 10 -o "$T/join.%j" "$templates/join.sbatch" default)
j=$(ranq submit --range 1-400 --shell 'sleep 0.05; echo {}')
ok wait_for 30 more_than "$j" 40
# status 3 is "try again", should Slurm take longer than a client's patience to start the next one
(while ranq wait "$j" >"$T/wait" 2>&1; [ $? = 3 ]; do :; done; ranq wait "$j" >"$T/wait" 2>&1) &
waiter=$!

# hand on: its node is to be left, the warning comes
scontrol update NodeName=h1 State=DRAIN Reason=test
successor=$(squeue -h -n ranq-server -t PENDING -o %i)
scontrol update "JobId=$successor" ReqNodeList=h2
scancel --batch --signal=USR1 "$first"
moved() { answers && grep -q '@h2:' "$HOME/.config/ranq/servers/default"; }
TEST="the next one serves" ok wait_for 150 moved
wait "$waiter"
is "$? $(grep -v 'trying again\|is back' "$T/wait")" "0 " "the client that waits is told the end"
in_order "$j" 400 "each result once, in order"
scancel --name=ranq-server
scancel "$worker"
ok wait_for 60 no_allocation
done_testing
