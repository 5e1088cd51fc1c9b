//! A tree that another synchroniser filled: linked with the account that holds the same mail, not doubled.
//!
//! mbsync and OfflineIMAP really run. What they write into their copies, on either side, makes no other message of them.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::world::cyrus::Cyrus;
use crate::world::dovecot::Dovecot;
use crate::world::mail::{Generator, Kind, with_lf};
use crate::world::maildir::{Layout, Tree};
use crate::world::pair::{Pair, Setting};
use crate::world::peers::{Peer, Program};
use crate::world::scratch::Scratch;
use crate::world::server::Server;

const MAILBOXES: [&str; 3] = ["INBOX", "Work", "Work/Old"];

/// Messages a mailbox that come from the server, and that come from the tree.
const MANY: [usize; 2] = [100, 20];

/// Has `peer` fill its tree from the server and bring what is new there up; every third message is read. `of` makes
/// the messages.
fn fill(server: &dyn Server, peer: &Peer, of: &mut dyn FnMut() -> Vec<u8>) {
    let mut client = server.client();
    for mailbox in MAILBOXES {
        if mailbox != "INBOX" {
            client.create(mailbox);
        }
        for n in 0..MANY[0] {
            client.append(mailbox, &of(), if n % 3 == 0 { &["\\Seen"] } else { &[] });
        }
    }
    peer.run();
    for (which, mailbox) in MAILBOXES.into_iter().enumerate() {
        for n in 0..MANY[1] {
            let letters = if n % 2 == 0 { "FS" } else { "" };
            peer.tree.deliver(mailbox, &format!("1700000000.M{n}P{which}.host"), &with_lf(&of()), Some(letters));
        }
    }
    peer.run();
}

/// A pair whose tree is a copy of the peer's.
fn adopt<'s>(server: &'s dyn Server, peer: &Peer) -> Pair<'s> {
    let pair = Pair::with(server, Setting { layout: peer.tree.layout, ..Setting::default() });
    let status = Command::new("cp").arg("-a").arg(&peer.tree.root).arg(&pair.tree.root).status().unwrap();
    assert!(status.success());
    pair
}

/// How many messages each mailbox has, and how many of each set of flags.
fn counts(snapshot: &crate::world::compare::Snapshot) -> BTreeMap<String, BTreeMap<String, usize>> {
    let count = |messages: &Vec<crate::world::compare::Seen>| {
        let mut counts = BTreeMap::new();
        messages.iter().for_each(|m| *counts.entry(format!("{:?}", m.flags)).or_default() += 1);
        counts
    };
    snapshot.0.iter().map(|(name, messages)| (name.clone(), count(messages))).collect()
}

/// What was sent and fetched since the mark: APPENDs, and FETCHes of bodies.
fn bodies(commands: &[String]) -> Vec<&String> {
    commands.iter().filter(|c| c.contains("BODY.PEEK[]") || c.starts_with("APPEND")).collect()
}

fn cases() -> Vec<(Program, Layout)> {
    let all = Program::ALL.map(|program| (program, Layout::Nested));
    all.into_iter().chain([(Program::Mbsync, Layout::MaildirPlusPlus)]).collect()
}

fn on_each_server(test: impl Fn(&dyn Server, &str)) {
    test(&Dovecot::start(), "Dovecot");
    test(&Dovecot::showing("IMAP4rev1"), "Dovecot, bare");
    if let Some(cyrus) = Cyrus::start() {
        test(&cyrus, "Cyrus");
    }
}

#[test]
fn a_tree_of_another_program_is_linked_without_a_body() {
    for (program, layout) in cases() {
        for few in [false, true] {
            let server = if few { Dovecot::showing("IMAP4rev1") } else { Dovecot::start() };
            adopted(&server, program, layout, &format!("{program:?}, {layout:?}, few: {few}"));
        }
    }
    if let Some(cyrus) = Cyrus::start() {
        adopted(&cyrus, Program::Mbsync, Layout::Nested, "mbsync, Cyrus");
    }
}

fn adopted(server: &dyn Server, program: Program, layout: Layout, context: &str) {
    let scratch = Scratch::new();
    let peer = Peer::new(program, server, &scratch, layout);
    let (mut generator, mut made) = (Generator::new(41), 0);
    let kinds = [Kind::Plain, Kind::Mime, Kind::EightBit, Kind::NoFinalLineEnd, Kind::Lookalikes, Kind::EmptyBody];
    let mut next = || {
        made += 1;
        generator.of(kinds[made % kinds.len()])
    };
    fill(server, &peer, &mut next);
    let mut client = server.client();
    let (here, there) = (peer.tree.snapshot(), client.snapshot());
    // Changed since the other program's last run, on both sides.
    let pair = adopt(server, &peer);
    client.store("Work", "1:5", "+FLAGS (\\Answered)");
    pair.tree.messages("Work").into_iter().take(7).for_each(|mut m| m.toggle('D'));
    let log = server.wire_log().mark();
    let run = pair.sync();
    let commands = log.commands();
    assert_eq!(bodies(&commands), Vec::<&String>::new(), "{context}: {}", run.stdout);
    for mailbox in MAILBOXES {
        let sides = [pair.tree.messages(mailbox).len(), client.uids(mailbox).len()];
        assert_eq!(sides, [MANY[0] + MANY[1]; 2], "{context}: {mailbox}");
    }
    let (here_now, there_now) = (counts(&pair.tree.snapshot()), counts(&client.snapshot()));
    assert_eq!(here_now, there_now, "{context}");
    for mailbox in ["INBOX", "Work/Old"] {
        assert_eq!(here_now[mailbox], counts(&here)[mailbox], "{context}");
        assert_eq!(here_now[mailbox], counts(&there)[mailbox], "{context}");
    }
    let flagged =
        |flag: &str| here_now["Work"].iter().filter(|(flags, _)| flags.contains(flag)).map(|(_, n)| n).sum::<usize>();
    assert_eq!((flagged("Answered"), flagged("Draft")), (5, 7), "{context}");
    pair.assert_settled(context);
    afterwards(&pair, context);
}

