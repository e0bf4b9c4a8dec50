"""What the peers in Python have in common: the functions that they run, and the lines that they speak (harness/peers.py)."""
import json
import os
import subprocess
import sys
import time


def noop(k):
    return k


def sleep(k):
    time.sleep(0.01)
    return k


def command(_):
    return subprocess.run(["/bin/true"], stdout=subprocess.PIPE, check=True).stdout.decode()


FUNCTIONS = {"noop": noop, "chunk1": noop, "trip": noop, "sleep": sleep, "commands": command}
work = os.environ.get("RANQ_BENCH_WORK", "noop")
workers = int(os.environ.get("RANQ_BENCH_WORKERS", "2"))
redis_socket = os.environ.get("RANQ_BENCH_SOCKET", "")


def say(**what):
    print(json.dumps(what), flush=True)


def expected(tasks):
    return [""] * tasks if work == "commands" else list(range(tasks))


def serve(version, run):
    """run(tasks, chunk) returns the results in order."""
    say(ready=True, version=version)
    for line in iter(sys.stdin.readline, ""):
        tasks, chunk = map(int, line.split())
        start = time.monotonic()
        results = list(run(tasks, chunk))
        seconds = time.monotonic() - start
        say(seconds=seconds, right=results == expected(tasks))
