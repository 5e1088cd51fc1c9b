"""Runs cases: makes the accounts, brings each client to the start, and measures them in turn."""

import os
import shutil
import subprocess
import time

import measure
from cases import Case, Seat
from clients import ALL
from line import Line
from memory import KNOWN, NAMES_A_FILE, SIZE
from server import BARE, Dovecot, remove

# A Maildir that changed within its clock's tick makes any client wait or look twice (mbsync: a second).
TICK = 3
# While the disk has so many octets free, old directories are kept.
SPARE = 10 << 30


class Bench:
    def __init__(self, args, tools, work, tell, record):
        self.args, self.tools, self.work, self.tell, self.record = args, tools, work, tell, record
        self.homes = work / "home"
        self.homes.mkdir()
        self.homes.chmod(0o777)
        (work / "clients").mkdir()
        self.past = work / "past"
        self.past.mkdir()
        self.servers, self.lines, self.filled = {}, {}, {}

    def stop(self):
        for line in self.lines.values():
            line.stop()
        for server in self.servers.values():
            server.stop()

    def server(self, bare):
        if bare not in self.servers:
            name, capability = ("bare", BARE) if bare else ("full", None)
            self.servers[bare] = Dovecot(self.work, name, self.homes, capability, self.args.raw_log)
            self.tools.ca = self.servers[bare].ca
        return self.servers[bare]

    def line(self, server, protocol):
        key = server, protocol
        if key not in self.lines:
            port = server.pop3s if protocol == "pop3" else server.imaps
            self.lines[key] = Line(self.tools.wire, port, self.args.rate)
        return self.lines[key]

    # -- one case

    def case(self, case):
        """All figures of a case: (round trip, client) → runs; and what is skipped, by client."""
        server, skipped, seats = self.server(case.bare), {}, []
        for name in case.clients:
            if name not in self.args.clients:
                continue
            client = ALL[name](self.tools)
            seats.append(Seat(case, client, server, self.work, case.population, self.args.scale))
        beside = [Seat(case, seat.client, server, self.work, case.beside, self.args.scale)
                  for seat in seats if getattr(case, "beside", None) and seat.client.name == "mailtide"]
        for seat in beside:
            # It stays as small as it is.
            seat.each = case.beside.full[1]
        seats = [seat for seat in seats + beside if self.prepare(seat, skipped)]
        # A client that is alone in its case has nothing to be compared with, and is measured all the same.
        results, number = {}, 0
        for rtt in [rtt for rtt in case.rtts if rtt in self.args.rtt]:
            for round_ in range(self.args.rounds):
                for seat in seats if round_ % 2 == 0 else seats[::-1]:
                    key = ("few" if seat in beside else rtt), seat.client.name
                    if seat in beside and rtt != min(case.rtts):
                        continue
                    results.setdefault(key, []).append(self.measured(seat, rtt, number))
                number += 1
        if not self.args.no_counts:
            for seat in seats:
                self.counted(seat, number, results, "few" if seat in beside else None)
        if ("few", "mailtide") in results:
            results["many", "mailtide"] = results.get((min(case.rtts), "mailtide"), [])
            for seat in seats:
                if seat.client.name == "mailtide" and not self.args.no_counts:
                    self.instructed(seat, results["few" if seat in beside else "many", "mailtide"])
        for seat in seats:
            self.put_away(seat.dir)
            self.put_away(self.homes / seat.user)
        return results, skipped

    def put_away(self, directory):
        """Takes a directory out of the way. ext4 does not use a deleted inode again for minutes, and looks past each
        one whenever a file is made: whoever ran after a deletion would pay several times for each of its files."""
        if directory.exists() and shutil.disk_usage(self.work).free > SPARE:
            directory.rename(self.past / str(len(os.listdir(self.past))))
        remove(directory)

    def prepare(self, seat, skipped):
        """Makes the account, and the client's directory where the case is warm. `False` when the client cannot."""
        case, server, population = seat.case, seat.server, seat.case.population
        if population.kind == "known":
            self.fill_known(seat)
            return True
        name = seat.user.split(".")[0]
        if name not in self.filled:
            self.tell(f"filling {name}: {len(seat.boxes)} × {seat.each}")
            self.filled[name] = self.fill(server, "base." + name, seat)
        seat.octets = self.filled[name]
        server.copy("base." + name, seat.user)
        if hasattr(case, "setup"):
            case.setup(seat.user, server)
        if case.cold:
            return True
        self.put_away(seat.dir)
        seat.dir.mkdir()
        if not seat.has_tree:
            return True
        self.tell(f"{case.letter} {seat.client.name}: first sync")
        try:
            self.prime(seat)
        except measure.Failed as failure:
            skipped[seat.client.name] = str(failure)
            self.tell(f"{case.letter} {seat.client.name}: {failure}")
            return False
        return True

    def fill(self, server, user, seat):
        population = seat.case.population
        if population.kind == "huge":
            from mail import Mail
            cur = server._directory(user, "INBOX")
            text = Mail(1).message(1, "post", round(SIZE * self.args.scale))
            wire = len(text) + text.count(b"\n")
            (cur / f"1600000000.M1P1.bench,S={len(text)},W={wire}:2,S").write_bytes(text)
            server.finish(user)
            return wire
        return server.fill(user, seat.boxes, seat.each, population.kind)

    def fill_known(self, seat):
        self.tell(f"{seat.case.letter}: making {seat.messages} known messages")
        seat.server.fill(seat.user, seat.boxes, 0, "card")
        self.put_away(seat.dir)
        seat.dir.mkdir()
        self.prime(seat)
        subprocess.run([self.tools.wire, "known", seat.dir / "state/mailtide", seat.dir / "tree", str(seat.messages)],
                       check=True)
        seat.server.fill_known(seat.user, seat.boxes, seat.each, KNOWN, NAMES_A_FILE)
        time.sleep(TICK)
        self.prime(seat)

    def prime(self, seat):
        """Brings a client to where nothing is left to do: after its second look nothing is fresh any more."""
        port = seat.server.pop3s if seat.protocol == "pop3" else seat.server.imaps
        for _ in range(2):
            command, env = seat.client.command(seat, port, durable=False)
            measure.run(command, env, self.work)
            time.sleep(TICK)

    def start(self, seat, rtt, number):
        """The world before a run, and the command."""
        case, line = seat.case, self.line(seat.server, seat.protocol)
        if case.cold:
            self.put_away(seat.dir)
            seat.dir.mkdir()
        elif seat.has_tree and type(case).before is not Case.before and number > 0:
            # What the run before has changed, it looks at once more: that is not this run's work.
            line.delay(0)
            measure.run(*seat.client.command(seat, line.port), self.work)
            time.sleep(TICK)
        case.before(seat, number)
        line.delay(rtt)
        command = seat.client.command(seat, line.port)
        if not case.cold and type(case).before is not Case.before:
            time.sleep(TICK)
        # Nobody pays for what others have written.
        os.sync()
        return command

    def measured(self, seat, rtt, number):
        case, line = seat.case, self.line(seat.server, seat.protocol)
        about = {"case": case.letter, "client": seat.client.name, "rtt": rtt, "population": seat.user.split(".")[0],
                 "messages": seat.messages, "mailboxes": len(seat.boxes)}
        try:
            command, env = self.start(seat, rtt, number)
            commands = seat.server.commands()
            line.reset()
            run = measure.run(command, env, self.work)
            run |= line.counts()
            run["octets"] = run["up"] + run["down"]
            if seat.protocol == "imap":
                # What the server counts, it tells a little later.
                time.sleep(0.3)
                now = seat.server.commands()
                run["by_name"] = {n: now[n] - commands.get(n, 0) for n in now if now[n] != commands.get(n, 0)}
                run["commands"] = sum(run["by_name"].values())
            run["changed"] = seat.turn
            wrong = case.done(seat) if seat.has_tree or not case.cold else None
        except measure.Failed as failure:
            run, wrong = {}, str(failure)
        if wrong:
            run = {"wrong": wrong}
        self.record({"event": "run", **about, **run})
        self.tell(f"{case.letter} {about['population']} {rtt:2} ms {seat.client.name:11} " + (
            f"WRONG: {wrong}" if wrong else
            f"{run['wall']:7.3f} s, CPU {run['cpu']:.3f} s, peak {run['peak'] / 1e6:.1f} MB, up {run['up']}, "
            f"down {run['down']}, turns {run['turns']}, waits {run['waits']}, connections {run['connections']}, "
            f"commands {run.get('by_name', '-')}"))
        return run

    def counted(self, seat, number, results, key):
        """Flushes, in a run of their own: tracing costs time."""
        if not seat.has_tree:
            return
        try:
            flushes = measure.flushes(*self.start(seat, 0, number), self.work)
        except measure.Failed as failure:
            self.tell(f"{seat.case.letter} {seat.client.name}: {failure}")
            return
        self.tell(f"{seat.case.letter} {seat.client.name}: flushes {flushes}")
        self.record({"event": "flushes", "case": seat.case.letter, "client": seat.client.name, **flushes})
        for (rtt, client), runs in results.items():
            if client == seat.client.name and (rtt == key if key else rtt != "few"):
                for run in runs:
                    run["flushes"] = sum(flushes.values())

    def instructed(self, seat, runs):
        try:
            count = measure.instructions(*self.start(seat, 0, 0), self.work)
        except measure.Failed as failure:
            self.tell(f"{seat.case.letter} {seat.client.name}: {failure}")
            return
        self.tell(f"{seat.case.letter} {seat.client.name}: {count} instructions with {seat.messages} messages")
        self.record({"event": "instructions", "case": seat.case.letter, "messages": seat.messages, "count": count})
        for run in runs:
            run["instructions"] = count
