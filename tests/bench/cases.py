"""The cases: what is on the server, what changes before a run, what a run must have done, and what Mailtide must hold.

A case is run cold (the client's directory is new each time) or warm (it was synchronised, then looked at again, before
the first measured run). Counts are those of the full size; `--scale` shrinks them, mailboxes and messages alike.
"""

import math
import os
import random

from mail import DATE, Mail

TURN = 1000  # messages that change in a round of E to H


class Population:
    """An account's mail before anything is done to it."""

    def __init__(self, name, mailboxes, each, kind):
        self.name, self.full, self.kind = name, (mailboxes, each), kind

    def scaled(self, scale):
        """The names of the mailboxes and the messages in each."""
        mailboxes, each = self.full
        share = math.sqrt(scale) if mailboxes > 1 else 1
        names = max(2, round(mailboxes * share)) if mailboxes > 1 else 1
        each = max(1, round(each * scale / share)) if each else 0
        return ["INBOX"] + [f"lists/list-{n:03}" if n % 2 else f"archive-{n:03}" for n in range(1, names)], each


BIG = Population("big", 1, 10_000, "post")
MANY = Population("many", 200, 50, "note")
WIDE = Population("wide", 200, 500, "card")
DEEP = Population("deep", 1, 100_000, "card")
SHALLOW = Population("shallow", 1, 100, "card")
FLAT = Population("flat", 1, 10_000, "card")
FEW = Population("few", 1, 100, "card")


class Bound:
    """What Mailtide must hold: a figure, and at most how much."""

    def __init__(self, what, value, most, unit=""):
        self.what, self.value, self.most, self.unit = what, value, most, unit

    @property
    def holds(self):
        return self.value <= self.most


class Seat:
    """One client's place in a case."""

    def __init__(self, case, client, server, work, population, scale):
        self.case, self.client, self.server = case, client, server
        self.protocol = case.protocol
        self.boxes, self.each = population.scaled(scale)
        self.turn = max(1, round(TURN * scale))
        self.user = f"{population.name}.{case.letter}.{client.name}".replace("+", "-").lower()
        self.dir = work / "clients" / f"{case.letter}.{population.name}.{client.name}"
        self.checkpoint = None

    @property
    def messages(self):
        return len(self.boxes) * self.each

    @property
    def has_tree(self):
        return not self.client.name.startswith("floor")

    def files(self, box=None):
        """The message files of a mailbox, or of all."""
        top = self.dir / "tree" / box if box else self.dir / "tree"
        for folder, _, names in os.walk(top):
            if os.path.basename(folder) in ("cur", "new"):
                for name in sorted(names):
                    if not name.startswith("."):
                        yield os.path.join(folder, name)

    def flagged(self, letter):
        return sum(letter in path.rpartition(":2,")[2] for path in self.files() if ":2," in path)

    def part(self, things, round_):
        """Those that change in a round; no round gets what another got while there are enough."""
        things = list(things)
        random.Random(7).shuffle(things)
        at = round_ * self.turn % max(1, len(things) - self.turn + 1)
        return things[at:at + self.turn]


class Case:
    protocol, cold, bare, rtts = "imap", False, False, (50,)
    clients = ("mailtide", "mbsync", "floor")
    peer = "mbsync"
    files_floor = False

    def before(self, seat, round_):
        """What happens before a run of the client."""

    def done(self, seat):
        """What is wrong after a run, if anything: a fast client that does not do its job is none."""
        return None

    def floor(self, seat):
        """The floor's commands: a list of stages for each connection."""
        return [login(seat, list_status(), ["LOGOUT"])]

    def bounds(self, at):
        """`at(rtt, client, figure)` is a median, `None` where it was not measured."""
        return []

    def against(self, at, rtt, most, figure="wall"):
        ours, theirs = at(rtt, "mailtide", figure), at(rtt, self.peer, figure)
        if ours is not None and theirs:
            yield Bound(f"{figure} at {rtt} ms / {self.peer}", ours / theirs, most)

    def floored(self, at, rtt, most):
        ours, floor = at(rtt, "mailtide", "wall"), at(rtt, "floor+files", "wall")
        if ours is not None and floor:
            yield Bound(f"wall at {rtt} ms / flushed floor", ours / floor, most)

    def figure(self, at, rtt, figure, most, unit="", each=1):
        ours = at(rtt, "mailtide", figure)
        if ours is not None:
            yield Bound(f"{figure} at {rtt} ms", ours / each, most, unit)

    def memory(self, at, most=24e6):
        for rtt in self.rtts:
            yield from self.figure(at, rtt, "peak", most, "B")


def login(seat, *commands):
    """Stages of one connection: the login, then all else in one flight."""
    from server import PASSWORD
    if seat.protocol == "pop3":
        return [[f"USER {seat.user}", f"PASS {PASSWORD}"], [c for group in commands for c in group]]
    return [[f"LOGIN {seat.user} {PASSWORD}"], [c for group in commands for c in group]]


def list_status():
    return ['LIST "" "*" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))']


