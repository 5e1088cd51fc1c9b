//! What changes about an account between two runs: its server, its list of mailboxes, what the server remembers, and an older
//! tree that is never quite in order. None of it deletes mail that nobody deleted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::world::dovecot::{Dovecot, on_both};
use crate::world::mail::{Generator, Kind};
use crate::world::pair::{Pair, Setting};
use crate::world::process::Outcome;
use crate::world::server::Server;

const COUNT: usize = 8;

/// A pair with `COUNT` messages in each of `mailboxes`.
fn filled<'s>(dovecot: &'s Dovecot, mailboxes: &[&str], account: &str) -> Pair<'s> {
    let pair = Pair::with(dovecot, setting(account));
    let (mut client, mut generator) = (dovecot.client(), Generator::new(101));
    for mailbox in mailboxes {
        client.create(mailbox);
        (0..COUNT).for_each(|_| client.append(mailbox, &generator.of(Kind::Plain), &["\\Seen"]));
    }
    pair.sync();
    pair
}

fn setting(account: &str) -> Setting {
    Setting { account: account.to_owned(), ..Setting::default() }
}

#[test]
fn a_mailbox_that_takes_part_again_is_whole_on_both_sides() {
    on_both(|dovecot| {
        let pair = filled(dovecot, &["Here", "There", "Some"], "");
        let whole = pair.assert_equal("before");
        pair.configure(&setting("mailboxes = [\"INBOX\"]"));
        pair.sync();
        // To make room, on either side.
        fs::remove_dir_all(pair.tree.dir("Here")).unwrap();
        let mut client = dovecot.client();
        client.delete_mailbox("There");
        pair.tree.messages("Some").into_iter().take(2).for_each(crate::world::maildir::Message::delete);
        client.remove("Some", "7:8");
        client.store("Some", "6", "+FLAGS (\\Flagged)");
        pair.sync();
        pair.configure(&Setting::default());
        let planned = pair.planned();
        assert!(
            !planned.iter().any(|a| ["delete", "remove-mailbox"].iter().any(|d| a["action"] == *d)),
            "{planned:#?}"
        );
        pair.sync().says(&["Here: it was left out for a while"]);
        let after = pair.assert_equal("again");
        let counts = |snapshot: &crate::world::compare::Snapshot| {
            snapshot.0.iter().map(|(name, mail)| (name.clone(), mail.len())).collect::<Vec<_>>()
        };
        assert_eq!(counts(&after), counts(&whole));
        assert!(after.0["Some"].iter().any(|message| message.flags.contains("\\Flagged")));
        pair.assert_settled("again");
        // From then on, what is deleted is.
        pair.tree.messages("Here").remove(0).delete();
        client.remove("Some", "6");
        pair.sync().says(&["1 deleted here", "1 deleted on the server"]);
    });
}

/// Has the account of a pair be at another server.
fn turn_to(pair: &Pair<'_>, other: &Dovecot) -> Outcome {
    pair.configure(&Setting { through: Some(other.port()), ..Setting::default() });
    let text = fs::read_to_string(&pair.config).unwrap().replace("localhost", "127.0.0.1");
    fs::write(&pair.config, text).unwrap();
    pair.sync()
}

#[test]
fn an_account_that_is_at_another_server_gets_all_there_and_loses_nothing_here() {
    on_both(|dovecot| {
        let pair = filled(dovecot, &["One", "Two"], "");
        let other = Dovecot::start();
        let mut client = other.client();
        client.append("INBOX", &Generator::new(102).of(Kind::Plain), &[]);
        let planned = turn_to(&pair, &other).says(&["at another server", "2 mailboxes made"]);
        assert!(!planned.stdout.contains("deleted"), "{planned:?}");
        let (tree, there) = (pair.tree.snapshot(), other.client().snapshot());
        assert_eq!(tree.messages(), 2 * COUNT + 1);
        crate::world::compare::assert_same(("local", &tree), ("server", &there), "another server");
        pair.sync().says(&["nothing changed"]);
        // Nor is anything deleted at the first one when the account is back there.
        pair.tree.messages("One").remove(0).delete();
        pair.configure(&Setting::default());
        pair.sync().says(&["at another server"]);
        assert_eq!(pair.assert_equal("back").0["One"].len(), COUNT);
    });
}

#[test]
fn a_server_that_lists_an_empty_inbox_and_nothing_else_has_lost_everything() {
    let dovecot = Dovecot::start();
    let pair = filled(&dovecot, &["One", "Two"], "");
    let (mut client, mut generator) = (dovecot.client(), Generator::new(103));
    (0..40).for_each(|_| client.append("INBOX", &generator.of(Kind::Plain), &[]));
    pair.sync();
    drop(client);
    // As where the disk with the mail is not mounted.
    let mail = dovecot.maildir("INBOX").parent().unwrap().to_owned();
    let away = mail.with_extension("away");
    fs::rename(&mail, &away).unwrap();
    let before = pair.tree.snapshot();
    for _ in 0..2 {
        pair.try_sync(&[]).expect(6).says(&["until that is decided nothing is done"]);
        assert_eq!(pair.tree.snapshot(), before);
        assert_eq!(dovecot.client().snapshot().messages(), 0);
    }
    fs::remove_dir_all(&mail).unwrap();
    fs::rename(&away, &mail).unwrap();
    pair.sync();
    assert_eq!(pair.assert_equal("mounted again"), before);
}

