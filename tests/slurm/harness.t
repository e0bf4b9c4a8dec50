#!/usr/bin/env bash
# harness.t - the sandbox itself, and the shortest way through it: an allocation joins a queue by sbatch, a job runs on two nodes.
. "$(dirname "$0")/../support/slurm.sh"
slurm_enter 3
. "$(dirname "$0")/../support/tap.sh"

is "$(srun -N 3 -l hostname | sort | tr '\n' ' ')" "$([ -n "${HOSTS_NONE:-}" ] && h=$(hostname) && echo "0: $h 1: $h 2: $h " || echo '0: h1 1: h2 2: h3 ')" \
	"a step runs on three hosts"
is "$(id -u)" "$(srun -N 1 id -u)" "as the user who submitted"

start_redis
cd "$T" || exit 1
allocation=$(sbatch --parsable -N 2 -o "$T/join.out" "$RANQ_TEST_SOURCEDIR/slurm/join.sbatch" default --idle-timeout 2s)
like "$allocation" '^[0-9]+$' "an allocation is submitted"
# shellcheck disable=SC2016 # for the shell of the task
out=$(timeout 60 ranq run --range 1-8 --shell 'echo $SLURM_JOB_ID {}' 2>"$T/err")
is "$(echo "$out" | tr '\n' ' ')" "$(for i in 1 2 3 4 5 6 7 8; do printf '%s %s ' "$allocation" "$i"; done)" "a job runs in it"
no_jobs() { [ -z "$(squeue -h)" ]; }
ok wait_for 20 no_jobs
like "$(cat "$T/join.out")" '4 compute ranks on slurm:[0-9]+ \(2 nodes\).* by .*srun' "on two nodes, by srun"

if [ -z "${HOSTS_NONE:-}" ]; then
	reaches() { host "$1" timeout 1 bash -c ": </dev/tcp/10.88.0.3/27801" 2>/dev/null; }
	ok wait_for 10 reaches h1
	host_kill h3
	if reaches h1; then fail "a host that lost its power is gone"; else pass "a host that lost its power is gone"; fi
fi
done_testing
