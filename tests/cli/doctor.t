#!/usr/bin/env bash
# `ranq doctor`: every setting with its source, every finding with its cure; changes nothing.
. "$(dirname "$0")/../support/tap.sh"
TEST="without a server" status 0 ranq doctor
like "$out" '^warn +server +none is configured.*ranq server start' "no server: a warning and its cure"
like "$out" '^set +queue +default \(default\)' "the queue and its source"
like "$out" '^ok +redis-server' "finds redis-server"
is "$(find "$HOME" "$XDG_RUNTIME_DIR" -type f | wc -l)" 0 "nothing was written"

trap '' XFSZ # the server shall see a full disk, not a signal
start_redis --maxmemory 100mb
trap - XFSZ
# on a busy machine no server is always near
quick() { ranq doctor | grep -q '^ok  *latency '; }
TEST="latency is fine" ok wait_for 10 quick
TEST="with a good server" status 0 ranq doctor
like "$out" '^set +server .*\(environment RANQ_SERVER\)' "the server and its source"
for name in server version persistence eviction memory clock; do like "$out" "^ok +$name " "$name is fine"; done

# a full disk: whoever waits for the server is told, and so is whoever asks
status 0 ranq submit -- echo
prlimit --pid "$REDIS_PID" --fsize=1:unlimited
rcli set some thing >/dev/null
disk_is() { rcli info persistence | grep -q "^aof_last_write_status:$1"; }
TEST="a disk that is full" ok wait_for 20 disk_is err
TEST="doctor" status 1 ranq doctor
like "$out" '^fail +persistence +the server cannot write its disk .*; cure: make room' "says so"
ranq submit -- echo >"$T/id" 2>"$T/submit.err" &
SUBMIT=$!
told() { grep -q "^ranq: $1" "$T/submit.err"; }
TEST="submit says why it waits" ok wait_for 20 told 'the server cannot write its disk and takes nothing new; make room there; trying again'
prlimit --pid "$REDIS_PID" --fsize=unlimited:unlimited
wait "$SUBMIT"
is "$?:$(cat "$T/id")" 0:default/2 "and goes on when there is room"
ok told 'the server goes on'
is "$(wc -l <"$T/submit.err")" 2 "each once"
ok disk_is ok

rcli config set maxmemory-policy allkeys-lru >/dev/null
rcli config set appendonly no >/dev/null
TEST="with a bad server" status 1 ranq doctor
like "$out" '^fail +eviction .*allkeys-lru.*noeviction' "an evicting server fails"
like "$out" '^warn +persistence .*appendonly yes' "no append-only file is a warning"
TEST="as JSON" status 1 ranq doctor --json
like "$out" '^\{"schema": ?"ranq.doctor/1"' "has its schema"
like "$out" '"healthy": ?false' "says the verdict"
like "$out" '"source": ?"environment RANQ_SERVER"' "and the sources"

mkdir -p "$XDG_CONFIG_HOME/ranq"
unset RANQ_SERVER
echo "server = unix://$T/redis/s" >"$XDG_CONFIG_HOME/ranq/config"
chmod 600 "$XDG_CONFIG_HOME/ranq/config"
TEST="a server of the config file" status 1 ranq doctor
like "$out" '^set +server .*\(config file .*/ranq/config\)' "names the file"
TEST="a server that is not there" status 1 ranq doctor --server "unix://$T/nowhere"
like "$out" '^fail +server .*nowhere' "fails"
echo x >"$T/password"
chmod 644 "$T/password"
RANQ_PASSWORD_FILE="$T/password" TEST="a password file that others can read" status 1 ranq doctor --server "unix://$T/redis/s"
like "$out" 'chmod 600' "and its cure"
echo "serve = unix://$T/redis/s" >>"$XDG_CONFIG_HOME/ranq/config"
TEST="a misspelt key in the config file" status 1 ranq doctor
like "$out" "^fail +server .*unknown key 'serve'; did you mean 'server'" "fails, with the key that was meant"
for command in jobs queues "submit --range 1-2 -- echo"; do
	# shellcheck disable=SC2086 # words
	TEST="$command refuses it as well" status 2 ranq $command
	like "$err" "line 2: unknown key 'serve'; did you mean 'server'" "and says so"
	is "$(wc -l <"$T/err")" 1 "in one line"
done
sed -i '/^serve =/d' "$XDG_CONFIG_HOME/ranq/config"
RANQ_MPIRUN=/bin/true TEST="a strange mpirun is no crash" status 1 ranq doctor
TEST="refuses operands" status 2 ranq doctor now
done_testing