def uid_set(uids):
    """Ranges, as short as can be."""
    parts, uids = [], sorted(uids)
    for uid in uids:
        if parts and parts[-1][1] == uid - 1:
            parts[-1][1] = uid
        else:
            parts.append([uid, uid])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in parts)


def whole_tree(seat):
    found = sum(1 for _ in seat.files())
    return None if found == seat.messages else f"{found} files for {seat.messages} messages"


class FirstSync(Case):
    letter, title, population = "A", "first sync, 10,000 messages, 300 MB, one mailbox", BIG
    cold, rtts, files_floor = True, (0, 50), True
    clients = ("mailtide", "mbsync", "floor", "floor+files", "offlineimap")
    BODY = "(UID FLAGS INTERNALDATE BODY.PEEK[])"
    # The server needs about as much as the floor: two cores are used by two connections.
    CONNECTIONS = 2

    def done(self, seat):
        return whole_tree(seat)

    def floor(self, seat):
        step = math.ceil(seat.each / self.CONNECTIONS)
        ranges = [f"{start}:{start + step - 1}" for start in range(1, seat.each + 1, step)]
        return [login(seat, ["EXAMINE INBOX", f"UID FETCH {uids} {self.BODY}", "LOGOUT"]) for uids in ranges]

    def bounds(self, at):
        for rtt in self.rtts:
            yield from self.against(at, rtt, 0.25)
            yield from self.floored(at, rtt, 1.3)
        yield from self.memory(at)


class FirstSyncOfMany(FirstSync):
    letter, title, population = "B", "first sync, 200 mailboxes × 50", MANY
    clients = ("mailtide", "mbsync", "floor", "floor+files")

    def floor(self, seat):
        def boxes(n):
            return [c for box in seat.boxes[n::self.CONNECTIONS] for c in (f"EXAMINE {box}", f"UID FETCH 1:* {self.BODY}")]
        return [login(seat, list_status(), boxes(n), ["LOGOUT"]) for n in range(self.CONNECTIONS)]

    def bounds(self, at):
        yield from self.against(at, 0, 0.15)
        yield from self.against(at, 50, 0.05)
        yield from self.figure(at, 50, "turns", 40)
        yield from self.memory(at)


class NoChange(Case):
    letter, title, population, rtts = "C", "nothing changed, 200 mailboxes × 500", WIDE, (0, 50)

    def bounds(self, at):
        yield from self.figure(at, 50, "wall", 0.55, "s")
        yield from self.figure(at, 50, "turns", 7)
        yield from self.figure(at, 50, "octets", 40e3, "B")
        yield from self.against(at, 0, 0.3)


class NoChangeInOne(Case):
    letter, title, population, rtts = "D", "nothing changed, one mailbox × 100,000", DEEP, (0, 50)
    # The same of a mailbox of 100: what differs is what the messages cost.
    beside = SHALLOW

    def bounds(self, at):
        yield from self.figure(at, 50, "octets", 4e3, "B")
        for what, more in (("instructions", 1.1), ("cpu", 1.1)):
            few, many = at("few", "mailtide", what), at("many", "mailtide", what)
            if few and many:
                yield Bound(f"{what}, 100,000 / 100 messages", many / few, more)


class FlagsThere(Case):
    letter, title, population = "E", "1,000 of 10,000 flags changed on the server", FLAT

    def before(self, seat, round_):
        if not seat.has_tree:
            seat.checkpoint = seat.server.checkpoint(seat.user, "INBOX")
        flag = "\\Answered" if round_ >= seat.messages // seat.turn else "\\Flagged"
        uids = seat.part(range(1, seat.messages + 1), round_)
        seat.server.store(seat.user, "INBOX", sorted(uids), f"+FLAGS.SILENT ({flag})")

    def done(self, seat):
        if not seat.has_tree:
            return None
        for letter, key in (("F", "FLAGGED"), ("R", "ANSWERED")):
            here, there = seat.flagged(letter), seat.server.search(seat.user, "INBOX", key)
            if here != there:
                return f"{here} files have {letter}, {there} messages are {key}"
        return None

    def floor(self, seat):
        validity, modseq = seat.checkpoint
        return [login(seat, ["ENABLE QRESYNC", f"SELECT INBOX (QRESYNC ({validity} {modseq}))", "LOGOUT"])]

    def bounds(self, at):
        yield from self.against(at, 50, 1.0)
        changed = at(50, "mailtide", "changed")
        if changed:
            yield from self.figure(at, 50, "octets", 70, "B a change", each=changed)


