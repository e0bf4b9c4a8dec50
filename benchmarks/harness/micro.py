"""The programs of micro/: parts of ranq by themselves."""
import os

from . import programs
from .contest import progress
from .results import NoFigure


def repeated(context, name, argv, server, runs):
    """Runs a program several times, then a line for each case that it measured."""
    runs = context.runs(runs)
    progress("%s: %d runs" % (name, runs))
    env = dict(server.env, **context.mpi_environment)
    if context.quick:
        env["RANQ_BENCH_QUICK"] = "1"
    cases = {}
    try:
        for _ in range(runs):
            for m in programs.measurements(argv, env):
                cases.setdefault(m["case"], []).append(m)
    except NoFigure as why:
        context.book.result(name, "ranq", "", "higher", [], none=why)
        return
    for case, found in cases.items():
        context.book.result(name, "ranq", found[0]["unit"], found[0]["better"], [m["value"] for m in found],
                            found[0]["parameters"], case, more=found[-1]["more"])


def benchmark(text, name, runs, argv):
    def run(context):
        with context.world.server() as server:
            repeated(context, name, argv(context, server, os.path.join(server.bin, "")), server, runs)

    run.__doc__ = text
    return run


BENCHMARKS = {
    "codec": benchmark("pack and unpack of job records and results", "codec", 3,
                       lambda context, server, bin_: [bin_ + "bench-codec"]),
    "connection": benchmark("one connection to Redis", "connection", 1,
                            lambda context, server, bin_: [bin_ + "bench-conn_rate", server.url]),
    "queue": benchmark("lease, commit, beat and submit: what they cost the server", "queue", 3,
                       lambda context, server, bin_: [bin_ + "bench-queue_cycle"]),
    "hops": benchmark("the least that a task's way there and back can cost here: answers and wake-ups after a second of idleness",
                      "hops", 1, lambda context, server, bin_: [bin_ + "bench-hops", server.url]),
    "link": benchmark("messages between two ranks", "link", 3,
                      lambda context, server, bin_: server.mpirun(2, bin_ + "bench-link")),
    "executor": benchmark("from rank to executor and back", "executor", 2,
                          lambda context, server, bin_: [bin_ + "bench-spawn", bin_ + "ranq-exec", context.module, "noop"]),
}
