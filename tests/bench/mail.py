"""Mail that looks like mail, made quickly: text in lines, 8-bit text, long lines of HTML, attachments in base64.

Sizes: `post` is mail of 2 to 60 kB mostly and some of 0.2 to 5 MB (mean 30 kB), `note` mail of 1 to 25 kB (mean 10 kB),
`card` mail of about 1 kB, for cases in which no body is looked at, `megabyte` what it says. The same seed gives the same
mail.
"""

import os
import random
import string

DATE = 1_600_000_000
WORDS = """the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which
one you were all her she there would their we him been has when who will no more if out so up said what its about than into
them can only other time new some could these two may first then do any like my now over such our man me even most""".split()
UMLAUTS = "Grüße aus Köln; ¿qué tal?; Žluťoučký kůň; заметка на полях; 明日の会議について; naïve café — “quoted” …".split()


class Mail:
    """A source of messages."""

    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        # Slices of these are bodies: random access to what would take long to make.
        self.prose = self._lines(lambda: " ".join(rng.choices(WORDS, k=rng.randint(6, 13))))
        self.eight_bit = self._lines(lambda: " ".join(rng.choices(WORDS + UMLAUTS, k=rng.randint(5, 11))))
        self.html = self._lines(lambda: "<td style='padding:0'>" * rng.randint(10, 40) + " ".join(rng.choices(WORDS, k=20)))
        letters = string.ascii_letters + string.digits + "+/"
        self.base64 = self._lines(lambda: "".join(rng.choices(letters, k=76)))

    def _lines(self, line, octets=1 << 20):
        lines, total = [], 0
        while total < octets:
            lines.append(line().encode())
            total += len(lines[-1]) + 1
        return b"\n".join(lines) + b"\n"

    def _slice(self, pool, octets):
        """About so many octets of whole lines."""
        parts = []
        while octets > 0:
            start = pool.find(b"\n", self.rng.randrange(len(pool) // 2)) + 1
            end = pool.find(b"\n", min(start + octets, len(pool) - 1)) + 1
            parts.append(pool[start:end])
            octets -= end - start
        return b"".join(parts)

    def octets(self, kind):
        rng = self.rng
        if kind == "card":
            return rng.randint(500, 1500)
        if kind == "megabyte":
            return 1_000_000
        if kind == "note":
            return min(int(rng.lognormvariate(8.9, 0.75)), 60_000)
        if rng.random() < 0.013:
            return int(200_000 * 25 ** rng.random())
        return max(2_000, min(int(rng.lognormvariate(9.2, 0.8)), 60_000))

    def message(self, number, kind, octets=None):
        """One message with LF line ends."""
        rng, size = self.rng, octets or self.octets(kind)
        head = (f"Return-Path: <a{number % 97}@example.org>\n"
                f"Received: from mx{number % 7}.example.org (mx{number % 7}.example.org [192.0.2.{number % 250}])\n"
                f"\tby mail.example.net with ESMTPS id {rng.getrandbits(48):012x}; Sun, 13 Sep 2020 12:26:40 +0000\n"
                f"Message-ID: <{number}.{rng.getrandbits(64):016x}@example.org>\nDate: Sun, 13 Sep 2020 12:26:40 +0000\n"
                f"From: Ann Example <a{number % 97}@example.org>\nTo: me@example.net\n"
                f"Subject: Message {number}: {' '.join(rng.choices(WORDS, k=6))}\nMIME-Version: 1.0\n")
        if size >= 60_000:
            return (f"{head}Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: text/plain\n\n".encode()
                    + self._slice(self.prose, 1500)
                    + b"--b\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n"
                    + self._slice(self.base64, size - 2500) + b"--b--\n")
        sort = rng.random()
        if sort < 0.5:
            kind_of, pool = "text/plain; charset=us-ascii", self.prose
        elif sort < 0.8:
            kind_of, pool = "text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit", self.eight_bit
        else:
            kind_of, pool = "text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit", self.html
        head += f"Content-Type: {kind_of}\n\n"
        return head.encode() + self._slice(pool, max(100, size - len(head)))

    def flags(self, kind):
        if kind == "card":
            return "S"
        return "".join(flag for flag, share in (("F", 0.05), ("R", 0.1), ("S", 0.8)) if self.rng.random() < share)

    def file(self, cur, number, kind):
        """Puts a message into a Maildir's `cur`; returns its octets on the wire."""
        text = self.message(number, kind)
        wire = len(text) + text.count(b"\n")
        date = DATE + 60 * number
        # The sizes in the name spare the server opening each file.
        path = cur / f"{date}.M{number}P1.bench,S={len(text)},W={wire}:2,{self.flags(kind)}"
        path.write_bytes(text)
        os.utime(path, (date, date))
        return wire
