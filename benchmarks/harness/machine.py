"""What a figure depends on: the machine, and the versions of what ran on it."""
import os
import platform
import re
import subprocess


def output(*argv):
    """Standard output of a command, "" when it cannot be run."""
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def machine():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
        model = re.search(r"^model name\s*:\s*(.*)$", info.read(), re.M)
    return {
        "cpu": model.group(1) if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "load": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
    }


def versions(build, top):
    revision = output("git", "-C", top, "describe", "--always", "--dirty", "--abbrev=10").strip()
    ranq = re.search(r"\d[\w.]*", output(os.path.join(build, "bin", "ranq"), "--version"))
    redis = re.search(r"v=(\S+)", output("redis-server", "--version"))
    mpi = output(os.path.join(build, "bin", "ranq-bridge"), "--version").splitlines()
    return {
        "ranq": (ranq.group(0) if ranq else "?") + ("+" + revision if revision else ""),
        "redis": redis.group(1) if redis else "?",
        "mpi": mpi[1].split(",")[0] if len(mpi) > 1 else "?",
    }
