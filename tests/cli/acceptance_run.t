#!/usr/bin/env bash
# The promises of the README about `ranq run`, as a new user would try them.
. "$(dirname "$0")/../support/tap.sh"

is "$(ranq run --local=2 -- echo {} {#} ::: a b c 2>"$T/err")" "$(printf 'a 1\nb 2\nc 3')" "values and sequence numbers, in order"
seq 10000 | ranq run --local=2 -a - -- echo {} >"$T/seq.out" 2>"$T/err"
is "${PIPESTATUS[1]}" 0 "10,000 streamed lines: exit 0"
sed 's/^/# /' "$T/err"
ok cmp "$T/seq.out" <(seq 10000)

TEST="a failing task gives status 1" status 1 ranq run --local=2 -- sh -c 'echo oops {} >&2; exit $(({} % 2))' ::: 1 2 3 4
like "$err" 'task 0 .*status 1' "stderr names task 0 with its status"
like "$err" 'task 2 .*status 1' "stderr names task 2 with its status"
like "$err" 'oops 1' "and the end of its stderr"
like "$err" 'oops 3' "of both"
if printf '%s' "$err" | grep -qE 'task [13] '; then fail "tasks that succeeded are not named" "$err"; else pass "tasks that succeeded are not named"; fi

TEST="no input is one task" status 0 ranq run --local=1 -- echo hello
is "$out" hello "its output"
TEST="one word with blanks goes to the shell" status 0 ranq run --local=1 'echo $((1+2)) {}' ::: 'a b'
is "$out" "3 a b" "with the value quoted"
TEST="a range" status 0 ranq run --local=2 --range 5-9:2 -- echo v{}
is "$out" "$(printf 'v5\nv7\nv9')" "its values"
TEST="all combinations" status 0 ranq run --local=2 -- echo {1}-{2} ::: a b ::: 1 2
is "$out" "$(printf 'a-1\na-2\nb-1\nb-2')" "last list runs fastest"

TEST="threads" status 0 env -u OMP_NUM_THREADS ranq run --local=8 --range 1-3 -- sh -c 'echo $OMP_NUM_THREADS'
is "$out" "$(printf '1\n1\n1')" "more ranks than cores: one thread each, bound or not"

# what one run needs goes with it
if wait_for 5 bash -c '! pgrep -f "$XDG_RUNTIME_DIR|$T/tmp" >/dev/null'; then pass "no process is left"; else fail "no process is left" "$(pgrep -af "$T")"; fi
is "$(find "$T/tmp" "$T/run" -mindepth 1 | head -5)" "" "no file or socket is left"
done_testing
