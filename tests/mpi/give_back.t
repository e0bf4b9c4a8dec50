#!/usr/bin/env bash
# give_back.t - idle nodes are offered to the scheduler by the file that join gives: kept, their ranks compute again; taken, the others work on.
. "$(dirname "$0")/../support/tap.sh"
. "$(dirname "$0")/../support/bridges.sh"
start_redis
cd "$T" || exit 1
export RANQ_TEST_NODES=2 # ranks 0 and 2, 1 and 3
ranks() { ranq workers --json | grep -oE '"ranks": *[0-9]+' | grep -oE '[0-9]+$'; }
has_ranks() { [ "$(ranks)" = "$1" ]; }
# a task that wants company: it ends when so many run at a time
printf '%s\n' 'touch "met.$1.$2"; n=0; until [ $(ls met.$1.* | wc -l) -ge $3 ]; do sleep 0.05; n=$((n + 1)); [ $n -lt 400 ] || exit 1; done; echo $2' >meet.sh
for answer in kept taken; do
	: >give
	rm -f give.offer
	bridge 4 --give-back 300ms --give-back-file "$T/give"
	TEST="$answer: an idle node is offered" ok wait_for 30 test -s give.offer
	is "$(cat give.offer)" "1 $(hostname)" "$answer: by its name"
	TEST="$answer: without its ranks" ok wait_for 20 has_ranks 1
	echo "1 $answer" >give.new
	mv give.new give
	if [ "$answer" = kept ]; then
		TEST="kept: they are back" ok wait_for 20 has_ranks 3
		j=$(ranq submit --range 1-3 -- sh meet.sh kept {} 3)
	else
		j=$(ranq submit --range 1-3 -- sh meet.sh taken {} 1)
	fi
	TEST="$answer: the bridge works on" status 0 ranq wait --timeout 300s "$j"
	in_order "$j" 3 "$answer: each result once"
	[ "$answer" = kept ] || break # nobody ends the ranks that are not talked to any more: that is the scheduler's part
	ranq drain all >/dev/null 2>&1
	ends_with 0 "$answer: the end"
done
kill -KILL "$bridge"
done_testing
