#!/usr/bin/env bash
# `ranq server`: start twice, status, permissions, kill -9 and start again, --listen, stop; nothing is left but the data.
. "$(dirname "$0")/../support/tap.sh"
file="$XDG_CONFIG_HOME/ranq/servers/default"
state="$XDG_STATE_HOME/ranq/server"
key() { ranq server status --json | sed -n "s/.*\"$1\": *\"\{0,1\}\([^,\"}]*\).*/\1/p"; }
cli() { redis-cli -s "$state/redis.sock" "$@"; }
mode() { stat -c %a "$1"; }

TEST="status without a server" status 3 ranq server status
like "$err" 'no server is running' "says so"
TEST="stop without a server" status 0 ranq server stop
TEST="start" status 0 ranq server start
like "$out" '^unix:/' "prints where it is"
pid=$(key pid)
is "$(mode "$file")" 600 "the connection file is for us alone"
is "$(mode "$state")" 700 "so is the data directory"
is "$(mode "$state/redis.sock")" 700 "and the socket"
is "$(mode "$state/redis.conf")" 600 "and the configuration"
TEST="start again" status 0 ranq server start
like "$err" 'running already' "finds it running"
is "$(key pid)" "$pid" "the same process"
TEST="status" status 0 ranq server status
like "$out" 'noeviction' "tells the eviction policy"
is "$(cli config get appendonly | tail -1)" yes "append-only file is on"
is "$(cli config get maxmemory-policy | tail -1)" noeviction "nothing is evicted"
is "$(cli debug sleep 0 2>&1 | grep -c 'not allowed')" 1 "no debug commands"
TEST="other settings while it runs" status 2 ranq server start --listen 127.0.0.1 --plain
like "$err" 'other settings' "are refused"

cli set k kept >/dev/null
synced() { [ "$(cli info persistence | grep -c 'aof_pending_bio_fsync:0')" = 1 ] && grep -q kept -r "$state/appendonlydir"; }
ok wait_for 5 synced
kill -9 "$pid"
ok wait_for 5 bash -c "! kill -0 $pid 2>/dev/null"
TEST="killed: status says it does not answer" status 3 ranq server status
TEST="start after kill -9" status 0 ranq server start
is "$(cli get k)" kept "carries on with its data"
if [ "$(key pid)" != "$pid" ]; then pass "another process"; else fail "another process" "$pid"; fi

TEST="stop" status 0 ranq server stop
if [ -e "$file" ] || [ -e "$state/redis.sock" ]; then fail "connection file and socket are gone" "$(ls "$state")"; else pass "connection file and socket are gone"; fi
ok wait_for 5 bash -c '! pgrep -f "$XDG_STATE_HOME" >/dev/null'
TEST="stop twice" status 0 ranq server stop

# a server that nobody knows any more is ended by the next start, and a redis-cli that works in its directory is not
cp "$(command -v sleep)" "$T/redis-cli"
(cd "$state" && exec "$T/redis-cli" 600) &
bystander=$!
ranq server start >/dev/null 2>&1
pid=$(key pid)
rm "$file"
TEST="start beside a forgotten server" status 0 ranq server start
ok wait_for 5 bash -c "! kill -0 $pid 2>/dev/null"
ok kill "$bystander"
ranq server stop 2>/dev/null

# several at once: one starts, all succeed
for i in 1 2 3 4 5; do ranq server start >"$T/start$i" 2>"$T/say$i" & done
wait
is "$(cat "$T"/start? | sort -u | wc -l)" 1 "five starts at once agree on the address"
is "$(grep -c 'started' "$T"/say? | awk -F: '{s+=$2} END {print s}')" 1 "one of them started it"
is "$(pgrep -fc "redis-server.*$XDG_STATE_HOME")" 1 "one server runs"
is "$(cli get k)" kept "with the old data"
ranq server stop 2>/dev/null

