//! Many of everything: a hundred accounts in one run, and more mailboxes than a process may have files open.

use std::fs;
use std::ops::Range;

use crate::world::dovecot::Dovecot;
use crate::world::maildir::{Layout, Tree};
use crate::world::pair::Pair;
use crate::world::process::{As, Mailtide};
use crate::world::scratch::{self, Scratch};
use crate::world::server::{Server, USER};

/// One of a hundred accounts cannot be reached: the others do not care, and the exit code tells.
#[test]
fn a_hundred_accounts_in_one_run() {
    let dovecot = Dovecot::start();
    let mut client = dovecot.client();
    client.append("INBOX", b"Subject: one\r\n\r\nfor all\r\n", &[]);
    client.create("Other");
    client.append("Other", b"Subject: two\r\n\r\nfor all\r\n", &[]);
    let scratch = Scratch::new();
    let mailtide = Mailtide::new(&scratch, As::Me);
    let config = scratch.path().join("mailtide.toml");
    let ca = dovecot.ca_file().display();
    let mut text = String::new();
    for n in 0..100 {
        let port = if n == 50 { 1 } else { dovecot.tls_port() };
        text.push_str(&format!(
            "[accounts.a{n}]\nmaildir = \"~/Mail/{n}\"\n[accounts.a{n}.imap]\nhost = \"localhost\"\nport = {port}\n\
             user = \"{USER}\"\nca-file = \"{ca}\"\ntimeout = \"5s\"\nconnections = 1\n\
             password = {{ env = \"MAILTIDE_PASSWORD\" }}\n"
        ));
    }
    fs::write(&config, text).unwrap();
    let args = ["sync", "--config", config.to_str().unwrap()];
    mailtide.run(&args).expect(5).says(&["a50: ", "a99: in sync"]);
    for n in (0..100).filter(|n| *n != 50) {
        let tree = Tree::new(mailtide.home().join(format!("Mail/{n}")), Layout::Nested);
        assert_eq!((tree.messages("INBOX").len(), tree.messages("Other").len()), (1, 1), "account {n}");
    }
    let again = mailtide.run(&args).expect(5);
    assert_eq!(again.stdout.matches("nothing changed").count(), 99, "{}", again.stdout);
}

/// Puts a message for each number into the server's own mailbox of the name that is made of it.
fn stock(dovecot: &Dovecot, numbers: Range<usize>, name: impl Fn(usize) -> String) {
    for n in numbers {
        let cur = dovecot.maildir(&name(n)).join("cur");
        fs::create_dir_all(&cur).unwrap();
        ["new", "tmp"].iter().for_each(|sub| fs::create_dir_all(cur.with_file_name(sub)).unwrap());
        fs::write(cur.join(format!("17.{n}.x:2,S")), format!("Subject: there {n}\n\nx\n")).unwrap();
    }
    scratch::give_away(&dovecot.maildir(""));
}

/// A process may have 256 files open, and there are 600 mailboxes, new on each side.
#[test]
fn more_mailboxes_than_open_files() {
    let dovecot = Dovecot::start();
    stock(&dovecot, 0..300, |n| format!("there-{n}"));
    let pair = Pair::new(&dovecot);
    for n in 0..300 {
        let name = format!("here-{n}");
        pair.tree.create_mailbox(&name);
        pair.tree.deliver(&name, "17.1", format!("Subject: here {n}\n\nx\n").as_bytes(), Some("S"));
    }
    let line = format!("ulimit -n 256; exec \"$MAILTIDE\" sync --config '{}' work", pair.config.display());
    pair.mailtide.run_shell(&line).expect(0).says(&["300 new"]);
    pair.assert_equal("600 mailboxes");
    pair.assert_settled("600 mailboxes");
}

/// The disk takes its time, the server does not, and each message goes into a mailbox of its own.
#[test]
fn more_messages_on_their_way_than_open_files() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    let name = |n| format!("box-{}", n % 300);
    stock(&dovecot, 0..300, name);
    pair.sync();
    stock(&dovecot, 300..600, name);
    let sync = format!("exec \"$MAILTIDE\" sync --config '{}' work", pair.config.display());
    pair.mailtide
        .run_shell(&format!("ulimit -n 200; export MAILTIDE_FAULT=slow@100; {sync}"))
        .expect(0)
        .says(&["300 new"]);
    pair.assert_equal("300 mailboxes");
}
