#!/usr/bin/env bash
# Bad input: one clear line, the right exit status, nothing changed in Redis.
. "$(dirname "$0")/../support/tap.sh"
start_redis
# every key with all that is in it, but the clock of the queue
keys() {
	rcli --raw eval "
		local all, keys = {}, redis.call('KEYS', '*')
		local clock = {vt = true, last = true, due = true, chores = true}
		for i, key in ipairs(keys) do
			if key:sub(-2) == ':q' then
				local fields, q = redis.call('HGETALL', key), {}
				for f = 1, #fields, 2 do
					if not clock[fields[f]] then q[#q + 1] = fields[f] .. '=' .. fields[f + 1] end
				end
				table.sort(q)
				all[i] = key .. ' ' .. table.concat(q, ' ')
			else
				all[i] = key .. ' ' .. redis.sha1hex(redis.call('DUMP', key))
			end
		end
		return all" 0 | sort
}

# bad STATUS PATTERN NAME COMMAND...
bad() {
	local want=$1 pattern=$2 name=$3 before after
	shift 3
	before=$(keys)
	TEST="$name: status $want" status "$want" "$@"
	is "$(printf '%s\n' "$err" | wc -l)" 1 "$name: one line"
	like "$err" "$pattern" "$name: says what"
	is "$out" "" "$name: nothing on standard output"
	after=$(keys)
	is "$after" "$before" "$name: nothing changed in Redis"
}

M="$RANQ_TEST_BUILDDIR/tests/modules"
printf 'not a module' >"$T/text.so"
: >"$T/empty"
truncate -s 1G "$T/gigabyte"
head -c 1048577 /dev/zero | tr '\0' x >"$T/long"
printf 'a\0b\n' >"$T/nul"
{ echo fine; cat "$T/long"; } >"$T/second"

# something that bad input could change
TEST="a job of another queue" status 0 ranq submit -q there --range 1-3 -- echo {}
like "$(keys)" 'ranq:\{there\}:q .*jobseq=1' "is seen with all that is in it"

bad 2 "^ranq submit: unknown option '--rangee'; did you mean '--range'" "unknown option" ranq submit --rangee 1-2 -- echo
bad 2 "^ranq submit: unknown option '-Z'" "unknown short option" ranq submit -Z -- echo
bad 2 "^ranq: unknown command 'submitt'; did you mean 'submit'" "unknown command" ranq submitt
bad 2 "cannot read '$T/nofile': No such file" "missing file" ranq submit -a "$T/nofile" -- echo
bad 2 "module: cannot read '$T/none.so'" "missing module" ranq submit --range 1-2 --module "$T/none.so" --function f
bad 2 "'$T/text.so' is not a shared object" "a module that is none" ranq submit --range 1-2 --module "$T/text.so" --function f
if [ -e "$M/noop.so" ]; then
	bad 2 "exports no function 'nosuch'" "missing symbol" ranq submit --range 1-2 --module "$M/noop.so" --function nosuch
	head -c 3000 "$M/noop.so" >"$T/cut.so"
	bad 2 "module '$T/cut.so' is damaged" "a module cut short" ranq submit --range 1-2 --module "$T/cut.so" --function noop
	cp "$M/noop.so" "$T/secret.so"
	chmod 0 "$T/secret.so"
	[ "$(id -u)" = 0 ] ||
		bad 2 "cannot read '$T/secret.so': Permission denied" "unreadable module" ranq submit --range 1-2 --module "$T/secret.so" --function noop
fi
bad 2 "module: cannot read '$T': not a regular file" "a directory as module" ranq submit --range 1-2 --module "$T" --function f
bad 2 "range '5-1' is empty" "backward range" ranq submit --range 5-1 -- echo
bad 2 "range '' is not of the form" "empty range" ranq submit --range '' -- echo
bad 2 "range '1-x' is not of the form" "no range" ranq submit --range 1-x -- echo
bad 2 "range '1-5:0' has a step of 0" "range with step 0" ranq submit --range 1-5:0 -- echo
bad 2 "has too many values" "2^53 + 1 tasks" ranq submit --range 1-9007199254740993 --results none -- echo
bad 2 "range '1-99999999999999999999' is not" "a number beyond 64 bits" ranq submit --range 1-99999999999999999999 -- echo
bad 2 "list 1 is empty" "empty list" ranq submit -- echo :::
bad 2 "no tasks: '$T/empty' is empty" "empty file" ranq submit -a "$T/empty" -- echo
bad 2 "line 1 of '$T/gigabyte' (is longer|contains)" "argument of 1 GiB" ranq submit -a "$T/gigabyte" -- echo
bad 2 "line 1 of '$T/long' is longer than 1048576 bytes" "argument of 1 MiB + 1" ranq submit -a "$T/long" -- echo
bad 2 "line 1 of '$T/nul' contains a NUL byte" "NUL byte" ranq submit -a "$T/nul" -- echo
bad 2 "queue name 'a\{b\}' may only" "queue name with braces" ranq submit -q 'a{b}' -- echo
bad 2 "queue name 'a b' may only" "queue name with a space" ranq submit -q 'a b' -- echo
bad 2 "a queue needs a name" "empty queue name" ranq submit -q '' -- echo
bad 2 "nothing to run" "no command" ranq submit
bad 2 "the command is an empty word" "empty command" ranq submit ''
bad 2 "needs --module" "function without module" ranq submit --function f
bad 2 "not both" "command and function" ranq submit --function f --module m.so -- echo
bad 2 "is not absolute" "relative module path" ranq submit --function f --module-path m.so
bad 2 "--range cannot be combined" "range and values" ranq submit --range 1-2 -- echo ::: a
bad 2 "':::\+' needs a list before it" "link to nothing" ranq submit -- echo :::+ a
bad 2 "'--timeout': 'soon' is not a duration" "bad duration" ranq submit --timeout soon -- echo
bad 2 "'--backlog': 'big' is not a size" "bad size" ranq submit --backlog big -- echo
bad 2 "'--results': 'all' is none of keep\|count\|none" "bad choice" ranq submit --results all -- echo
bad 2 "'--retries': '-1' is not a whole number" "negative number" ranq submit --retries -1 -- echo
bad 2 "'--chunk': '0' is neither" "chunk 0" ranq submit --chunk 0 -- echo
bad 2 "'--lease': '1s' is less than 3" "short lease" ranq submit --lease 1s -- echo
bad 2 "'--name' needs an argument" "argument missing" ranq submit --name
bad 2 "'--env': variable 'NO_SUCH_VARIABLE' is not set" "unset variable" ranq submit --env NO_SUCH_VARIABLE -- echo
bad 2 "--offload keeps results in files: give no --reduce" "files of no results" ranq submit --offload /tmp --results count -- echo
bad 2 "--max-output" "larger than results may be" ranq submit --max-output 100G -- echo
bad 2 "no reduction is called 'sum'; there are sum_int64" "unknown reduction" ranq submit --reduce sum -- echo
bad 2 "--reduce-ordered needs --reduce" "order of no reduction" ranq submit --reduce-ordered -- echo
bad 2 "a reduction needs the results" "reduction of nothing" ranq submit --reduce count --results count -- echo
bad 2 "bad job:.*column separator|regular expression|colsep" "bad separator" ranq submit --colsep '(' -- echo ::: a
bad 4 "no such job|no such queue|has no jobs" "after a job that is not there" ranq submit --after 99 -- echo
bad 2 "'7x' is not a job id" "bad job id" ranq info 7x
bad 2 "'a\{/7' is not a job id" "bad queue in a job id" ranq info 'a{/7'
for command in info wait results tasks cancel rm retry; do
	bad 4 "no such (job|queue)" "$command of no job" ranq $command 99
done
bad 4 "has no jobs|no such queue" "last job of an empty queue" ranq info last
bad 2 "'x' is not the index" "log of no task" ranq log 1 x
bad 2 "something is missing; usage: ranq log .*JOB INDEX" "log of no index" ranq log 1
bad 2 "something is missing; see 'ranq server --help'" "server without a verb" ranq server
bad 4 "no such worker|no worker|no such queue" "drain of nobody" ranq drain all
bad 4 "no such queue" "pause of no queue" ranq pause nosuch
bad 4 "no such queue" "rm-queue of no queue" ranq rm-queue nosuch

# of a queue that has a job
for command in info wait results tasks cancel rm retry; do
	bad 4 "no such job" "$command of a job that is not there" ranq $command there/99
done
bad 4 "no such job" "after a job that is not there, in a queue with others" ranq submit -q there --after 99 -- echo
bad 2 "cannot be retried" "retry of a job that waits" ranq retry there/1
bad 2 "the last is 2" "log of a task that is not there" ranq log there/1 3
bad 2 "lease" "another lease than the queue has" ranq submit -q there --lease 20s -- echo
bad 2 "'7x' is not a job id" "rm of a job and of nonsense" ranq rm there/1 7x
bad 2 "line 2 of '$T/second' is longer" "a bad second line" ranq submit -q there -a "$T/second" -- echo

bad 3 "cannot connect to 'unix:(//)?$T/nosock'" "no server" ranq submit --server "unix://$T/nosock" -- echo
bad 3 "cannot connect to .*refused" "refused" ranq submit --server redis://127.0.0.1:1 -- echo
bad 2 "password" "password in a URL" ranq submit --server redis://:secret@127.0.0.1 -- echo
bad 3 "no server: start one with 'ranq server start'" "no server configured" env -u RANQ_SERVER ranq submit -- echo
if printf '%s' "$err" | grep -q secret; then fail "a password is never repeated"; else pass "a password is never repeated"; fi
mkdir -p "$XDG_CONFIG_HOME/ranq"
echo 'server' >"$XDG_CONFIG_HOME/ranq/config"
bad 2 "config' line 1: expected 'key = value'" "malformed config file" env -u RANQ_SERVER ranq submit -- echo
rm "$XDG_CONFIG_HOME/ranq/config"

# the private server died
ranq server start >/dev/null 2>&1
pid=$(ranq server status --json | sed -E 's/.*"pid":([0-9]+).*/\1/')
kill -9 "$pid"
ok wait_for 5 bash -c "! kill -0 $pid"
bad 3 "start it again with 'ranq server start'" "status of a private server that died" env -u RANQ_SERVER ranq server status
TEST="doctor" status 1 env -u RANQ_SERVER ranq doctor
like "$out" "^fail +server .*; cure: 'ranq server start'" "has the same cure"
bad 3 "start your server again with 'ranq server start'" "a private server that died" env -u RANQ_SERVER ranq submit -- echo
ranq server stop >/dev/null 2>&1

# password and schema: a server with a password, a queue of another schema
rcli config set requirepass "open sesame" >/dev/null
export REDISCLI_AUTH="open sesame"
bad 3 "password|NOAUTH|authentication" "no password" ranq submit -- echo
echo wrong >"$T/pw"
chmod 644 "$T/pw"
export RANQ_PASSWORD_FILE="$T/pw"
bad 2 "chmod 600" "a password file that others can read" ranq submit -- echo
chmod 600 "$T/pw"
bad 3 "password|WRONGPASS" "wrong password" ranq submit -- echo
printf 'open sesame\n' >"$T/pw"
rcli hset 'ranq:{other}:q' schema 999 >/dev/null
bad 2 "version" "another schema version" ranq submit -q other -- echo
TEST="right password" status 0 ranq submit -- echo
is "$out" "default/1" "and the job is there"
# what only the nodes must have is a warning
TEST="a directory that is not here" status 0 ranq submit --cwd /nowhere/there --stdin /nowhere/input -- echo {} ::: a
like "$err" "^ranq: --cwd: there is no '/nowhere/there' on this machine" "is warned of"
like "$err" "--stdin: there is no '/nowhere/input'" "as is a file"
TEST="a directory for large results that is not here" status 0 ranq submit --offload /nowhere/there -- echo {} ::: a
like "$err" "^ranq: --offload: cannot write into '/nowhere/there' on this machine: No such file" "is warned of, too"
done_testing
