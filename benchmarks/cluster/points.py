"""What a sweep measures: pure arithmetic, so that it can be looked at without a cluster (sweep --plan)."""

KEPT_MAX = 10_000_000  # results up to so many are read back and compared, of more tasks only the counts
TASKS_MAX = 50_000_000
BYTES_MAX = 100_000_000  # of all results of a point, below the default backlog
COST_S = {0: 2e-6, 1: 1e-4}  # a guess at what a task costs besides, for the number of tasks only: chunk auto, one by one
EACH = 8  # tasks that a rank has at least then: with fewer the last ones decide
SPAN = 16  # strong scaling: from a sixteenth of the ranks to all of them


def halves(most):
    """most, half of it, ... 1: the numbers of ranks of a sweep."""
    found = []
    while most > 0:
        found.append(most)
        most //= 2
    return found


def count(ranks, task_s, chunk, seconds):
    """Tasks that keep so many ranks busy for about so long."""
    each = task_s + COST_S[1 if chunk == 1 else 0]
    return max(ranks, min(TASKS_MAX, int(ranks * seconds / each)))


def point(case, ranks, task_s, chunk, tasks, size=8):
    keep = tasks <= KEPT_MAX and tasks * size <= BYTES_MAX or case == "bandwidth"
    return {"case": case, "ranks": ranks, "task_s": task_s, "chunk": chunk, "tasks": tasks, "bytes": size, "results": "keep" if keep else "count"}


def plan(most, ranks, tasks_s, chunks, sizes, seconds):
    """Points in the order in which they are measured, so that one bridge serves all points of its ranks. most: ranks of the
    whole allocation; ranks: those to sweep over."""
    points = []
    for n in ranks:
        for task_s in tasks_s:
            for chunk in chunks:
                points.append(point("weak", n, task_s, chunk, count(n, task_s, chunk, seconds)))
            fixed = count(most, task_s, 0, seconds / 4)
            if n * SPAN >= most and task_s > 0 and fixed >= EACH * most:
                points.append(point("strong", n, task_s, 0, fixed))
        if n == most:
            for size in sizes:
                points.append(point("bandwidth", n, 0, 0, max(n, int(min(BYTES_MAX * seconds, KEPT_MAX * 8) / size)), size))
    return points


def layers(point, seconds, task_seconds):
    """Where the time of the ranks went, in seconds for each task: in the task itself, in the executor around it, and in
    waiting for work and for the last one."""
    whole = point["ranks"] * seconds / point["tasks"]
    measured = task_seconds / point["tasks"]
    return {"task": point["task_s"], "executor": max(0, measured - point["task_s"]), "waiting": max(0, whole - measured)}


def efficiency(point, seconds):
    """Of what the ranks could have done meanwhile; None for tasks that take no time."""
    return point["tasks"] * point["task_s"] / (point["ranks"] * seconds) if point["task_s"] > 0 else None
