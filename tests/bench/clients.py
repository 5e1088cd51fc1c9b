"""The clients: their configuration for the same job, the command, and where their files are.

Both verify the certificate, keep arrival dates, create and delete both ways, and make mail durable before they record
it, which is the default of each.
"""

import os
import subprocess

from server import PASSWORD


class Client:
    def __init__(self, work, ca):
        self.work, self.ca = work / self.name, ca
        self.tree = self.work / "tree"

    def files(self):
        """Every message file of the tree."""
        for folder, _, names in os.walk(self.tree):
            if os.path.basename(folder) in ("cur", "new"):
                for name in sorted(names):
                    if not name.startswith("."):
                        yield os.path.join(folder, name)

    def flag(self, letter, count, rng):
        """Sets a flag on `count` messages that lack it, as a mail reader would: by renaming the files."""
        lacking = [f for f in sorted(self.files()) if letter not in f.rpartition(":2,")[2] or ":2," not in f]
        for path in rng.sample(lacking, count):
            folder, name = os.path.split(path)
            unique, _, flags = name.partition(":2,")
            cur = os.path.join(os.path.dirname(folder), "cur")
            os.rename(path, os.path.join(cur, unique + ":2," + "".join(sorted(set(flags + letter)))))

    def flagged(self, letter):
        return sum(letter in f.rpartition(":2,")[2] for f in self.files() if ":2," in f)


class Mbsync(Client):
    name = "mbsync"

    def version(self):
        return subprocess.run(["mbsync", "--version"], capture_output=True, text=True).stdout.strip()

    def prepare(self, port):
        self.tree.mkdir(parents=True, exist_ok=True)
        (self.work / "rc").write_text(f"""
IMAPAccount bench
Host localhost
Port {port}
User {self.name}
Pass {PASSWORD}
SSLType IMAPS
SystemCertificates no
CertificateFile {self.ca}

IMAPStore far
Account bench

MaildirStore near
Path {self.tree}/
Inbox {self.tree}/INBOX
SubFolders Verbatim

Channel bench
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
CopyArrivalDate yes
Sync All
SyncState *
""")
        return ["mbsync", "-q", "-c", str(self.work / "rc"), "bench"], {}


class Mailtide(Client):
    name = "mailtide"

    def __init__(self, work, ca, binary):
        super().__init__(work, ca)
        self.binary = binary

    def version(self):
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True).stdout.strip() or "mailtide"

    def prepare(self, port):
        self.work.mkdir(parents=True, exist_ok=True)
        (self.work / "config.toml").write_text(f"""
[accounts.bench]
maildir = "{self.tree}"
[accounts.bench.imap]
host = "localhost"
port = {port}
user = "{self.name}"
password = {{ env = "BENCH_PASSWORD" }}
ca-file = "{self.ca}"
""")
        env = {"BENCH_PASSWORD": PASSWORD, "XDG_STATE_HOME": str(self.work / "state")}
        return [self.binary, "sync", "--quiet", "--config", str(self.work / "config.toml"), "bench"], env