# workers that are there still are named, and do not keep it from stopping
ranq server start >/dev/null 2>&1
ranq submit -q night -- echo ::: a >/dev/null
"$RANQ_TEST_BUILDDIR/tests/support/fake_bridge" night 2>/dev/null &
worker=$!
ok wait_for 10 bash -c "ranq workers -q night | grep -q fakehost"
TEST="stop with a worker" status 0 ranq server stop
like "$err" 'warning: 1 worker is still there' "counts it"
is "$(grep -c warning "$T/err")" 1 "in one line"
like "$err" 'ranq drain --wait' "and tells the cure"
kill -9 "$worker"
wait "$worker" 2>/dev/null
rm -rf "$state/appendonlydir"
ranq server start >/dev/null 2>&1
redis-cli -s "$state/redis.sock" set k kept >/dev/null
TEST="stop without one" status 0 ranq server stop
is "$(grep -c warning "$T/err")" 0 "warns of nothing"

# another host's socket file is not for here
ranq server start >/dev/null 2>&1
sed -i 's/^host .*/host login9/' "$file"
TEST="a socket of another host" status 3 ranq jobs
like "$err" 'login9' "names the host"
like "$err" '--listen' "and the cure"
TEST="start while it is said to run elsewhere" status 2 ranq server start
rm -f "$file"
TEST="start when its connection file was lost" status 0 ranq server start
is "$(cli get k)" kept "takes the place of the forgotten server"

# an open connection file is refused
chmod 644 "$file"
TEST="a connection file that others can read" status 2 ranq jobs
like "$err" 'chmod' "names the cure"
chmod 600 "$file"
ranq server stop 2>/dev/null

