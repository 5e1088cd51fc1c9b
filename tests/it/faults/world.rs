//! A server, a tree and a state with the program between them, that can be put back to where a scenario begins.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::scenarios::Scenario;
use crate::world::compare::Snapshot;
use crate::world::dovecot::{Dovecot, Options};
use crate::world::mail::with_lf;
use crate::world::maildir::{Layout, Tree};
use crate::world::pair::events;
use crate::world::process::{As, Mailtide, Outcome};
use crate::world::scratch::Scratch;
use crate::world::server::{Server, USER};

pub struct World {
    pub dovecot: Dovecot,
    pub tree: Tree,
    mailtide: Mailtide,
    config: PathBuf,
    scratch: Scratch,
}

/// An order that hits nothing: waits are short all the same.
pub const NONE: &str = "EIO@0";

/// Both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides {
    pub local: Snapshot,
    pub remote: Snapshot,
}

impl World {
    /// The beginning of a scenario.
    pub fn new(scenario: &Scenario) -> World {
        // Sessions follow each other quickly here.
        let extra = "service imap-login {\n  service_count = 0\n}\nservice pop3-login {\n  service_count = 0\n}\n\
                     pop3_no_flag_updates = yes\n";
        let dovecot = Dovecot::with(Options { capability: scenario.capability, extra, ..Options::default() });
        let scratch = Scratch::new();
        let mailtide = Mailtide::new(&scratch, As::Me);
        let tree = Tree::new(mailtide.home().join("Mail"), Layout::Nested);
        let config = scratch.path().join("mailtide.toml");
        let world = World { dovecot, tree, mailtide, config, scratch };
        let port = if scenario.protocol == "pop3" { world.dovecot.pop3_port() } else { world.dovecot.port() };
        let (account, server) = (scenario.account, scenario.server);
        let text = format!(
            "[accounts.work]\nmaildir = \"{}\"\n{account}\n[accounts.work.{}]\nhost = \"localhost\"\nport = {port}\n\
             tls = \"none\"\nuser = \"{USER}\"\npassword = {{ env = \"MAILTIDE_PASSWORD\" }}\n{server}\n",
            world.tree.root.display(),
            scenario.protocol,
        );
        fs::write(&world.config, text).unwrap();
        // It makes what every account has.
        drop(world.dovecot.client().snapshot());
        world
    }

    /// A message by its name, the same each time: five lines, 1 to 3 kB.
    pub fn mail(name: &str) -> Vec<u8> {
        let long = 40 + name.bytes().map(usize::from).sum::<usize>() % 80;
        let line = format!("{}\r\n", "a word ".repeat(long));
        format!("Message-ID: <{name}@x>\r\nSubject: {name}\r\n\r\n{line}{line}").into_bytes()
    }

    /// Puts messages on the server.
    pub fn sent_to(&self, mailbox: &str, names: &[&str], flags: &[&str]) {
        let mut client = self.dovecot.client();
        if mailbox != "INBOX" && !client.mailboxes().contains(&mailbox.to_owned()) {
            client.create(mailbox);
        }
        names.iter().for_each(|name| client.append(mailbox, &World::mail(name), flags));
    }

    /// Puts messages into the tree.
    pub fn put_into(&self, mailbox: &str, names: &[&str], letters: Option<&str>) {
        self.tree.create_mailbox(mailbox);
        for name in names {
            self.tree.deliver(mailbox, &format!("1700000000.{name}.mua"), &with_lf(&World::mail(name)), letters);
        }
    }

    /// The UIDs of messages on the server, as a set.
    pub fn uids(&self, mailbox: &str, names: &[&str]) -> String {
        let read = self.dovecot.client().read(mailbox);
        let uids = read.iter().filter(|(_, seen)| names.contains(&seen.label.as_str()));
        uids.map(|(uid, _)| uid.to_string()).collect::<Vec<_>>().join(",")
    }

    /// The file of a message in the tree.
    pub fn file(&self, mailbox: &str, name: &str) -> crate::world::maildir::Message {
        let wanted = with_lf(&World::mail(name));
        self.tree.messages(mailbox).into_iter().find(|m| m.bytes() == wanted).expect("the message is in the tree")
    }

    /// Where the state is.
    pub fn state(&self) -> PathBuf {
        self.mailtide.state()
    }

    /// `mailtide sync`, with `fault` ordered; the steps that it could have hit are told.
    pub fn sync(&self, fault: &str, more: &[&str]) -> (Outcome, Vec<String>) {
        let log = self.scratch.path().join("steps");
        let _ = fs::remove_file(&log);
        let mut args = vec!["sync", "--config", self.config.to_str().unwrap()];
        args.extend(more);
        let mut command = self.mailtide.command(&args);
        command.env("MAILTIDE_FAULT", fault).env("MAILTIDE_FAULT_LOG", &log);
        let outcome = self.mailtide.run_command(command);
        let text = fs::read_to_string(&log).unwrap_or_default();
        (outcome, text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect())
    }

    /// What a dry run would do.
    pub fn planned(&self) -> Vec<serde_json::Value> {
        let (outcome, _) = self.sync(NONE, &["--dry-run", "--json"]);
        events(&outcome.expect(0).stdout).into_iter().filter(|e| e["event"] == "action").collect()
    }

    /// Waits until the server has done what ended sessions left to it.
    pub fn quiet(&self) {
        self.dovecot.wire_log().wait();
    }

    fn server_tree(&self) -> Tree {
        Tree::new(self.dovecot.maildir(""), Layout::Nested)
    }

    /// Both sides, the server's as its files say: reading them through a session takes much longer.
    pub fn sides(&self) -> Sides {
        Sides { local: self.tree.snapshot(), remote: self.server_tree().snapshot() }
    }

    /// Fails unless the server's files say what a session says.
    #[track_caller]
    pub fn assert_files_tell(&self) {
        let (told, files) = (self.dovecot.client().snapshot(), self.server_tree().snapshot());
        crate::world::compare::assert_same(("session", &told), ("files", &files), "the server's two faces");
    }

    /// Temporary files anywhere in the tree.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    walk(&path, found);
                } else if path.to_string_lossy().ends_with(".mailtide-tmp") || dir.ends_with("tmp") {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.tree.root, &mut found);
        found
    }

    /// Every directory in the tree.
    pub fn directories(&self) -> BTreeSet<PathBuf> {
        fn walk(dir: &Path, found: &mut BTreeSet<PathBuf>) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten().filter(|e| e.path().is_dir()) {
                found.insert(entry.path());
                walk(&entry.path(), found);
            }
        }
        let mut found = BTreeSet::new();
        walk(&self.tree.root, &mut found);
        found
    }

    /// Where all that can change is kept while it is not being changed.
    fn places(&self) -> [(PathBuf, PathBuf); 3] {
        let kept = self.scratch.path().join("kept");
        let server = self.dovecot.maildir("").parent().unwrap().to_owned();
        [(server, kept.join("server")), (self.tree.root.clone(), kept.join("tree")), (self.state(), kept.join("state"))]
    }

    /// Remembers how things are.
    pub fn keep(&self) {
        self.quiet();
        fs::create_dir(self.scratch.path().join("kept")).unwrap();
        self.places().iter().filter(|(place, _)| place.exists()).for_each(|(place, kept)| copy(place, kept));
    }

    /// Makes everything as it was.
    pub fn put_back(&self) {
        self.quiet();
        self.dovecot.forget_wire_log();
        for (place, kept) in self.places() {
            if place.exists() {
                fs::remove_dir_all(&place).unwrap();
            }
            if kept.exists() {
                copy(&kept, &place);
            }
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}
