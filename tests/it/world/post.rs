//! A maildrop and a local tree with the program between them.

use std::fs;
use std::path::PathBuf;

use super::maildir::{Layout, Tree};
use super::maildrop::Maildrop;
use super::process::{As, Mailtide, Outcome, Running};
use super::scratch::Scratch;
use super::server::USER;

/// The program, its tree, and a configuration with one POP3 account, `home`, for INBOX.
pub struct Post {
    pub tree: Tree,
    pub mailtide: Mailtide,
    pub config: PathBuf,
    pub scratch: Scratch,
    port: u16,
}

impl Post {
    /// `settings` are lines of `[accounts.home.pop3]`.
    pub fn new(maildrop: &Maildrop, settings: &str) -> Post {
        Post::at(maildrop.port(), settings)
    }

    /// A server at a port of this machine, without TLS.
    pub fn at(port: u16, settings: &str) -> Post {
        Post::run_as(port, settings, As::Me)
    }

    /// As [`Post::at`], for somebody.
    pub fn run_as(port: u16, settings: &str, run_as: As) -> Post {
        let scratch = Scratch::new();
        let mailtide = Mailtide::new(&scratch, run_as);
        let tree = Tree::new(mailtide.home().join("Mail"), Layout::Nested);
        let config = scratch.path().join("mailtide.toml");
        let post = Post { tree, mailtide, config, scratch, port };
        post.configure(settings);
        post
    }

    /// Writes the configuration anew.
    pub fn configure(&self, settings: &str) {
        fs::write(&self.config, self.account("home", self.port, settings)).unwrap();
    }

    /// An account's lines, in the same tree.
    pub fn account(&self, name: &str, port: u16, settings: &str) -> String {
        format!(
            "[accounts.{name}]\nmaildir = \"{}\"\n[accounts.{name}.pop3]\nhost = \"localhost\"\nport = {port}\n\
             tls = \"none\"\nuser = \"{USER}\"\npassword = {{ env = \"MAILTIDE_PASSWORD\" }}\ntimeout = \"2s\"\n{settings}\n",
            self.tree.root.display()
        )
    }

    fn arguments<'a>(&'a self, command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec![command, "--config", self.config.to_str().unwrap()];
        args.extend_from_slice(more);
        args
    }

    /// Any command, whatever its end.
    pub fn run(&self, command: &str, more: &[&str]) -> Outcome {
        self.mailtide.run(&self.arguments(command, more))
    }

    /// `mailtide sync`, whatever its end.
    pub fn try_sync(&self) -> Outcome {
        self.run("sync", &[])
    }

    /// `mailtide sync`, which must end with 0.
    #[track_caller]
    pub fn sync(&self) -> Outcome {
        self.try_sync().expect(0)
    }

    pub fn start_sync(&self) -> Running {
        self.mailtide.start(&self.arguments("sync", &[]))
    }

    /// What INBOX holds, as it was on the wire, sorted.
    pub fn mail(&self) -> Vec<Vec<u8>> {
        self.mail_in("INBOX")
    }

    pub fn mail_in(&self, mailbox: &str) -> Vec<Vec<u8>> {
        let mut all: Vec<_> =
            self.tree.messages(mailbox).iter().map(|message| super::maildrop::on_the_wire(&message.bytes())).collect();
        all.sort_unstable();
        all
    }

    /// Fails unless nothing is left in `tmp`. A run that was killed leaves files there, which are swept after 36 hours.
    #[track_caller]
    pub fn assert_nothing_half(&self, what: &str) {
        let half = fs::read_dir(self.tree.dir("INBOX").join("tmp")).map_or(0, |files| files.count());
        assert_eq!(half, 0, "{what}: files in `tmp`");
    }

    /// Fails unless INBOX holds exactly these.
    #[track_caller]
    pub fn assert_holds(&self, expected: &[Vec<u8>], what: &str) {
        let mut expected: Vec<Vec<u8>> = expected.to_vec();
        expected.sort_unstable();
        let found = self.mail();
        let (lost, more) = (
            expected.iter().filter(|m| !found.contains(m)).count(),
            found.iter().filter(|m| !expected.contains(m)).count(),
        );
        assert!(
            found == expected,
            "{what}: {} messages of {}, {lost} lost, {more} that never were",
            found.len(),
            expected.len()
        );
    }

    /// As if everything that is known had been seen so much earlier.
    pub fn age(&self, seconds: i64) {
        let state = rusqlite::Connection::open(self.mailtide.state().join("home.sqlite")).unwrap();
        state.execute("UPDATE message SET first_seen = first_seen - ?1, since = since - ?1", [seconds]).unwrap();
    }
}
