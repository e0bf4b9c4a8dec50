#!/usr/bin/env bash
# `ranq join` around a pretended mpirun: restarts and giving up, statuses handed on, signals, nothing left behind.
. "$(dirname "$0")/../support/tap.sh"
start_redis
# the pretended mpirun does what $T/script says; each start adds a line to $T/starts
cat >"$T/mpirun" <<'SH'
#!/bin/bash
[ "$1" = --version ] && { echo "mpirun (Open MPI) 4.1.4"; exit 0; }
exec 9<> <(:) # nobody writes there; not in the loops, since bash cannot run a trap while it reads `<(`
echo "$$ $*" >>"$T/starts"
. "$T/script"
SH
printf '#!/bin/sh\n# libmpi.so.40\nexit 0\n' >"$T/bridge"
chmod +x "$T/mpirun" "$T/bridge"
export RANQ_MPIRUN="$T/mpirun" RANQ_BRIDGE="$T/bridge"
script() { cat >"$T/script"; : >"$T/starts"; rm -f "$T/ready"; }
# a script that has set its traps
ready() { [ -e "$T/ready" ]; }
starts() { wc -l <"$T/starts"; }
started() { [ "$(starts)" -ge "${1:-1}" ]; }
gone() { case "$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null)" in Z* | "") return 0 ;; esac; return 1; }

TEST="the command line" status 0 ranq join --dry-run -n 3 -q a,b --idle-timeout 90 --tags x,y --end-time 2000000000
like "$out" '--oversubscribe --bind-to none -n 4 .*/bridge --queue a,b --tags x,y --idle-timeout 90000ms --allocation host:' "ranks, proxy, options"
like "$out" '--end-time 2000000000' "end time"

script <<<'exit 0'
TEST="a bridge that leaves" status 0 ranq join --give-back 5m
is "$(starts)" 1 "is not started again"
like "$err" '--give-back does nothing here: it needs a Slurm or PBS allocation of several nodes' "a wish that cannot come true"
for code in 2 3 4; do
	script <<<"exit $code"
	TEST="status $code of the bridge" status "$code" ranq join
	is "$(starts)" 1 "is handed on at once"
done

script <<<'[ "$(wc -l <"$T/starts")" -lt 3 ] && kill -KILL $$; exit 0'
TEST="two crashes, then it leaves" status 0 ranq join
is "$(starts)" 3 "it was started three times"
like "$err" 'killed by signal 9.*restart in' "and it was said"

script <<<'exit 1'
TEST="it cannot start" status 1 ranq join
is "$(starts)" 4 "four times are enough"
like "$err" 'giving up' "the reason is told"

# a stray of a crashed bridge does not outlive it
script <<<'setsid sleep 1000 & echo $! >"$T/stray"; [ "$(wc -l <"$T/starts")" -lt 2 ] && kill -KILL $$; exit 0'
TEST="a crash with a stray" status 0 ranq join
ok wait_for 5 gone "$(cat "$T/stray")"

# signals: the first drains, the second kills
script <<<'trap "echo drained >$T/drained; exit 0" USR1; : >$T/ready; while :; do read -r -t 1 -u 9; done'
ranq join >"$T/join" 2>&1 &
join=$!
ok wait_for 5 ready
kill -TERM $join
wait $join
is $? 0 "TERM drains: status 0"
is "$(cat "$T/drained" 2>/dev/null)" drained "the bridge got the drain signal"
like "$(cat "$T/join")" 'draining' "and join says so"
script <<<'trap "" USR1 TERM; : >$T/ready; while :; do read -r -t 1 -u 9; done'
ranq join >"$T/join" 2>&1 &
join=$!
ok wait_for 5 ready
kill -INT $join
ok wait_for 5 grep -q draining "$T/join"
kill -INT $join
ok wait_for 5 grep -q killing "$T/join"
kill -INT $join
wait $join
is $? 130 "a bridge that will not end is killed: status 130"
ok gone "$(cut -d' ' -f1 "$T/starts")"

# join itself is killed: the bridge drains
rm -f "$T/drained"
script <<<'trap "echo drained >$T/drained; exit 0" USR1; : >$T/ready; while :; do read -r -t 1 -u 9; done'
ranq join >"$T/join" 2>&1 &
join=$!
ok wait_for 5 ready
kill -KILL $join
wait $join 2>/dev/null
ok wait_for 5 test -s "$T/drained"

