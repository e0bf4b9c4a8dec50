#!/usr/bin/env bash
# The sweep for clusters: its plan, a small one for real, reports of recorded ones; the plot of a recorded elastic run.
. "$(dirname "$0")/../support/tap.sh"
[ -x "$RANQ_TEST_BINDIR/ranq-bridge" ] || skip_all "built without the bridge"
kit=$RANQ_TEST_SOURCEDIR/benchmarks data=$RANQ_TEST_SOURCEDIR/tests/support/data
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

plan=$("$kit/cluster/sweep" --plan --most 256000)
is "$(grep -c '"weak"' <<<"$plan")" 216 "18 numbers of ranks, 6 lengths of tasks, 2 chunks"
is "$(grep -c '"strong"' <<<"$plan")" 15 "strong scaling over the upper sixteenth, not where the last tasks decide"
is "$(grep -c '"bandwidth"' <<<"$plan")" 4 "four sizes of results"
like "$plan" '"weak", "ranks": 256000, "task_s": 1.0, "chunk": 0, "tasks": 767' "three seconds for each rank"

TEST="a sweep" status 0 timeout 300 "$kit/cluster/sweep" --build "$RANQ_TEST_BUILDDIR" -o "$T/sweep" --most 1 --task 0,5ms --chunk auto --bytes 800 --seconds 0.1 --runs 1
is "$(grep -c '"verified": true, "status": "ok"' "$T/sweep/sweep.jsonl")" 3 "all its points are verified"
like "$(cat "$T/sweep/report.md")" '\| 5 ms \| auto \| 1 \| [0-9]+ \| [0-9.]+ \| [0-9.]+ % \|' "and reported"

drawn() {
	local name
	for name; do
		head -c 4 "$T/report/$name.png" | grep -q PNG || return 1
		grep -q '</svg>' "$T/report/$name.svg" || return 1
	done
}
TEST="the report of a recorded sweep" status 0 "$kit/cluster/report" "$data/sweep.jsonl" -o "$T/report"
TEST="with all its plots" ok drawn throughput efficiency strong layers bandwidth
like "$(cat "$T/report/report.md")" '# ranq on 6 ranks' "its title"
like "$(cat "$T/report/report.md")" '\| 10 ms \| auto \| 6 \| 299 \| 573 \| 95.5 % \|' "its table"

echo '{"schema": "ranq.bench/1"}' >"$T/bad"
TEST="what is no result of a sweep" status 1 "$kit/cluster/report" "$T/bad" -o "$T/none"
like "$err" 'bad:1 is no result of a sweep' "is named"

TEST="the plot of a recorded elastic run" status 0 "$kit/elasticity" --plot "$data/elasticity.jsonl" -o "$T/report"
TEST="drawn" ok drawn elasticity

# a result that is another one's is no figure
cat >"$T/check.py" <<'PY'
import importlib.machinery, importlib.util, sys, array
loader = importlib.machinery.SourceFileLoader("sweep", sys.argv[1])
sweep = importlib.util.module_from_spec(importlib.util.spec_from_loader("sweep", loader))
loader.exec_module(sweep)
def check(words, tasks=3):
    checker = sweep.Checker({"bytes": 16, "tasks": tasks})
    data = array.array("q", words).tobytes()
    try:
        checker.add(data[:20]); checker.add(data[20:]); checker.end()
        print("right")
    except sweep.results.Wrong as problem:
        print(problem)
check([0, 0, 1, 1, 2, 2])
check([0, 0, 2, 2, 1, 1])
check([0, 0, 1, 1])
check([0, 0, 1, 1, 2, 0])
PY
is "$(python3 "$T/check.py" "$kit/cluster/sweep" | tr '\n' ';')" "right;a task near 1 has the result of another one;results of 2 tasks came, not of 3;a task near 1 has the result of another one;" \
	"wrong, missing and damaged results are found"
done_testing
