#!/usr/bin/env bash
# Random numbers depend on the seed alone: not on how many ranks there are, how large chunks are, or who is killed.
. "$(dirname "$0")/../support/tap.sh"
start_redis
m="$RANQ_TEST_BUILDDIR/tests/modules/random.so" tasks=4000
draw() { timeout 300 ranq run --lease 3s --module "$m" --function draws --as double --range "1-$tasks" --seed 7 "$@"; }
bridge() { ranq join -n "$1" --lease 3s >>"$T/join" 2>&1 & }
leave() { ranq drain --wait all >/dev/null 2>&1; }
same() { if cmp -s "$T/first" "$T/next"; then pass "$1"; else fail "$1" "$(diff "$T/first" "$T/next" | head -4)"; fi; }

bridge 1
draw >"$T/first"
is "$(sort -u "$T/first" | wc -l)" "$tasks" "each task draws numbers of its own"
draw --chunk 1 --range 1-500 >"$T/next"
is "$(cat "$T/next")" "$(head -500 "$T/first")" "one task at a time: the same"
# {seed} and RANQ_SEED of commands are what ranq_task_seed gives
ranq run --range 1-20 --seed 7 -- sh -c 'echo {seed} $RANQ_SEED' >"$T/seeds"
is "$(cat "$T/seeds")" "$(head -20 "$T/first" | awk '{print $3, $3}')" "commands have the seeds of the same streams"
# R: set.seed(7); nextRNGStream(.Random.seed)[2:7] modulo 2^32; and runif(1) after set.seed(42), then behind a nextRNGSubStream
like "$(ranq run --module "$m" --function seeds --as double --range 1-1 --seed 7)" "^4160993948 4083566861 1240909362 168848128 4078310079 3101601090 0\.17384558454153168 0\.48943377235024815$" "a seed of one's own, as in R"
leave
bridge 2
draw >"$T/next"
same "two ranks: the same"
leave
bridge 5
draw --chunk 37 --env DRAW_US=4000 >"$T/next" &
draws=$!
done_count() { ranq info --json last | sed -n 's/.*"done": *\([0-9]*\).*/\1/p' | head -1; }
under_way() { [ "$(done_count)" -gt 500 ] && [ "$(done_count)" -lt "$tasks" ]; }
ok wait_for 30 under_way
for p in $(marked_pids); do
	case "$(cat "/proc/$p/comm" 2>/dev/null)" in mpirun | orted | ranq-bridge | ranq-exec | mpiexec* | hydra*) kill -9 "$p" 2>/dev/null ;; esac
done
bridge 3
wait "$draws"
same "five ranks, all of them killed, then three: the same"
leave
done_testing
