"""Scale by simulation: real proxies on a real server, simulated ranks (../simulation, ../SCALE.md)."""
import os

from . import programs
from .contest import progress
from .results import Failed, NoFigure, target

CPU, EACH, PROXY, TASK, MEMORY = "server CPU", "server CPU of a bridge", "proxy CPU", "proxy CPU of a task", "memory of a bridge"

ENOUGH = 0.9  # of the ranks' time in tasks: below it the generator was too slow to be a load
SLOW = {1000: 5, 2000: 10}  # so many bridges need more than one machine, or more time: a second of theirs takes so many here


def simulate(context, **settings):
    """The measurements of one simulation, by case."""
    argv = [os.path.join(context.options.build, "bin", "bench-simulation")]
    for name, value in settings.items():
        argv += ["--" + name, str(value)]
    progress("simulation: " + " ".join(argv[1:]))
    with context.world.server() as server:
        measured = {m["case"]: m for m in programs.measurements(argv, server.env, 300)}
    busy = measured[CPU]["more"]["efficiency"]
    if busy < ENOUGH and settings["task"] == "1s":
        raise Failed("the simulated ranks had work for %.0f %% of the time only: the machine is too slow or too busy" % (100 * busy))
    return measured


def take_down(context, benchmark, measured, case, targets=()):
    m = measured[case]
    task = m["parameters"]["task_s"]
    tasks = "" if task == 1 else ", tasks of %g ms" % (1e3 * task)
    context.book.result(benchmark, "ranq", m["unit"], m["better"], [m["value"]], m["parameters"],
                        "%d bridges of %d ranks%s: %s" % (m["parameters"]["bridges"], m["parameters"]["ranks"], tasks, case),
                        more=m.get("more"), targets=targets)


def bridges(context):
    """server CPU of 10 to 2,000 bridges of 128 ranks with tasks of a second"""
    fewest = None
    for count in (10, 100) if context.quick else (10, 100, 1000, 2000):
        window = {"warm": "3s", "window": "2s"} if context.quick else {"warm": "6s", "window": "10s"}
        window["slow"] = SLOW.get(count, 1)
        try:
            measured = simulate(context, bridges=count, ranks=128, task="1s", **window)
        except NoFigure as why:
            context.book.result("bridges", "ranq", "", "lower", [], {"bridges": count, "ranks": 128}, none=why)
            continue
        fewest = fewest or measured[EACH]["value"]
        take_down(context, "bridges", measured, CPU,
                  [target("Redis below 15 % of a core", measured[CPU]["value"], "<=", 15)] if count == 1000 else ())
        take_down(context, "bridges", measured, EACH,
                  [target("no more for each of 1,000 than for each of 10", measured[EACH]["value"] / fewest, "<=", 1.1)]
                  if count == 1000 else ())
        take_down(context, "bridges", measured, PROXY)
        take_down(context, "bridges", measured, MEMORY)


def proxy(context):
    """one proxy with many ranks: CPU of a task, memory of a rank"""
    for ranks in (16, 256) if context.quick else (16, 128, 1024, 4096):
        for task in ("1s", "20ms"):
            window = {"warm": "3s", "window": "1s"} if context.quick else {"warm": "5s", "window": "5s"}
            try:
                measured = simulate(context, bridges=1, ranks=ranks, task=task, **window)
            except NoFigure as why:
                context.book.result("proxy", "ranq", "", "lower", [], {"ranks": ranks, "task": task}, none=why)
                continue
            for case in (PROXY, TASK, MEMORY):
                take_down(context, "proxy", measured, case)


BENCHMARKS = {"bridges": bridges, "proxy": proxy}