class FlagsHere(FlagsThere):
    letter, title = "F", "1,000 of 10,000 flags changed in the tree"

    def before(self, seat, round_):
        letter = "R" if round_ >= seat.messages // seat.turn else "F"
        if not seat.has_tree:
            flag = {"R": "\\Answered", "F": "\\Flagged"}[letter]
            seat.checkpoint = f"+FLAGS.SILENT ({flag})", seat.part(range(1, seat.messages + 1), round_)
            return
        # By the part of the name that does not change.
        by_name = sorted(seat.files("INBOX"), key=os.path.basename)
        for path in seat.part(by_name, round_):
            unique, _, flags = os.path.basename(path).partition(":2,")
            cur = os.path.join(os.path.dirname(os.path.dirname(path)), "cur")
            os.rename(path, os.path.join(cur, f"{unique}:2,{''.join(sorted(set(flags + letter)))}"))

    def floor(self, seat):
        change, uids = seat.checkpoint
        return [login(seat, ["SELECT INBOX", f"UID STORE {uid_set(uids)} {change}", "LOGOUT"])]

    def bounds(self, at):
        yield from self.against(at, 50, 0.5)
        yield from self.figure(at, 50, "commands", 10)


class Upload(Case):
    letter, title, population = "G", "upload of 1,000 × 10 kB", FEW

    def __init__(self):
        self.expected = {}

    def before(self, seat, round_):
        self.expected[seat.user] = self.expected.get(seat.user, seat.messages) + seat.turn
        mail, texts = Mail(100 + round_), []
        for n in range(seat.turn):
            texts.append(mail.message(n, "note", 10_000))
        if not seat.has_tree:
            seat.checkpoint = [text.replace(b"\n", b"\r\n").decode() for text in texts]
            return
        for n, text in enumerate(texts):
            path = seat.client.inbox(seat) / "cur" / f"{DATE + n}.R{round_}N{n}.reader:2,S"
            path.write_bytes(text)

    def done(self, seat):
        there = seat.server.search(seat.user, "INBOX", "ALL")
        expected = self.expected[seat.user]
        return None if there == expected else f"{there} messages on the server, not {expected}"

    def floor(self, seat):
        bodies = "".join(f" (\\Seen) {{{len(text.encode())}+}}\r\n{text}" for text in seat.checkpoint)
        return [login(seat, ["APPEND INBOX" + bodies, "LOGOUT"])]

    def bounds(self, at):
        yield from self.against(at, 50, 0.5)


class Moves(Case):
    letter, title, population = "H", "1,000 messages moved in the tree", FLAT
    TO = "Archive"

    def __init__(self):
        self.expected = {}

    def setup(self, user, server):
        imap = server.connect(user)
        imap.create(self.TO)
        imap.logout()

    def before(self, seat, round_):
        self.expected[seat.user] = self.expected.get(seat.user, 0) + seat.turn
        if not seat.has_tree:
            seat.checkpoint = range(round_ * seat.turn + 1, (round_ + 1) * seat.turn + 1)
            return
        to = seat.dir / "tree" / self.TO / "cur"
        for path in sorted(seat.files("INBOX"))[:seat.turn]:
            os.rename(path, to / seat.client.moved(os.path.basename(path)))

    def done(self, seat):
        moved, left = (seat.server.search(seat.user, box, "ALL") for box in (self.TO, "INBOX"))
        expected = self.expected[seat.user]
        if (moved, left) != (expected, seat.messages - expected):
            return f"{moved} messages were moved and {left} are left, not {expected} and {seat.messages - expected}"
        return None

    def floor(self, seat):
        return [login(seat, ["SELECT INBOX", f"UID MOVE {uid_set(seat.checkpoint)} {self.TO}", "LOGOUT"])]

    def bounds(self, at):
        yield from self.against(at, 50, 0.12)
        yield from self.figure(at, 50, "octets", 40e3, "B")


class PopFirst(Case):
    letter, title, population = "I", "POP3, first download of the mail of A", BIG
    protocol, cold, rtts, peer, files_floor = "pop3", True, (0, 50), "mpop", True
    clients = ("mailtide", "mpop", "floor", "floor+files", "getmail")

    def done(self, seat):
        return whole_tree(seat) if seat.has_tree else None

    def floor(self, seat):
        return [login(seat, [f"RETR {n}" for n in range(1, seat.each + 1)], ["QUIT"])]

    def bounds(self, at):
        for rtt in self.rtts:
            yield from self.against(at, rtt, 0.5)
            yield from self.floored(at, rtt, 1.5)
        yield from self.memory(at)


class PopNoChange(PopFirst):
    letter, title, cold, files_floor = "J", "POP3, nothing new, mail kept, 10,000", False, False
    clients = ("mailtide", "mpop", "floor", "getmail")

    def floor(self, seat):
        return [login(seat, ["UIDL", "QUIT"])]

    def bounds(self, at):
        for rtt in self.rtts:
            yield from self.against(at, rtt, 1.0)


class BareNoChange(NoChange):
    letter, title, bare, rtts = "L", "case C where the server shows IMAP4rev1 only", True, (50,)

    def floor(self, seat):
        looks = [c for box in seat.boxes for c in (f"EXAMINE {box}", "UID FETCH 1:* (FLAGS)")]
        return [login(seat, ['LIST "" "*"'], looks, ["LOGOUT"])]

    def bounds(self, at):
        yield from self.against(at, 50, 0.15)
