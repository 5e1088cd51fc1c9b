//! Messages that move into mailboxes which take no part: a deletion to the run's eyes, and no mail is lost.

use std::fs;

use crate::world::dovecot::Dovecot;
use crate::world::mail::{Generator, Kind};
use crate::world::maildir::Message;
use crate::world::pair::{Pair, Setting};
use crate::world::server::Server;

const COUNT: usize = 30;

/// A pair with `COUNT` messages in INBOX, whose configuration excludes `Private`; the tree has that mailbox.
fn pair<'s>(server: &'s dyn Server, account: &str) -> Pair<'s> {
    let account = format!("mailboxes = [\"*\", \"!Private\", \"!Trash\"]\n{account}");
    let pair = Pair::with(server, Setting { account, ..Setting::default() });
    let (mut client, mut generator) = (server.client(), Generator::new(31));
    for _ in 0..COUNT {
        client.append("INBOX", &generator.of(Kind::Plain), &["\\Seen"]);
    }
    pair.sync();
    for name in ["Private", "Trash"] {
        pair.tree.create_mailbox(name);
    }
    pair.assert_settled("filled");
    pair
}

/// Moves all of INBOX to another directory of the tree: half of it under names of the mover's own.
fn move_all(pair: &Pair<'_>, to: &str) {
    for (n, Message { path }) in pair.tree.messages("INBOX").into_iter().enumerate() {
        let name = match n % 2 {
            0 => path.file_name().unwrap().to_string_lossy().into_owned(),
            _ => format!("1700000000.R{n}.host:2,S"),
        };
        fs::rename(&path, pair.tree.dir(to).join("cur").join(name)).unwrap();
    }
}

#[test]
fn moved_here_into_an_excluded_mailbox_it_stays_on_the_server() {
    for few in [false, true] {
        let dovecot = if few { Dovecot::showing("IMAP4rev1") } else { Dovecot::start() };
        let pair = pair(&dovecot, "");
        move_all(&pair, "Private");
        let log = dovecot.wire_log().mark();
        // More than the guard would let go: nothing is deleted.
        let planned = pair.planned();
        assert_eq!(planned.len(), 1, "{planned:#?}");
        assert_eq!(planned[0]["action"], "moved-out");
        assert_eq!((&planned[0]["to"], &planned[0]["left-out"]), (&"Private".into(), &"always".into()));
        pair.sync().says(&["30 messages moved to Private", "kept on the server"]);
        assert_eq!(log.changing_commands(), Vec::<String>::new());
        pair.assert_settled("moved out");
        assert_eq!((dovecot.client().uids("INBOX").len(), pair.tree.messages("Private").len()), (COUNT, COUNT));
        // Moved back, they are what they were, with what happened on the server meanwhile.
        dovecot.client().store("INBOX", "1:3", "+FLAGS (\\Flagged)");
        for message in pair.tree.messages("Private") {
            fs::rename(&message.path, pair.tree.dir("INBOX").join("cur").join(message.name())).unwrap();
        }
        pair.sync();
        assert_eq!(log.commands().iter().find(|c| c.contains("APPEND") || c.contains("BODY.PEEK[]")), None);
        pair.assert_settled("moved back");
        let flagged = pair.tree.messages("INBOX").iter().filter(|m| m.letters().contains('F')).count();
        assert_eq!((dovecot.client().uids("INBOX").len(), flagged), (COUNT, 3));
    }
}

#[test]
fn a_mailbox_renamed_here_to_an_excluded_name_stays_on_the_server() {
    let dovecot = Dovecot::start();
    let pair = pair(&dovecot, "");
    let mut client = dovecot.client();
    client.create("Work");
    client.copy_to("INBOX", "1:*", "Work");
    pair.sync();
    pair.tree.grow_old("Work");
    pair.sync();
    fs::remove_dir_all(pair.tree.dir("Private")).unwrap();
    fs::rename(pair.tree.dir("Work"), pair.tree.dir("Private")).unwrap();
    pair.sync().says(&["30 messages moved to Private"]);
    assert_eq!(client.uids("Work").len(), COUNT);
    pair.assert_settled("renamed");
}

#[test]
fn moved_on_the_server_into_an_excluded_mailbox_it_is_there() {
    let dovecot = Dovecot::start();
    let pair = pair(&dovecot, "");
    let mut client = dovecot.client();
    client.create("Private");
    client.move_to("INBOX", "1:10", "Private");
    pair.sync();
    pair.assert_settled("moved out there");
    assert_eq!((pair.tree.messages("INBOX").len(), client.uids("Private").len()), (COUNT - 10, 10));
    assert_eq!(pair.tree.messages("Private").len(), 0);
}

#[test]
fn what_moved_to_the_trash_or_elsewhere_as_well_is_deleted_and_moved() {
    let dovecot = Dovecot::start();
    let pair = pair(&dovecot, "deletions = \"trash\"\n");
    let mut client = dovecot.client();
    client.create("Work");
    pair.sync();
    let files = pair.tree.messages("INBOX");
    let to = |message: &Message, mailbox: &str| pair.tree.dir(mailbox).join("cur").join(message.name());
    // To the Trash, as mail programs delete; with a copy outside and moved inside.
    fs::rename(&files[0].path, to(&files[0], "Trash")).unwrap();
    fs::copy(&files[1].path, to(&files[1], "Private")).unwrap();
    fs::rename(&files[1].path, to(&files[1], "Work")).unwrap();
    // Copied outside long ago, and deleted now: who can tell; it stays on the server.
    fs::copy(&files[2].path, to(&files[2], "Private")).unwrap();
    fs::remove_file(&files[2].path).unwrap();
    pair.sync();
    pair.assert_settled("three ways");
    let there = ["INBOX", "Trash", "Work"].map(|mailbox| client.uids(mailbox).len());
    assert_eq!(there, [COUNT - 2, 1, 1]);
    assert_eq!(pair.tree.messages("INBOX").len(), COUNT - 3);
}

#[test]
fn a_move_out_of_the_mailboxes_asked_for_waits_for_a_run_with_both() {
    let dovecot = Dovecot::start();
    let pair = pair(&dovecot, "");
    let mut client = dovecot.client();
    client.create("Work");
    pair.sync();
    let log = dovecot.wire_log().mark();
    move_all(&pair, "Work");
    for _ in 0..2 {
        pair.try_sync(&["--mailbox", "INBOX"]).expect(0).says(&["30 messages moved to Work", "this run leaves out"]);
    }
    assert_eq!(client.uids("INBOX").len(), COUNT);
    pair.sync();
    assert_eq!(log.commands().iter().find(|c| c.contains("APPEND") || c.contains("BODY.PEEK[]")), None);
    assert_eq!((client.uids("INBOX").len(), client.uids("Work").len()), (0, COUNT));
    pair.assert_settled("a run with both");
}
