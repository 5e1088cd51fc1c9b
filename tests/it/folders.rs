//! Mailboxes: made and removed on either side, with odd names, prefixes, filters and new names.

use std::collections::BTreeSet;

use crate::world::cyrus::Cyrus;
use crate::world::dovecot::{Dovecot, Options};
use crate::world::mail::Generator;
use crate::world::maildir::Layout;
use crate::world::pair::{Pair, Setting};
use crate::world::server::Server;

const LAYOUTS: [Layout; 2] = [Layout::Nested, Layout::MaildirPlusPlus];
/// What a server may call a mailbox: to a file system some of it means something else.
const ODD: [&str; 16] = [
    "cur",
    "A/cur",
    "A/new",
    "tmp/x",
    "A/..",
    "...",
    ".hidden",
    "A/.b",
    "%2E",
    "50%25",
    "~",
    "-rf",
    " lead",
    "dovecot-keywords",
    "q\"uo\\te",
    "日本/語",
];

fn set(names: impl IntoIterator<Item = impl Into<String>>) -> BTreeSet<String> {
    names.into_iter().map(Into::into).collect()
}

#[test]
fn made_and_removed_on_either_side() {
    for layout in LAYOUTS {
        let dovecot = Dovecot::start();
        made_and_removed(&dovecot, layout);
        if let Some(cyrus) = Cyrus::start() {
            made_and_removed(&cyrus, layout);
        }
    }
}

fn made_and_removed(server: &dyn Server, layout: Layout) {
    let pair = Pair::with(server, Setting { layout, ..Setting::default() });
    let mut client = server.client();
    let mut generator = Generator::new(1);
    client.create("Server");
    client.create("Server/Empty");
    client.append("Server", &generator.any(), &[]);
    for name in ["INBOX", "Local", "Local/Entwürfe", "Local/a & b"] {
        pair.tree.create_mailbox(name);
    }
    pair.tree.deliver("Local/Entwürfe", "1.x", b"Subject: x\n\n", None);
    pair.sync();
    let both = pair.assert_equal("made");
    let names = ["INBOX", "Local", "Local/Entwürfe", "Local/a & b", "Server", "Server/Empty", "Trash"];
    assert_eq!(set(both.0.keys()), set(names));
    pair.assert_settled("made");

    client.delete_mailbox("Local/Entwürfe");
    client.delete_mailbox("Local/a & b");
    pair.tree.delete_mailbox("Server/Empty");
    pair.tree.delete_mailbox("Server");
    pair.sync();
    let both = pair.assert_equal("removed");
    assert_eq!(set(both.0.keys()), set(["INBOX", "Local", "Trash"]));
    pair.assert_settled("removed");
}

#[test]
fn a_removed_mailbox_keeps_what_arrived_meanwhile() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    let mut client = dovecot.client();
    let mut generator = Generator::new(2);
    for name in ["HereGone", "ThereGone"] {
        client.create(name);
        client.append(name, &generator.any(), &[]);
    }
    pair.sync();
    pair.tree.delete_mailbox("HereGone");
    client.append("HereGone", b"Subject: meanwhile there\r\n\r\n", &[]);
    client.delete_mailbox("ThereGone");
    pair.tree.deliver("ThereGone", "1.x", b"Subject: meanwhile here\n\n", Some("S"));
    pair.sync();
    let both = pair.assert_equal("meanwhile");
    for name in ["HereGone", "ThereGone"] {
        assert_eq!(both.0[name].len(), 1, "{name}");
        assert!(both.0[name][0].label.starts_with("meanwhile"));
    }
    pair.assert_settled("meanwhile");
}

#[test]
fn what_is_not_ours_in_a_removed_mailbox_stays() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    dovecot.client().create("Gone");
    pair.sync();
    std::fs::write(pair.tree.dir("Gone").join("notes.txt"), "mine").unwrap();
    dovecot.client().delete_mailbox("Gone");
    pair.sync();
    assert_eq!(std::fs::read_to_string(pair.tree.dir("Gone").join("notes.txt")).unwrap(), "mine");
    assert!(!dovecot.client().mailboxes().contains(&"Gone".to_owned()));
    pair.assert_settled("a directory with notes in it");
}

