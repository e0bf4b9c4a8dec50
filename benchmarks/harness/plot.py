"""Plots by gnuplot: each as SVG and as PNG. Only where a report is made."""
import shutil
import subprocess

from .results import Absent, Failed

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999", "#000000")  # told apart by everybody
TERMINALS = (("svg", "svg size 900,540 dynamic font 'sans,14' background 'white'"),
             ("png", "pngcairo size 1350,810 font 'sans,16' background 'white'"))


def quoted(text):
    return "'" + str(text).replace("'", "''").replace("\n", " ") + "'"


def block(name, rows):
    """Rows of numbers and words as data inside of the script; None: nothing there."""
    def cell(value):
        if value is None:
            return "NaN"
        return "%.9g" % value if isinstance(value, (int, float)) else '"%s"' % str(value).replace('"', "'")
    return "$%s << EOD\n%s\nEOD\n" % (name, "\n".join(" ".join(cell(value) for value in row) for row in rows))


def draw(path, data, commands, kinds=("svg", "png")):
    """Writes path.svg and path.png. Returns their names."""
    if not shutil.which("gnuplot"):
        raise Absent("gnuplot is not installed")
    written = []
    for kind, terminal in TERMINALS:
        if kind not in kinds:
            continue
        script = "%sset encoding utf8\nset terminal %s\nset output %s\nset border 3\nset tics nomirror\nset grid lc rgb '#dddddd'\n%s\n" % (
            data, terminal, quoted("%s.%s" % (path, kind)), commands)
        done = subprocess.run(["gnuplot"], input=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        if done.returncode:
            raise Failed("gnuplot: " + (done.stdout.strip().splitlines() or ["status %d" % done.returncode])[-1])
        written.append("%s.%s" % (path, kind))
    return written
