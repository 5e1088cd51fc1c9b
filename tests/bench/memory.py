"""Case K: peak memory where it could grow. One message of 100 MB, down and up; a million known messages.

The memory of first downloads (A, B, I) is measured there.
"""

import os

from cases import Case, Population, whole_tree
from mail import Mail

HUGE = Population("huge", 1, 1, "huge")
NONE = Population("none", 1, 0, "card")
MILLION = Population("million", 200, 5000, "known")
# As tests/bench/wire/known.rs has it.
KNOWN = b"From: ann@example.org\nSubject: known\n\nKnown.\n"
NAMES_A_FILE = 60_000
SIZE = 100_000_000


class Memory(Case):
    rtts = (0,)
    clients = ("mailtide", "mbsync")
    most = 24e6

    def bounds(self, at):
        yield from self.memory(at, self.most)


class HugeDown(Memory):
    letter, title, population, cold = "K1", "peak memory: one message of 100 MB comes down", HUGE, True

    def done(self, seat):
        return whole_tree(seat)


class HugeUp(Memory):
    letter, title, population = "K2", "peak memory: one message of 100 MB goes up", NONE

    def before(self, seat, round_):
        path = seat.client.inbox(seat) / "cur" / f"1600000000.R{round_}.reader:2,S"
        path.write_bytes(Mail(round_).message(round_, "post", SIZE))

    def done(self, seat):
        here = len(list(seat.files()))
        there = seat.server.search(seat.user, "INBOX", "ALL")
        return None if here == there else f"{there} messages on the server, {here} files"


class MillionUnchanged(Memory):
    letter, title, population = "K3", "peak memory: 1,000,000 known messages, nothing changed", MILLION
    # Others would have to download them first.
    clients = ("mailtide",)


class MillionChanged(MillionUnchanged):
    letter, title, most = "K4", "peak memory: 1,000,000 known messages, one flag changed in each mailbox, both sides", 120e6

    def before(self, seat, round_):
        for box in seat.boxes:
            seat.server.store(seat.user, box, [1 + 2 * round_], "+FLAGS.SILENT (\\Flagged)")
            path = sorted(seat.files(box))[2 + 2 * round_]
            os.rename(path, path.replace(":2,S", ":2,FS"))