#[test]
fn odd_names_stay_inside_the_tree_and_come_back() {
    for layout in LAYOUTS {
        // Maildir++ on the server, so that it takes names that mean something to a file system.
        let options = Options { extra: "mail_location = maildir:%h/mail\n", ..Options::default() };
        let dovecot = Dovecot::with(options);
        let mut client = dovecot.client();
        client.create("A");
        let mut taken = Vec::new();
        for name in ODD {
            if client.try_create(name) {
                taken.push(name);
            }
        }
        eprintln!("the server takes {taken:?}");
        assert!(taken.contains(&"A/cur") && taken.contains(&"cur"), "{taken:?}");
        let pair = Pair::with(&dovecot, Setting { layout, ..Setting::default() });
        let outside = std::fs::read_dir(pair.mailtide.home()).unwrap().count();
        for mailbox in client.mailboxes() {
            client.append(&mailbox, format!("Subject: in {mailbox}\r\n\r\n").as_bytes(), &["\\Seen"]);
        }
        pair.sync();
        let both = pair.assert_equal(&format!("{layout:?}"));
        for (mailbox, messages) in &both.0 {
            assert_eq!(messages.len(), 1, "{mailbox}: {messages:?}");
            assert_eq!(messages[0].label, format!("in {}", mailbox.trim_end()), "{layout:?}");
        }
        pair.assert_settled(&format!("{layout:?}"));
        // Beside the tree: the state and what the run said.
        let now = std::fs::read_dir(pair.mailtide.home()).unwrap().map(|e| e.unwrap().file_name());
        let strange: Vec<_> = now.filter(|n| !n.to_string_lossy().starts_with('.') && n != "Mail").collect();
        assert!(strange.is_empty() && outside <= 1, "{strange:?}");
        // From the tree to the server again.
        for name in ["Neu & gut", "x%y", "Größe"] {
            pair.tree.create_mailbox(name);
            pair.tree.deliver(name, "1.x", b"Subject: up\n\n", Some("S"));
        }
        pair.sync();
        pair.assert_equal(&format!("{layout:?}, up"));
    }
}

#[test]
fn a_name_the_server_cannot_have_is_reported_and_the_rest_goes_on() {
    let options = Options { separator: '.', prefix: "INBOX.", ..Options::default() };
    let dovecot = Dovecot::with(options);
    let pair = Pair::new(&dovecot);
    for name in ["dot.ted", "Fine"] {
        pair.tree.create_mailbox(name);
        pair.tree.deliver(name, "1.x", b"Subject: up\n\n", Some("S"));
    }
    for _ in 0..2 {
        pair.try_sync(&[]).expect(1).says(&["dot.ted"]);
        assert_eq!(dovecot.client().snapshot().0["Fine"].len(), 1);
        assert_eq!(pair.tree.messages("dot.ted").len(), 1);
    }
}

/// Mailboxes of the tree are made while their messages come: one that cannot be made keeps none of the others.
#[test]
fn a_mailbox_that_the_tree_cannot_have_is_reported_and_the_rest_comes() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    let mut client = dovecot.client();
    let names: Vec<String> = (0..45).map(|n| if n == 7 { "M07/deep".into() } else { format!("M{n:02}") }).collect();
    for name in &names {
        client.create(name);
        client.append(name, format!("Subject: one in {name}\r\n\r\n").as_bytes(), &[]);
        client.append(name, format!("Subject: two in {name}\r\n\r\n").as_bytes(), &[]);
    }
    let in_the_way = pair.tree.dir("M07");
    std::fs::create_dir_all(in_the_way.parent().unwrap()).unwrap();
    std::fs::write(&in_the_way, "a note").unwrap();
    let there = client.snapshot();
    for _ in 0..2 {
        pair.try_sync(&[]).expect(1).says(&["M07/deep"]);
        let here = pair.tree.snapshot();
        for name in names.iter().filter(|name| *name != "M07/deep") {
            assert_eq!(here.0[name.as_str()].len(), 2, "{name}");
        }
        assert_eq!(client.snapshot(), there);
    }
    assert_eq!(std::fs::read_to_string(&in_the_way).unwrap(), "a note");
    std::fs::remove_file(&in_the_way).unwrap();
    pair.sync();
    assert_eq!(pair.assert_equal("made at last").0["M07/deep"].len(), 2);
    pair.assert_settled("made at last");
}

