#!/usr/bin/env bash
# A consumer that is killed between its first output and its first acknowledgement: the next one, into the same file, writes nothing again.
. "$(dirname "$0")/../support/tap.sh"
start_redis
j=$(ranq submit --lease 3s --range 1-40 -- echo {})
echo before >"$T/out"
ranq results --follow --consume "$j" >>"$T/out" 2>"$T/err" &
reader=$!
knows_where() { [ "$(rcli --raw hstrlen 'ranq:{default}:j:1:c' state)" -gt 0 ]; }
TEST="where the output begins is stored before anything is written" ok wait_for 10 knows_where
is "$(cat "$T/out")" before "nothing was written"
kill -9 $reader
wait $reader 2>/dev/null
# as if it had come that far
printf '1\n2' >>"$T/out"
ranq-bridge --lease 3s --slots 2 --idle-timeout 1s >"$T/bridge" 2>&1
ranq results --follow --consume "$j" >>"$T/out" 2>"$T/err"
is "$?" 0 "the next one reads to the end"
is "$(cat "$T/out")" "$(echo before; seq 40)" "every result once, behind what stood there"
done_testing
