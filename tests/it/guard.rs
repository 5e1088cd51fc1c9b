//! Accidents delete nothing: a tree that was emptied, unmounted, lost or closed, and a server that lists nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::world::dovecot::Dovecot;
use crate::world::mail::Generator;
use crate::world::maildir::Layout;
use crate::world::pair::{Pair, Setting};
use crate::world::process::As;
use crate::world::scripted::Scripted;
use crate::world::server::Server;

const MESSAGES: usize = 30;

fn stocked() -> Dovecot {
    let dovecot = Dovecot::start();
    let mut client = dovecot.client();
    let mut generator = Generator::new(1);
    client.create("Lists");
    for n in 0..2 * MESSAGES {
        client.append(["INBOX", "Lists"][n % 2], &generator.any(), &["\\Seen"]);
    }
    dovecot
}

/// Everything is still on the server, and no command tried to change that.
#[track_caller]
fn refuses(pair: &Pair<'_>, code: i32, words: &[&str]) {
    let log = pair.server.wire_log().mark();
    pair.try_sync(&[]).expect(code).says(words);
    assert_eq!(log.changing_commands(), [""; 0]);
    assert_eq!(pair.server.client().snapshot().messages(), 2 * MESSAGES);
}

#[test]
fn an_emptied_tree_deletes_nothing_until_allowed() {
    for layout in [Layout::Nested, Layout::MaildirPlusPlus] {
        let dovecot = stocked();
        let pair = Pair::with(&dovecot, Setting { layout, ..Setting::default() });
        pair.sync();
        for mailbox in ["INBOX", "Lists"] {
            pair.tree.messages(mailbox).into_iter().for_each(|m| m.delete());
        }
        refuses(&pair, 6, &["60 of 60", "--allow-deletions all"]);
        refuses(&pair, 6, &["60 of 60", "--allow-deletions all"]);
        // Allowed for one mailbox, the other stays refused.
        pair.try_sync(&["--allow-deletions", "Lists"]).expect(6).says(&["30 of"]);
        let left = dovecot.client().snapshot();
        assert_eq!((left.0["INBOX"].len(), left.0["Lists"].len()), (MESSAGES, 0));
        pair.try_sync(&["--allow-deletions", "all"]).expect(0);
        assert_eq!(pair.assert_equal("allowed").messages(), 0);
    }
}

#[test]
fn deletions_once_refused_stay_refused_however_much_mail_arrives() {
    let dovecot = stocked();
    let pair = Pair::new(&dovecot);
    pair.sync();
    pair.sync();
    pair.tree.messages("INBOX").into_iter().take(20).for_each(|m| m.delete());
    pair.try_sync(&[]).expect(6).says(&["INBOX: 20 of 30"]);
    let mut generator = Generator::new(2);
    (0..30).for_each(|_| dovecot.client().append("INBOX", &generator.any(), &[]));
    for _ in 0..3 {
        pair.try_sync(&[]).expect(6).says(&["INBOX: 20 of 30", "--allow-deletions"]);
        assert_eq!(pair.tree.messages("INBOX").len(), 10 + 30, "new mail comes");
    }
    assert_eq!(dovecot.client().snapshot().messages(), 2 * MESSAGES + 30);
    pair.try_sync(&["--allow-deletions", "INBOX"]).expect(0);
    assert_eq!(pair.assert_equal("allowed").messages(), 2 * MESSAGES + 10);
}

