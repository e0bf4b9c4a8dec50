#!/usr/bin/env bash
# scale.t - `ranq scale` without a scheduler of its own: drivers by one conformance test, local processes for real, PBS by its double.
. "$(dirname "$0")/../support/tap.sh"
conform=$RANQ_TEST_BUILDDIR/tests/support/main_conform
for driver in fake local; do
	"$conform" $driver >"$T/conform.$driver"
	is "$? $(grep '^not ok' "$T/conform.$driver")" "0 " "the driver '$driver' does what all drivers do"
done
export PBS_DOUBLE=$T/pbs
pbs_path=$RANQ_TEST_SOURCEDIR/tests/support/pbs:$PATH
PATH=$pbs_path "$conform" pbs >"$T/conform.pbs"
is "$? $(grep '^not ok' "$T/conform.pbs")" "0 " "the driver 'pbs' does what all drivers do"
if [ "${RANQ_TEST_PBS:-0}" = 1 ]; then # a real one
	"$conform" pbs >"$T/conform.real"
	is "$? $(grep '^not ok' "$T/conform.real")" "0 " "and so it does on a real PBS"
fi

start_redis
cd "$T" || exit 1
field() { ranq scale status --json | grep -oE "\"$1\": ?[0-9]+" | grep -oE '[0-9]+$'; }
is_field() { [ "$(field "$1")" = "$2" ]; }
local_scale=(ranq scale --scheduler local --ranks 1 --poll 500ms --idle 1s)

# ---- looking first
status 4 ranq scale status
status 4 ranq scale set 3
status 2 ranq scale set many
status 2 ranq scale what
status 2 ranq scale --scheduler local --min 3 --max 2 --once
status 2 ranq scale --scheduler local --budget much --once
printf 'a\n@nodez@\n' >bad.template
TEST="a template with a mistake" status 2 ranq scale --scheduler local --template bad.template --once
like "$err" "line 2 of the template: there is no variable '@nodez@'" "is told at once"
printf '# for @queue@, @nodes@ node, @walltime@ = @minutes@ min\nexec @join@\n' >mine.template
job=$(ranq submit --range 1-4 -- echo {})
TEST="dry run" status 0 "${local_scale[@]}" --max 2 -t 90m --template mine.template --dry-run -- --bind none
like "$out" 'for default, 1 node, 01:30:00 = 90 min' "fills the template"
like "$out" 'exec env PATH=.*ranq join --queue default --server unix:.* --ranks 1 --idle-timeout 30000ms .*--bind none' "with join and its options"
like "$out" '# would submit an allocation: 2 allocations are needed, 0 are there or coming: 4 tasks, about 4 min' "tells why"
is "$(rcli exists 'ranq:{default}:scale')" 0 "and leaves nothing"

for template in "$RANQ_TEST_SOURCEDIR"/slurm/template-* "$RANQ_TEST_SOURCEDIR"/pbs/template-*; do
	TEST="the template ${template##*/}" status 0 "${local_scale[@]}" --template "$template" --dry-run
	like "$out" '^ *(exec )?env PATH=.*ranq join|^ *exec .*ranq join' "starts a bridge"
	is "$(grep -c '@[a-z_]*@' <<<"$out")" 0 "and holds no variable any more"
done
echo 'export SITE=here' >site.sh
TEST="an environment" status 0 "${local_scale[@]}" --env-setup site.sh --image /dev/null --dry-run
like "$out" "ranq join .*--env-setup [^ ]*/site.sh --image /dev/null " "for all allocations, by its full path"
TEST="one that is not there" status 2 "${local_scale[@]}" --env-setup nowhere.sh --dry-run
like "$err" "^ranq scale: cannot read 'nowhere.sh' \(--env-setup\): No such file" "is told at once"

# ---- from cron: twice is not two times
for i in 1 2; do TEST="once, $i" status 0 "${local_scale[@]}" --max 2 --template mine.template --once; done
ok wait_for 30 ranq wait --timeout 1ms "$job"
is "$(find "$T/home/.local/state/ranq/scale" -name '*.log' | wc -l)" 2 "two allocations"
gone() { "${local_scale[@]}" --max 2 --once 2>>"$T/cron.log" && is_field running 0 && is_field leaving 0; }
ok wait_for 30 gone
like "$(ranq scale status)" 'scaler: none runs .ranq scale reconnect' "nobody is there"

# ---- a loop: wishes, pause, a kill, reconnect, stop
"${local_scale[@]}" --max 3 --poll 500ms -- --bind none 2>"$T/scale.log" &
scaler=$!
like_who() { ranq scale status | grep -q "scaler: .*:$scaler"; }
ok wait_for 20 like_who
TEST="a second scaler" status 2 timeout 300 "${local_scale[@]}" --once
like "$err" "is scaled by .*:$scaler already" "is told who is there"
status 0 ranq scale set 2
ok wait_for 30 is_field running 2
status 0 ranq scale pause
kill -KILL $scaler
wait $scaler 2>/dev/null
TEST="a wish without a scaler" status 0 ranq scale set 1
like "$err" 'no scaler runs now' "is noted"
ranq scale reconnect 2>"$T/again.log" &
scaler=$!
ok wait_for 20 grep -q 'scaling is paused' "$T/again.log"
is "$(field running)" 2 "paused: nothing was drained"
status 0 ranq scale resume
ok wait_for 20 is_field running 1
TEST="stop" status 0 timeout 300 ranq scale stop
wait $scaler
is $? 0 "the scaler has ended"
left() { marked_pids | xargs -r ps -o comm= -p | grep ranq; }
none_left() { [ -z "$(left)" ]; }
TEST="no process is left" ok wait_for 5 none_left
status 4 ranq scale status

# ---- PBS
export PATH=$pbs_path
job=$(ranq submit --range 1-6 --shell 'echo $PBS_JOBID')
ranq scale --scheduler pbs --max 3 --ranks 1 --poll 500ms --idle 1s --worth 1s 2>"$T/pbs.log" &
scaler=$!
TEST="a job by way of PBS" status 0 ranq wait --timeout 300s "$job"
like "$(ranq results "$job" | sort -u | head -n 1)" '^[0-9]+\.pbs0$' "runs in its jobs"
touch "$PBS_DOUBLE/down"
ok wait_for 20 grep -qE 'cannot ask the scheduler: (qselect|qstat): .*cannot connect to server pbs0' "$T/pbs.log"
rm "$PBS_DOUBLE/down"
ok wait_for 20 grep -q 'the scheduler answers again' "$T/pbs.log"
nothing() { is_field running 0 && is_field leaving 0 && is_field pending 0; }
ok wait_for 30 nothing
status 0 timeout 300 ranq scale stop
is "$(qselect -N "$(grep -oE 'named ranq-[0-9a-f]+' "$T/pbs.log" | cut -d' ' -f2)")" "" "no job is left"
done_testing
