"""The peers: services that benchmarks/peers/NAME starts and serves by lines, and programs that are started for each run.

A service finds RANQ_BENCH_WORK, RANQ_BENCH_WORKERS and RANQ_BENCH_SOCKET (of a Redis) in its environment and prints
{"ready": true, "version": ...}. To each line "TASKS CHUNK" it answers {"seconds": ..., "right": true} after it compared all results;
it ends with its standard input."""
import json
import os
import shutil
import time

from . import machine, programs
from .contest import Contestant
from .results import Absent, Failed, Wrong

HERE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers")


def directory():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.environ.get("RANQ_BENCH_PEERS") or os.path.join(cache, "ranq", "peers")


def why_absent(name):
    """What benchmarks/peers/install noted."""
    try:
        with open(os.path.join(directory(), "absent", name), encoding="utf-8") as note:
            return note.read().strip().replace("\n", " ")[:300]
    except OSError:
        return "not installed (benchmarks/peers/install)"


class Service(Contestant):
    """A peer that stays up between runs."""

    def __init__(self, context, peer, work, tasks, workers=2, chunk=1, redis=None, value=None, body=None):
        parameters = {"tasks": tasks, "workers": workers}
        if work in ("noop", "chunk1"):
            parameters["chunk"] = chunk
        if body:
            parameters["body"] = body
        super().__init__(parameters)
        self.peer = peer
        self.work = work
        self.tasks, self.workers, self.chunk = tasks, workers, chunk
        self.value = value or (lambda seconds: tasks / seconds)
        self.redis = redis
        self.lines = None
        self.log = context.world.path("%s-%s.log" % (peer.replace(" ", "-"), work))
        self.env = dict(os.environ, **context.mpi_environment)
        mark, text = programs.MARK.split("=")
        self.env[mark] = text
        self.env.update(RANQ_BENCH_WORK=work, RANQ_BENCH_WORKERS=str(workers), RANQ_BENCH_SOCKET=redis.socket if redis else "")
        self.env["PYTHONPATH"] = HERE
        self.env["PYTHONDONTWRITEBYTECODE"] = "1"
        self.env["TMPDIR"] = context.world.directory

    def command(self):
        """argv of the service."""
        name = self.peer.split()[0].lower()
        if os.path.exists(os.path.join(directory(), "absent", self.peer.split()[0])) or not os.path.isdir(directory()):
            raise Absent(why_absent(self.peer.split()[0]))
        if name in ("doredis", "rrq"):
            self.env["R_LIBS_USER"] = os.path.join(directory(), "R")
            return ["Rscript", "--vanilla", os.path.join(HERE, name + ".R")]
        python = os.path.join(directory(), "venv", "bin", "python")
        if not os.access(python, os.X_OK):
            raise Absent(why_absent(name))
        self.env["PATH"] = os.path.dirname(python) + ":" + self.env["PATH"]
        script = os.path.join(HERE, name + "_peer.py")
        if name == "mpi4py":
            return ["mpirun", "-n", str(self.workers + 1), python, "-m", "mpi4py.futures", script]
        return [python, script]

    def start(self):
        self.lines = programs.Lines(self.command(), self.env, self.log)
        self.version = self.said(60)["version"]
        self.ask(min(self.tasks, 20))

    def said(self, limit_s=180):
        """The next line that is an answer: what else a peer prints is skipped."""
        while True:
            line = self.lines.hear(limit_s)
            if line.startswith("{"):
                return json.loads(line)

    def ask(self, tasks):
        self.lines.say("%d %d" % (tasks, self.chunk))
        answer = self.said()
        if "failed" in answer:
            raise Failed(answer["failed"])
        if answer.get("right") is not True:
            raise Wrong("its results are not what they must be")
        return answer

    def once(self):
        answer = self.ask(self.tasks)
        return self.value(answer["seconds"]), answer.get("more", {})

    def stop(self):
        if self.lines:
            self.lines.close()
            self.lines = None


class Tool(Contestant):
    """xargs or GNU parallel: a program for each run."""

    def __init__(self, context, peer, jobs, command, tasks, value=None):
        super().__init__({"tasks": tasks, "workers": jobs})
        self.peer = peer
        self.jobs = jobs
        self.what = command
        self.tasks = tasks
        self.value = value or (lambda seconds: tasks / seconds)
        self.world = context.world
        self.env = dict(os.environ, LC_ALL="C.UTF-8", PARALLEL_HOME=context.world.path("parallel"))

    def argv(self, command):
        if self.peer == "xargs" and command[-1] == "{}":
            return ["xargs", "-P%d" % self.jobs, "-n1", *command[:-1]]
        if self.peer == "xargs":
            return ["xargs", "-P%d" % self.jobs, "-I{}", *command]
        return ["parallel", "--will-cite", "-j%d" % self.jobs, *command]

    def start(self):
        """Looks that it does what it should: each task once."""
        if not shutil.which(self.peer):
            raise Absent(why_absent(self.peer))
        said = machine.output(self.peer, "--version").split("\n", 1)[0].split()
        self.version = said[-1].strip("()") if said else None
        seen = self.run(["echo", "{}"], 50).split()
        if sorted(map(int, seen)) != list(range(50)):
            raise Wrong("it did not run each task once")

    def run(self, command, tasks):
        source = self.world.path("tasks")
        with open(source, "w", encoding="ascii") as numbers:
            numbers.write("".join("%d\n" % k for k in range(tasks)))
        with open(source, "rb") as numbers:
            return programs.run(self.argv(command), self.env, 180, numbers)

    def once(self):
        start = time.monotonic()
        if self.run(self.what, self.tasks):
            raise Wrong("its tasks wrote something")
        return self.value(time.monotonic() - start), {}