#[test]
fn an_emptied_tree_of_small_mailboxes_deletes_nothing_however_often_it_is_run() {
    let dovecot = Dovecot::start();
    let mut client = dovecot.client();
    let mut generator = Generator::new(1);
    for (mailbox, messages) in [("INBOX", 40), ("Small", 9), ("Smaller", 9)] {
        if mailbox != "INBOX" {
            client.create(mailbox);
        }
        (0..messages).for_each(|_| client.append(mailbox, &generator.any(), &[]));
    }
    let pair = Pair::new(&dovecot);
    pair.sync();
    let marker = fs::read(pair.tree.root.join(".mailtide")).unwrap();
    fs::remove_dir_all(&pair.tree.root).unwrap();
    fs::create_dir(&pair.tree.root).unwrap();
    fs::write(pair.tree.root.join(".mailtide"), marker).unwrap();
    let log = dovecot.wire_log().mark();
    // INBOX would come back, and with it the tree would be missing a small part of its mail only.
    for _ in 0..3 {
        pair.try_sync(&[]).expect(6).says(&["18 of 58", "--allow-deletions all", "remove the account's state"]);
    }
    let planned = pair.try_sync(&["--dry-run"]).expect(6);
    planned.says(&["→ - 9 messages: UID 1:9 (refused)", "← + 40 messages", "a run would do nothing"]);
    assert_eq!(log.changing_commands(), [""; 0]);
    assert_eq!(dovecot.client().snapshot().messages(), 58);
    // The hint holds: the mail comes back.
    fs::remove_dir_all(pair.mailtide.home().join(".local/state/mailtide")).unwrap();
    pair.sync();
    assert_eq!(log.changing_commands(), [""; 0]);
    assert_eq!(pair.assert_equal("anew").messages(), 58);
}

#[test]
fn an_emptied_server_deletes_nothing_until_allowed() {
    let dovecot = stocked();
    let pair = Pair::new(&dovecot);
    pair.sync();
    dovecot.client().remove("INBOX", "1:*");
    pair.try_sync(&[]).expect(6).says(&["INBOX", "--allow-deletions"]);
    assert_eq!(pair.tree.messages("INBOX").len(), MESSAGES);
    pair.try_sync(&["--allow-deletions", "INBOX"]).expect(0);
    assert_eq!(pair.assert_equal("allowed").messages(), MESSAGES);
}

#[test]
fn a_tree_without_its_marker_is_not_mounted() {
    let dovecot = stocked();
    let pair = Pair::new(&dovecot);
    pair.sync();
    // The mount point alone.
    let aside = pair.scratch.path().join("aside");
    fs::rename(&pair.tree.root, &aside).unwrap();
    fs::create_dir(&pair.tree.root).unwrap();
    refuses(&pair, 3, &["Mail"]);
    // Nothing at all.
    fs::remove_dir(&pair.tree.root).unwrap();
    refuses(&pair, 3, &["Mail"]);
    // The mail without the marker.
    fs::rename(&aside, &pair.tree.root).unwrap();
    let marker = pair.tree.root.join(".mailtide");
    let text = fs::read(&marker).unwrap();
    fs::remove_file(&marker).unwrap();
    refuses(&pair, 3, &[".mailtide"]);
    // Back again.
    fs::write(&marker, text).unwrap();
    pair.sync();
    pair.assert_equal("mounted again");
}

#[test]
fn another_accounts_tree_is_refused() {
    let dovecot = stocked();
    let (pair, other) = (Pair::new(&dovecot), Pair::new(&dovecot));
    pair.sync();
    other.sync();
    let marker = pair.tree.root.join(".mailtide");
    fs::copy(other.tree.root.join(".mailtide"), marker).unwrap();
    refuses(&pair, 3, &["another account's"]);
}

#[test]
fn a_tree_is_never_taken_for_one_of_another_layout() {
    for (layout, other, word) in
        [(Layout::MaildirPlusPlus, Layout::Nested, "maildir++"), (Layout::Nested, Layout::MaildirPlusPlus, "nested")]
    {
        let dovecot = stocked();
        let pair = Pair::with(&dovecot, Setting { layout, ..Setting::default() });
        pair.sync();
        pair.configure(&Setting { layout: other, ..Setting::default() });
        refuses(&pair, 3, &["was made in the layout", &format!("layout = \"{word}\"")]);
        // Nor when the state is lost.
        fs::remove_dir_all(pair.mailtide.home().join(".local/state/mailtide")).unwrap();
        refuses(&pair, 3, &["was made in the layout"]);
        pair.configure(&Setting { layout, ..Setting::default() });
        pair.sync();
        pair.assert_equal("the layout it was made in");
    }
}

