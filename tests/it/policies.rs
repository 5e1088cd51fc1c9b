//! What a deletion does, and what never happens by the way: other clients' marks, one-way accounts, limits.

use crate::world::dovecot::{Dovecot, Options};
use crate::world::mail::Generator;
use crate::world::maildir::Message;
use crate::world::pair::{Pair, Setting};
use crate::world::proxy::{Manner, Proxy, Trouble};
use crate::world::server::Server;

fn with_account(lines: &str) -> Setting {
    Setting { account: format!("{lines}\n"), ..Setting::default() }
}

/// Six messages in INBOX, subjects 1 to 6.
fn stocked(dovecot: &Dovecot) {
    let mut client = dovecot.client();
    for n in 1..=6 {
        client.append("INBOX", format!("Subject: {n}\r\n\r\n").as_bytes(), &["\\Seen"]);
    }
}

#[track_caller]
fn delete_locally(pair: &Pair<'_>, subject: &str) {
    let wanted = format!("Subject: {subject}\n");
    let message = pair.tree.messages("INBOX").into_iter().find(|m| m.bytes().starts_with(wanted.as_bytes()));
    message.unwrap().delete();
}

/// Subjects on the server, `!` behind those marked `\Deleted`.
fn on_server(dovecot: &Dovecot, mailbox: &str) -> Vec<String> {
    let mut found: Vec<_> = dovecot.client().snapshot().0[mailbox]
        .iter()
        .map(|m| format!("{}{}", m.label, if m.flags.contains("\\Deleted") { "!" } else { "" }))
        .collect();
    found.sort();
    found
}

fn in_tree(pair: &Pair<'_>) -> Vec<String> {
    let mut found: Vec<_> = pair.tree.snapshot().0["INBOX"].iter().map(|m| m.label.clone()).collect();
    found.sort();
    found
}

#[test]
fn expunge_takes_only_what_is_ours() {
    let dovecot = Dovecot::start();
    stocked(&dovecot);
    let pair = Pair::new(&dovecot);
    pair.sync();
    delete_locally(&pair, "1");
    dovecot.client().store("INBOX", "2", "+FLAGS (\\Deleted)");
    let log = dovecot.wire_log().mark();
    pair.sync();
    assert_eq!(on_server(&dovecot, "INBOX"), ["2!", "3", "4", "5", "6"]);
    let commands = log.changing_commands();
    assert!(commands.iter().all(|c| c != "EXPUNGE" && c != "CLOSE"), "{commands:?}");
}

#[test]
fn without_uidplus_a_foreign_mark_keeps_the_mailbox_from_being_expunged() {
    let dovecot = Dovecot::showing("IMAP4rev1");
    stocked(&dovecot);
    let pair = Pair::new(&dovecot);
    pair.sync();
    delete_locally(&pair, "1");
    pair.sync();
    assert_eq!(on_server(&dovecot, "INBOX"), ["2", "3", "4", "5", "6"], "nothing foreign is marked");
    pair.assert_settled("expunged");

    delete_locally(&pair, "2");
    dovecot.client().store("INBOX", "3", "+FLAGS (\\Deleted)");
    pair.try_sync(&[]).expect(0).says(&["INBOX"]);
    assert_eq!(on_server(&dovecot, "INBOX"), ["2!", "3!", "4", "5", "6"], "ours is marked, both stay");
    assert_eq!(in_tree(&pair), ["3", "4", "5", "6"], "and ours does not come back");
    pair.assert_settled("left marked");
    // The other client expunges.
    dovecot.client().remove("INBOX", "2,3");
    pair.sync();
    assert_eq!(pair.assert_equal("the other client expunged").messages(), 3);
}

#[test]
fn to_the_trash() {
    for show in [None, Some("IMAP4rev1 SPECIAL-USE UIDPLUS")] {
        let dovecot = show.map_or_else(Dovecot::start, Dovecot::showing);
        stocked(&dovecot);
        let pair = Pair::with(&dovecot, with_account("deletions = \"trash\""));
        pair.sync();
        delete_locally(&pair, "1");
        pair.try_sync(&["--dry-run"]).expect(0).says(&["to Trash", "These are the first steps"]);
        pair.sync();
        let nothing = pair.try_sync(&["--dry-run"]).expect(0);
        assert!(!nothing.stdout.contains("first steps"), "{}", nothing.stdout);
        assert_eq!(on_server(&dovecot, "Trash"), ["1"]);
        assert_eq!(on_server(&dovecot, "INBOX"), ["2", "3", "4", "5", "6"]);
        // The Trash mailbox is a mailbox like others: its new message comes down, and goes for good from there.
        pair.sync();
        pair.assert_equal("trash comes down");
        pair.assert_settled("trash");
        pair.tree.messages("Trash").remove(0).delete();
        pair.sync();
        assert_eq!(on_server(&dovecot, "Trash"), [""; 0]);
    }
}

