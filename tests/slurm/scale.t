#!/usr/bin/env bash
# scale.t - `ranq scale` on a real Slurm of four hosts: the driver's conformance; work comes, allocations grow and go; a scaler that is killed, a
# controller that is away, requests that cannot be met.
. "$(dirname "$0")/../support/slurm.sh"
SLURM_KILL_WAIT=2 SLURM_MESSAGE_TIMEOUT=3
SLURM_EXTRA_CONF='PartitionName=short Nodes=ALL MaxTime=1 State=UP'
slurm_enter 4
. "$(dirname "$0")/../support/tap.sh"

"$RANQ_TEST_BUILDDIR/tests/support/main_conform" slurm >"$T/conform"
rc=$?
is "$rc $(grep -c '^ok' "$T/conform")" "0 26" "the driver does what all drivers do: $(grep '^not ok' "$T/conform")"

start_redis
cd "$T" || exit 1
scale=(ranq scale --scheduler slurm --max 4 --ranks 1 --worth 1s --idle 2s --poll 1s)
jobs_alive() { squeue -h -o %i | wc -l; }
sees_most() { # notes how many allocations there are
	jobs_alive >>"$T/seen"
	"$@"
}
field() { ranq scale status --json | grep -oE "\"$1\": ?[0-9]+" | grep -oE '[0-9]+$'; }
is_field() { [ "$(field "$1")" = "$2" ]; }

# ---- work comes and goes
"${scale[@]}" >"$T/out" 2>"$T/scale.log" &
scaler=$!
ok wait_for 20 grep -q 'no work' "$T/scale.log"
is "$(jobs_alive)" 0 "an empty queue holds nothing"
job=$(ranq submit --range 1-10000 --results none -- true)
finished() { ranq wait --timeout 1ms "$job"; }
ok wait_for 90 sees_most is_field running 4
ok wait_for 120 sees_most finished
nothing_left() { [ "$(jobs_alive)" = 0 ] && is_field running 0 && is_field leaving 0; }
ok wait_for 60 sees_most nothing_left
is "$(sort -n "$T/seen" | tail -n 1)" 4 "four at most, four at the best time"
is "$(grep -c 'submitted allocation' "$T/scale.log")" 4 "each submitted once"
is "$(ranq workers --json | grep -c '"worker"')" 0 "no worker is left"

# ---- a scaler that is killed, then a controller that is away, while work goes on
# shellcheck disable=SC2016
job=$(ranq submit --range 1-8 --results none --shell "until [ -e $T/go ]; do sleep 0.1; done")
submitted() { [ "$(grep -c 'submitted allocation' "$T/scale.log")" -ge "$1" ]; }
ok wait_for 60 submitted 6
kill -KILL $scaler
wait $scaler 2>/dev/null
ranq scale reconnect >>"$T/out" 2>"$T/again.log" &
scaler=$!
ok wait_for 60 is_field running 4
submissions() { # by their ids: one may be told twice, by the scaler that was killed and by the next one
	grep -ohE '(submitted|found) allocation [0-9]+|allocation [0-9]+ is there' "$T/scale.log" "$T/again.log" | grep -oE '[0-9]+' | sort -u | wc -l
}
is "$(jobs_alive) $(squeue -h -t all -o %j | grep -c '^ranq-')" "4 8" "nothing was submitted twice, nothing was lost"
slurmctld_end
ok wait_for 60 grep -q 'cannot ask the scheduler.*Unable to contact slurm controller' "$T/again.log"
touch "$T/go"
TEST="work goes on without it" status 0 ranq wait --timeout 60s "$job"
slurmctld_start
ok wait_for 60 grep -q 'the scheduler answers again' "$T/again.log"
ok wait_for 100 nothing_left
is "$(submissions)" 8 "and nothing was submitted for nothing"

# ---- stopping
ranq submit --range 1-1000 --results none -- sleep 0.3 >/dev/null
ok wait_for 60 is_field running 4
TEST="stop" status 0 timeout 60 ranq scale stop
is "$(jobs_alive)" 0 "leaves no allocation"
TEST="and no record" status 4 ranq scale status
wait $scaler
is $? 0 "the scaler has ended"

# ---- what cannot be
ranq scale --scheduler slurm --submit-option=-pnosuch --once 2>"$T/err"
like "$(cat "$T/err")" 'cannot submit an allocation: sbatch: invalid partition specified: nosuch' "the scheduler's own words"
like "$(ranq scale --once 2>&1 --scheduler slurm)" 'waiting 1?[0-9](\.[0-9])? s after' "and patience"
ranq submit -q short --range 1-4 -- true >/dev/null
short=(ranq scale -q short --scheduler slurm --poll 500ms --submit-option=-pshort --once)
"${short[@]}" 2>"$T/err"
limited() { [ -n "$(squeue -h -p short -t PENDING -o %r | grep PartitionTimeLimit)" ]; }
ok wait_for 20 limited
"${short[@]}" 2>>"$T/err"
like "$(cat "$T/err")" 'cancelled allocation [0-9]+: the scheduler will never start it: PartitionTimeLimit' "a limit, in its words"
is "$("${short[@]}" 2>&1 | grep -c 'submitted') $(squeue -h -p short -o %i)" "0 " "and not asked for again at once"
other=(ranq scale -q other --scheduler slurm --poll 500ms)
ranq submit -q other --range 1-4 -- true >/dev/null
like "$("${other[@]}" --fit -t 2h -N 2 --dry-run | tr '\n' ' ')" '#SBATCH --nodes=2 #SBATCH --time=120 #SBATCH --time-min=30 ' "a script that fits gaps"
"${other[@]}" -N 99 --once 2>"$T/err"
waiting() { [ -n "$(squeue -h -t PENDING -o %r | grep PartitionConfig)" ]; }
ok wait_for 20 waiting
"${other[@]}" -N 99 --once 2>>"$T/err"
like "$(cat "$T/err")" 'cancelled allocation [0-9]+: the scheduler will never start it: PartitionConfig' "what can never start is taken back"
is "$(squeue -h -n "$(ranq scale status -q other | grep -oE 'ranq-[0-9a-f]+')")" "" "and gone"
like "$("${other[@]}" -N 99 --once 2>&1)" 'waiting .* after: allocation [0-9]+: the scheduler will never start it' "and not asked for again at once"
done_testing