#[test]
fn a_tree_inside_another_is_refused_and_left_alone() {
    let dovecot = stocked();
    let pair = Pair::new(&dovecot);
    pair.sync();
    let inside = pair.tree.root.join("work");
    let url = format!("imap://me@localhost:{}", dovecot.port());
    for more in [&[][..], &["--dry-run"]] {
        let outcome = pair.mailtide.run(&[&["sync", &url, "--maildir", inside.to_str().unwrap()], more].concat());
        outcome.expect(3).says(&["inside another Maildir tree"]);
    }
    assert!(!inside.exists());
    // One that was moved there is not uploaded, nor is its mail taken for moved.
    fs::create_dir_all(inside.join("INBOX")).unwrap();
    fs::copy(pair.tree.root.join(".mailtide"), inside.join(".mailtide")).unwrap();
    fs::rename(pair.tree.root.join("Lists"), inside.join("Lists")).unwrap();
    // While a mailbox is dark none that is missing counts as removed.
    pair.try_sync(&[]).expect(1).says(&["Another Maildir tree stands inside this one"]);
    pair.try_sync(&[]).expect(1);
    assert_eq!(dovecot.client().snapshot().messages(), 2 * MESSAGES);
}

#[test]
fn an_unreadable_tree_deletes_nothing() {
    let dovecot = stocked();
    let pair = Pair::with(&dovecot, Setting { run_as: As::Unprivileged, ..Setting::default() });
    pair.sync();
    let close = |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    close(&pair.tree.root, 0o000);
    refuses(&pair, 3, &["Mail"]);
    close(&pair.tree.root, 0o700);
    // One mailbox only: it is reported, the others go on.
    for part in ["INBOX", "INBOX/cur"] {
        let path = pair.tree.root.join(part);
        close(&path, 0o000);
        dovecot.client().append("Lists", &Generator::new(2).any(), &[]);
        let log = dovecot.wire_log().mark();
        pair.try_sync(&[]).expect(1).says(&["INBOX"]);
        assert_eq!(log.changing_commands(), [""; 0], "{part}");
        close(&path, 0o700);
    }
    pair.sync();
    assert_eq!(pair.assert_equal("opened again").messages(), 2 * MESSAGES + 2);
}

#[test]
fn a_server_that_lists_no_mailboxes_deletes_nothing_locally() {
    let dovecot = stocked();
    let plain = |port| Setting { through: Some(port), ..Setting::default() };
    let pair = Pair::with(&dovecot, plain(dovecot.port()));
    pair.sync();
    let before = pair.tree.snapshot();
    let scripted = Scripted::answering("IMAP4rev1", |_| None);
    pair.configure(&plain(scripted.port()));
    let outcome = pair.try_sync(&[]);
    assert!([5, 6].contains(&outcome.code()), "{outcome:?}");
    assert_eq!(pair.tree.snapshot(), before);
    assert!(scripted.heard().iter().any(|c| c.to_ascii_uppercase().starts_with("LIST")), "{:?}", scripted.heard());
    // The real server again: all is as it was.
    pair.configure(&plain(dovecot.port()));
    pair.sync();
    pair.assert_settled("the server lists its mailboxes again");
}

#[test]
fn a_backup_changes_nothing_on_the_server() {
    let dovecot = stocked();
    let pair = Pair::with(&dovecot, Setting { account: "direction = \"pull\"\n".into(), ..Setting::default() });
    let log = dovecot.wire_log().mark();
    pair.sync();
    assert_eq!(log.changing_commands(), [""; 0]);
    pair.tree.create_mailbox("Mine");
    pair.tree.deliver("INBOX", "1.mine", b"Subject: mine\n\n", Some("S"));
    pair.tree.messages("Lists").into_iter().take(5).for_each(|m| m.delete());
    pair.tree.messages("INBOX").into_iter().take(5).for_each(|mut m| m.toggle('F'));
    let mut client = dovecot.client();
    client.append("INBOX", &Generator::new(3).any(), &[]);
    client.create("Later");
    let expected = client.snapshot();
    drop(client);
    let log = dovecot.wire_log().mark();
    pair.sync();
    pair.sync();
    assert_eq!(log.changing_commands(), [""; 0]);
    assert!(log.commands().iter().all(|c| !c.starts_with("SELECT")), "a backup only examines");
    assert_eq!(dovecot.client().snapshot(), expected);
    assert!(pair.tree.mailboxes().contains_key("Later") && pair.tree.mailboxes().contains_key("Mine"));
}