#[test]
fn chosen_mailboxes_and_new_names() {
    let dovecot = Dovecot::start();
    let mut client = dovecot.client();
    for name in ["Spam", "Spam/Old", "Archive", "Lists", "Lists/rust"] {
        client.create(name);
        client.append(name, format!("Subject: {name}\r\n\r\n").as_bytes(), &[]);
    }
    let account = "mailboxes = [\"*\", \"!Spam*\", \"Spam/Old\"]\nrename = { \"Archive\" = \"Old/Archive\" }\n".into();
    let pair = Pair::with(&dovecot, Setting { account, ..Setting::default() });
    pair.sync();
    let names = ["INBOX", "Lists", "Lists/rust", "Old/Archive", "Spam/Old", "Trash"];
    assert_eq!(set(pair.tree.mailboxes().into_keys()), set(names));
    pair.tree.deliver("Old/Archive", "1.x", b"Subject: up\n\n", Some("S"));
    client.append("Lists", b"Subject: later\r\n\r\n", &[]);
    client.append("Lists/rust", b"Subject: later\r\n\r\n", &[]);
    pair.try_sync(&["--mailbox", "Lists/*"]).expect(0);
    let local = pair.tree.snapshot();
    assert_eq!((local.0["Lists"].len(), local.0["Lists/rust"].len()), (1, 2), "one mailbox was asked for");
    pair.sync();
    let (local, remote) = (pair.tree.snapshot(), client.snapshot());
    assert_eq!(local.0["Old/Archive"], remote.0["Archive"]);
    assert_eq!((remote.0["Archive"].len(), local.0["Lists"].len()), (2, 2));
    assert!(!local.0.contains_key("Spam"));
    pair.assert_settled("filters and new names");
    // A mailbox that is filtered out now was not deleted.
    pair.configure(&Setting { account: "mailboxes = [\"INBOX\"]\n".into(), ..Setting::default() });
    pair.sync();
    assert_eq!(pair.tree.mailboxes().len(), names.len());
    assert_eq!(client.snapshot(), remote);
}

#[test]
fn a_mailbox_that_a_kill_left_half_made_is_completed() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    let mut client = dovecot.client();
    client.create("Half");
    client.append("Half", b"Subject: whole\r\n\r\n", &[]);
    std::fs::create_dir_all(pair.tree.dir("Half").join("cur")).unwrap();
    pair.sync();
    assert_eq!(pair.assert_equal("completed").0["Half"].len(), 1);
    pair.assert_settled("completed");
    // Once there was mail in it, a lacking directory is a question for its owner.
    std::fs::remove_dir_all(pair.tree.dir("Half").join("new")).unwrap();
    pair.try_sync(&[]).expect(1).says(&["no directory `new`", "mkdir"]);
    assert_eq!(client.snapshot().0["Half"].len(), 1);
}

#[test]
fn a_flag_that_a_new_mailbox_cannot_keep_stays_in_the_tree() {
    // Nobody may set flags but \\Seen and \\Deleted, in new mailboxes either.
    let extra = "mail_plugins = acl\nprotocol imap {\n  mail_plugins = acl zlib imap_zlib\n}\n\
                 plugin {\n  acl = vfile\n  acl_defaults_from_inbox = yes\n}\n";
    let dovecot = Dovecot::with(Options { extra, ..Options::default() });
    dovecot.client().append("INBOX", b"Subject: first\r\n\r\n", &[]);
    std::fs::write(dovecot.maildir("INBOX").join("dovecot-acl"), "owner lrstipekxa\n").unwrap();
    crate::world::scratch::give_away(&dovecot.maildir("INBOX"));
    let pair = Pair::new(&dovecot);
    pair.tree.create_mailbox("Up");
    let letter = pair.tree.keyword_letter("Up", "Work");
    pair.tree.deliver("Up", "17.1", b"Subject: flagged\n\n", Some(&format!("FS{letter}")));
    pair.sync();
    let uids = dovecot.client().uids("Up");
    assert_eq!(uids.into_values().collect::<Vec<_>>(), [set(["\\Seen"])], "the server keeps no other");
    for n in 0..3 {
        pair.sync();
        assert_eq!(pair.tree.messages("Up")[0].letters(), format!("FS{letter}"), "run {n}");
    }
    pair.assert_settled("flags that stay here");
}

/// The directory of an empty mailbox, from which a kill left `remains` while it was removed.
fn removed_in_part(remains: &[&str]) {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    dovecot.client().create("A");
    pair.sync();
    dovecot.client().delete_mailbox("A");
    for part in ["new", "cur", "tmp"].iter().filter(|part| !remains.contains(part)) {
        std::fs::remove_dir(pair.tree.dir("A").join(part)).unwrap();
    }
    pair.sync();
    assert!(!pair.tree.dir("A").exists(), "{remains:?} stay");
    pair.assert_settled("removed");
}

#[test]
fn a_removal_that_a_kill_cut_short_goes_on() {
    removed_in_part(&["cur", "tmp"]);
    removed_in_part(&["tmp"]);
}

#[test]
fn a_mailbox_with_mail_that_lacks_a_directory_is_left_to_a_person() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    let mut client = dovecot.client();
    client.create("A");
    client.append("A", b"Subject: x\r\n\r\n", &["\\Seen"]);
    pair.sync();
    std::fs::remove_dir_all(pair.tree.dir("A").join("cur")).unwrap();
    pair.try_sync(&[]).expect(1).says(&["has no directory `cur`"]);
    assert_eq!(client.uids("A").len(), 1);
}
