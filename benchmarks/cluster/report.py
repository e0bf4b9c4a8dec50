"""The report of a sweep: report.md and its plots."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from harness import plot, results  # noqa: E402


def read(paths):
    """Lines of sweeps; of points that were measured several times the last one counts."""
    found = {}
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for number, text in enumerate(lines, 1):
                try:
                    line = json.loads(text)
                    if line["schema"] != results.SCHEMA or line["benchmark"] != "cluster":
                        raise KeyError
                    found[line["case"], tuple(sorted(line["parameters"].items()))] = line
                except (ValueError, KeyError, TypeError):
                    raise results.Failed("%s:%d is no result of a sweep" % (path, number)) from None
    if not found:
        raise results.Failed("there are no results")
    return list(found.values())


def time_text(seconds):
    for unit, scale in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return "%g %s" % (round(seconds / scale, 3), unit)
    return "%d ns" % round(seconds * 1e9) if seconds else "0"


def size_text(size):
    for unit, scale in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= scale:
            return "%g %s" % (size / scale, unit)
    return "%d B" % size


def task_text(task_s):
    return "no-op tasks" if task_s == 0 else "%s tasks" % time_text(task_s)


def chunk_text(chunk):
    return "chunk %s" % (chunk or "auto")


def number_text(value):
    if value is None:
        return "-"
    return "{:,.0f}".format(value) if value >= 1000 else "%.3g" % value


def curves(lines, case, value):
    """{(task, chunk): [(ranks, value)]} of the lines of a case that have a figure."""
    found = {}
    for line in lines:
        got = value(line) if line["case"] == case and line["median"] is not None else None
        if got is not None:
            p = line["parameters"]
            found.setdefault((p["task_s"], p["chunk"]), []).append((p["ranks"], got))
    return {key: sorted(points) for key, points in sorted(found.items())}


def draw_curves(path, found, title, labels, settings, extra=""):
    """One line a curve; tasks by colour, chunks by dashes."""
    if not found:
        return []
    tasks = sorted({task for task, _ in found})
    data = "".join(plot.block("c%d" % i, points) for i, points in enumerate(found.values()))
    drawn = ["$c%d using 1:2 with linespoints lw 2 pt 7 ps 0.6 dt %d lc rgb '%s' title %s" % (
        i, 1 if chunk == 0 else 3, plot.COLOURS[tasks.index(task) % len(plot.COLOURS)],
        plot.quoted("%s, %s" % (task_text(task), chunk_text(chunk)))) for i, (task, chunk) in enumerate(found)]
    ranks = [n for points in found.values() for n, _ in points]
    commands = "set title %s\nset xlabel %s\nset ylabel %s\nset logscale x 2\nset xrange [%g:%g]\nset key outside right top\n%s\nplot %s%s" % (
        plot.quoted(title), *map(plot.quoted, labels), min(ranks) / 1.2, max(ranks) * 1.2, settings, extra, ", ".join(drawn))
    return plot.draw(path, data, commands)


def throughput(lines, path):
    return draw_curves(path, curves(lines, "weak", lambda line: line["median"]), "Throughput, work grows with the ranks",
                       ("compute ranks", "tasks per second"), "set logscale y\nset format y '10^{%T}'")


def efficiency(lines, path):
    return draw_curves(path, curves(lines, "weak", lambda line: line["more"].get("efficiency")),
                       "Efficiency, work grows with the ranks", ("compute ranks", "share of the ranks' time in tasks"), "set yrange [0:1.05]")


def strong(lines, path):
    """Speed-up against the fewest ranks, which count as ideal."""
    found = curves(lines, "strong", lambda line: line["median"])
    found = {key: [(n, rate / points[0][1] * points[0][0]) for n, rate in points] for key, points in found.items()}
    return draw_curves(path, found, "Speed-up, work stays the same", ("compute ranks", "speed-up"), "set logscale y 2",
                       "x with lines dt 2 lc rgb '#888888' title 'ideal', ")


def widest(lines):
    """Weak lines with chunk auto of the most ranks, by task length."""
    weak = [line for line in lines if line["case"] == "weak" and line["parameters"]["chunk"] == 0 and "layers_s" in line["more"]]
    most = max((line["parameters"]["ranks"] for line in weak), default=0)
    return sorted((line for line in weak if line["parameters"]["ranks"] == most), key=lambda line: line["parameters"]["task_s"])


def layers(lines, path):
    rows = []
    for line in widest(lines):
        each = line["more"]["layers_s"]
        whole = sum(each.values()) or 1
        rows.append([time_text(line["parameters"]["task_s"])] + [100 * each[name] / whole for name in ("task", "executor", "waiting")])
    if not rows:
        return []
    commands = """set title %s
