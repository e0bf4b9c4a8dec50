#!/usr/bin/env bash
# Results in files: of commands and of functions, in order, whole or not at all, gone with their job.
. "$(dirname "$0")/../support/tap.sh"
bodies=$RANQ_TEST_BUILDDIR/tests/modules/bodies.so
start_redis --appendonly no
dir=$T/shared
mkdir "$dir"
files() { find "$dir" -type f | wc -l; }
names() { find "$dir" -type f -name 'tmp.*' | wc -l; }
stored() { rcli info memory | sed -n 's/^used_memory:\([0-9]*\).*/\1/p'; }

ranq join --lease 3s -n 3 >"$T/join" 2>&1 &
join=$!
big() { yes "$1" | head -c 3000000; }
small=$(stored)

# every third result is large; the same content twice is one file
ranq run --lease 3s --chunk 1 --offload "$dir" --shell 'if [ $(({} % 3)) = 0 ]; then yes {} | head -c 3000000; else echo {}; fi; [ {} != 7 ] || sleep 0.3' ::: 1 2 3 4 5 6 7 8 9 9 >"$T/out" 2>"$T/err"
is "$?" 0 "commands with large results: $(head -c 500 "$T/err")"
want=$(for i in 1 2 3 4 5 6 7 8 9 9; do if [ $((i % 3)) = 0 ]; then big $i; else echo $i; fi; done | sha256sum)
is "$(sha256sum <"$T/out")" "$want" "all of them, in order"
is "$(files)" 3 "a file for each content"
is "$(find "$dir" -type f ! -perm 600 | wc -l)$(find "$dir" -mindepth 1 -type d ! -perm 700 | wc -l)" 00 "for its owner only"
TEST="the server has references only" ok test $(($(stored) - small)) -lt 3000000
TEST="removed" status 0 ranq rm last
is "$(ls -A "$dir")" "" "and the files with it"

# functions; --json; longer than what fits into the server
j=$(ranq submit --offload "$dir" --max-output 1G --module "$bodies" --function large ::: 3000000 10 3000000)
TEST="a function" status 0 ranq wait --timeout 300s "$j"
ranq results --as raw "$j" >"$T/out"
is "$(stat -c %s "$T/out")" 6000010 "values of a function"
is "$(ranq results --json "$j" | grep -c '"OK"')" 3 "as JSON"
f=$(find "$dir" -type f | head -1)
mv "$f" "$T/away"
TEST="a file is missing" status 2 ranq results --as raw "$j"
like "$err" "task [02]: the file '$f' of the result cannot be read here: No such file" "which one"
cp "$T/away" "$f"
printf x | dd of="$f" bs=1 seek=2000000 conv=notrunc 2>/dev/null
TEST="a file is damaged" status 2 ranq results --as raw "$j"
like "$err" "task [02]: the file '$f' of the result is damaged" "which one"
TEST="a task that succeeded runs again" status 0 ranq retry --task 0,2 "$j"
TEST="the job is over once more" status 0 ranq wait --timeout 60s "$j"
is "$(ranq results --as raw "$j" | wc -c)" 6000010 "its file is whole again"
like "$(ranq info --json "$j" | tr -d ' ')" '"ok":3.*"error":0' "counted once"
TEST="no list" status 2 ranq retry --task 0,x "$j"
like "$err" "option '--task': 'x' is no list of task indices" "says which"
sums=$(ranq submit --reduce sum_int64 --range 1-3 -- echo {})
TEST="a reduction" status 0 ranq wait --timeout 60s "$sums"
TEST="its tasks cannot run again" status 2 ranq retry --task 1 "$sums"
like "$err" "keeps no results of single tasks" "says why"
ranq rm "$sums"
mv "$T/away" "$f"
TEST="it is back" status 0 ranq results --as raw "$j"
mv "$dir" "$dir.away"
TEST="the directory cannot be seen" status 2 ranq rm "$j"
like "$err" "job '?[a-z]*/[0-9]+'? is removed, but: results may be left in '$dir/ranq-[0-9a-f]{32}'" "rm says so"
mv "$dir.away" "$dir"
rm -rf "$dir"/ranq-*

# libranq
"$RANQ_TEST_BUILDDIR/tests/support/main_offload" "$bodies" "$dir" 3000000 10 2000000 3000000 5 1048576 1048577 >"$T/out" 2>"$T/err"
is "$(cat "$T/out" "$T/err")" "7 tasks, 10097168 bytes, 1 failure
7 tasks, 10097168 bytes" "ranq_next asks again for what could not be read; foreach in batches"
is "$(ls -A "$dir")" "" "both remove their files"

