"""One run of one client: time, memory and what crossed the line; and, in runs of their own, flushes and instructions."""

import os
import re
import resource
import subprocess
import time

FLUSHES = ("fsync", "fdatasync", "syncfs", "sync", "msync", "sync_file_range")


class Failed(Exception):
    """A client did not do its job: no figure."""


def run(command, env, work):
    """Runs a client; wall and CPU seconds, peak memory in octets."""
    # A child of this process would be charged with this process's memory; `time` is small.
    result = work / "time"
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    _do(["/usr/bin/time", "-q", "-f", "%M", "-o", str(result), *command], env)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu, "peak": int(result.read_text()) * 1024}


def flushes(command, env, work):
    """How often a client asks for durability, by system call."""
    result = work / "strace"
    _do(["strace", "-f", "-c", "-qq", "--seccomp-bpf", "-o", str(result), "-e", "trace=" + ",".join(FLUSHES), *command], env)
    rows = (line.split() for line in result.read_text().splitlines())
    return {row[-1]: int(row[3]) for row in rows if row and row[-1] in FLUSHES}


def instructions(command, env, work):
    """How many instructions a client takes, which depends on no other load."""
    # A program may begin anew in its own process; only children that are followed are counted then.
    count = ["valgrind", "--tool=callgrind", "--trace-children=yes", f"--callgrind-out-file={work}/callgrind.%p"]
    said = _do([*count, *command], env)
    return sum(int(collected) for collected in re.findall(r"Collected : (\d+)", said.stderr))


def _do(command, env):
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done