#[test]
fn a_mailbox_that_the_server_lists_and_lets_nobody_select_is_still_there() {
    on_both(|dovecot| {
        let pair = filled(dovecot, &["Dark"], "");
        // What Dovecot may not read it comes to list as a container.
        let allow = |mode| fs::set_permissions(dovecot.maildir("Dark"), fs::Permissions::from_mode(mode)).unwrap();
        allow(0o000);
        let mut said = String::new();
        for _ in 0..3 {
            said += &pair.try_sync(&[]).expect(1).stderr;
            assert_eq!(pair.tree.messages("Dark").len(), COUNT);
        }
        assert!(said.contains("lets nobody select it"), "{said}");
        allow(0o700);
    });
}

#[test]
fn a_server_that_was_put_back_gives_uids_out_again_and_nothing_is_taken_for_what_had_them() {
    for few in [false, true] {
        let dovecot = if few { Dovecot::showing("IMAP4rev1") } else { Dovecot::start() };
        let backup = tempfile::tempdir().unwrap();
        let mail = dovecot.maildir("INBOX").parent().unwrap().to_owned();
        let copy = |from: &std::path::Path, to: &std::path::Path| {
            assert!(Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap().success());
        };
        let pair = filled(&dovecot, &["Box"], "");
        copy(&mail, backup.path());
        let mut generator = Generator::new(104);
        let mut deliver =
            |count: usize| (0..count).for_each(|_| dovecot.client().append("Box", &generator.of(Kind::Plain), &[]));
        deliver(3);
        pair.sync();
        fs::remove_dir_all(&mail).unwrap();
        fs::create_dir(&mail).unwrap();
        copy(backup.path(), &mail);
        crate::world::scratch::give_away(&mail);
        deliver(2);
        pair.sync();
        assert_eq!(pair.assert_equal("put back").0["Box"].len(), COUNT + 3 + 2);
        pair.assert_settled("put back");
    }
}

#[test]
fn an_older_copy_is_one_no_longer_though_a_message_in_it_can_never_go_up() {
    let dovecot = Dovecot::start();
    let pair = filled(&dovecot, &["A", "B"], "");
    // Dovecot takes no empty message.
    fs::write(pair.tree.dir("INBOX").join("cur/1700000000.e.host:2,S"), "").unwrap();
    pair.try_sync(&[]).expect(1);
    fs::remove_dir_all(pair.mailtide.state()).unwrap();
    pair.try_sync(&[]).expect(1).says(&["older copy"]);
    pair.tree.messages("B").remove(0).delete();
    let moved = pair.tree.messages("A").remove(0);
    fs::rename(&moved.path, pair.tree.dir("B").join("cur").join(moved.name())).unwrap();
    let outcome = pair.try_sync(&[]).expect(1).says(&["1 moved or copied", "1 deleted on the server"]);
    assert!(!outcome.stdout.contains("older copy"), "{outcome:?}");
    let there = dovecot.client().snapshot();
    assert_eq!((there.0["A"].len(), there.0["B"].len()), (COUNT - 1, COUNT));
}

#[test]
fn a_push_makes_a_mailbox_again_and_fills_it_in_one_run() {
    let dovecot = Dovecot::start();
    let pair = filled(&dovecot, &["Box"], "");
    pair.configure(&setting("direction = \"push\""));
    dovecot.client().delete_mailbox("Box");
    pair.sync().says(&["1 mailbox made", "8 sent"]);
    pair.assert_equal("made again");
}

#[test]
fn a_run_of_some_mailboxes_waits_for_one_that_may_have_another_name() {
    let dovecot = Dovecot::start();
    let pair = filled(&dovecot, &["Old", "Other"], "");
    dovecot.client().rename("Old", "New");
    for mailboxes in [&["-m", "Old"][..], &["-m", "Old", "-m", "Other"]] {
        pair.try_sync(mailboxes).expect(1).says(&["`New`", "without `--mailbox`"]);
        assert_eq!(pair.tree.messages("Old").len(), COUNT);
    }
    pair.sync().says(&["1 mailbox renamed here"]);
    pair.assert_settled("renamed");
}

#[test]
fn trash_is_the_servers_name_also_where_the_tree_has_another() {
    let dovecot = Dovecot::start();
    let account = "rename = { \"Deleted\" = \"Bin\" }\ndeletions = \"trash\"\ntrash = \"Deleted/All\"";
    let pair = filled(&dovecot, &["Box", "Deleted/All"], account);
    pair.tree.messages("Box").remove(0).delete();
    pair.tree.messages("Bin/All").remove(0).delete();
    pair.sync().says(&["2 deleted on the server"]);
    let there = dovecot.client().snapshot();
    assert_eq!((there.0["Box"].len(), there.0["Deleted/All"].len()), (COUNT - 1, COUNT), "{:?}", there.0.keys());
    assert!(!there.0.contains_key("Bin/All"));
}
