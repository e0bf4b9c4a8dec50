"""How much work gets done: no-op functions, commands, sleeping tasks, large results."""
import re
import threading

from . import programs
from .contest import Client, Contestant, contest
from .peers import Service, Tool
from .results import Failed, ratio, target

REDIS_PEERS = ("celery", "rq", "doRedis", "rrq")


def best(median, names):
    known = [median(name) for name in names if median(name)]
    return max(known) if known else None


def noop(context):
    """no-op functions, each with its own 8-byte result, delivered in order; chunk auto"""
    tasks = context.scaled(20000000, 50)

    def targets(median):
        mine = median("ranq")
        return [
            target("10,000,000 tasks/s", mine, ">=", 10000000),
            target("1,000 x the best peer on Redis that sends each task by itself", ratio(mine, best(median, REDIS_PEERS)), ">=", 1000),
            target("10 x mpi4py.futures, chunksize 100", ratio(mine, median("mpi4py")), ">=", 10),
        ]

    with context.world.bridge(2) as bridge, context.world.server() as redis:
        contest(context, "noop", "tasks/s", "higher", [
            Client(bridge, "noop", [context.module, tasks], {"tasks": tasks, "ranks": 2, "chunk": "auto"}),
            Service(context, "mpi4py", "noop", context.scaled(100000, 20), chunk=100),
            Service(context, "dask", "noop", context.scaled(3000, 10)),
            Service(context, "celery", "noop", context.scaled(1000, 10), redis=redis),
            Service(context, "celery chunks", "noop", context.scaled(20000, 10), chunk=100, redis=redis),
            Service(context, "rq", "noop", context.scaled(600, 10), redis=redis),
            Service(context, "doRedis", "noop", context.scaled(20, 5)),
            Service(context, "doRedis chunks", "noop", context.scaled(5000, 10), chunk=100),
            Service(context, "rrq", "noop", context.scaled(500, 10)),
        ], 3, targets)


def chunk1(context):
    """the same with --chunk 1: each task leased and committed alone"""
    tasks = context.scaled(100000, 50)

    def targets(median):
        mine = median("ranq")
        return [
            target("100,000 tasks/s", mine, ">=", 100000),
            target("10 x mpi4py.futures, chunksize 1", ratio(mine, median("mpi4py")), ">=", 10),
        ]

    with context.world.bridge(2) as bridge:
        contest(context, "chunk1", "tasks/s", "higher", [
            Client(bridge, "noop", [context.module, tasks, 1], {"tasks": tasks, "ranks": 2, "chunk": 1}),
            Service(context, "mpi4py", "chunk1", context.scaled(5000, 20), chunk=1),
        ], 3, targets)


class Reducing(Client):
    """While it runs, the bytes of all jobs in Redis are looked at."""

    SIZE = ("local n = 0 for _, key in ipairs(redis.call('KEYS', 'ranq:*:j:*')) do "
            "n = n + (redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) or 0) end return n")

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.sizes = []
        self.submits_ms = []

    def once(self):
        done = threading.Event()
        watch = threading.Thread(target=self.watch, args=(done,))
        watch.start()
        try:
            value, more = super().once()
            self.submits_ms.append(more["submit_ms"])
            return value, more
        finally:
            done.set()
            watch.join()

    def watch(self, done):
        while not done.wait(0.1):
            self.sizes.append(int(self.server.redis("eval", self.SIZE, "0")))


def reduce(context):
    """no-op functions whose results are summed on the way: one number comes back"""
    tasks = context.scaled(1000000000, 100)
    with context.world.bridge(2) as bridge:
        for case, ordered in (("any grouping", 0), ("ordered", 1)):
            who = Reducing(bridge, "reduce", [context.module, tasks, ordered], {"tasks": tasks, "ranks": 2})
            contest(context, "reduce", "tasks/s", "higher", [who], 2,
                    lambda median: [target("100,000,000 tasks/s", median("ranq"), ">=", 100000000)], case)
            if who.submits_ms:
                context.book.result("reduce", "ranq", "ms", "lower", who.submits_ms, who.parameters, case + ": submit",
                                    targets=[target("10 ms (each run)", max(who.submits_ms), "<=", 10)])
            if who.sizes:
                context.book.result("reduce", "ranq", "bytes", "lower", [max(who.sizes)], who.parameters, case + ": most in Redis",
                                    targets=[target("64 KB", max(who.sizes), "<=", 65536)])


