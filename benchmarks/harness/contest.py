"""Contests: who does the same work takes turns, so that what disturbs the machine disturbs all alike."""
import statistics
import sys

from . import programs
from .results import Absent, Failed, NoFigure


def progress(text):
    sys.stderr.write("benchmarks: %s\n" % text)
    sys.stderr.flush()


class Contestant:
    """Somebody who does the work. once() returns (value, more) of one verified run, or raises a NoFigure."""

    peer = "ranq"
    version = None
    stands_by = True  # stays started while the others have their turns

    def __init__(self, parameters, once=None):
        self.parameters = parameters
        if once:
            self.once = once

    def start(self):
        """Gets ready; not measured."""

    def once(self):
        raise NotImplementedError

    def stop(self):
        """Takes back what start did; after a failed start too."""


class Client(Contestant):
    """ranq, as bench-client sees it."""

    def __init__(self, bridge, what, arguments, parameters):
        super().__init__(parameters)
        self.server = bridge.server
        self.argv = [self.server.bin + "/bench-client", what, *map(str, arguments)]

    def once(self):
        measured = programs.measurements(self.argv, self.server.env, 180)[0]
        return measured["value"], measured["more"]


class Entry:
    """A contestant and what became of it."""

    def __init__(self, who):
        self.who = who
        self.runs = []
        self.more = {}
        self.none = None

    def attempt(self, action):
        """Does it unless something went wrong before; what goes wrong now is written down."""
        if self.none is None:
            try:
                return action()
            except NoFigure as why:
                self.none = why
            except (OSError, ValueError, LookupError) as why:
                self.none = Failed("%s: %s" % (type(why).__name__, why))
        return None

    def run(self):
        if not self.who.stands_by:
            self.attempt(self.who.start)
        done = self.attempt(self.who.once)
        if not self.who.stands_by:
            self.who.stop()
        if done is not None:
            self.runs.append(done[0])
            self.more = done[1]

    def median(self):
        return statistics.median(self.runs) if self.runs and self.none is None else None


def contest(context, benchmark, unit, better, contestants, runs, targets=None, case=""):
    """All contestants `runs` times in turns, then a line of results for each. targets(median) makes the targets of ranq's line;
    median(NAME) is the median of a peer, or None."""
    wanted = [who for who in contestants if who.peer in ("ranq", "bare") or context.wants(who.peer)]
    entries = [Entry(who) for who in wanted]
    runs = context.runs(runs)
    progress("%s%s: %s, %d runs" % (benchmark, " " + case if case else "", ", ".join(who.peer for who in wanted), runs))
    try:
        for entry in entries:
            if entry.who.stands_by:
                entry.attempt(entry.who.start)
        for _ in range(runs):
            for entry in entries:
                entry.run()
    finally:
        for entry in entries:
            entry.who.stop()
    medians = {entry.who.peer: entry.median() for entry in entries}
    for entry in entries:
        who = entry.who
        if entry.none is not None and not isinstance(entry.none, Absent):
            progress("%s: %s: %s: %s" % (benchmark, who.peer, entry.none.status, entry.none))
        context.book.result(benchmark, who.peer, unit, better, entry.runs, who.parameters, case, entry.none, entry.more,
                            who.version, targets(medians.get) if targets and who.peer == "ranq" else ())
    return medians
