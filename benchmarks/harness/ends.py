"""How things end: the last tasks of a job, and work of an allocation that was killed."""
import os
import time

from . import programs
from .contest import Client, contest, progress
from .results import Wrong, target
from .world import Bridge, wait_for


def tail(context):
    """tasks of 1-100 ms (log-normal), makespan against the best list schedule"""
    tasks, ranks = context.scaled(2000, 20), 8

    def targets(median):
        return [target("1.05 x the list schedule", median("ranq"), "<=", 1.05)]

    with context.world.bridge(ranks) as bridge:
        contest(context, "tail", "of the list schedule", "lower", [
            Client(bridge, "tail", [context.module, tasks, ranks], {"tasks": tasks, "ranks": ranks, "chunk": "auto"}),
        ], 3, targets)


# The first attempt stays until it is killed; the second says when it began.
TASK = "if mkdir %(dir)s/first 2>/dev/null; then : >%(dir)s/began; exec sleep 1000; fi; date +%%s%%N"


def one_recovery(world, lease, number):
    """Seconds from kill -9 of everything of an allocation until its task runs elsewhere, where a worker waits idly."""
    where = world.path("recovery%d" % number)
    os.mkdir(where)
    options = () if lease == "15s" else ("--lease", lease)
    with world.server() as server:
        doomed = Bridge(server, 1, options=options)
        job = server.ranq("submit", "--", "sh", "-c", TASK % {"dir": where}).strip()
        wait_for(lambda: os.path.exists(where + "/began"), 30, "the task")
        pids = doomed.pids()
        heir = Bridge(server, 1)
        killed_ns = time.time_ns()
        programs.kill(pids)
        doomed.leave()
        server.ranq("wait", "--timeout", "120s", job, limit_s=130)
        again_ns = int(server.ranq("results", job))
        heir.leave()
    if again_ns < killed_ns:
        raise Wrong("the task ran again before its allocation was killed")
    return (again_ns - killed_ns) / 1e9


def recovery(context):
    """from kill -9 of an allocation until its work runs elsewhere"""
    for lease, runs in (("3s", 3), ("15s", 1)):
        if context.quick and lease == "15s":
            continue
        progress("recovery: lease %s, %d runs" % (lease, context.runs(runs)))
        seconds = [one_recovery(context.world, lease, time.monotonic_ns()) for _ in range(context.runs(runs))]
        limit = 1.25 * float(lease[:-1]) + 0.5
        context.book.result("recovery", "ranq", "s", "lower", seconds, {"lease_s": float(lease[:-1])}, "lease " + lease,
                            targets=[target("1.25 x lease + 0.5 s (each run)", max(seconds), "<=", limit)])


BENCHMARKS = {"tail": tail, "recovery": recovery}
