//! Mailboxes that get other names, several at once: what follows by name, and what does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::moves::{filled, sync_without_bodies};
use crate::world::client::Client;
use crate::world::dovecot::Dovecot;
use crate::world::mail::{Generator, Kind};
use crate::world::maildir::Layout;
use crate::world::pair::{Pair, Setting};
use crate::world::process::As;
use crate::world::server::Server;

/// Messages in `From`.
const MANY: usize = 20;

/// Renames one after another that pass names on, and how many messages of `From`, `To` and `Third` are where after them.
type Passed = (&'static [(&'static str, &'static str)], [(&'static str, usize); 3]);

#[test]
fn names_are_swapped_passed_round_and_passed_on() {
    const SWAPPED: Passed =
        (&[("From", "Aside"), ("To", "From"), ("Aside", "To")], [("To", MANY), ("From", 1), ("Third", 2)]);
    const ROUND: Passed = (
        &[("From", "Aside"), ("Third", "From"), ("To", "Third"), ("Aside", "To")],
        [("To", MANY), ("Third", 1), ("From", 2)],
    );
    const ON: Passed =
        (&[("Third", "Fourth"), ("To", "Third"), ("From", "To")], [("To", MANY), ("Third", 1), ("Fourth", 2)]);
    let dovecot = Dovecot::start();
    for layout in [Layout::Nested, Layout::MaildirPlusPlus] {
        for (there, passed) in [true, false].into_iter().flat_map(|t| [SWAPPED, ROUND, ON].map(|passed| (t, passed))) {
            let pair = Pair::with(&dovecot, Setting { layout, ..Setting::default() });
            names_are_passed(&filled(pair, MANY), there, passed);
        }
    }
}

fn names_are_passed(pair: &Pair<'_>, there: bool, (renames, after): Passed) {
    let context = format!("{renames:?} {}", if there { "there" } else { "here" });
    let (mut client, mut generator) = (pair.server.client(), Generator::new(13));
    client.create("Third");
    for name in ["To", "Third", "Third"] {
        client.append(name, &generator.of(Kind::Plain), &[]);
    }
    pair.sync();
    for (from, to) in renames {
        match there {
            true => client.rename(from, to),
            false => fs::rename(pair.tree.dir(from), pair.tree.dir(to)).unwrap(),
        }
    }
    // What was flagged on the other side meanwhile stays so.
    for name in ["From", "To", "Third"] {
        match there {
            true => pair.tree.messages(name).remove(0).set_letters("FS"),
            false => client.store(name, "1", "+FLAGS (\\Flagged \\Seen)"),
        }
    }
    let before = pair.server.wire_log().mark();
    sync_without_bodies(pair, &context);
    let snapshot = pair.tree.snapshot();
    for (name, messages) in after {
        assert_eq!(snapshot.0[name].len(), messages, "{context}: {name}");
        assert!(snapshot.0[name].iter().any(|m| m.flags.contains("\\Flagged")), "{context}: {name}");
    }
    let moves = before.commands().iter().filter(|c| c.contains("MOVE") || c.contains("COPY")).count();
    assert_eq!(moves, 0, "{context}: mailboxes change their names, and no message its place");
    after.iter().for_each(|(name, _)| client.delete_mailbox(name));
    assert!(!client.mailboxes().iter().any(|name| name.contains("renaming")), "{context}");
}

/// The server refuses the second of three steps: the first is taken back.
#[test]
fn a_swap_waits_for_a_run_with_both() {
    let dovecot = Dovecot::start();
    let pair = filled(Pair::new(&dovecot), MANY);
    pair.server.client().append("To", b"Subject: of To\r\n\r\n", &[]);
    pair.sync();
    let mut client = pair.server.client();
    [("From", "Aside"), ("To", "From"), ("Aside", "To")].iter().for_each(|(from, to)| client.rename(from, to));
    for name in ["To", "From"] {
        let other = if name == "To" { "`From`" } else { "`To`" };
        pair.try_sync(&["--mailbox", name]).expect(1).says(&[other, "which the run leaves out"]);
    }
    sync_without_bodies(&pair, "swapped");
    let both = pair.assert_equal("swapped");
    assert_eq!((both.0["To"].len(), both.0["From"].len()), (MANY, 1));
    pair.assert_settled("swapped");
}