class Bare(Contestant):
    """Two loops of posix_spawn, pipe and wait."""

    peer = "bare"

    def __init__(self, server, tasks):
        super().__init__({"tasks": tasks, "workers": 2})
        self.argv = [server.bin + "/bench-bare", str(tasks)]
        self.env = server.env

    def once(self):
        return programs.measurements(self.argv, self.env)[0]["value"], {}


def commands(context):
    """/bin/true with captured output"""
    tasks = context.scaled(3000, 20)

    def targets(median):
        mine = median("ranq")
        return [
            target("0.85 x two bare loops of posix_spawn, pipe and wait", ratio(mine, median("bare")), ">=", 0.85),
            target("1.4 x xargs -P2 -n1", ratio(mine, median("xargs")), ">=", 1.4),
            target("7 x GNU parallel -j2", ratio(mine, median("parallel")), ">=", 7),
        ]

    with context.world.bridge(2) as bridge, context.world.server() as redis:
        contest(context, "commands", "tasks/s", "higher", [
            Client(bridge, "commands", [tasks], {"tasks": tasks, "ranks": 2}),
            Bare(bridge.server, tasks),
            Tool(context, "xargs", 2, ["/bin/true", "{}"], tasks),
            Tool(context, "parallel", 2, ["/bin/true", "{}"], context.scaled(400, 10)),
            Service(context, "hyperqueue", "commands", context.scaled(2000, 20)),
            Service(context, "mpi4py", "commands", context.scaled(600, 10)),
            Service(context, "dask", "commands", context.scaled(600, 10)),
            Service(context, "celery", "commands", context.scaled(400, 10), redis=redis),
            Service(context, "rq", "commands", context.scaled(300, 10), redis=redis),
        ], 3, targets)


def sleep(context):
    """10-ms tasks that sleep, many more workers than cores"""
    ranks = context.scaled(64, 8)

    def service(peer, tasks, workers, redis=None, **more):
        return Service(context, peer, "sleep", tasks, workers, redis=redis,
                       value=lambda seconds: 100 * 0.01 * tasks / workers / seconds, **more)

    def targets(median):
        return [target("95 % of ideal", median("ranq"), ">=", 95)]

    tasks = ranks * 200
    with context.world.bridge(ranks) as bridge, context.world.server() as redis:
        contest(context, "sleep", "% of ideal", "higher", [
            Client(bridge, "sleep", [context.module, tasks, ranks], {"tasks": tasks, "ranks": ranks}),
            Tool(context, "xargs", ranks, ["sleep", "0.01"], ranks * 10,
                 value=lambda seconds: 100 * 0.01 * 10 / seconds),
            service("hyperqueue", ranks * 10, ranks, body="the command sleep"),
            service("dask", ranks * 20, ranks, body="threads"),
            service("celery", ranks * 10, ranks, redis, body="threads"),
            service("mpi4py", 8 * 100, 8),
        ], 3, targets)


class RedisBenchmark(Contestant):
    """What redis-benchmark SETs of the same size into a server of the same kind."""

    peer = "bare"

    def __init__(self, redis, tasks):
        super().__init__({"tasks": tasks, "bytes": 1000000, "program": "redis-benchmark -t set"})
        self.redis = redis
        self.tasks = tasks

    def once(self):
        out = programs.run(["redis-benchmark", "-s", self.redis.socket, "-t", "set", "-d", "1000000", "-n", str(self.tasks),
                            "--csv"], self.redis.env)
        found = re.search(r'^"SET","([\d.]+)"', out, re.M)
        if not found:
            raise Failed("redis-benchmark printed no figure")
        if self.redis.redis("strlen", "key:__rand_int__").strip() != "1000000":
            raise Failed("redis-benchmark stored something else")
        self.redis.redis("flushall")
        return float(found.group(1)), {}


def bytes_(context):
    """results of 1 MB each"""
    tasks = context.scaled(1000, 10)

    def targets(median):
        return [target("0.5 x redis-benchmark SET", ratio(median("ranq"), median("bare")), ">=", 0.5)]

    with context.world.bridge(2) as bridge, context.world.server() as redis:
        contest(context, "bytes", "MB/s", "higher", [
            Client(bridge, "bytes", [context.module, tasks], {"tasks": tasks, "bytes": 1000000, "ranks": 2}),
            RedisBenchmark(redis, tasks),
        ], 3, targets)


BENCHMARKS = {"noop": noop, "reduce": reduce, "chunk1": chunk1, "commands": commands, "sleep": sleep, "bytes": bytes_}