/// What was adopted moves as all mail does, here and there, and survives the loss of the state and new UIDs.
fn afterwards(pair: &Pair<'_>, context: &str) {
    let mut client = pair.server.client();
    let log = pair.server.wire_log().mark();
    for message in pair.tree.messages("Work").into_iter().take(30) {
        fs::rename(&message.path, pair.tree.dir("INBOX").join("cur").join(message.name())).unwrap();
    }
    let uids: Vec<String> = client.uids("Work/Old").into_keys().map(|uid| uid.to_string()).collect();
    client.move_to("Work/Old", &uids[..40].join(","), "Work");
    pair.sync();
    let all = MANY[0] + MANY[1];
    let want = [all + 30, all + 10, all - 40];
    let sides = |client: &mut crate::world::client::Client| {
        let here = MAILBOXES.map(|mailbox| pair.tree.messages(mailbox).len());
        let there = MAILBOXES.map(|mailbox| client.uids(mailbox).len());
        assert_eq!([here, there], [want, want], "{context}");
    };
    sides(&mut client);
    pair.assert_settled(context);
    fs::read_dir(pair.mailtide.state()).unwrap().for_each(|e| fs::remove_file(e.unwrap().path()).unwrap());
    pair.sync();
    sides(&mut client);
    pair.assert_settled(context);
    assert_eq!(bodies(&log.commands()), Vec::<&String>::new(), "{context}: afterwards");
}

#[test]
fn duplicates_in_a_tree_of_another_program_stay_as_many_as_they_are() {
    for program in Program::ALL {
        on_each_server(|server, which| {
            // Cyrus is asked by OfflineIMAP for what it does not know.
            if which == "Cyrus" && program == Program::OfflineImap {
                return;
            }
            let context = format!("{program:?}, {which}");
            let scratch = Scratch::new();
            let peer = Peer::new(program, server, &scratch, Layout::Nested);
            let mut generator = Generator::new(42);
            let alike = [Kind::SharedMessageId, Kind::NoMessageId, Kind::EmptyBody].map(|kind| generator.of(kind));
            let mut made = 0;
            let mut next = || {
                made += 1;
                match made % 2 {
                    0 => alike[made % 3].clone(),
                    _ => generator.of([Kind::SharedMessageId, Kind::NoMessageId][made % 2]),
                }
            };
            fill(server, &peer, &mut next);
            let pair = adopt(server, &peer);
            let log = server.wire_log().mark();
            pair.sync();
            let commands = log.commands();
            assert_eq!(commands.iter().find(|c| c.starts_with("APPEND")), None, "{context}");
            for mailbox in MAILBOXES {
                let sides = [pair.tree.messages(mailbox).len(), server.client().uids(mailbox).len()];
                assert_eq!(sides, [MANY[0] + MANY[1]; 2], "{context}: {mailbox}");
            }
            let sides = [counts(&pair.tree.snapshot()), counts(&server.client().snapshot())];
            assert_eq!(sides[0], sides[1], "{context}");
            pair.assert_settled(&context);
            for mailbox in ["Work/Old", "Work"] {
                server.client().delete_mailbox(mailbox);
            }
            let mut client = server.client();
            let uids: Vec<String> = client.uids("INBOX").into_keys().map(|uid| uid.to_string()).collect();
            client.remove("INBOX", &uids.join(","));
        });
    }
}

#[test]
fn both_programs_in_one_tree_double_nothing() {
    let dovecot = Dovecot::start();
    let scratch = Scratch::new();
    let peer = Peer::new(Program::Mbsync, &dovecot, &scratch, Layout::Nested);
    let mut generator = Generator::new(43);
    fill(&dovecot, &peer, &mut || generator.of(Kind::Plain));
    let pair = Pair::new(&dovecot);
    let tree = &peer.tree.root;
    std::os::unix::fs::symlink(tree, &pair.tree.root).unwrap();
    pair.sync();
    // mbsync fetches what is new, and sends what is new; then comes our run.
    let mut client = dovecot.client();
    for n in 0..30 {
        client.append("Work", &generator.of(Kind::Plain), &[]);
        let tree = Tree::new(tree, Layout::Nested);
        tree.deliver("Work", &format!("1700000001.M{n}P2.host"), &with_lf(&generator.of(Kind::Plain)), Some("S"));
    }
    peer.run();
    pair.sync();
    peer.run();
    let all = MANY[0] + MANY[1] + 60;
    assert_eq!((client.uids("Work").len(), peer.tree.messages("Work").len()), (all, all));
    pair.assert_settled("two programs");
}
