"""A private Dovecot on loopback: own configuration, ports, certificate and mail.

Nothing of an installed Dovecot's configuration, users or mail is read. It is ended by the process id that started it.
Each client has accounts of its own: copies of the same mail (hard links, since a Maildir's files are never changed).
"""

import grp
import imaplib
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import time

from mail import Mail

PASSWORD = "loopback"
# What the bare server shows: RFC 3501 and nothing else.
BARE = "IMAP4rev1"


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Dovecot:
    """One server. `plain` is IMAP for the bench itself, `imaps` and `pop3s` are for clients."""

    def __init__(self, work, name, homes, capability=None, raw_log=False):
        self.work, self.homes = work / name, homes
        self.work.mkdir()
        self.config = self.work / "dovecot.conf"
        self.ca = work / "ca.pem"
        self.owner = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self.plain, self.imaps, self.pop3s = free_ports(3)
        if not self.ca.exists():
            self._certify(work)
        self.config.write_text(self._configuration(work, capability, raw_log))
        self.process = subprocess.Popen(["dovecot", "-F", "-c", self.config], stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.imaps), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        self.stop()
        log = self.work / "log"
        raise SystemExit("Dovecot did not start:\n" + (log.read_text() if log.exists() else "it left no log"))

    def _certify(self, work):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", work / "key.pem", "-out", self.ca], check=True, capture_output=True)

    def _configuration(self, work, capability, raw_log):
        me = pwd.getpwuid(os.getuid()).pw_name
        internal = "" if os.getuid() == 0 else (
            f"default_internal_user = {me}\ndefault_login_user = {me}\n"
            f"default_internal_group = {grp.getgrgid(os.getgid()).gr_name}\n"
            + "".join(f"service {s} {{\n  chroot =\n}}\n" for s in ("anvil", "imap-login", "pop3-login")))
        if raw_log:
            raw = self.work / "raw"
            raw.mkdir(mode=0o777)
            raw.chmod(0o777)
        return f"""
protocols = imap pop3
listen = 127.0.0.1
base_dir = {self.work}/run
state_dir = {self.work}/run
log_path = {self.work}/log
# A million messages in one mailbox are more than 256 MB to it.
default_vsz_limit = 1G
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
  args = uid={self.owner.pw_uid} gid={self.owner.pw_gid} home={self.homes}/%u
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
    port = {self.imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  service_count = 0
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {self.pop3s}
    ssl = yes
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
metric imap_commands {{
  filter = event=imap_command_finished
  group_by = cmd_name
}}
protocol imap {{
  {"imap_capability = " + capability if capability else ""}
  {f"rawlog_dir = {self.work}/raw" if raw_log else ""}
}}
"""

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def commands(self):
        """How many IMAP commands it has finished, by name."""
        dump = subprocess.run(["doveadm", "-c", self.config, "stats", "dump"], capture_output=True, text=True).stdout
        found = {}
        for row in map(str.split, dump.splitlines()):
            # Rows are: metric, field, count, and figures that nobody needs here.
            if row[0].startswith("imap_commands_") and row[1] == "duration":
                found[row[0].removeprefix("imap_commands_").upper()] = int(row[2])
        return found

    # -- accounts

    def home(self, user):
        return self.homes / user / "mail"

    def fill(self, user, mailboxes, each, kind, seed=1):
        """Makes an account: `each` messages of a kind in each of `mailboxes`. Returns their octets on the wire."""
        mail, total, number = Mail(seed), 0, 0
        for name in mailboxes:
            cur = self._directory(user, name)
            for _ in range(each):
                number += 1
                total += mail.file(cur, number, kind)
            if kind == "megabyte":
                total *= len(mailboxes)
                self._link(user, mailboxes)
                break
        self.finish(user)
        return total

    def _link(self, user, mailboxes):
        """Gives all mailboxes the mail of the first."""
        mail = list(self._directory(user, mailboxes[0]).iterdir())
        for name in mailboxes[1:]:
            cur = self._directory(user, name)
            for path in mail:
                os.link(path, cur / path.name)

    def fill_known(self, user, mailboxes, each, text, names_a_file):
        """The server's half of `wire known`: hard links to a few files."""
        wire, made = len(text) + text.count(b"\n"), 0
        for name in mailboxes:
            cur = self._directory(user, name)
            for number in range(1, each + 1):
                seed = self.homes / f"seed-{user}-{made // names_a_file}"
                if made % names_a_file == 0:
                    seed.write_bytes(text)
                    seed.chmod(0o644)
                    self._own(seed)
                made += 1
                os.link(seed, cur / f"{1_600_000_000 + number}.M{number}P1.bench,S={len(text)},W={wire}:2,S")
        self.finish(user)

    def _directory(self, user, name):
        inside = self.home(user) / ("" if name == "INBOX" else name)
        for part in ("cur", "new", "tmp"):
            (inside / part).mkdir(parents=True, exist_ok=True)
        return inside / "cur"

    def copy(self, user, to):
        """Gives account `to` the mail of `user`; the server's own files are copied, the mail is linked."""
        def link(source, target):
            if "dovecot" in os.path.basename(source):
                return shutil.copy2(source, target)
            return os.link(source, target)
        shutil.copytree(self.homes / user, self.homes / to, copy_function=link)
        self.finish(to)

    def finish(self, user):
        """Gives the files to the server's user and lets the server build its indexes, so that no client pays for it."""
        self._own(self.homes / user)
        imap = self.connect(user)
        for box in self.mailboxes(imap):
            if imap.select(box)[1] == [b"0"]:
                continue
            # One reply is enough: asking any makes the server write down what it read of all.
            imap._simple_command("FETCH", "1:*", "(UID RFC822.SIZE INTERNALDATE)")
            imap.untagged_responses.clear()
        imap.logout()

    def _own(self, path):
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", f"{self.owner.pw_uid}:{self.owner.pw_gid}", path], check=True)

    # -- another client

    def connect(self, user):
        imap = imaplib.IMAP4("127.0.0.1", self.plain)
        imap.login(user, PASSWORD)
        return imap

    def mailboxes(self, imap):
        return [line.decode().rsplit(" ", 1)[1] for line in imap.list()[1]
                if b"\\Noselect" not in line and b"\\NonExistent" not in line]

    def store(self, user, box, uids, change):
        """Changes flags, as another client would."""
        imap = self.connect(user)
        imap.select(box)
        for at in range(0, len(uids), 200):
            imap.uid("STORE", ",".join(map(str, uids[at:at + 200])), change)
            imap.untagged_responses.clear()
        imap.logout()

    def search(self, user, box, key):
        """How many messages of a mailbox match."""
        imap = self.connect(user)
        imap.select(box, readonly=True)
        found = imap.uid("SEARCH", key)[1][0].split()
        imap.logout()
        return len(found)

    def checkpoint(self, user, box):
        """UIDVALIDITY and HIGHESTMODSEQ of a mailbox."""
        imap = self.connect(user)
        imap.enable("CONDSTORE")
        answer = imap.status(box, "(UIDVALIDITY HIGHESTMODSEQ)")[1][0].decode()
        imap.logout()
        words = answer.rpartition("(")[2].rstrip(")").split()
        return words[1], words[3]


def remove(path):
    shutil.rmtree(pathlib.Path(path), ignore_errors=True)