# join and mpirun are killed at once: the next join, be it one of another test, sweeps what they left
rm -f "$T/stray"
script <<<'setsid sleep 1000 & echo $! >"$T/stray"; exec -a mpirun sleep 1000'
ranq join >"$T/join" 2>&1 &
join=$!
ok wait_for 5 test -s "$T/stray"
ok wait_for 5 started
stray=$(cat "$T/stray") launcher=$(cut -d' ' -f1 "$T/starts")
# before its exec it looks like a launcher
apart() { [ "$(cat "/proc/$stray/comm")" = sleep ]; }
ok wait_for 5 apart
kill -KILL $join "$launcher"
wait $join 2>/dev/null
ok wait_for 5 gone "$launcher"
script <<<'exit 0'
TEST="the next join" status 0 ranq join
ok wait_for 5 gone "$stray"

# a server that goes away while the bridge crashes is waited for
script <<<'n=$(wc -l <"$T/starts"); [ "$n" -lt 2 ] && { kill -KILL "$(cat "$T/redis.pid")"; kill -KILL $$; }; exit 0'
echo "$REDIS_PID" >"$T/redis.pid"
ranq join >"$T/join" 2>&1 &
join=$!
ok wait_for 10 grep -q 'restart in' "$T/join"
wait "$REDIS_PID" 2>/dev/null
start_redis
wait $join
is $? 0 "it goes on when the server is back"
is "$(starts)" 2 "with a second bridge"

# inside a pretended Slurm allocation: nodes, end and launcher are found; the scheduler's lies are survived
mkdir "$T/slurm"
fake() { { echo '#!/bin/bash'; cat; } >"$T/slurm/$1"; chmod +x "$T/slurm/$1"; }
fake squeue <<<'echo "2036-11-20T06:31:18|h[1-3]|3|12"'
fake scontrol <<<'printf "h1\nh2\nh3\n"'
fake srun <<<'echo "MPI plugin types are: pmix_v4 pmix pmi2" >&2'
in_slurm() { env -u RANQ_MPIRUN PATH="$T/slurm:$PATH" SLURM_JOB_ID=77 SLURM_RESTART_COUNT=1 SLURM_JOB_NODELIST='h[1-4]' SLURM_NNODES=4 SLURM_CPUS_ON_NODE=4 "$@"; }
TEST="in a Slurm allocation" status 0 in_slurm ranq join --dry-run
like "$out" '/srun --mpi=pmix --no-kill .*--ntasks=13 --nodes=3 --nodelist=h1,h2,h3 ' "srun on the nodes that are left"
like "$out" '--allocation slurm:77\.1 --end-time 21[0-9]+' "identity of this run of the job, and its end"
fake squeue <<<'echo "slurm_load_jobs error: Unable to contact slurm controller"; exit 1'
TEST="with a controller that is away" status 0 in_slurm ranq join --dry-run
like "$out" '--ntasks=17 --nodes=4' "what the environment tells is used"
if grep -q -- --end-time <<<"$out"; then fail "no end is made up" "$out"; else pass "no end is made up"; fi
in_pbs() { printf 'm1\nm1\nm2\nm2\n' >"$T/nodes"; env PATH="$T/slurm:$PATH" PBS_JOBID=3.pbs0 PBS_NODEFILE="$T/nodes" "$@"; }
fake qstat <<<'echo "{\"Jobs\":{\"3.pbs0\":{\"stime\":\"Fri Nov 20 07:44:31 2036\",\"Resource_List\":{\"walltime\":\"00:10:00\"}}}}"'
TEST="in a PBS allocation" status 0 in_pbs ranq join --dry-run
like "$out" '--hostfile .* -n 5 .*--allocation pbs:3\.pbs0 --end-time 21[0-9]+' "hosts, slots, end"
like "$out" 'plm_rsh_agent [^ ]*/ranq-pbs-rsh' "and the way to the other nodes"
fake qstat <<<'echo "{\"Jobs\":{\"3.pbs0\":{\"run_count\":2}}}"'
TEST="after qrerun" status 0 in_pbs ranq join --dry-run
like "$out" '--allocation pbs:3\.pbs0\.1' "identity of this run of the job"
# PBS's KILL reaches join alone: what it leaves must not outlive the job
script <<<'trap "echo drains >$T/end" USR1; trap "echo ends >$T/end; exit 1" TERM; : >$T/ready; while :; do read -r -t 1 -u 9; done'
PATH="$T/slurm:$PATH" PBS_JOBID=3.pbs0 PBS_NODEFILE="$T/nodes" ranq join >"$T/join" 2>&1 &
join=$!
ok wait_for 20 ready
kill -KILL $join
wait $join 2>/dev/null
ok wait_for 20 test -s "$T/end"
is "$(cat "$T/end")" ends "in a PBS allocation, the death of join ends the bridge"

