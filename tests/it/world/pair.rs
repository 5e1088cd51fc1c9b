//! A server and a local tree with the program between them: what most tests begin with.

use std::fs;
use std::path::PathBuf;

use super::compare::{self, Snapshot};
use super::maildir::{Layout, Tree};
use super::process::{As, Mailtide, Outcome};
use super::scratch::Scratch;
use super::server::{Server, USER};

/// The server is borrowed, so that several trees can share it.
pub struct Pair<'s> {
    pub server: &'s dyn Server,
    pub tree: Tree,
    pub mailtide: Mailtide,
    pub config: PathBuf,
    pub scratch: Scratch,
}

/// How the account is configured.
#[derive(Debug, Clone)]
pub struct Setting {
    pub layout: Layout,
    pub run_as: As,
    /// Lines of `[accounts.work]`.
    pub account: String,
    /// Lines of `[accounts.work.imap]`.
    pub imap: String,
    /// Connects here instead, without TLS.
    pub through: Option<u16>,
}

impl Default for Setting {
    fn default() -> Self {
        Setting { layout: Layout::Nested, run_as: As::Me, account: String::new(), imap: String::new(), through: None }
    }
}

impl<'s> Pair<'s> {
    pub fn new(server: &'s dyn Server) -> Pair<'s> {
        Pair::with(server, Setting::default())
    }

    pub fn with(server: &'s dyn Server, setting: Setting) -> Pair<'s> {
        let scratch = Scratch::new();
        let mailtide = Mailtide::new(&scratch, setting.run_as);
        let tree = Tree::new(mailtide.home().join("Mail"), setting.layout);
        let config = scratch.path().join("mailtide.toml");
        let pair = Pair { server, tree, mailtide, config, scratch };
        pair.configure(&setting);
        pair
    }

    /// Writes the configuration anew.
    pub fn configure(&self, setting: &Setting) {
        let layout = match setting.layout {
            Layout::Nested => "nested",
            Layout::MaildirPlusPlus => "maildir++",
        };
        let connection = match setting.through {
            Some(port) => format!("port = {port}\ntls = \"none\"\n"),
            None => {
                format!("port = {}\nca-file = \"{}\"\n", self.server.tls_port(), self.server.ca_file().display())
            }
        };
        let text = format!(
            "[accounts.work]\nmaildir = \"{}\"\nlayout = \"{layout}\"\n{}\n\
             [accounts.work.imap]\nhost = \"localhost\"\nuser = \"{USER}\"\n\
             password = {{ env = \"MAILTIDE_PASSWORD\" }}\n{connection}{}\n",
            self.tree.root.display(),
            setting.account,
            setting.imap,
        );
        fs::write(&self.config, text).unwrap();
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec!["sync", "--config", self.config.to_str().unwrap(), "work"];
        args.extend_from_slice(more);
        args
    }

    /// `mailtide sync work`, whatever its end.
    pub fn try_sync(&self, more: &[&str]) -> Outcome {
        self.mailtide.run(&self.arguments(more))
    }

    /// `mailtide sync work`, which must end with 0.
    #[track_caller]
    pub fn sync(&self) -> Outcome {
        self.try_sync(&[]).expect(0)
    }

    pub fn start_sync(&self) -> super::process::Running {
        self.mailtide.start(&self.arguments(&[]))
    }

    /// What a dry run would do, one JSON object an action.
    #[track_caller]
    pub fn planned(&self) -> Vec<serde_json::Value> {
        events(&self.try_sync(&["--dry-run", "--json"]).expect(0).stdout)
            .into_iter()
            .filter(|e| e["event"] == "action")
            .collect()
    }

    /// Fails unless the server holds what the tree holds; gives that back.
    #[track_caller]
    pub fn assert_equal(&self, context: &str) -> Snapshot {
        let local = self.tree.snapshot();
        let remote = self.server.client().snapshot();
        compare::assert_same(("local", &local), ("server", &remote), context);
        local
    }

    /// Fails unless another sync has nothing to do: an empty plan, no command that changes anything, no file touched.
    #[track_caller]
    pub fn assert_settled(&self, context: &str) {
        let planned = self.planned();
        assert!(planned.is_empty(), "{context}: the second plan is not empty: {planned:#?}");
        let log = self.server.wire_log().mark();
        let before = self.tree.touch_marks();
        self.sync();
        let changing = log.changing_commands();
        assert!(changing.is_empty(), "{context}: the second sync says {changing:#?}");
        let after = self.tree.touch_marks();
        let touched: Vec<_> = before.iter().filter(|(path, marks)| after.get(*path) != Some(marks)).collect();
        assert!(touched.is_empty() && before.len() == after.len(), "{context}: the second sync touched {touched:#?}");
    }
}

/// NDJSON, each line an object of version 1.
#[track_caller]
pub fn events(stdout: &str) -> Vec<serde_json::Value> {
    let parse = |line: &str| -> serde_json::Value {
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in `{line}`"));
        assert_eq!(event["v"], 1, "{line}");
        event
    };
    stdout.lines().map(parse).collect()
}
