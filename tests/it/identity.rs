//! Who is who when numbers and records are gone: new UIDs, a lost state, an old one, an old tree, over thousands of
//! messages; and messages that nothing but their content tells apart.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use crate::moves::sync_without_bodies;
use crate::world::dovecot::Dovecot;
use crate::world::mail::{Generator, with_lf};
use crate::world::pair::{Pair, Setting};
use crate::world::process::As;
use crate::world::scratch;
use crate::world::server::Server;

/// Puts messages into a mailbox on the server behind its back, all of one date; every third one is read.
fn put(dovecot: &Dovecot, mailbox: &str, messages: impl Iterator<Item = Vec<u8>>) {
    let dir = dovecot.maildir(mailbox).join("cur");
    for (n, bytes) in messages.enumerate() {
        let path = dir.join(format!("1700000000.M{n}.host:2,{}", if n % 3 == 0 { "S" } else { "" }));
        fs::write(&path, with_lf(&bytes)).unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_600_000_000)).unwrap();
        scratch::give_away(&path);
    }
}

/// Has the server number the messages of `mailboxes` anew.
fn number_anew(dovecot: &Dovecot, mailboxes: &[&str]) {
    dovecot.wire_log().wait();
    let before: Vec<_> = mailboxes.iter().map(|mailbox| dovecot.client().uid_validity(mailbox)).collect();
    dovecot.wire_log().wait();
    for mailbox in mailboxes {
        for entry in fs::read_dir(dovecot.maildir(mailbox)).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("dovecot.index") || name == "dovecot-uidlist" {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }
    // UIDVALIDITY counts seconds.
    for (mailbox, before) in mailboxes.iter().zip(before) {
        assert_ne!(dovecot.client().uid_validity(mailbox), before, "{mailbox}");
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

fn replace(path: &Path, with: &Path) {
    fs::remove_dir_all(path).unwrap();
    copy(with, path);
}

#[test]
fn five_thousand_messages_survive_new_uids_a_lost_and_an_old_state_and_an_old_tree() {
    const MANY: usize = 5000;
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    let mut client = dovecot.client();
    let mut generator = Generator::new(51);
    client.create("Big");
    client.create("To");
    put(&dovecot, "Big", (0..MANY).map(|_| generator.sized(2000)));
    pair.sync();
    let first = pair.assert_equal("filled");
    assert_eq!(first.0["Big"].len(), MANY);
    let flag = |letter: char, from: usize| {
        pair.tree.messages("Big").into_iter().skip(from).take(50).for_each(|mut m| m.toggle(letter));
    };
    let flagged = |flag: &str| {
        let all = pair.tree.snapshot();
        all.0.values().flatten().filter(|m| m.flags.contains(flag)).count()
    };

    // New UIDs; flags were changed on both sides since the last run.
    drop(client);
    number_anew(&dovecot, &["Big"]);
    flag('F', 0);
    let mut client = dovecot.client();
    client.store("Big", "3001:3070", "+FLAGS (\\Answered)");
    sync_without_bodies(&pair, "5,000: new UIDs");
    assert_eq!((flagged("\\Flagged"), flagged("\\Answered")), (50, 70));

    // The state is lost.
    let state = pair.mailtide.state();
    let aside = |name: &str| pair.scratch.path().join(name);
    copy(&state, &aside("old-state"));
    copy(&pair.tree.root, &aside("old-tree"));
    fs::read_dir(&state).unwrap().for_each(|e| fs::remove_file(e.unwrap().path()).unwrap());
    flag('F', 100);
    sync_without_bodies(&pair, "5,000: state lost");
    assert_eq!(flagged("\\Flagged"), 100);

    // An old state comes back: since then mail moved, went and came.
    client.move_to("Big", "101:200", "To");
    client.remove("Big", "201:220");
    for _ in 0..20 {
        client.append("Big", &generator.sized(2000), &[]);
    }
    pair.sync();
    let whole = pair.assert_equal("moved on");
    replace(&state, &aside("old-state"));
    sync_without_bodies(&pair, "5,000: state restored");
    assert_eq!(pair.tree.snapshot(), whole);

    // An old tree comes back. What it lacks is fetched; of what it has, and what is elsewhere now, nothing goes.
    copy(&state, &aside("state"));
    replace(&pair.tree.root, &aside("old-tree"));
    let log = dovecot.wire_log().mark();
    pair.sync().says(&["older copy"]);
    let changing = log.changing_commands();
    let deletes = |c: &&String| c.contains("EXPUNGE") || c.contains("\\Deleted") || c.contains("MOVE");
    assert_eq!(changing.iter().find(deletes), None);
    pair.assert_settled("old tree");
    let after = pair.assert_equal("old tree");
    let contents = |snapshot: &crate::world::compare::Snapshot| {
        let all = snapshot.0.values().flatten().map(|m| m.content);
        all.collect::<std::collections::BTreeSet<_>>()
    };
    assert!(contents(&after).is_superset(&contents(&whole)));
}

/// The state is lost, and made anew by a run; then the lost one, which knows the same tree, is put back after all.
#[test]
fn a_lost_state_that_is_put_back_after_all_is_an_old_one() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    let mut client = dovecot.client();
    for mailbox in ["A", "B"] {
        client.create(mailbox);
        client.append(mailbox, format!("Subject: {mailbox}\r\n\r\n").as_bytes(), &[]);
        pair.sync();
    }
    let (state, aside) = (pair.mailtide.state(), pair.scratch.path().join("lost-state"));
    copy(&state, &aside);
    fs::read_dir(&state).unwrap().for_each(|e| fs::remove_file(e.unwrap().path()).unwrap());
    [("A", "aside"), ("B", "A"), ("aside", "B")].iter().for_each(|(from, to)| client.rename(from, to));
    // Without a memory nothing tells that they changed names: both have both.
    pair.sync();
    pair.assert_settled("state lost");
    let both = pair.assert_equal("state lost");
    assert_eq!((both.0["A"].len(), both.0["B"].len()), (2, 2));
    replace(&state, &aside);
    pair.sync().says(&["older copy"]);
    pair.assert_settled("state put back");
    assert_eq!(pair.assert_equal("state put back"), both);
}

/// 2,000 messages of one size and one date, in four kinds.
fn alike() -> impl Iterator<Item = Vec<u8>> {
    (0..2000).map(|n| {
        let (id, words) = match n % 4 {
            // One Message-ID for many, and different words; copies, four of each.
            0 => ("Message-ID: <one@example.org>\r\n".to_owned(), n),
            1 => (format!("Message-ID: <{}@example.org>\r\n", n / 16), n / 16),
            // Empty, and none.
            2 => ("Message-ID: \r\n".to_owned(), n),
            _ => (String::new(), n),
        };
        let mut message = format!("Subject: {words}\r\n{id}\r\n{words}\r\n").into_bytes();
        message.resize(298, b'.');
        message.extend_from_slice(b"\r\n");
        message
    })
}

#[test]
fn two_thousand_that_are_alike_stay_two_thousand() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    let mut client = dovecot.client();
    client.create("From");
    client.create("To");
    put(&dovecot, "From", alike());
    pair.sync();
    let first = pair.assert_equal("filled");
    assert_eq!(first.messages(), 2000);
    pair.assert_settled("filled");
    let contents = |snapshot: &crate::world::compare::Snapshot| {
        let mut all: Vec<_> = snapshot.0.values().flatten().map(|m| m.content).collect();
        all.sort_unstable();
        all
    };
    let assert_all = |context: &str| {
        let now = pair.assert_equal(context);
        assert_eq!(contents(&now), contents(&first), "{context}");
        pair.assert_settled(context);
        now
    };

    client.move_to("From", "1:300", "To");
    // Others than those that move there.
    let uid = |name: &str| name.split(".mailtide").next().and_then(|n| n.rsplit('-').next()?.parse::<usize>().ok());
    let others = pair.tree.messages("From").into_iter().filter(|m| uid(&m.name()).is_some_and(|uid| uid > 300));
    for (n, message) in others.take(300).enumerate() {
        let name = if n % 2 == 0 { message.name() } else { format!("1700000001.R{n}.host:2,{}", message.letters()) };
        fs::rename(&message.path, pair.tree.dir("INBOX").join("cur").join(name)).unwrap();
    }
    pair.sync();
    let moved = assert_all("moved");
    assert_eq!([moved.0["From"].len(), moved.0["To"].len(), moved.0["INBOX"].len()], [1400, 300, 300]);

    drop(client);
    number_anew(&dovecot, &["From", "To"]);
    pair.sync();
    assert_eq!(assert_all("new UIDs"), moved);

    fs::read_dir(pair.mailtide.state()).unwrap().for_each(|e| fs::remove_file(e.unwrap().path()).unwrap());
    pair.sync();
    assert_eq!(assert_all("state lost"), moved);

    // Both at once, and in motion.
    fs::read_dir(pair.mailtide.state()).unwrap().for_each(|e| fs::remove_file(e.unwrap().path()).unwrap());
    dovecot.client().move_to("To", "1:100", "From");
    pair.sync();
    let all = pair.assert_equal("state lost while mail moved");
    // A message that moved while nobody knew it is at both places now: none is lost.
    assert_eq!([all.0["From"].len(), all.0["To"].len(), all.0["INBOX"].len()], [1500, 300, 300]);
    pair.assert_settled("state lost while mail moved");
}

/// Three messages that both sides have, and a fourth that comes after `happens`, while a file cannot be read: until it can,
/// the mailbox holds `meanwhile` files; then no message is there twice.
fn while_a_file_is_closed(happens: fn(&Dovecot, &Pair<'_>), meanwhile: usize) {
    let dovecot = Dovecot::start();
    let mut generator = Generator::new(9);
    dovecot.client().create("A");
    (0..3).for_each(|n| dovecot.client().append("A", &generator.sized(2000 + 100 * n), &["\\Seen"]));
    let pair = Pair::with(&dovecot, Setting { run_as: As::Unprivileged, ..Setting::default() });
    pair.sync();
    let closed = pair.tree.messages("A").swap_remove(0).path;
    let close = |mode| fs::set_permissions(&closed, fs::Permissions::from_mode(mode)).unwrap();
    close(0o000);
    happens(&dovecot, &pair);
    dovecot.client().append("A", &generator.sized(5000), &[]);
    for _ in 0..2 {
        pair.try_sync(&[]).expect(1).says(&["ermission denied"]);
        assert_eq!(pair.tree.messages("A").len(), meanwhile);
        assert_eq!(dovecot.client().read("A").len(), 4);
    }
    close(0o600);
    pair.sync();
    assert_eq!(pair.assert_equal("readable again").messages(), 4);
    pair.assert_settled("readable again");
}

#[test]
fn a_mailbox_numbered_anew_waits_for_a_file_that_cannot_be_read() {
    while_a_file_is_closed(|dovecot, _| number_anew(dovecot, &["A"]), 3);
}

#[test]
fn after_a_lost_state_a_file_that_cannot_be_read_is_not_fetched_again() {
    while_a_file_is_closed(|_, pair| fs::remove_dir_all(pair.mailtide.state()).unwrap(), 4);
}
