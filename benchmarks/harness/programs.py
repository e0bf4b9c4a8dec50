"""Starting programs: each with a limit of time, none left behind."""
import json
import os
import select
import signal
import subprocess
import time

from .results import Failed, Wrong

WRONG = 3  # BENCH_WRONG in bench.h
MARK = "RANQ_BENCH_MARK=%d" % os.getpid()


def processes():
    """Parent of each living process, by its id."""
    parents = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid, encoding="ascii", errors="replace") as stat:
                state, parent = stat.read().rsplit(") ", 1)[1].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(pid)] = int(parent)
    return parents


def family(pid):
    """A process and what descends from it. (By parents: the environment of rank 0 is nobody's to read.)"""
    parents = processes()
    found = [pid] if pid in parents else []
    for member in found:
        found.extend(child for child, parent in parents.items() if parent == member)
    return found


def marked():
    """Processes that carry our mark, whoever their parent is now."""
    found = []
    for pid in processes():
        try:
            with open("/proc/%d/environ" % pid, "rb") as environ:
                if MARK.encode() in environ.read().split(b"\0") and pid != os.getpid():
                    found.append(pid)
        except OSError:
            continue
    return found


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no message"


def run(argv, env, limit_s=120, stdin=None):
    """Standard output of a program that must succeed."""
    process = subprocess.Popen(argv, env=env, stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, err = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Failed("%s did not end within %d s" % (os.path.basename(argv[0]), limit_s)) from None
    if process.returncode == WRONG:
        raise Wrong(last_line(err))
    if process.returncode:
        raise Failed("%s: status %d: %s" % (os.path.basename(argv[0]), process.returncode, last_line(err)))
    return out


def measurements(argv, env, limit_s=120):
    """What a bench- program measured: a list of objects."""
    found = [json.loads(line) for line in run(argv, env, limit_s).splitlines() if line.startswith("{")]
    if not found or not all(m.get("verified") is True for m in found):
        raise Wrong("%s: nothing verified was measured" % os.path.basename(argv[0]))
    return found


class Lines:
    """A process that is spoken to by lines."""

    def __init__(self, argv, env, log):
        self.name = os.path.basename(argv[0] if argv[0] != "mpirun" else argv[-1])
        self.log = log
        self.rest = b""
        with open(log, "ab") as errors:
            self.process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                            start_new_session=True)

    def say(self, text):
        try:
            self.process.stdin.write(text.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed("%s ended: %s" % (self.name, self.why())) from None

    def hear(self, limit_s=120):
        deadline = time.monotonic() + limit_s
        while b"\n" not in self.rest:
            ready = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]
            piece = os.read(self.process.stdout.fileno(), 65536) if ready else None
            if piece is None:
                raise Failed("%s did not answer within %d s" % (self.name, limit_s))
            if not piece:
                raise Failed("%s ended: %s" % (self.name, self.why()))
            self.rest += piece
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode(errors="replace")

    def why(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return last_line(log.read())

    def close(self, limit_s=20):
        self.process.stdin.close()
        try:
            self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdout.close()
