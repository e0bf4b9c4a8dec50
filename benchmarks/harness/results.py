"""Results: lines of the schema ranq.bench/1 (README.md), and the ways in which there is none."""
import json
import statistics
import time

SCHEMA = "ranq.bench/1"


class NoFigure(Exception):
    """There is no figure; str() says why in one line."""

    status = "failed"


class Failed(NoFigure):
    """It could not be run to its end."""


class Wrong(NoFigure):
    """It ran, but a result was not what it must be."""

    status = "wrong"


class Absent(NoFigure):
    """It is not installed here."""

    status = "absent"


def target(text, value, op, limit):
    """A figure to reach. value None: the other side of a ratio is missing."""
    reached = None
    if value is not None:
        reached = value >= limit if op == ">=" else value <= limit
        value = float("%.6g" % value)
    return {"text": text, "value": value, "op": op, "limit": limit, "reached": reached}


def ratio(a, b):
    """a / b of two medians, None when one is missing."""
    return a / b if a is not None and b else None


class Book:
    """Takes results down: one JSON line each."""

    def __init__(self, stream, versions, machine):
        self.stream = stream
        self.versions = versions
        self.machine = machine
        self.run = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + "-%d" % time.monotonic_ns()
        self.wrong = 0

    def result(self, benchmark, peer, unit, better, runs, parameters=None, case="", none=None, more=None, version=None,
               targets=()):
        """`none`: the NoFigure that came instead of a figure; runs that went well before it do not count."""
        if none is not None:
            runs = []
            self.wrong += none.status != "absent"
        line = {
            "schema": SCHEMA,
            "run": self.run,
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "benchmark": benchmark,
            "case": case,
            "peer": peer,
            "parameters": parameters or {},
            "unit": unit,
            "better": better,
            "runs": [float("%.6g" % value) for value in runs],
            "min": min(runs) if runs else None,
            "median": statistics.median(runs) if runs else None,
            "max": max(runs) if runs else None,
            "verified": bool(runs),
            "status": none.status if none is not None else "ok",
            "reason": str(none) if none is not None else None,
            "targets": list(targets),
            "more": more or {},
            "versions": dict(self.versions, **({"peer": version} if version else {})),
            "machine": self.machine,
        }
        self.stream.write(json.dumps(line) + "\n")
        self.stream.flush()
        return line
