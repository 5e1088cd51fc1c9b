//! `mailtide check` says of the tree what a run makes of it: the same exit code, and a fix.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::bad_input::on_a_small_disk;
use super::world::dovecot::Dovecot;
use super::world::mail::Generator;
use super::world::maildrop::Maildrop;
use super::world::pair::{Pair, Setting};
use super::world::post::Post;
use super::world::process::As;
use super::world::scratch::give_away;
use super::world::server::Server;

fn close(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn below(root: &Path, dir: &str) -> PathBuf {
    if dir.is_empty() { root.to_owned() } else { root.join(dir) }
}

/// Directories below the tree's root, the mode that each gets in turn, and how a POP3 account's run ends then.
const CLOSED: [(&str, u32, i32); 7] = [
    ("", 0o500, 3),
    ("", 0o000, 3),
    ("INBOX", 0o000, 3),
    ("INBOX/new", 0o000, 3),
    ("INBOX/cur", 0o000, 3),
    ("INBOX/new", 0o500, 3),
    ("INBOX/tmp", 0o500, 3),
];

#[test]
fn a_closed_tree_of_a_maildrop() {
    let maildrop = Maildrop::start(&[b"Subject: first\r\n\r\n1\r\n".to_vec()]);
    let post = Post::run_as(maildrop.port(), "", As::Unprivileged);
    post.sync();
    post.run("check", &[]).expect(0);
    for (dir, mode, exit) in CLOSED {
        maildrop.deliver(format!("Subject: {dir} {mode}\r\n\r\nx\r\n").as_bytes());
        let path = below(&post.tree.root, dir);
        close(&path, mode);
        let checked = post.run("check", &[]);
        let ran = post.try_sync();
        close(&path, 0o700);
        assert_eq!((ran.code(), checked.code()), (exit, exit), "{dir:?} {mode:o}: {ran:#?}{checked:#?}");
        checked.says(&["FAIL  home: tree: ", path.to_str().unwrap(), "ermission denied", "fix:"]);
        post.sync();
    }
    // What is no business of the maildrop's is none of the check's.
    post.tree.create_mailbox("Other");
    give_away(&post.tree.root);
    close(&post.tree.root.join("Other"), 0o000);
    maildrop.deliver(b"Subject: last\r\n\r\nx\r\n");
    post.run("check", &[]).expect(0);
    post.sync().says(&["1 new"]);

    // Unless it has to be known what is not there any more.
    post.configure("delete-after-local-deletion = true");
    post.run("check", &[]).expect(3).says(&["FAIL  home: tree: ", "Mail/Other", "fix:"]);
    post.tree.messages("INBOX").remove(0).delete();
    post.try_sync().expect(3).says(&["Mail/Other"]);
    close(&post.tree.root.join("Other"), 0o700);
    post.run("check", &[]).expect(0);
    post.sync().says(&["1 deleted on the server"]);
}

/// With IMAP a mailbox that cannot be used costs that mailbox.
#[test]
fn a_closed_tree_of_an_imap_account() {
    let dovecot = Dovecot::start();
    let pair = Pair::with(&dovecot, Setting { run_as: As::Unprivileged, ..Setting::default() });
    let mut generator = Generator::new(3);
    dovecot.client().append("INBOX", &generator.any(), &[]);
    pair.sync();
    let check = || pair.mailtide.run(&["check", "--config", pair.config.to_str().unwrap()]);
    check().expect(0);
    for (dir, mode, exit) in CLOSED.map(|(dir, mode, exit)| (dir, mode, if dir.is_empty() { exit } else { 1 })) {
        dovecot.client().append("INBOX", &generator.any(), &[]);
        let path = below(&pair.tree.root, dir);
        close(&path, mode);
        let checked = check();
        let ran = pair.try_sync(&[]);
        close(&path, 0o700);
        assert_eq!((ran.code(), checked.code()), (exit, exit), "{dir:?} {mode:o}: {ran:#?}{checked:#?}");
        checked.says(&["FAIL  work: tree: ", path.to_str().unwrap(), "ermission denied", "fix:"]);
        pair.sync();
    }
    // Nor is one looked at that takes no part.
    let setting = Setting { account: "mailboxes = [\"*\", \"!Other\"]".to_owned(), ..Setting::default() };
    pair.configure(&setting);
    pair.tree.create_mailbox("Other");
    give_away(&pair.tree.root);
    for (dir, mode) in [("Other/new", 0o000), ("Other/new", 0o500), ("Other", 0o000)] {
        let path = below(&pair.tree.root, dir);
        close(&path, mode);
        let (checked, ran) = (check(), pair.try_sync(&[]));
        close(&path, 0o700);
        assert_eq!((ran.code(), checked.code()), (0, 0), "{dir:?} {mode:o}: {ran:#?}{checked:#?}");
    }
}

/// Where no tree can be made, a first run fails.
#[test]
fn a_tree_that_cannot_be_made() {
    let maildrop = Maildrop::start(&[]);
    let post = Post::run_as(maildrop.port(), "", As::Unprivileged);
    let above = post.scratch.directory("above");
    let text = fs::read_to_string(&post.config).unwrap();
    let root = above.join("a/Mail");
    fs::write(&post.config, text.replace(post.tree.root.to_str().unwrap(), root.to_str().unwrap())).unwrap();
    post.run("check", &[]).expect(0).says(&["does not exist yet"]);
    close(&above, 0o500);
    post.run("check", &[]).expect(3).says(&["FAIL  home: tree: ", above.to_str().unwrap(), "fix:"]);
    post.try_sync().expect(3);
    assert!(!root.exists());
    close(&above, 0o700);
    post.sync();
}

/// Root itself may write anywhere but here.
#[test]
fn a_tree_that_is_mounted_read_only() {
    let maildrop = Maildrop::start(&[b"Subject: first\r\n\r\n1\r\n".to_vec()]);
    let post = Post::new(&maildrop, "");
    fs::create_dir(&post.tree.root).unwrap();
    let on = |command: &str| format!("\"$MAILTIDE\" {command} --config '{}'", post.config.display());
    let line = format!(
        "{check}; before=$?; mount -o remount,ro '{0}'; {check}; then=$?; {sync}; echo codes $before $then $?",
        post.tree.root.display(),
        check = on("check"),
        sync = on("sync"),
    );
    let Some(line) = on_a_small_disk(&post.tree.root, 4000, &line) else { return };
    let outcome = post.mailtide.run_shell(&line);
    outcome.says(&["codes 0 3 3", "FAIL  home: tree: ", "mounted read-only", "Mount it for writing"]);
}
