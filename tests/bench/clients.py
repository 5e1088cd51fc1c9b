"""The clients: their configuration for the same job, the command, and where their files are.

All verify the certificate, keep arrival dates where they can, change both sides where the protocol has two, and make
mail durable before they record it, as each does by default.
"""

import json
import os
import re
import subprocess

from server import PASSWORD


class Client:
    """One program. A seat (see `cases.Seat`) is its place in a case: account, port, directory."""

    protocols = ("imap",)
    program = None
    packages = ()

    def __init__(self, tools):
        self.tools = tools

    def version(self):
        said = subprocess.run([self.program, "--version"], capture_output=True, text=True)
        return (said.stdout or said.stderr).strip().splitlines()[0]

    def inbox(self, seat):
        return seat.dir / "tree" / "INBOX"

    def moved(self, name):
        """The name of a file that is moved to another mailbox."""
        return name

    def write(self, path, text):
        path.write_text(text)
        path.chmod(0o600)
        return str(path)


class Mailtide(Client):
    name, protocols = "mailtide", ("imap", "pop3")

    def version(self):
        return subprocess.run([self.tools.mailtide, "--version"], capture_output=True, text=True).stdout.strip()

    def command(self, seat, port, durable=True):
        config = self.write(seat.dir / "config.toml", f"""
[accounts.bench]
maildir = "{seat.dir}/tree"
[accounts.bench.{seat.protocol}]
host = "localhost"
port = {port}
user = "{seat.user}"
password = {{ env = "BENCH_PASSWORD" }}
ca-file = "{self.tools.ca}"
{"keep = true" if seat.protocol == "pop3" else ""}
""")
        env = {"BENCH_PASSWORD": PASSWORD, "XDG_STATE_HOME": str(seat.dir / "state")}
        return [self.tools.mailtide, "sync", "--quiet", "--config", config, "bench"], env


class Mbsync(Client):
    name, program, packages = "mbsync", "mbsync", ("isync",)

    def command(self, seat, port, durable=True):
        rc = self.write(seat.dir / "rc", f"""
FSync {"yes" if durable else "no"}

IMAPAccount bench
Host localhost
Port {port}
User {seat.user}
Pass {PASSWORD}
SSLType IMAPS
SystemCertificates no
CertificateFile {self.tools.ca}

IMAPStore far
Account bench

MaildirStore near
Path {seat.dir}/tree/
Inbox {seat.dir}/tree/INBOX
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
        (seat.dir / "tree").mkdir(exist_ok=True)
        return ["mbsync", "-q", "-c", rc, "bench"], {}

    def moved(self, name):
        # Its UID in another mailbox's file name stops it.
        return re.sub(r",U=\d+", "", name)


class OfflineImap(Client):
    name, program, packages = "offlineimap", "offlineimap", ("offlineimap3",)

    def command(self, seat, port, durable=True):
        rc = self.write(seat.dir / "rc", f"""
[general]
accounts = bench
metadata = {seat.dir}/meta
ui = quiet
fsync = {durable}
[Account bench]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {seat.dir}/tree
utime_from_header = no
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {port}
remoteuser = {seat.user}
remotepass = {PASSWORD}
ssl = yes
sslcacertfile = {self.tools.ca}
maxconnections = 4
""")
        return ["offlineimap", "-o", "-c", rc], {"HOME": str(seat.dir)}


class Mpop(Client):
    name, protocols, program, packages = "mpop", ("pop3",), "mpop", ("mpop",)

    def command(self, seat, port, durable=True):
        rc = self.write(seat.dir / "rc", f"""
account default
host localhost
port {port}
tls on
tls_starttls off
tls_trust_file {self.tools.ca}
auth user
user {seat.user}
password {PASSWORD}
keep on
received_header off
delivery maildir {self._maildir(seat)}
uidls_file {seat.dir}/uidls
""")
        return ["mpop", "-Q", f"--file={rc}"], {}

    def _maildir(self, seat):
        for part in ("cur", "new", "tmp"):
            (self.inbox(seat) / part).mkdir(parents=True, exist_ok=True)
        return self.inbox(seat)


class Getmail(Mpop):
    name, program, packages = "getmail", "getmail", ("getmail6",)

    def command(self, seat, port, durable=True):
        self.write(seat.dir / "rc", f"""
[retriever]
type = SimplePOP3SSLRetriever
server = localhost
port = {port}
username = {seat.user}
password = {PASSWORD}
ca_certs = {self.tools.ca}
[destination]
type = Maildir
path = {self._maildir(seat)}/
[options]
read_all = false
delete = false
delivered_to = false
received = false
verbose = 0
""")
        return ["getmail", f"--getmaildir={seat.dir}", "--rcfile=rc", "--quiet"], {}


class Floor(Client):
    """The least commands that could do the job; keeps nothing, so that it is primed by nothing."""

    name, protocols = "floor", ("imap", "pop3")
    keeps = False

    def version(self):
        return None

    def command(self, seat, port, durable=True):
        script = seat.dir / "script.json"
        script.write_text(json.dumps({"protocol": seat.protocol, "connections": seat.case.floor(seat)}))
        command = [self.tools.wire, "floor", str(port), str(self.tools.ca), str(script)]
        if self.keeps:
            files = seat.dir / "files"
            files.mkdir(exist_ok=True)
            command.append(str(files))
        return command, {}


class FloorFiles(Floor):
    """The same, with a file for each body, flushed once."""

    name, keeps = "floor+files", True


ALL = {client.name: client for client in (Mailtide, Mbsync, OfflineImap, Mpop, Getmail, Floor, FloorFiles)}
SLOW = ("offlineimap", "getmail")