#[test]
fn without_a_trash_it_is_marked_and_said() {
    let extra = "namespace inbox {\n  mailbox Trash {\n    special_use =\n  }\n}\n";
    let dovecot = Dovecot::with(Options { extra, ..Options::default() });
    stocked(&dovecot);
    let pair = Pair::with(&dovecot, with_account("deletions = \"trash\""));
    pair.sync();
    delete_locally(&pair, "1");
    pair.sync().says(&["The account has no Trash", "Name a mailbox with `trash`"]);
    assert_eq!(on_server(&dovecot, "INBOX"), ["1!", "2", "3", "4", "5", "6"]);
    let again = pair.sync();
    assert!(!again.stdout.contains("Trash"), "{}", again.stdout);
}

#[test]
fn marked_only() {
    let dovecot = Dovecot::start();
    stocked(&dovecot);
    let pair = Pair::with(&dovecot, with_account("deletions = \"mark\""));
    pair.sync();
    delete_locally(&pair, "1");
    dovecot.client().remove("INBOX", "6");
    pair.sync();
    assert_eq!(on_server(&dovecot, "INBOX"), ["1!", "2", "3", "4", "5"]);
    let marked: Vec<_> = pair.tree.messages("INBOX").into_iter().filter(|m| m.letters().contains('T')).collect();
    assert_eq!(marked.len(), 1, "the tree's copy of 6 is marked and stays");
    assert!(marked[0].bytes().starts_with(b"Subject: 6\n"));
    pair.assert_settled("marked");
}

#[test]
fn never() {
    let dovecot = Dovecot::start();
    stocked(&dovecot);
    let pair = Pair::with(&dovecot, with_account("deletions = \"never\""));
    pair.sync();
    delete_locally(&pair, "1");
    dovecot.client().remove("INBOX", "6");
    pair.sync();
    assert_eq!(on_server(&dovecot, "INBOX"), ["1", "2", "3", "4", "5"]);
    assert_eq!(in_tree(&pair), ["2", "3", "4", "5", "6"]);
    pair.assert_settled("never");
}

#[test]
fn a_push_changes_nothing_in_the_tree() {
    let dovecot = Dovecot::start();
    stocked(&dovecot);
    let pair = Pair::with(&dovecot, with_account("direction = \"push\""));
    pair.tree.create_mailbox("INBOX");
    pair.tree.create_mailbox("Out");
    pair.tree.deliver("INBOX", "1.x", b"Subject: up\n\n", Some("F"));
    pair.tree.deliver("Out", "2.x", b"Subject: out\n\n", Some("S"));
    pair.sync();
    let remote = dovecot.client().snapshot();
    assert_eq!((remote.0["INBOX"].len(), remote.0["Out"].len()), (7, 1));
    dovecot.client().store("INBOX", "7", "+FLAGS (\\Answered)");
    dovecot.client().append("Out", b"Subject: theirs\r\n\r\n", &[]);
    let before = pair.tree.touch_marks();
    pair.sync();
    assert_eq!(pair.tree.touch_marks(), before);
    pair.tree.messages("INBOX").remove(0).delete();
    pair.sync();
    assert_eq!(dovecot.client().snapshot().0["INBOX"].len(), 6);
}

/// Moves UID `uid` of INBOX away and back: the same message, with a UID of its own.
fn moved_away_and_back(dovecot: &Dovecot, uid: &str) {
    let mut client = dovecot.client();
    client.create("Aside");
    client.move_to("INBOX", uid, "Aside");
    client.move_to("Aside", "1:*", "INBOX");
}

#[test]
fn a_push_knows_what_went_from_the_server_and_came_back() {
    for show in [None, Some("IMAP4rev1 UIDPLUS")] {
        let dovecot = show.map_or_else(Dovecot::start, Dovecot::showing);
        let pair = Pair::with(&dovecot, with_account("direction = \"push\""));
        pair.tree.create_mailbox("INBOX");
        for n in 1..=3 {
            pair.tree.deliver("INBOX", &format!("17.{n}"), format!("Subject: {n}\n\n").as_bytes(), Some("S"));
        }
        pair.sync();
        moved_away_and_back(&dovecot, "2");
        pair.sync();
        assert_eq!(on_server(&dovecot, "INBOX"), ["1", "2", "3"], "not sent a second time");
        pair.assert_settled("came back");
    }
}