# an output passes through its executor
j=$(ranq submit --offload "$dir" --max-output 400M --shell 'head -c 300000000 /dev/zero; grep VmHWM /proc/$PPID/status >'"$T/peak")
TEST="300 MB from a command" status 0 ranq wait --timeout 400s "$j"
is "$(ranq results "$j" | wc -c)" 300000000 "all of it"
TEST="in bounded memory: $(cat "$T/peak")" ok test "$(tr -dc 0-9 <"$T/peak")" -lt 60000
ranq rm "$j"

# killed while it writes, with nothing visible; the next try is whole
j=$(ranq submit --offload "$dir" --shell 'yes | head -c 2500000; [ $RANQ_ATTEMPT = 1 ] || exit 0; until [ -n "$(find '"$dir"' -name "tmp.*" -size +2000k)" ]; do sleep 0.02; done; find '"$dir"' -type f ! -name "tmp.*" >'"$T/seen"'; kill -9 $PPID')
TEST="an executor killed in the middle" status 0 ranq wait --timeout 300s "$j"
is "$(cat "$T/seen" 2>&1)" "" "no result was to be seen"
is "$(ranq results "$j" | wc -c)" 2500000 "the second try's is whole"
is "$(files) $(names)" "2 1" "beside what the dead one left"
ranq rm "$j"
is "$(ls -A "$dir")" "" "rm takes that, too"

# limits and failures
TEST="too long" status 1 ranq run --offload "$dir" --max-output 2M --shell 'yes | head -c 3000000'
like "$err" "output exceeds 2" "says the limit"
is "$(wc -c <"$T/out")" 2000000 "and what came before it is kept"
ranq rm last
j=$(ranq submit --offload "$T/nowhere" --shell 'yes | head -c {}' ::: 10 3000000)
TEST="no such directory" status 1 ranq wait --timeout 300s "$j"
like "$(ranq tasks --state failed "$j")" "$(uname -n)" "names the host"
like "$(ranq log "$j" 1)" "cannot write the result into '$T/nowhere' on [^ ]+: No such file" "names the directory"
is "$(ranq tasks --state failed --json "$j" | grep -c '"ERROR"')" 1 "small results need no directory"

# a job that expires leaves its files; the next job of the queue takes them, not those of others
other=$(ranq submit --offload "$dir" --shell 'yes no | head -c 2500000')
TEST="a job" status 0 ranq wait --timeout 60s "$other"
j=$(ranq submit --offload "$dir" --ttl 1s --shell 'yes | head -c 2500000')
expired() { ! ranq info "$j" >"$T/info" 2>&1; }
TEST="another one expires" ok wait_for 60 expired
is "$(files)" 2 "its files are there"
j=$(ranq submit --offload "$dir" --ttl 1s --shell 'yes | head -c 2500001')
is "$(ranq results "$other" | wc -c)" 2500000 "the other's are to be read"
TEST="the next one expires, too" ok wait_for 60 expired
is "$(files) $(ls "$dir" | wc -l)" "2 2" "the first one's are gone, the second's are not"
ranq rm "$other"
is "$(ls -A "$dir")" "" "rm takes all"

# the queue with all of its jobs; what is not ours stays
mkdir "$dir/ranq-notes" "$T/nowhere"
for i in 1 2; do ranq submit --offload "$dir" --shell 'yes | head -c 2500000' >>"$T/jobs"; done
TEST="two more" status 0 ranq wait --timeout 300s $(cat "$T/jobs")
is "$(files)" 2 "with files"
TEST="rm-queue" status 0 ranq rm-queue default
is "$(ls -A "$dir")" "ranq-notes" "took their files along"

# a join that ends takes what is left
j=$(ranq submit --offload "$dir" --shell 'yes | head -c 2500000')
TEST="one more" status 0 ranq wait --timeout 60s "$j"
mv "$dir" "$dir.away"
TEST="removed where its files are not seen" status 2 ranq rm "$j"
mv "$dir.away" "$dir"
is "$(files)" 1 "they are there"

drained() {
	kill -0 "$join" 2>/dev/null || return 0
	ranq drain all >/dev/null 2>&1
	return 1
}
if wait_for 60 drained; then pass "join ends"; else fail "join ends" "$(tail -20 "$T/join"; ranq workers)"; fi
is "$(ls -A "$dir")" "ranq-notes" "and takes what was left"
is "$(rcli exists 'ranq:{default}:files')" 0 "and nothing is remembered"
done_testing
