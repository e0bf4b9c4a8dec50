"""A private world: Redis servers with the defaults of `ranq server`, bridges, and nothing left of them at the end."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from . import programs
from .results import Failed

# a launcher that was made for users should not refuse containers
MPI_ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
}


def wait_for(condition, limit_s, what):
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise Failed("%s: not within %d s" % (what, limit_s))
        time.sleep(0.005)


class Server:
    """One private Redis, started by `ranq server start` in directories of its own."""

    def __init__(self, build, directory):
        self.bin = os.path.join(build, "bin")
        os.makedirs(directory)
        os.makedirs(os.path.join(directory, "run"), 0o700)
        home = os.path.join(directory, "home")
        self.env = dict(os.environ, HOME=home, XDG_RUNTIME_DIR=os.path.join(directory, "run"), XDG_CONFIG_HOME=home + "/.config",
                        XDG_STATE_HOME=home + "/.state", XDG_DATA_HOME=home + "/.data", XDG_CACHE_HOME=home + "/.cache",
                        PATH=self.bin + ":" + os.environ["PATH"], LC_ALL="C.UTF-8")
        mark, value = programs.MARK.split("=")
        self.env[mark] = value
        for name in ("RANQ_SERVER", "RANQ_QUEUE", "RANQ_PASSWORD_FILE", "RANQ_BRIDGE"):
            self.env.pop(name, None)
        os.makedirs(home)
        self.url = self.ranq("server", "start").strip()
        self.socket = self.url.split(":", 1)[1]
        self.pid = json.loads(self.ranq("server", "status", "--json"))["pid"]
        self.env["RANQ_SERVER"] = self.url

    def ranq(self, *argv, limit_s=60):
        return programs.run([os.path.join(self.bin, "ranq"), *argv], self.env, limit_s)

    def mpirun(self, ranks, *program):
        """The command line by which `ranq join` would start a bridge of so many ranks, for another program."""
        words = self.ranq("join", "-n", str(ranks - 1), "--dry-run").split()
        at = next(i for i, word in enumerate(words) if word.endswith("/ranq-bridge"))
        return words[:at] + list(program)

    def redis(self, *argv):
        return programs.run(["redis-cli", "-s", self.socket, *argv], self.env)

    def memory(self):
        """Bytes that Redis uses for its data."""
        return int(self.redis("eval", "return redis.call('info', 'memory'):match('used_memory:(%d+)')", "0"))

    def stop(self):
        # redis-server writes its title over its environment: the mark does not find it
        programs.kill([self.pid])


class Bridge:
    """Workers that joined a queue of a server."""

    def __init__(self, server, ranks, queue="default", options=(), wait=True):
        self.server = server
        self.queue = queue
        self.log = tempfile.TemporaryFile()
        self.start_ns = time.monotonic_ns()
        self.process = subprocess.Popen([os.path.join(server.bin, "ranq"), "join", "-q", queue, "-n", str(ranks), *options],
                                        env=server.env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        start_new_session=True)
        if wait:
            there = self.workers() + 1
            wait_for(lambda: self.workers() >= there or self.process.poll() is not None, 60, "ranq join")
            if self.process.poll() is not None:
                raise Failed("ranq join ended: " + self.said())

    def workers(self):
        return len(json.loads(self.server.ranq("workers", "-q", self.queue, "--json"))["workers"])

    def said(self):
        self.log.seek(0)
        return programs.last_line(self.log.read().decode(errors="replace"))

    def pids(self):
        """All processes of this bridge, tasks included."""
        return programs.family(self.process.pid)

    def leave(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            programs.kill(self.pids())
            self.process.wait()
        self.log.close()


class World:
    """Holds the servers of one run; a context manager."""

    def __init__(self, build):
        self.build = build
        self.servers = []

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="ranq-bench-")
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.stop()
        programs.kill(programs.family(os.getpid())[1:] + programs.marked())
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    @contextlib.contextmanager
    def server(self):
        server = Server(self.build, self.path("server%d" % len(self.servers)))
        self.servers.append(server)
        yield server
        server.stop()

    @contextlib.contextmanager
    def bridge(self, ranks, queue="default", options=()):
        """A server with workers."""
        with self.server() as server:
            bridge = Bridge(server, ranks, queue, options)
            try:
                yield bridge
            finally:
                bridge.leave()
