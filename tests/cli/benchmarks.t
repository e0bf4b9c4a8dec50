#!/usr/bin/env bash
# The benchmarks themselves: results are well formed, a wrong one gives no figure, an absent peer is told.
. "$(dirname "$0")/../support/tap.sh"
[ -x "$RANQ_TEST_BINDIR/ranq-bridge" ] || skip_all "the bridge is not built"
command -v python3 >/dev/null || skip_all "there is no python3"
b=$RANQ_TEST_SOURCEDIR/benchmarks
measure() { "$b/run" --quick --build "$RANQ_TEST_BUILDDIR" "$@"; }
# field FILE CONDITION EXPRESSION: of the lines of results that satisfy the condition, r being the line
field() { python3 -c "
import json, sys
for line in open('$1'):
    r = json.loads(line)
    if $2: print($3)"; }

TEST="a micro and an end-to-end benchmark" RANQ_BENCH_PEERS=$T/nothing status 0 measure --peers dask -o "$T/r.jsonl" codec noop
is "$(sed 's/ .*//' <<<"$out")" "" "results go to the file alone"
cat >"$T/check.py" <<'PYTHON'
import json, statistics, sys
keys = ("schema run date benchmark case peer parameters unit better runs min median max verified status reason targets more "
        "versions machine").split()
peers = set()
for line in open(sys.argv[1]):
    r = json.loads(line)
    assert [k for k in keys if k not in r] == [] and r["schema"] == "ranq.bench/1", line
    assert r["better"] in ("higher", "lower") and r["verified"] == bool(r["runs"]) == (r["status"] == "ok"), line
    if r["runs"]:
        assert r["min"] <= r["median"] <= r["max"] and r["min"] > 0 and r["reason"] is None, line
    else:
        assert r["median"] is None and r["reason"], line
    for t in r["targets"]:
        assert t["op"] in (">=", "<=") and (t["reached"] is None) == (t["value"] is None), line
    peers.add((r["benchmark"], r["peer"], r["status"]))
assert peers == {("codec", "ranq", "ok"), ("noop", "ranq", "ok"), ("noop", "dask", "absent")}, peers
PYTHON
TEST="lines of the schema, an absent peer is one of them" ok python3 "$T/check.py" "$T/r.jsonl"
TEST="the table" status 0 "$b/table" "$T/r.jsonl"
like "$out" 'noop \| dask \| absent: not installed' "the table tells of the absent peer"

TEST="a wrong result" status 1 measure --peers none --module "$RANQ_TEST_BUILDDIR/tests/modules/wrong_noop.so" -o "$T/w.jsonl" noop
is "$(field "$T/w.jsonl" True 'r["peer"], r["status"], r["verified"], r["median"], r["runs"]')" "ranq wrong False None []" "gives no figure"
like "$(field "$T/w.jsonl" True 'r["reason"]')" 'wrong result at task 777' "and says why"
status 2 measure nonsense
like "$err" "no benchmark is called 'nonsense'" "an unknown name"
status 2 measure --peers dusk codec
like "$err" "no peer is called 'dusk'" "a misspelt peer is not left out silently"
status 2 measure --runs 0 codec
like "$err" "'0' is no number of runs" "no runs are no figure"
status 1 "$b/compare" HEAD HEAD nonsense
like "$err" "no benchmark is called 'nonsense'" "compare knows it before it builds"
RANQ_BENCH_PEERS=$T/not-made status 2 "$b/peers/install" --nonsense
TEST="peers/install installs nothing when asked for something else" ok test ! -e "$T/not-made"

recorded() { # FILE VALUE...
	python3 -c "import json, sys
print(json.dumps({'benchmark': 'x', 'case': '', 'unit': 'tasks/s', 'better': 'higher', 'peer': 'ranq', 'verified': True,
                  'runs': [float(v) for v in sys.argv[1:]]}))" "${@:2}" >"$1"
}
recorded "$T/a.jsonl" 100 101 99
recorded "$T/b.jsonl" 110 111 109
recorded "$T/c.jsonl" 110 111 100.5
like "$("$b/compare" "$T/a.jsonl" "$T/b.jsonl")" '\+10\.0 %.*\*\*better\*\*' "compare: a change outside the noise"
like "$("$b/compare" "$T/b.jsonl" "$T/a.jsonl")" '-9\.1 %.*\*\*worse\*\*' "compare: the other way"
like "$("$b/compare" "$T/a.jsonl" "$T/c.jsonl")" 'within the noise' "compare: noise"
is "$(pgrep -f "$T/tmp/ranq-bench" | head -3)" "" "no server is left"
done_testing
