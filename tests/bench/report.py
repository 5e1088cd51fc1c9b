"""Medians as a Markdown table, and what Mailtide must hold beside what it does."""

import datetime
import os
import platform
import statistics
import subprocess

FIGURES = ("wall", "cpu", "peak", "up", "down", "octets", "turns", "waits", "commands", "connections", "flushes",
           "instructions", "changed")


class Medians:
    def __init__(self, results):
        self.medians = {}
        for key, runs in results.items():
            right = [run for run in runs if "wrong" not in run]
            for figure in FIGURES:
                values = [run[figure] for run in right if figure in run]
                if values:
                    self.medians[key, figure] = statistics.median(values)

    def __call__(self, rtt, client, figure):
        return self.medians.get(((rtt, client), figure))


def heading(args, tools, clients):
    cpu = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    dovecot = subprocess.run(["dovecot", "--version"], capture_output=True, text=True).stdout.split()[0]
    versions = ", ".join(filter(None, (client.version() for client in clients)))
    return (f"`{args.typed}` on {datetime.date.today()}: {versions}; Dovecot {dovecot} over TLS on loopback; medians of "
            f"{args.rounds}, clients in turn; {os.cpu_count()} × {cpu}, Linux {platform.release()}, "
            f"{filesystem(tools.work)}.")


def filesystem(path):
    return subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True).stdout.strip()


def case(case, results, skipped, args):
    """The table of one case, and its bounds."""
    at, out = Medians(results), []
    boxes, each = case.population.scaled(args.scale)
    small = f" (here {len(boxes)} × {each})" if args.scale != 1 else ""
    out.append(f"\n**{case.letter}: {case.title}**{small}\n")
    out.append("| RTT | client | wall | to peer | CPU | peak | up | down | turns | waits | commands | flushes |")
    out.append("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for rtt, client in sorted(results, key=lambda key: (str(key[0]), list(case.clients).index(key[1]))):
        if rtt == "many":
            continue
        wall, peer = at(rtt, client, "wall"), at(rtt, case.peer, "wall")
        if wall is None:
            wrong = next(run["wrong"] for run in results[rtt, client] if "wrong" in run)
            out.append(f"| {rtt} ms | {client} | wrong: {wrong.splitlines()[0]} |" + " |" * 9)
            continue
        ratio = f"{wall / peer:.2f}" if peer else ""
        label = f"{case.beside.full[1]} messages" if rtt == "few" else f"{rtt} ms"
        cells = [label, client, f"{wall:.2f} s", ratio, f"{at(rtt, client, 'cpu'):.2f} s"]
        cells += [size(at(rtt, client, figure)) for figure in ("peak", "up", "down")]
        cells += [count(at(rtt, client, figure)) for figure in ("turns", "waits", "commands", "flushes")]
        out.append("| " + " | ".join(cells) + " |")
    for client, why in skipped.items():
        out.append(f"\n{client} was skipped: {why.splitlines()[0]}")
    low, high = 0, 50
    paid = [f"{client} {(at(high, client, 'wall') - at(low, client, 'wall')) * 1000 / high:.0f}" for client in case.clients
            if at(low, client, "wall") and at(high, client, "wall")]
    if paid:
        out.append(f"\nRound trips paid, opening the connection included, as walls tell: {', '.join(paid)}.")
    bounds = list(case.bounds(at))
    if bounds:
        out.append("\n| to hold | measured | at most | |\n| --- | --- | --- | --- |")
        for bound in bounds:
            out.append(f"| {bound.what} | {amount(bound.value, bound.unit)} | {amount(bound.most, bound.unit)} | "
                       f"{'holds' if bound.holds else '**MISSES**'} |")
    return "\n".join(out), bounds


def amount(value, unit):
    if unit == "B":
        return size(value)
    return f"{value:.3g} {unit}".strip() if value < 1000 else f"{value:.0f} {unit}".strip()


def count(value):
    return "" if value is None else f"{value:.0f}"


def size(octets):
    for unit in ("B", "kB", "MB"):
        if octets < 1000:
            break
        octets /= 1000
    else:
        unit = "GB"
    return f"{octets:.0f} {unit}" if octets >= 100 or unit == "B" else f"{octets:.1f} {unit}"
