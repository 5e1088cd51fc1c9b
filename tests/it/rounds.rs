//! Rounds of random edits on both sides against each real server, as it is and with extensions hidden.
//!
//! After each round: both sides are what the merge of their edits has to be, the next plan is empty, the next sync
//! says nothing that changes anything and touches no file. A failure names its seed by the test's name.

use crate::world::compare::{Snapshot, assert_same};
use crate::world::cyrus::Cyrus;
use crate::world::dovecot::{Dovecot, Options};
use crate::world::expect::merged;
use crate::world::maildir::Layout;
use crate::world::pair::{Pair, Setting};
use crate::world::random::{Editor, Habits};
use crate::world::server::Server;

/// What a server that does not show an extension must never hear.
const NEEDS_QRESYNC: &[&str] = &["QRESYNC", "VANISHED"];
const NEEDS_CONDSTORE: &[&str] = &["CONDSTORE", "CHANGEDSINCE", "UNCHANGEDSINCE", "MODSEQ", "ENABLE"];
const NEEDS_UIDPLUS: &[&str] = &["UID EXPUNGE"];
const NEEDS_OTHERS: &[&str] =
    &["+}", "RETURN", "ESEARCH", "NAMESPACE", "COMPRESS", "UID MOVE", "ID (", "IDLE", "UNSELECT", "EMAILID"];

struct Trial<'a> {
    seed: u64,
    setting: Setting,
    habits: Habits,
    /// Words that no command may hold.
    hidden: Vec<&'a [&'a str]>,
    rounds: usize,
}

impl Default for Trial<'_> {
    fn default() -> Self {
        Trial { seed: 1, setting: Setting::default(), habits: Habits::default(), hidden: Vec::new(), rounds: 5 }
    }
}

impl Trial<'_> {
    fn hold(self, server: &dyn Server) {
        let pair = Pair::with(server, self.setting.clone());
        let mut editor = Editor::with_habits(self.seed, self.habits);
        let mut client = server.client();
        editor.fill(Some(&pair.tree), &mut client);
        let mut base = Snapshot::default();
        for round in 0..=self.rounds {
            let context = format!("seed {}, round {round}", self.seed);
            if round > 0 {
                editor.round(&pair.tree, &mut client, 12);
            }
            let expected = merged(&base, &pair.tree.snapshot(), &client.snapshot());
            let log = server.wire_log().mark();
            pair.sync();
            self.assert_hidden(&log.commands(), &context);
            base = pair.assert_equal(&context);
            assert_same(("expected", &expected), ("found", &base), &context);
            pair.assert_settled(&context);
        }
    }

    fn assert_hidden(&self, commands: &[String], context: &str) {
        for word in self.hidden.iter().copied().flatten() {
            let said: Vec<_> = commands.iter().filter(|c| c.to_ascii_uppercase().contains(word)).collect();
            assert!(said.is_empty(), "{context}: `{word}` is not shown and was used: {said:?}");
        }
    }
}

#[test]
fn dovecot_with_everything() {
    for seed in [1, 2] {
        Trial { seed, ..Trial::default() }.hold(&Dovecot::start());
    }
}

#[test]
fn dovecot_with_condstore_only() {
    let hidden = vec![NEEDS_QRESYNC, NEEDS_UIDPLUS, NEEDS_OTHERS];
    let trial = Trial { seed: 11, hidden, habits: Habits::WITHOUT_DELETED, ..Trial::default() };
    trial.hold(&Dovecot::showing("IMAP4rev1 ENABLE CONDSTORE"));
}

#[test]
fn dovecot_with_uidplus_only() {
    let hidden = vec![NEEDS_QRESYNC, NEEDS_CONDSTORE, NEEDS_OTHERS];
    Trial { seed: 21, hidden, ..Trial::default() }.hold(&Dovecot::showing("IMAP4rev1 UIDPLUS"));
}

#[test]
fn dovecot_with_bare_imap4rev1() {
    let hidden = vec![NEEDS_QRESYNC, NEEDS_CONDSTORE, NEEDS_UIDPLUS, NEEDS_OTHERS];
    let trial = Trial { seed: 31, hidden, habits: Habits::WITHOUT_DELETED, ..Trial::default() };
    trial.hold(&Dovecot::showing("IMAP4rev1"));
}

#[test]
fn dovecot_with_a_prefix_and_dots_into_maildir_plus_plus() {
    let options = Options { separator: '.', prefix: "INBOX.", ..Options::default() };
    let setting = Setting { layout: Layout::MaildirPlusPlus, ..Setting::default() };
    let trial = Trial { seed: 41, setting, habits: Habits::WITHOUT_DOTS, ..Trial::default() };
    trial.hold(&Dovecot::with(options));
}

#[test]
fn dovecot_with_one_connection_and_extensions_switched_off() {
    let imap = "connections = 1\ncompress = false\ndisable = [\"QRESYNC\", \"LIST-STATUS\", \"LITERAL+\"]\n".to_owned();
    let setting = Setting { imap, layout: Layout::MaildirPlusPlus, ..Setting::default() };
    let hidden: Vec<&[&str]> = vec![NEEDS_QRESYNC, &["RETURN (STATUS", "+}"]];
    Trial { seed: 51, setting, hidden, ..Trial::default() }.hold(&Dovecot::start());
}

#[test]
fn cyrus_with_everything() {
    for seed in [61, 62] {
        let Some(cyrus) = Cyrus::start() else { return };
        Trial { seed, habits: Habits::WITHOUT_PERCENT, ..Trial::default() }.hold(&cyrus);
    }
}