TEST="listen with TLS" status 0 ranq server start --listen 127.0.0.1
like "$out" '^rediss://ranq@127\.0\.0\.1:[0-9]+' "address"
address=rediss://${out#*@}
TEST="clients reach it with the password and the pinned certificate" status 0 ranq queues
url=$(key url)
TEST="so do those that are given its URL" status 0 ranq queues --server "$url"
RANQ_SERVER="$url" TEST="or have it in the environment" status 0 ranq queues
echo wrong >"$T/password"
chmod 600 "$T/password"
RANQ_PASSWORD_FILE="$T/password" TEST="a password file wins" status 3 ranq queues --server "$url"
TEST="and not without the connection file" status 3 env XDG_CONFIG_HOME="$T/none" ranq queues --server "$address"
port=${address##*:}
like "$(redis-cli -p "$port" ping 2>&1)" 'rror|reset|closed' "a client without TLS does not"
password=$(awk '$1 == "password" {print $2}' "$file")
if [ -n "$password" ] && ! grep -rqF "$password" "$state/redis.conf" "$state/redis.log" && ! grep -aqF "$password" "/proc/$(key pid)/environ" "/proc/$(key pid)/cmdline"; then
	pass "no password in configuration, log, environment or argv"
else
	fail "no password in configuration, log, environment or argv" "password '${password:0:4}...'"
fi
ranq server stop 2>/dev/null
TEST="listen without TLS" status 0 ranq server start --listen 127.0.0.1 --plain
like "$err" 'without TLS' "says what is lost"
ranq server stop 2>/dev/null

# a server with a password keeps its jobs as well: a queue is changed in transactions
holds() { [ "$(ranq jobs 2>/dev/null | grep -cE '(first|second)-one .* 10 ')" = "$1" ]; }
synced_jobs() { grep -aq "$1" -r "$state/appendonlydir"; }
for plain in "" --plain; do
	rm -rf "$state/appendonlydir"
	# shellcheck disable=SC2086 # words
	TEST="listen $plain" status 0 ranq server start --listen 127.0.0.1 $plain
	port=${out##*:}
	if [ -n "$plain" ]; then
		like "$(redis-cli -p "$port" ping 2>&1)" NOAUTH "nobody may come in without a password"
		like "$(redis-cli -p "$port" --no-auth-warning --user default --pass '' ping 2>&1)" 'WRONGPASS|NOAUTH' "nor as default"
	else
		like "$(redis-cli --tls --cacert "$state/cert.pem" -h 127.0.0.1 -p "$port" ping 2>&1)" NOAUTH "nobody may come in without a password"
	fi
	TEST="submit" status 0 ranq submit --name first-one --range 1-10 -- echo {}
	ranq server stop 2>/dev/null
	# shellcheck disable=SC2086
	TEST="start again" status 0 ranq server start --listen 127.0.0.1 $plain
	ok holds 1
	TEST="submit once more" status 0 ranq submit --name second-one --range 1-10 -- echo {}
	ok wait_for 5 synced_jobs second-one
	pid=$(key pid)
	kill -9 "$pid"
	ok wait_for 5 bash -c "! kill -0 $pid 2>/dev/null"
	# shellcheck disable=SC2086
	TEST="start after kill -9" status 0 ranq server start --listen 127.0.0.1 $plain
	ok holds 2
	ranq server stop 2>/dev/null
done

# a server that drops commands of its append-only file is not gone on with
aof=$(ls "$state"/appendonlydir/*.incr.aof | tail -1)
size=$(stat -c %s "$aof")
printf '*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nx\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n' >>"$aof"
TEST="an append-only file that cannot be loaded whole" status 2 ranq server start --listen 127.0.0.1 --plain
like "$err" 'could not load all of its append-only file' "is refused"
is "$(wc -l <"$T/err")" 1 "in one line"
ok wait_for 5 bash -c "! pgrep -f 'redis-server.*[:]$port' >/dev/null"
truncate -s "$size" "$aof"
TEST="when it is mended" status 0 ranq server start --listen 127.0.0.1 --plain
ok holds 2
ranq server stop 2>/dev/null

# bad input: one line, status 2, nothing started
mkdir -m 755 "$T/open"
for args in "start --dir $T/open" "start --listen 192.0.2.7 --plain" "start --listen 127.0.0.1:99999" "start --plain" "start --maxmemory 1k" \
	"start --dir /proc/no" "restart" "" "start stop" "start --nonsense" "stop --plain"; do
	# shellcheck disable=SC2086 # words
	TEST="refuses: server $args" status 2 ranq server $args
	is "$(wc -l <"$T/err")" 1 "in one line"
done
is "$(find "$XDG_CONFIG_HOME" -type f | wc -l)" 0 "and leaves no connection file"

# an allocation of PBS holds it: the next one is queued, two minutes before the end it is handed on; qdel ends it
mkdir "$T/pbs"
# shellcheck disable=SC2016 # for the scripts
printf '%s\n' '#!/bin/sh' 'echo "    Resource_List.walltime = $walltime"; echo "    Account_Name = ab12"' >"$T/pbs/qstat"
# shellcheck disable=SC2016
printf '%s\n' '#!/bin/sh' 'echo "$*" >>"$T/qsub"' >"$T/pbs/qsub"
# shellcheck disable=SC2016 # nothing listens on a real network
printf '%s\n' '#!/bin/bash' 'exec "$RANQ_TEST_BINDIR/ranq" "${@/#0.0.0.0/127.0.0.1}"' >"$T/pbs/ranq"
chmod +x "$T/pbs/qstat" "$T/pbs/qsub" "$T/pbs/ranq"
server_pbs=$RANQ_TEST_SOURCEDIR/pbs/server.pbs
export PBS_JOBID=7.pbs0 PBS_QUEUE=workq PBS_O_WORKDIR=$T PBS_O_PATH=$T/pbs:$PATH DIR=$T/pbs/data
walltime=00:02:01 TEST="in an allocation of PBS" status 0 timeout 300 bash "$server_pbs"
is "$(cat "$T/qsub")" "-f -W depend=afterany:7.pbs0 -q workq -l walltime=00:02:01 -A ab12 -v DIR=$DIR $server_pbs" "the next one is queued"
like "$err" 'ranq server: started' "a server ran"
like "$err" 'ranq server: stopped' "until it was handed on"
walltime=24:00:00 bash "$server_pbs" >"$T/pbs/out" 2>&1 &
allocation=$!
up() { [ "$(wc -l <"$T/qsub")" -ge 2 ] && ranq server status; }
ok wait_for 30 up
kill -TERM $allocation
wait $allocation
is $? 0 "TERM ends it"
TEST="with its server" status 3 ranq server status

# no redis-server at all
RANQ_REDIS_SERVER=/nowhere/redis TEST="a server program that is not there" status 2 ranq server start
done_testing
