//! Names that a terminal would act on: what every command says of them, in text and as NDJSON, can be shown.
//!
//! The search for such characters is in every run of every test, see `world::terminal`; here each run has some to show.

use std::os::unix::fs::symlink;

use crate::world::dovecot::Dovecot;
use crate::world::maildrop::{Fault, Maildrop};
use crate::world::pair::Pair;
use crate::world::post::Post;
use crate::world::process::Outcome;
use crate::world::server::Server;

/// A run that names what there is.
#[track_caller]
fn names(outcome: Outcome, said: &str) {
    let text = format!("{}{}", outcome.stdout, outcome.stderr);
    // What stands for the octet before it differs.
    assert!(text.contains("[2J"), "{said} names nothing:\n{text}");
}

#[test]
fn names_of_mailboxes_and_files_are_escaped_by_every_command() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    pair.sync();
    // The first is left alone, and named where that is told; the second is sent.
    let odd = ["clear\u{1b}[2J\u{9b}31m", "turned\u{202e}round"];
    for name in odd {
        pair.tree.create_mailbox(name);
        pair.tree.deliver(name, "17.M1\u{1b}[2J\u{7}.host", b"Subject: odd\n\nx\n", Some("S"));
    }
    dovecot.client().try_create("there\u{202e}\u{1b}[2J");
    // No message: each run says so, with its name.
    symlink("/nowhere", pair.tree.dir("INBOX").join("cur/17.M2\u{1b}[2J.host:2,S")).unwrap();
    let config = pair.config.to_str().unwrap();
    for args in [
        &["sync", "--dry-run"][..],
        &["sync", "--dry-run", "-vvv"],
        &["sync", "--dry-run", "--json"],
        &["mailboxes"],
        &["mailboxes", "--json"],
        &["sync", "-vvv"],
        &["sync", "--json"],
        &["sync"],
        &["status"],
        &["status", "--json"],
    ] {
        names(pair.mailtide.run(&[args, &["-c", config]].concat()), &args.join(" "));
    }
    for args in [&["check"][..], &["check", "--json"]] {
        pair.mailtide.run(&[args, &["-c", config]].concat());
    }
    // Their mail goes, all at once: what is refused is named, and the command that allows it.
    odd.iter().for_each(|name| pair.tree.messages(name).remove(0).delete());
    for args in [&["sync", "--dry-run"][..], &["sync", "-vvv"]] {
        names(pair.mailtide.run(&[args, &["-c", config]].concat()), &args.join(" "));
    }
}

#[test]
fn unique_ids_of_a_maildrop_are_escaped() {
    let maildrop = Maildrop::start(&[b"Subject: x\r\n\r\ny\r\n".to_vec()]);
    let post = Post::new(&maildrop, "");
    let refused = Fault::RefuseRetr { number: 1, words: "-ERR it is damaged\x1b[2J" };
    maildrop.trouble(&[Fault::saying("UIDL", b"+OK\r\n1 a\x1b[2J\r\n.\r\n".to_vec()), refused]);
    for (command, more) in [
        ("pop", &["--list"][..]),
        ("pop", &["--list", "--json"]),
        ("sync", &["-vvv"]),
        ("sync", &["--json"]),
        ("status", &[]),
        ("status", &["--json"]),
    ] {
        names(post.run(command, more), &format!("{command} {}", more.join(" ")));
    }
}
