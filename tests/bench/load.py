"""Case M: load. A million messages in one mailbox, five thousand mailboxes, 50 GB: time, memory and the state's size.

No peer is asked: it would have to download them first. What is told are Mailtide's own figures.
"""

import os

from cases import Population, whole_tree
from memory import Memory

ONE = Population("one", 1, 1_000_000, "known")
THOUSANDS = Population("thousands", 5000, 10, "known")
# A megabyte each; every mailbox has the same thousand, by hard links.
GIGABYTES = Population("gigabytes", 50, 1000, "megabyte")


class Load(Memory):
    clients = ("mailtide",)

    def bounds(self, at):
        return []

    def changed(self, seat, round_, boxes):
        """One flag on each side of each of these mailboxes, of different messages."""
        for box in boxes:
            seat.server.store(seat.user, box, [1 + 2 * round_], "+FLAGS.SILENT (\\Flagged)")
            path = sorted(seat.files(box))[2 + 2 * round_]
            os.rename(path, path.replace(":2,S", ":2,FS"))


class MillionInOne(Load):
    letter, title, population = "M1", "load: one mailbox × 1,000,000, one flag changed on each side", ONE

    def before(self, seat, round_):
        self.changed(seat, round_, seat.boxes)


class Thousands(Load):
    letter, title, population = "M2", "load: 5,000 mailboxes × 10, nothing changed", THOUSANDS


class ThousandsChanged(Load):
    letter, title, population = "M3", "load: 5,000 mailboxes × 10, one flag changed on each side of 100", THOUSANDS

    def before(self, seat, round_):
        self.changed(seat, round_, seat.boxes[:100])


class Gigabytes(Load):
    letter, title, population, cold = "M4", "load: first sync, 50 GB in 50 mailboxes", GIGABYTES, True
    # It fills a disk, so it has to be asked for by its whole name.
    only_named = True

    def done(self, seat):
        return whole_tree(seat)