# idle nodes: mpirun would end with any of them, so the bridge is drained, they are given back, and it starts again on the rest
here=$(hostname)
in_pbs() { printf '%s\n' "$here.site" "$here.site" m2 m2 m3 m3 >"$T/nodes"; env PATH="$T/slurm:$PATH" PBS_JOBID=3.pbs0 PBS_NODEFILE="$T/nodes" "$@"; }
offering() {
	script <<<'[ "$(wc -l <"$T/starts")" -gt 1 ] && exit 0
	trap "exit 0" USR1
	file=$(sed -E "s/.*--give-back-file ([^ ]*).*/\1/" "$T/starts"); echo "1 m2,m3" >"$file.new"; mv "$file.new" "$file.offer"
	while :; do read -r -t 1 -u 9; done'
}
fake pbs_release_nodes <<<'echo "$*" >"$T/released"'
offering
TEST="idle nodes of a PBS allocation" status 0 in_pbs timeout 200 ranq join --give-back 5m
is "$(cat "$T/released" 2>/dev/null)" "-j 3.pbs0 m2 m3" "are given back"
like "$err" 'given back to the scheduler: m2,m3' "and it is said"
like "$(head -n 1 "$T/starts")" ' -n 7 .* --give-back 300000ms --give-back-file ' "the first bridge had three nodes"
like "$(tail -n 1 "$T/starts")" ' -n 3 ' "the second one has one"
if tail -n 1 "$T/starts" | grep -q hostfile; then fail "and no list of nodes any more" "$(tail -n 1 "$T/starts")"; else pass "and no list of nodes any more"; fi
fake pbs_release_nodes <<<'echo "pbs_release_nodes: Unauthorized Request  3.pbs0" >&2; exit 159'
offering
TEST="a PBS that keeps them" status 0 in_pbs timeout 200 ranq join --give-back 5m
like "$err" 'cannot give idle nodes back: pbs_release_nodes: .*Unauthorized Request' "its own words"
like "$(tail -n 1 "$T/starts")" ' -n 7 ' "the second bridge has them all"
if tail -n 1 "$T/starts" | grep -q give-back; then fail "and offers none" "$(tail -n 1 "$T/starts")"; else pass "and offers none"; fi

# the other ones of its nodes die: to ask this one, too, tells whether they or the way to ask is broken
printf '#!/bin/sh\n[ "$1" = %s.site ] && [ ! -e "$T/broken" ]\n' "$here" >"$T/rsh"
chmod +x "$T/rsh"
script <<<'[ "$(wc -l <"$T/starts")" -gt 1 ] || kill -KILL $$; exit 0'
TEST="all other nodes of a PBS allocation are dead" status 0 in_pbs env RANQ_PBS_RSH="$T/rsh" ranq join
like "$err" 'left out, because no answer comes from there: m2,m3' "they are left out"
like "$(tail -n 1 "$T/starts")" ' -n 3 ' "and the bridge starts on this one"
touch "$T/broken"
: >"$T/starts"
TEST="no way to ask" status 0 in_pbs env RANQ_PBS_RSH="$T/rsh" ranq join
like "$(tail -n 1 "$T/starts")" ' -n 7 ' "leaves none out"

for args in "-n 0" "-n x" "--nonsense" "-q a{b" "-q ,a" "-q a,b,a" "--idle-timeout soon" "operand" \
	"--bind foo" "--end-time yesterday" "--warn-signal NONSENSE" "--on-server-lost cry" "-n 99999"; do
	: >"$T/starts"
	# shellcheck disable=SC2086 # words
	TEST="refuses: join $args" status 2 ranq join $args
	is "$(wc -l <"$T/err")" 1 "in one line"
	is "$(starts)" 0 "and starts nothing"
done
TEST="refuses: run --local=4000" status 2 ranq run --local=4000 -- true
like "$err" 'too many for' "says why"
TEST="times of nothing" status 0 ranq join --dry-run --idle-timeout 0 --grace 0 --on-server-lost stop
like "$out" '--on-server-lost stop --idle-timeout 0 --grace 0 ' "are handed on, too"
RANQ_BRIDGE="$T/nowhere" TEST="no bridge" status 2 ranq join
TEST="no server there" status 3 ranq join --server "unix://$T/nowhere"
unset RANQ_SERVER
TEST="no server configured" status 3 ranq join
done_testing
