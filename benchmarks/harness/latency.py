"""How long one thing takes: a task there and back, a submit, a start."""
import os
import statistics
import time

from . import programs
from .contest import Client, Contestant, contest
from .peers import Service
from .results import Wrong, target
from .world import Bridge, wait_for


def cpu_s(pid):
    """Processor time of a process so far."""
    with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ranks(bridge):
    found = []
    for pid in bridge.pids():
        with open("/proc/%d/comm" % pid, encoding="ascii", errors="replace") as comm:
            if comm.read().strip() == "ranq-bridge":
                found.append(pid)
    return found


def idle(context, bridge):
    """Per cent of a core that the busiest rank uses while there is nothing to do."""
    seconds = context.scaled(10, 10)
    pids = ranks(bridge)
    before = [cpu_s(pid) for pid in pids]
    time.sleep(seconds)
    used = [100 * (cpu_s(pid) - then) / seconds for pid, then in zip(pids, before)]
    if len(pids) != 3:
        raise Wrong("there are %d ranks instead of 3" % len(pids))
    context.book.result("trip", "ranq", "% of a core", "lower", [max(used)], {"ranks": 2, "seconds": seconds},
                        "idle, busiest rank", targets=[target("1 % of a core a rank", max(used), "<=", 1)])


class Trips(Service):
    """A peer's round trips after a second without work: the median of one run. It is there for its own runs only: the others
    want an idle machine."""

    stands_by = False

    def __init__(self, context, peer, trips, **more):
        super().__init__(context, peer, "trip", 1, **more)
        self.trips = trips
        self.parameters = dict(self.parameters, trips=trips)

    def once(self):
        seconds = []
        for _ in range(self.trips):
            time.sleep(1)
            seconds.append(self.ask(1)["seconds"])
        seconds.sort()
        return 1e3 * seconds[len(seconds) // 2], {"min_ms": 1e3 * seconds[0], "max_ms": 1e3 * seconds[-1]}


class BareWay(Contestant):
    """The processes of a trip, their messages and wake-ups, and nothing done in any of them."""

    peer = "bare"

    def __init__(self, server, trips):
        super().__init__({"trips": trips, "program": "bench-hops"})
        self.argv = [server.bin + "/bench-hops", server.url, str(trips), "bare way there and back"]
        self.env = server.env

    def once(self):
        return 1e-3 * programs.measurements(self.argv, self.env, 180)[0]["value"], {}


ON_THE_WAY = ("submit", "lease", "commit", "fetch")
SLOW_LOG = ("local said = {} for _, entry in ipairs(redis.call('SLOWLOG', 'GET', 10000)) do "
            "said[#said + 1] = entry[4][1] .. ' ' .. (entry[4][2] or '-') .. ' ' .. entry[3] end return table.concat(said, ',')")


def functions(context, bridge, case, pause_ms, trips):
    """What the server's functions on the way of a trip take, by its slow log. From 15 us on: the commands inside of them are not noted."""
    server = bridge.server
    for name, value in (("slowlog-log-slower-than", "15"), ("slowlog-max-len", "10000")):
        server.redis("config", "set", name, value)
    server.redis("slowlog", "reset")
    Client(bridge, "trip", [context.module, trips, pause_ms], {}).once()
    taken = {name: [] for name in ON_THE_WAY}
    for entry in server.redis("eval", SLOW_LOG, "0").strip().split(","):
        call = entry.split(" ")
        name = call[1].rsplit("_", 1)[-1]
        if call[0] == "FCALL" and name in taken:
            taken[name].append(int(call[2]))
    server.redis("config", "set", "slowlog-log-slower-than", "10000")
    if min(map(len, taken.values())) < trips:
        raise Wrong("%d trips with %s" % (trips, ", ".join("%d %s" % (len(us), name) for name, us in taken.items())))
    each = {name + "_us": statistics.median(us) for name, us in taken.items()}
    context.book.result("trip", "ranq", "us", "lower", [sum(each.values())], {"trips": trips}, case, more=each)


def trip(context):
    """one task there and back after a second without work"""
    trips = context.scaled(30, 10)
    worst = []

    class Ranq(Client):
        """Keeps the p99 of each run."""

        def once(self):
            value, more = super().once()
            worst.append(more["p99_ms"])
            return value, dict(more, p99_of_runs_ms=list(worst))

    def targets(median):
        found = [
            target("median 0.5 ms", median("ranq"), "<=", 0.5),
            target("p99 3 ms (of %d trips: the longest)" % (trips * len(worst)), max(worst, default=None), "<=", 3),
        ]
        worst.clear()
        return found

    with context.world.bridge(2) as bridge, context.world.server() as redis:
        idle(context, bridge)
        contest(context, "trip", "ms", "lower", [
            Ranq(bridge, "trip", [context.module, trips], {"trips": trips, "ranks": 2}),
            BareWay(bridge.server, trips),
            Trips(context, "mpi4py", context.scaled(2, 2)),
            Trips(context, "dask", context.scaled(2, 2)),
            Trips(context, "celery", context.scaled(2, 2), redis=redis),
            Trips(context, "rq", context.scaled(2, 2), redis=redis),
            Trips(context, "hyperqueue", context.scaled(2, 2), body="/bin/true"),
        ], 2, targets, "after idleness")
        contest(context, "trip", "ms", "lower", [
            Ranq(bridge, "next", [context.module, trips], {"trips": trips, "ranks": 2}),
            BareWay(bridge.server, trips),
        ], 2, targets, "next task of an open job, after idleness")
        functions(context, bridge, "four functions of the server, after idleness", 1000, trips)
        functions(context, bridge, "four functions of the server, without a pause", 0, 10 * trips)


def submit(context):
    """submit of 10^9 tasks, and what the job takes in Redis"""
    with context.world.server() as server:
        bench = Client(Holder(server), "submit", [context.module, 10], {})
        server.ranq("rm", bench.once()[1]["job"])  # the module is there now, as it is for every job but the first
        times, sizes = [], []
        for _ in range(context.runs(5)):
            before = server.memory()
            bench.argv[-1] = "1000000000"
            value, more = bench.once()
            times.append(value)
            sizes.append(server.memory() - before)
            if '"tasks":1000000000' not in server.ranq("info", "--json", more["job"]).replace(" ", ""):
                raise Wrong("the job has not 10^9 tasks")
            server.ranq("cancel", more["job"])
            server.ranq("rm", more["job"])
    parameters = {"tasks": 1000000000}
    middle = sorted(times)[len(times) // 2]
    context.book.result("submit", "ranq", "ms", "lower", times, parameters, "time", targets=[target("10 ms", middle, "<=", 10)])
    context.book.result("submit", "ranq", "bytes", "lower", sizes, parameters, "memory in Redis",
                        targets=[target("64 KB", max(sizes), "<=", 65536)])


class Holder:
    """Stands for a bridge where there is none."""

    def __init__(self, server):
        self.server = server


class BareMpirun(Contestant):
    """mpirun of a program that does MPI_Init and MPI_Finalize, by the command line that ranq join makes."""

    peer = "bare"

    def __init__(self, server, ranks_):
        super().__init__({"ranks": ranks_, "program": "MPI_Init, MPI_Finalize"})
        self.argv = server.mpirun(ranks_, server.bin + "/bench-mpi_start")
        self.env = dict(server.env, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")

    def once(self):
        start = time.monotonic()
        programs.run(self.argv, self.env)
        return time.monotonic() - start, {}


class Join(Contestant):
    """From the start of ranq join to the first task running, which waits in the queue."""

    def __init__(self, context, server, ranks_):
        super().__init__({"ranks": ranks_})
        self.context = context
        self.server = server

    def once(self):
        waiting = programs.Lines([self.server.bin + "/bench-client", "first", self.context.module], self.server.env,
                                 self.context.world.path("first.log"))
        try:
            if waiting.hear() != "submitted":
                raise Wrong("bench-client says something else")
            bridge = Bridge(self.server, self.parameters["ranks"] - 1, wait=False)
            try:
                ran_ns = int(waiting.hear(60))
            finally:
                bridge.leave()
        finally:
            waiting.close()
        wait_for(lambda: bridge.workers() == 0, 20, "the bridge leaves")
        return (ran_ns - bridge.start_ns) / 1e9, {}


def join(context):
    """from ranq join to the first task running"""
    ranks_ = 3

    def targets(median):
        mine, bare = median("ranq"), median("bare")
        more = mine - bare if mine is not None and bare is not None else None
        return [target("a bare mpirun of MPI_Init + MPI_Finalize, and 0.1 s", more, "<=", 0.1)]

    with context.world.server() as server:
        contest(context, "join", "s", "lower", [Join(context, server, ranks_), BareMpirun(server, ranks_)], 7, targets)


BENCHMARKS = {"trip": trip, "submit": submit, "join": join}