#[test]
fn a_swap_that_the_server_refuses_in_the_midst_leaves_every_name_as_it_was() {
    let dovecot = Dovecot::start();
    let pair = filled(Pair::new(&dovecot), MANY);
    let mut client = dovecot.client();
    client.create("Closed/Third");
    client.append("Closed/Third", &Generator::new(13).any(), &[]);
    pair.sync();
    for (from, to) in [("From", "Aside"), ("Closed/Third", "From"), ("Aside", "Closed/Third")] {
        fs::rename(pair.tree.dir(from), pair.tree.dir(to)).unwrap();
    }
    let before = client.mailboxes();
    let closed = |mode| fs::set_permissions(dovecot.maildir("Closed"), fs::Permissions::from_mode(mode)).unwrap();
    closed(0o555);
    pair.try_sync(&[]).expect(1).says(&["cannot be renamed", "It gets its new name with another mailbox"]);
    assert_eq!(client.mailboxes(), before);
    closed(0o755);
    sync_without_bodies(&pair, "swapped");
    let after = pair.tree.snapshot();
    assert_eq!((after.0["From"].len(), after.0["Closed/Third"].len()), (1, MANY));
}

/// Mailboxes with a message each, called as they are; renames there; the mailbox whose message is flagged here, and where
/// it is then.
type Flagged = (&'static [&'static str], &'static [(&'static str, &'static str)], &'static str, &'static str);

/// The tree cannot follow these: a name is that of a removed one, or below its own old one.
#[test]
fn flags_set_here_follow_where_names_cannot() {
    const ONTO_REMOVED: Flagged = (&["B", "G", "D"], &[("D", ""), ("G", "D"), ("B", "G")], "B", "G");
    const CHILD_RISES: Flagged = (&["A", "A/k"], &[("A/k", "t"), ("A", "u"), ("t", "A"), ("u", "A/u")], "A/k", "A");
    const NESTED: Flagged = (&["w", "W", "L", "D"], &[("D", "L/C"), ("L", "D"), ("W", "L"), ("w", "W")], "w", "W");
    let dovecot = Dovecot::start();
    for (mailboxes, renames, from, to) in [ONTO_REMOVED, CHILD_RISES, NESTED] {
        let context = format!("{renames:?}");
        let (pair, mut client) = (Pair::new(&dovecot), dovecot.client());
        for name in mailboxes {
            client.create(name);
            client.append(name, format!("Subject: of {name}\r\nMessage-ID: <{name}@x>\r\n\r\nx\r\n").as_bytes(), &[]);
        }
        pair.sync();
        for (old, new) in renames {
            if new.is_empty() { client.delete_mailbox(old) } else { client.rename(old, new) }
        }
        pair.tree.messages(from).remove(0).set_letters("FS");
        pair.sync();
        let after = pair.assert_equal(&context);
        let all = &after.0[to];
        assert!(
            all.len() == 1 && all[0].label == format!("of {from}") && all[0].flags.contains("\\Flagged"),
            "{all:?}"
        );
        pair.assert_settled(&context);
        remove_all(&mut client);
    }
}

/// The directory of the one cannot be read while the server renames it, takes its name for another, or both.
#[test]
fn flags_set_here_wait_with_a_directory_that_cannot_be_read() {
    const AWAY: Flagged = (&["A", "B"], &[("A", "N")], "A", "N");
    const SWAPPED: Flagged = (&["A", "B"], &[("A", "t"), ("B", "A"), ("t", "B")], "B", "A");
    const TAKEN: Flagged = (&["B"], &[("A", "N"), ("B", "A")], "B", "A");
    const ON: Flagged = (&["A", "B", "C"], &[("A", "N"), ("B", "A"), ("C", "B")], "C", "B");
    let dovecot = Dovecot::start();
    for (mailboxes, renames, from, to) in [AWAY, SWAPPED, TAKEN, ON] {
        let context = format!("{renames:?}");
        let pair = Pair::with(&dovecot, Setting { run_as: As::Unprivileged, ..Setting::default() });
        let mut client = dovecot.client();
        client.create("A");
        for name in mailboxes {
            client.try_create(name);
            client.append(name, format!("Subject: of {name}\r\nMessage-ID: <{name}@x>\r\n\r\nx\r\n").as_bytes(), &[]);
        }
        pair.sync();
        renames.iter().for_each(|(old, new)| client.rename(old, new));
        pair.tree.messages(from).remove(0).set_letters("FS");
        let part = pair.tree.dir("A").join("cur");
        let closed = |mode| fs::set_permissions(&part, fs::Permissions::from_mode(mode)).unwrap();
        closed(0o000);
        let names: Vec<String> = pair.tree.mailboxes().into_keys().collect();
        for _ in 0..2 {
            pair.try_sync(&[]).expect(1).says(&["A"]);
        }
        assert_eq!(pair.tree.mailboxes().into_keys().collect::<Vec<_>>(), names, "{context}");
        closed(0o700);
        sync_without_bodies(&pair, &context);
        let after = pair.assert_equal(&context);
        let all = &after.0[to];
        assert!(
            all.len() == 1 && all[0].label == format!("of {from}") && all[0].flags.contains("\\Flagged"),
            "{context}: {all:?}"
        );
        pair.assert_settled(&context);
        remove_all(&mut client);
    }
}