set ylabel 'percent of the ranks'' time'
set xlabel 'task length'
set yrange [0:100]
set style data histograms
set style histogram rowstacked
set style fill solid 0.8 noborder
set boxwidth 0.6
set key outside right top
plot $layers using 2:xtic(1) lc rgb '%s' title 'task', '' using 3 lc rgb '%s' title 'executor', '' using 4 lc rgb '%s' title 'waiting'""" % (
        plot.quoted("Time of a task by layer, %d ranks, chunk auto" % widest(lines)[0]["parameters"]["ranks"]),
        plot.COLOURS[2], plot.COLOURS[4], plot.COLOURS[1])
    return plot.draw(path, plot.block("layers", rows), commands)


def bandwidth(lines, path):
    rows = sorted((line["parameters"]["bytes"], line["median"]) for line in lines if line["case"] == "bandwidth" and line["median"] is not None)
    if not rows:
        return []
    tics = ", ".join("'%s' %d" % (size_text(size), size) for size, _ in rows)
    commands = """set title 'Results read by a client while they are computed'
set xlabel 'bytes of a result'
set ylabel 'MB/s'
set logscale xy
set xtics (%s)
set xrange [%g:%g]
set yrange [%g:%g]
unset key
plot $rows using 1:2 with linespoints lw 2 pt 7 lc rgb '%s'""" % (tics, rows[0][0] / 1.5, rows[-1][0] * 1.5, min(v for _, v in rows) / 2,
                     max(v for _, v in rows) * 2, plot.COLOURS[0])
    return plot.draw(path, plot.block("rows", rows), commands)


PLOTS = (("throughput", throughput), ("efficiency", efficiency), ("strong", strong), ("layers", layers), ("bandwidth", bandwidth))


# ---- text

def table(head, rows):
    return ["| %s |" % " | ".join(row) for row in [head, ["---"] * len(head), *rows]] + [""]


def scaling_table(lines, case):
    rows = []
    for line in sorted((line for line in lines if line["case"] == case),
                       key=lambda line: (line["parameters"]["task_s"], line["parameters"]["chunk"], line["parameters"]["ranks"])):
        p, share = line["parameters"], line["more"].get("efficiency")
        rows.append([time_text(p["task_s"]), str(p["chunk"] or "auto"), number_text(p["ranks"]), number_text(p["tasks"]),
                     number_text(line["median"]) if line["median"] is not None else "%s: %s" % (line["status"], line["reason"]),
                     "-" if share is None else "%.1f %%" % (100 * share)])
    return table(["task", "chunk", "ranks", "tasks", "tasks/s", "efficiency"], rows)


def layers_table(lines):
    rows = [[time_text(line["parameters"]["task_s"])] + [time_text(line["more"]["layers_s"][name]) for name in ("task", "executor", "waiting")]
            for line in widest(lines)]
    return table(["task length", "in the task", "in the executor", "waiting"], rows)


def bandwidth_table(lines):
    found = sorted((line for line in lines if line["case"] == "bandwidth"), key=lambda line: line["parameters"]["bytes"])
    return table(["result", "tasks", "MB/s"], [[size_text(line["parameters"]["bytes"]), number_text(line["parameters"]["tasks"]),
                                              number_text(line["median"])] for line in found])


def text(lines, drawn):
    last = max(lines, key=lambda line: line["date"])
    most = max(line["parameters"]["ranks"] for line in lines)
    out = ["# ranq on %d ranks" % most, "",
           "%s, %d nodes, %s (%d cores of a node), %s. ranq %s, Redis %s, %s." % (
               last["date"], max(line["parameters"].get("nodes", 1) for line in lines), last["machine"]["cpu"], last["machine"]["cores"],
               last["machine"]["kernel"], last["versions"]["ranq"], last["versions"]["redis"], last["versions"]["mpi"]), ""]
    for title, case, name, rows in (
            ("Weak scaling", "weak", ("throughput", "efficiency"), scaling_table(lines, "weak")),
            ("Strong scaling", "strong", ("strong",), scaling_table(lines, "strong")),
            ("Time of a task by layer", "weak", ("layers",), layers_table(lines)),
            ("Results", "bandwidth", ("bandwidth",), bandwidth_table(lines))):
        if not any(line["case"] == case for line in lines):
            continue
        out += ["## " + title, ""] + ["![%s](%s.svg)" % (one, one) for one in name if one in drawn] + [""] + rows
    return "\n".join(out)


def write(paths, directory):
    """report.md with plots as SVG and PNG. Without gnuplot: Absent, after the text was written."""
    lines, drawn, none = read(paths), [], None
    os.makedirs(directory, exist_ok=True)
    for name, draw in PLOTS:
        try:
            if draw(lines, os.path.join(directory, name)):
                drawn.append(name)
        except results.Absent as problem:
            none = problem
    with open(os.path.join(directory, "report.md"), "w", encoding="utf-8") as out:
        out.write(text(lines, drawn))
    if none:
        raise none
