"""A private Dovecot on loopback: own configuration, ports, certificate and mail; and the mail in it.

Nothing of an installed Dovecot's configuration, users or mail is read. It is ended by the process id that started it.
"""

import grp
import imaplib
import os
import pathlib
import pwd
import random
import shutil
import socket
import subprocess
import time

PASSWORD = "loopback"
DATE = 1_600_000_000
MAILBOXES = 20


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Dovecot:
    """One server for all clients; each has an account of its own, made as a copy of the same mail."""

    def __init__(self, work):
        self.work = work
        self.plain, self.tls = free_port(), free_port()
        self.ca = work / "ca.pem"
        me = pwd.getpwuid(os.getuid()).pw_name
        # Dovecot opens no mailbox as root.
        self.owner = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", work / "key.pem", "-out", self.ca], check=True, capture_output=True)
        internal = "" if os.getuid() == 0 else (
            f"default_internal_user = {me}\ndefault_login_user = {me}\n"
            f"default_internal_group = {grp.getgrgid(os.getgid()).gr_name}\n"
            + "".join(f"service {s} {{\n  chroot =\n}}\n" for s in ("anvil", "imap-login")))
        config = work / "dovecot.conf"
        config.write_text(f"""
protocols = imap
listen = 127.0.0.1
base_dir = {work}/run
state_dir = {work}/run
log_path = {work}/dovecot.log
ssl = yes
ssl_cert = <{self.ca}
ssl_key = <{work}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_max_userip_connections = 100
mail_location = maildir:~/mail:LAYOUT=fs
{internal}
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid={self.owner.pw_uid} gid={self.owner.pw_gid} home={work}/home/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service imap-login {{
  service_count = 0
  inet_listener imap {{
    port = {self.plain}
  }}
  inet_listener imaps {{
    port = {self.tls}
    ssl = yes
  }}
}}
""")
        self.process = subprocess.Popen(["dovecot", "-F", "-c", config], stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.tls), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        self.stop()
        log = work / "dovecot.log"
        raise SystemExit("Dovecot did not start:\n" + (log.read_text() if log.exists() else "it left no log"))

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def fill(self, user, messages, octets):
        """Makes `messages` messages of about `octets` each in 20 mailboxes, half of them in INBOX. Returns their sum."""
        rng = random.Random(1)
        pool = "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", k=1 << 20))
        home = self.work / "home" / user / "mail"
        total = 0
        for box in range(MAILBOXES):
            inside = home if box == 0 else home / ("archive/%d" % box if box % 2 else "list-%d" % box)
            for part in ("cur", "new", "tmp"):
                (inside / part).mkdir(parents=True, exist_ok=True)
            share = messages // 2 if box == 0 else (messages - messages // 2) // (MAILBOXES - 1)
            if box == MAILBOXES - 1:
                share = messages - messages // 2 - share * (MAILBOXES - 2)
            for n in range(share):
                # Mail is mostly small, and most of its octets are in a few large messages.
                size = min(int(rng.lognormvariate(0, 1.3) * octets / 2.33), 25_000_000)
                starts = (rng.randrange(len(pool) - 76) for _ in range(max(1, size // 77)))
                lines = (pool[at:at + 76] for at in starts)
                text = (f"From: a{n}@example.org\nTo: me@example.org\nSubject: message {n} of {box}\n"
                        f"Message-ID: <{box}.{n}@example.org>\nDate: Sun, 13 Sep 2020 12:26:40 +0000\n\n"
                        + "\n".join(lines) + "\n").encode()
                wire = len(text) + text.count(b"\n")
                date = DATE + 60 * n
                flags = "S" if rng.random() < 0.8 else ""
                path = inside / "cur" / f"{date}.M{n}B{box}.bench,S={len(text)},W={wire}:2,{flags}"
                path.write_bytes(text)
                os.utime(path, (date, date))
                total += wire
        self._own(user)
        self._warm(user)
        return total

    def copy(self, user, to):
        """Gives account `to` the mail and the indexes of `user`."""
        shutil.copytree(self.work / "home" / user, self.work / "home" / to)
        self._own(to)

    def _own(self, user):
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", f"{self.owner.pw_uid}:{self.owner.pw_gid}", self.work / "home" / user],
                           check=True)

    def connect(self, user):
        imap = imaplib.IMAP4("127.0.0.1", self.plain)
        imap.login(user, PASSWORD)
        return imap

    def mailboxes(self, imap):
        return [line.decode().rsplit(" ", 1)[1] for line in imap.list()[1]
                if b"\\Noselect" not in line and b"\\NonExistent" not in line]

    def _warm(self, user):
        """Lets the server build its indexes, so that no client pays for them."""
        imap = self.connect(user)
        for box in self.mailboxes(imap):
            imap.select(box)
            imap.uid("FETCH", "1:*", "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        imap.logout()

    def search(self, user, key):
        """The UIDs that match `key`, by mailbox."""
        imap, found = self.connect(user), {}
        for box in self.mailboxes(imap):
            imap.select(box, readonly=True)
            found[box] = imap.uid("SEARCH", key)[1][0].decode().split()
        imap.logout()
        return found

    def flag(self, user, flag, key, count, rng):
        """Sets `flag` on `count` of the messages that match `key`, as another client would."""
        found = self.search(user, key)
        chosen = rng.sample([(box, uid) for box in sorted(found) for uid in found[box]], count)
        imap = self.connect(user)
        for box in sorted({box for box, _ in chosen}):
            imap.select(box)
            uids = [uid for b, uid in chosen if b == box]
            for at in range(0, len(uids), 200):
                imap.uid("STORE", ",".join(uids[at:at + 200]), "+FLAGS.SILENT", f"({flag})")
        imap.logout()


def remove(path):
    shutil.rmtree(pathlib.Path(path), ignore_errors=True)