/// The server swaps A and B, the tree B and D: B's name is for A there, and taken here.
#[test]
fn flags_set_here_follow_where_two_swaps_share_a_mailbox() {
    let dovecot = Dovecot::start();
    for layout in [Layout::Nested, Layout::MaildirPlusPlus] {
        let (pair, mut client) = (Pair::with(&dovecot, Setting { layout, ..Setting::default() }), dovecot.client());
        for (name, n) in ["A", "B", "D"].into_iter().flat_map(|name| [(name, 1), (name, 2)]) {
            client.try_create(name);
            let id = format!("{name}{n}");
            client.append(name, format!("Subject: {id}\r\nMessage-ID: <{id}@x>\r\n\r\nx\r\n").as_bytes(), &[]);
        }
        pair.sync();
        [("A", "t"), ("B", "A"), ("t", "B")].iter().for_each(|(from, to)| client.rename(from, to));
        for (from, to) in [("B", "t"), ("D", "B"), ("t", "D")] {
            fs::rename(pair.tree.dir(from), pair.tree.dir(to)).unwrap();
        }
        for (name, place) in [("A", "A"), ("B", "D"), ("D", "B")] {
            let is_first = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(&format!("<{name}1@x>"));
            let all = pair.tree.messages(place).into_iter();
            all.filter(|m| is_first(&m.bytes())).for_each(|mut m| m.set_letters("FS"));
        }
        pair.sync();
        let after = pair.assert_equal("two swaps");
        let flags_of = |name: &str, label: &str| {
            let found = after.0[name].iter().filter(|m| m.label == label);
            found.map(|m| m.flags.contains("\\Flagged")).collect::<Vec<_>>()
        };
        for (label, name) in [("A", "B"), ("B", "D")] {
            let flags = [1, 2].map(|n| flags_of(name, &format!("{label}{n}")));
            assert_eq!(flags, [vec![true], vec![false]], "{label} in {name}: {after:?}");
        }
        let all = |label| ["A", "B", "D"].into_iter().flat_map(|name| flags_of(name, label)).collect::<Vec<_>>();
        assert_eq!([all("D1"), all("D2")], [[true], [false]], "{after:?}");
        pair.assert_settled("two swaps");
        remove_all(&mut client);
    }
}

fn remove_all(client: &mut Client) {
    let mut names = client.mailboxes();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names.iter().filter(|name| *name != "INBOX").for_each(|name| client.delete_mailbox(name));
}

/// RFC 3501 §6.3.5: RENAME takes INBOX's mail to another name and leaves it empty; Dovecot gives it new UIDs then.
#[test]
fn mail_that_a_rename_of_inbox_took_away_moves_and_is_not_doubled() {
    let dovecot = Dovecot::start();
    let (pair, mut client) = (Pair::new(&dovecot), dovecot.client());
    let mut generator = Generator::new(17);
    (0..MANY).for_each(|_| client.append("INBOX", &generator.of(Kind::Plain), &[]));
    pair.sync();
    client.rename("INBOX", "Old");
    client.append("INBOX", &generator.of(Kind::Plain), &[]);
    pair.tree.messages("INBOX").remove(0).set_letters("FS");
    pair.sync();
    let after = pair.assert_equal("renamed");
    assert_eq!((after.0["INBOX"].len(), after.0["Old"].len()), (1, MANY));
    assert!(after.0["Old"].iter().any(|m| m.flags.contains("\\Flagged")));
    pair.assert_settled("renamed");
}

/// INBOX's directory gets another name in the tree: its mail goes there, and INBOX is made again.
#[test]
fn mail_that_went_with_the_directory_of_inbox_moves_and_is_not_doubled() {
    let dovecot = Dovecot::start();
    let (pair, mut client) = (Pair::new(&dovecot), dovecot.client());
    let mut generator = Generator::new(19);
    (0..MANY).for_each(|_| client.append("INBOX", &generator.of(Kind::Plain), &[]));
    pair.sync();
    // One is gone before: nobody can tell from a missing INBOX that it was deleted.
    pair.tree.messages("INBOX").pop().unwrap().delete();
    fs::rename(pair.tree.dir("INBOX"), pair.tree.dir("Old")).unwrap();
    pair.tree.messages("Old").remove(0).set_letters("FS");
    client.append("INBOX", &generator.of(Kind::Plain), &[]);
    client.store("INBOX", "1:*", "+FLAGS (\\Answered)");
    let log = dovecot.wire_log().mark();
    pair.sync();
    assert!(!log.commands().iter().any(|c| c.contains("APPEND")), "no body goes up");
    let after = pair.assert_equal("renamed");
    assert_eq!((after.0["INBOX"].len(), after.0["Old"].len()), (2, MANY - 1));
    assert!(after.0["Old"].iter().any(|m| m.flags.contains("\\Flagged")));
    assert!(after.0["Old"].iter().all(|m| m.flags.contains("\\Answered")));
    pair.assert_settled("renamed");
}
