#!/usr/bin/env bash
# The job commands as a user sees them, with a bridge that answers by itself (fake_bridge: a task prints its argument).
. "$(dirname "$0")/../support/tap.sh"
start_redis
FAKE="$RANQ_TEST_BUILDDIR/tests/support/fake_bridge"
bridge() { "$FAKE" "$@" & BRIDGE=$!; }
leave() { kill "$BRIDGE" && wait "$BRIDGE"; }
field() { ranq info --json "$1" | sed -E "s/.*\"$2\":\"?([^,\"}]*)\"?[,}].*/\1/"; }
state_is() { [ "$(field "$1" state)" = "$2" ]; }

# ---- help and version
TEST="help" status 0 ranq help
like "$out" "ranq run -- echo" "with first steps"
for word in help --help -h; do
	TEST="help $word" status 0 ranq help "$word"
	like "$out" "^usage: ranq help \[COMMAND\]" "help $word: usage"
done
TEST="--version" status 0 ranq --version
like "$out" "^ranq [0-9]+\.[0-9]+" "a version"
TEST="no command" status 2 ranq
for command in $(ranq help --dump-tables | awk -F '\t' '$2 == "" {print $1}'); do
	TEST="$command --help" status 0 ranq "$command" --help
	like "$out" "^usage: ranq $command" "$command --help: usage"
	is "$(ranq help "$command")" "$out" "ranq help $command is the same"
done

# ---- manual pages tell the same as the tables, letter by letter (values of options are literal words)
plain() { sed -E 's/\\&//g; s/\\-/-/g; s/\\\(aq/'"'"'/g; s/\\e/\\/g' "$RANQ_TEST_SOURCEDIR/launcher/man/ranq-$1.1"; }
for command in $(ranq help --dump-tables | awk -F '\t' '$2 == "" {print $1}'); do
	plain "$command" >"$T/page"
	ranq help --dump-tables | awk -F '\t' -v c="$command" '$1 == c && $2 != "" {print $6}' | grep -vxFf "$T/page" >"$T/differ"
	is "$(cat "$T/differ")" "" "ranq-$command(1): the options as --help tells them"
	like "$(cat "$T/page")" '^\.SH "EXIT STATUS"' "ranq-$command(1): exit status"
done
if [ -x "$RANQ_TEST_BINDIR/ranq-bridge" ]; then
	# an option and its text, each on a line of its own there
	ranq-bridge --help | sed -nE 's/^ +(-.*[^ ])  +([^ ].*)$/\1\n\2/p' >"$T/told"
	plain bridge | sed -E 's/\\f[A-Z]//g' | grep -vxFf - "$T/told" >"$T/differ"
	ok test -s "$T/told"
	is "$(cat "$T/differ")" "" "ranq-bridge(1): the options as --help tells them"
fi

# ---- before anybody works
TEST="submit" status 0 ranq submit --name first -- echo {} ::: a b 'c d'
is "$out" default/1 "the id"
TEST="results of a job that nobody ran" status 5 ranq results 1
like "$err" "job default/1 is not finished: 0 of 3 tasks done" "says so"
TEST="wait with a time-out" status 5 ranq wait 1 --timeout 50ms
TEST="info" status 0 ranq info default/1
like "$out" "^state +PENDING" "pending"
like "$out" "^waiting +no worker serves queue 'default': ranq join -q default" "and why nothing of it runs"
like "$(ranq info --json 1)" '"waiting":"no worker serves queue' "as JSON too"
like "$(ranq jobs)" "no worker serves queue 'default': ranq join" "and in the list"
TEST="wait without a worker" status 5 ranq wait 1 --timeout 2500ms
is "$(grep -c "job default/1 waits: no worker serves queue 'default': ranq join -q default" <<<"$err")" 1 "says why, once"
TEST="jobs --json" status 0 ranq jobs --json
like "$out" '^\{"schema":"ranq.jobs/1","queue":"default","jobs":\[\{"job":"default/1",.*"name":"first"' "with schema and name"
TEST="workers of an empty queue" status 0 ranq workers --json
is "$out" '{"schema":"ranq.workers/1","queue":"default","workers":[]}' "none"
TEST="workers of an empty queue, for people" status 0 ranq workers
is "$err" "ranq workers: no worker serves queue 'default': ranq join -q default" "what to do"
TEST="jobs of a misspelt queue" status 0 ranq jobs -q defalt
is "$err" "ranq jobs: queue 'defalt' has no jobs ('ranq queues' lists the queues)" "is not taken for an idle one"
TEST="jobs of the right one" status 0 ranq jobs
is "$err" "" "no such word"
TEST="tasks" status 0 ranq tasks last
like "$out" "0-2 +3 +PENDING" "waiting as one range"

