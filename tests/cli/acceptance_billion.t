#!/usr/bin/env bash
# A job of 10^9 tasks is submitted at once and costs Redis nothing that grows with N.
. "$(dirname "$0")/../support/tap.sh"
start_redis

m="$RANQ_TEST_BUILDDIR/tests/modules/noop.so"
job_of() { ranq submit --range "1-$1" --results none --module "$m" --function noop; }
memory() { rcli info memory | awk -F: '/^used_memory:/{print $2+0}'; }
small=$(job_of 10)
# one of these may be slow by whatever else this machine does
for _ in 1 2 3; do
	[ -z "${big:-}" ] || ranq rm "$big"
	before=$(memory)
	started=$(date +%s%N)
	big=$(job_of 1000000000)
	took=$((($(date +%s%N) - started) / 1000000))
	after=$(memory)
	[ "$took" -ge 2000 ] || break
done
like "$big" '^default/[0-9]+$' "the job id is printed"
if [ "$took" -lt 2000 ]; then pass "submitted at once ($took ms with process start)"; else fail "submitted at once" "$took ms"; fi
if [ $((after - before)) -lt 65536 ]; then pass "it takes $((after - before)) bytes"; else fail "memory does not grow with N" "$((after - before)) bytes"; fi
TEST="info answers" status 0 ranq info "$big"
like "$out" '1,?000,?000,?000' "with the number of tasks"
TEST="cancel answers" status 0 ranq cancel "$big"
TEST="a cancelled job is done with status 1" status 1 ranq wait --timeout 300s "$big"
for j in "$small" "$big"; do TEST="rm $j" status 0 ranq rm "$j"; done
is "$(rcli --scan --pattern 'ranq:*' | sort | tr '\n' ' ')" "" "no key is left"
done_testing