#[test]
fn a_file_that_was_linked_anew_when_the_run_broke_off_is_not_sent() {
    let dovecot = Dovecot::start();
    stocked(&dovecot);
    let kept_marked = with_account("deletions = \"mark\"");
    let mut pair = Pair::with(&dovecot, kept_marked);
    pair.mailtide.hurries = true;
    pair.sync();
    dovecot.client().remove("INBOX", "2");
    pair.sync();
    // The file stays, marked. It comes back on both sides: undeleted here, under a new UID there.
    dovecot.client().append("INBOX", b"Subject: 2\r\n\r\n", &["\\Seen"]);
    let subject = |m: &Message| m.bytes().starts_with(b"Subject: 2\n");
    pair.tree.messages("INBOX").into_iter().find(subject).unwrap().toggle('T');
    // That much is recorded; then the line breaks, each time.
    pair.tree.deliver("INBOX", "17.large", &Generator::new(1).sized(1_000_000), Some("S"));
    let manner = Manner { to_server: Trouble::CutAfter(100_000), ..Manner::default() };
    let proxy = Proxy::start(dovecot.port(), manner);
    let mark = "deletions = \"mark\"\n";
    pair.configure(&Setting { through: Some(proxy.port()), account: mark.into(), ..Setting::default() });
    pair.try_sync(&[]).expect(5);
    pair.configure(&with_account(mark));
    pair.sync();
    assert_eq!(pair.assert_equal("undeleted").0["INBOX"].len(), 7);
    pair.assert_settled("undeleted");
}

#[test]
fn a_lower_limit_stops_smaller_accidents() {
    let dovecot = Dovecot::start();
    stocked(&dovecot);
    let pair = Pair::with(&dovecot, with_account("max-delete = 2"));
    pair.sync();
    for subject in ["1", "2", "3"] {
        delete_locally(&pair, subject);
    }
    pair.try_sync(&[]).expect(6).says(&["3", "--allow-deletions"]);
    assert_eq!(on_server(&dovecot, "INBOX").len(), 6);
    pair.try_sync(&["--allow-deletions", "INBOX"]).expect(0);
    assert_eq!(on_server(&dovecot, "INBOX"), ["4", "5", "6"]);
}

#[test]
fn keywords_can_be_left_alone() {
    let dovecot = Dovecot::start();
    dovecot.client().append("INBOX", b"Subject: 1\r\n\r\n", &["\\Seen", "Work"]);
    let pair = Pair::with(&dovecot, with_account("keywords = false"));
    pair.sync();
    let flags: Vec<_> = pair.tree.snapshot().0["INBOX"][0].flags.iter().cloned().collect();
    assert_eq!(flags, ["\\Seen"]);
    pair.assert_settled("without keywords");
    let remote = dovecot.client().snapshot();
    assert!(remote.0["INBOX"][0].flags.contains("work"));
}

#[test]
fn letters_that_lost_their_meaning_remove_no_keyword() {
    let dovecot = Dovecot::start();
    dovecot.client().append("INBOX", b"Subject: 1\r\n\r\n", &["\\Seen", "Work"]);
    dovecot.client().append("INBOX", b"Subject: 2\r\n\r\n", &["\\Seen", "Work"]);
    let pair = Pair::new(&dovecot);
    pair.sync();
    let table = pair.tree.dir("INBOX").join("dovecot-keywords");
    for lost in [Some(""), Some("garbage\n"), Some("1 Other\n"), None] {
        match lost {
            Some(text) => std::fs::write(&table, text).unwrap(),
            None => std::fs::remove_file(&table).unwrap(),
        }
        pair.tree.messages("INBOX").iter_mut().find(|m| m.bytes().starts_with(b"Subject: 1\n")).unwrap().toggle('F');
        pair.sync().says(&["flags of 1 changed"]);
        let remote = dovecot.client().snapshot();
        assert!(remote.0["INBOX"].iter().all(|m| m.flags.contains("work")), "{lost:?}: {remote:?}");
    }
    // Where no letter is left, the keyword was taken away.
    pair.tree.messages("INBOX").iter_mut().for_each(|message| message.set_letters("S"));
    pair.sync();
    let remote = dovecot.client().snapshot();
    assert!(remote.0["INBOX"].iter().all(|m| !m.flags.contains("work")), "{remote:?}");
    pair.assert_settled("no keyword is left");
}

#[test]
fn a_changed_setting_is_felt_by_what_was_settled_before() {
    let dovecot = Dovecot::start();
    stocked(&dovecot);
    let pair = Pair::with(&dovecot, with_account("keywords = false\ndeletions = \"mark\""));
    pair.sync();
    dovecot.client().store("INBOX", "3", "+FLAGS (Work)");
    delete_locally(&pair, "1");
    pair.sync();
    pair.assert_settled("marked, and without keywords");
    assert_eq!(on_server(&dovecot, "INBOX"), ["1!", "2", "3", "4", "5", "6"]);
    // Nothing is as it was when this was decided, and nothing has changed on either side since.
    pair.tree.grow_old("INBOX");
    pair.sync();
    pair.configure(&with_account(""));
    let planned = pair.planned();
    assert!(!planned.is_empty(), "a dry run sees it too");
    pair.sync();
    assert_eq!(on_server(&dovecot, "INBOX"), ["2", "3", "4", "5", "6"], "what was marked is expunged");
    let both = pair.assert_equal("keywords come down");
    assert_eq!(both.0["INBOX"].iter().filter(|m| m.flags.contains("work")).count(), 1);
    pair.assert_settled("changed settings");
}