# ---- a worker comes
bridge default
TEST="wait" status 0 ranq wait 1
TEST="results" status 0 ranq results last
is "$out" "$(printf 'a\nb\nc d')" "in order"
TEST="results again" status 0 ranq results 1
is "$out" "$(printf 'a\nb\nc d')" "reading changes nothing"
TEST="results --json" status 0 ranq results --json 1
is "$(sed -n 3p <<<"$out")" '{"schema":"ranq.result/1","index":2,"arg":"c d","status":"OK","output":"c d\n"}' "one object a line"
TEST="results --unordered" status 0 ranq results -u 1
is "$(sort <<<"$out")" "$(printf 'a\nb\nc d')" "the same lines"
TEST="workers" status 0 ranq workers
like "$out" "fakehost +fake-1 +(idle|busy)" "one"
wait_for 10 bash -c "ranq workers | grep -q idle"
rcli hset "ranq:{default}:bm:$(ranq workers --json | sed -E 's/.*"worker":"([^"]*)".*/\1/')" running 8 >/dev/null
TEST="workers after the job" status 0 ranq workers --json
like "$out" '"state":"idle","ranks":2,"running":0' "an idle one runs nothing, whatever its last heartbeat said"
TEST="queues" status 0 ranq queues --json
like "$out" '"queue":"default","paused":false,"jobs":1' "one"
TEST="another queue" status 0 ranq submit -q other -- echo ::: x
is "$out" other/1 "counts for itself"
TEST="a queue in the id" status 0 ranq info other/1
TEST="RANQ_QUEUE" status 0 env RANQ_QUEUE=other ranq info 1
like "$out" "job +other/1" "is used"

# ---- failures, retry
TEST="run" status 1 ranq run -- echo ::: one fail-a two fail-b
is "$out" "$(printf 'one\nfail-a\ntwo\nfail-b')" "outputs of failed tasks too"
like "$err" "task 1 \(fail-a\) ERROR: exit status 1" "the failed one is named with its argument"
like "$err" "    oops" "and the end of its stderr"
like "$err" "ended ERROR: 2 of 4 tasks failed" "and the sum"
TEST="tasks --state failed" status 0 ranq tasks last --state failed
like "$out" "3 +1 +ERROR +fake/1 +fail-b +exit status 1" "one by one"
TEST="log" status 0 ranq log last 3
like "$out" "argument +fail-b" "tells the argument"
TEST="log of a task that did not fail" status 4 ranq log last 0
TEST="log --json" status 0 ranq log last 1 --json
like "$out" '"schema":"ranq.log/1".*"exit_code":1.*"stderr":"first line\\noops\\n"' "in full"
leave
j=$(ranq submit -- echo ::: p fail-q r)
bridge default
TEST="a job with a failed task" status 1 ranq wait "$j"
like "$err" "ended ERROR: 1 of 3 tasks failed; see 'ranq tasks $j --state failed'" "and how to see which one"
TEST="its results" status 1 ranq results "$j"
like "$err" "; see 'ranq tasks $j --state failed'" "the same"
leave
TEST="retry" status 0 ranq retry --failed "$j"
like "$err" ": 1 task of job $j runs again" "one task, not 1 tasks"
TEST="results while it is retried" status 5 ranq results "$j"
bridge -m good default
TEST="wait for the retry" status 0 ranq wait "$j"
TEST="results after the retry" status 0 ranq results "$j"
is "$out" "$(printf 'p\nfail-q\nr')" "all of them"
TEST="results after the retry as JSON" status 0 ranq results --json "$j"
is "$(grep -c '"status":"OK"' <<<"$out")" 3 "all are OK now"
TEST="retry of a job without failures" status 0 ranq retry "$j"

# ---- streamed input
mkfifo "$T/fifo"
ranq run -a - -- echo <"$T/fifo" >"$T/streamed" &
RUN=$!
exec 7>"$T/fifo"
echo one >&7
if wait_for 10 grep -q one "$T/streamed"; then pass "the first line was run while the input is open"; else fail "the first line was run while the input is open"; fi
like "$(ranq jobs | tail -1)" "OPEN" "the job is OPEN"
like "$(ranq info last)" "^waiting +its submitter has sent no more input yet" "and info says what it waits for"
echo two >&7
exec 7>&-
wait "$RUN"
is "$?" 0 "the run ends with its input"
is "$(cat "$T/streamed")" "$(printf 'one\ntwo')" "with both lines"
mkfifo "$T/fifo2"
ranq submit -a - -- echo <"$T/fifo2" >"$T/id" &
SUBMIT=$!
exec 7>"$T/fifo2"
echo one >&7
one_done() { [ "$(field "$(cat "$T/id")" done)" = 1 ]; }
ok wait_for 10 one_done
kill "$SUBMIT"
wait "$SUBMIT"
is "$?" 130 "an interrupted producer gives 130"
exec 7>&-
TEST="its job" status 1 ranq wait "$(cat "$T/id")"
like "$err" "ended ERROR: .*interrupted" "says that the input is incomplete"
TEST="and what it had" status 1 ranq results "$(cat "$T/id")"
is "$out" one "was run"

# ---- dependencies, pause, cancel
TEST="pause" status 0 ranq pause
like "$err" "queue 'default' starts no new tasks until 'ranq resume default'" "names the queue"
a=$(ranq submit -- echo ::: a)
b=$(ranq submit --after "$a" -- echo ::: b)
is "$(field "$b" state)" DEFERRED "a job that waits for another one"
like "$(ranq info "$a")" "^waiting +queue 'default' is paused: ranq resume default" "why the first one waits"
like "$(ranq info "$b")" "^waiting +waits for other jobs \(--after\)" "why the second one waits"
TEST="pause again" status 0 ranq pause default
like "$err" "paused already" "says so"
TEST="cancel" status 0 ranq cancel "$a"
TEST="cancel twice" status 0 ranq cancel "$a"
is "$(field "$b" state)" IMPOSSIBLE "and now cannot run"
TEST="wait for both" status 1 ranq wait "$a" "$b"
TEST="resume" status 0 ranq resume default
like "$err" "queue 'default' goes on" "says so"
TEST="after the resume" status 0 ranq run -- echo ::: x
is "$out" x "tasks run again"
like "$(ranq info --json last)" '"state":"COMPLETE","reason":null,"waiting":null' "no reason to wait when it has ended"
j=$(ranq submit --require gpu -- echo ::: x)
like "$(ranq info "$j")" "^waiting +needs tag 'gpu', which no worker has" "a tag that no worker has"
like "$(ranq jobs | tail -1)" "needs tag 'gpu', which no worker has" "in the list"
rcli hset "ranq:{default}:bm:$(ranq workers --json | sed -E 's/.*"worker":"([^"]*)".*/\1/')" tags gpux,big >/dev/null
k=$(ranq submit --require big,gpu -- echo ::: x)
like "$(ranq info "$k")" "^waiting +needs tag 'gpu', which no worker has" "the one that is missing, not the one that is there"
ranq cancel "$k"
ranq run --require gpu -- echo ::: late >"$T/late" 2>"$T/late.err" &
RUN=$!
if wait_for 10 grep -q "waits: needs tag 'gpu', which no worker has" "$T/late.err"; then
	pass "run says what is missing"
else
	fail "run says what is missing" "$(cat "$T/late.err")"
fi
kill -HUP "$RUN"
wait "$RUN"
ranq rm last "$j" 2>/dev/null || ranq cancel last "$j"
leave

# ---- nobody works
ranq run -- echo ::: late >"$T/late" 2>"$T/late.err" &
RUN=$!
if wait_for 10 grep -q "no worker serves queue 'default'; start some with 'ranq join -q default'" "$T/late.err"; then
	pass "without a worker the cure is named"
else
	fail "without a worker the cure is named" "$(cat "$T/late.err")"
fi
kill -HUP "$RUN"
wait "$RUN"
is "$?" 130 "interrupt: status 130"
like "$(cat "$T/late.err")" "interrupted: job default/[0-9]+ goes on" "the job goes on"
is "$(field last state)" PENDING "it does"
ranq run --cancel-on-interrupt -- echo ::: late >"$T/late" 2>"$T/late.err" &
RUN=$!
wait_for 10 grep -q "no worker" "$T/late.err"
kill -TERM "$RUN"
wait "$RUN"
is "$?" 130 "interrupt: status 130"
is "$(field last state)" CANCELLED "with --cancel-on-interrupt it is cancelled"

# ---- backlog: held until somebody reads
ranq rm-queue default 2>/dev/null
j=$(ranq submit --range 1-100 --backlog 8MB -- big)
bridge -m big -r 1 default
ranq wait "$j" 2>"$T/held" &
WAIT=$!
if wait_for 20 grep -qE "job '$j' is held: results unread \\(8(\.0)? MB backlog full\\); read them with 'ranq results $j'" "$T/held"; then
	pass "wait says at once that the job is held, and the cure"
else
	fail "wait says at once that the job is held, and the cure" "$(cat "$T/held")"
fi
TEST="results of a held job" status 0 ranq results "$j"
like "$err" "is held because its results are unread: reading and freeing" "says that it frees them"
is "$(wc -c <"$T/out")" 100000000 "all of it"
is "$(head -c 2500000 "$T/out" | tail -c 1)" c "in order"
wait "$WAIT"
is "$?" 0 "wait ends"
TEST="once more" status 1 ranq results "$j"
like "$err" "results of 100 tasks were freed by the job's consumer, first those of 0 to 99" "names what was freed"
leave

# ---- forms of values
bridge -m index8 forms
TEST="--as int64" status 0 ranq run -q forms --range 1-3 --as int64 -- x
is "$out" "$(printf '0\n1\n2')" "numbers"
TEST="freed by the run" status 1 ranq results -q forms last --as hex
j=$(ranq submit -q forms --range 1-2 -- x)
ranq wait "$j"
TEST="--as hex" status 0 ranq results "$j" --as hex
is "$out" "$(printf '0000000000000000\n0100000000000000')" "bytes in hex"
TEST="--as double" status 0 ranq results "$j" --as double
is "$(head -n 1 <<<"$out")" 0 "doubles"
ranq results "$j" >"$T/out"
is "$(wc -c <"$T/out")" 16 "bytes as they are"
leave
TEST="rm-queue" status 0 ranq rm-queue forms
like "$err" "and [0-9]+ jobs with it" "says how many jobs are gone"
ranq submit -q single -- echo ::: x >"$T/id"
TEST="rm-queue of one job" status 0 ranq rm-queue single
like "$err" "and 1 job with it" "one job, not 1 jobs"

# ---- a consumer that dies goes on exactly, into the same file
j=$(ranq submit --range 1-20000 -- echo {})
bridge -r 50 -s 2 default
for _ in 1 2 3 4; do
	size=$(stat -c %s "$T/exact" 2>/dev/null || echo 0)
	ranq results --consume "$j" >>"$T/exact" 2>/dev/null &
	READER=$!
	some_more() { [ "$(stat -c %s "$T/exact")" -gt $((size + 4000)) ] || ! kill -0 "$READER"; }
	ok wait_for 20 some_more
	kill -9 "$READER"
	wait "$READER" 2>/dev/null
done
ranq results --consume "$j" >>"$T/exact" 2>/dev/null
is "$?" 0 "the last one reads to the end"
ok cmp "$T/exact" <(seq 20000)
leave

# ---- control of workers, removal
bridge default
wait_for 10 bash -c "ranq workers | grep -q fakehost"
TEST="drain by id" status 0 ranq drain "$(ranq workers | awk 'NR == 2 {print $1}')"
wait "$BRIDGE"
is "$?" 0 "the worker leaves"
bridge -s 20 default
wait_for 10 bash -c "ranq workers | grep -q fakehost"
TEST="drain and wait" status 0 ranq drain --wait --timeout 120 all
is "$(ranq workers | grep -c fakehost)" 0 "nobody is there any more"
wait "$BRIDGE"
bridge default
wait_for 10 bash -c "ranq workers | grep -q fakehost"
kill -STOP "$BRIDGE"
TEST="drain and wait, in vain" status 5 ranq drain --wait --timeout 300ms all
like "$err" '1 worker has not left yet' "says who is there still"
kill -CONT "$BRIDGE"
wait "$BRIDGE"
TEST="a time-out of no wait" status 2 ranq drain --timeout 1 all
TEST="drain of nobody" status 4 ranq drain all
TEST="rm" status 0 ranq rm "$j"
TEST="gone" status 4 ranq info "$j"
ranq rm-queue other 2>/dev/null
ranq rm last 2>/dev/null
is "$(rcli --raw keys 'ranq:*' | grep -v bell)" "" "no key is left"

# ---- a reader that goes away, a disk that is full
bridge default
ranq run --range 1-200000 -- echo {} 2>"$T/pipe.err" | head -n 1 >"$T/head"
is "$(cat "$T/head")" 1 "a closed pipe ends a run"
is "$(cat "$T/pipe.err")" "" "without a word"
j=$(ranq submit --range 1-20000 -- echo {})
ranq wait "$j"
(ranq results --json "$j" 2>"$T/pipe.err"; echo $? >"$T/pipe.status") | head -n 2 >"$T/head"
is "$(wc -l <"$T/head") $(cat "$T/pipe.status" "$T/pipe.err")" "2 141" "and results too, with the status of SIGPIPE"
if [ -w /dev/full ]; then
	ranq run --range 1-10 -- echo {} >/dev/full 2>"$T/full.err"
	is "$?" 2 "a full disk gives status 2"
	like "$(cat "$T/full.err")" "cannot write to standard output: [Nn]o space left" "and one line"
	is "$(field last freed)" 0 "and frees nothing"
fi
leave

# ---- completion
complete_words() {
	bash -c '. "$RANQ_TEST_SOURCEDIR/launcher/completion/ranq.bash"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ranq; printf "%s\n" "${COMPREPLY[@]}"' _ "$@"
}
like "$(complete_words ranq res)" "^results$" "commands are completed"
is "$(complete_words ranq submit --results c)" count "choices are completed"
is "$(complete_words ranq wait --time)" --timeout "options are completed"
done_testing
