//! Runs a behaviour: a tree that has synced mail, work on both sides, a run against the hostile server, and then a good
//! one again. What is demanded of every row alike stands in `promises`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::behaviour::{Behaviour, May, Protection};
use super::promises::{self, Bounds};
use super::server::Server;
use crate::world::certs;
use crate::world::compare::Snapshot;
use crate::world::maildir::{Layout, Tree};
use crate::world::process::{As, Mailtide, Outcome};
use crate::world::scratch::Scratch;
use crate::world::server::USER;

/// A run that lasts longer hangs. Every one that is to fail has `timeout = "2s"`, and at most three tries.
const LIMIT: Duration = Duration::from_secs(90);
/// Rows that run at once: most of them wait.
const AT_ONCE: usize = 12;

/// Runs those that do not wait; fails with every row that failed.
pub fn run_all(mut rows: Vec<Behaviour>) {
    rows.retain(|row| !row.waits);
    run_named(rows.into_iter().map(|row| (row.name.clone(), move || run(row))).collect(), AT_ONCE);
}

/// Runs those that wait, all at once.
pub fn run_waiting(mut rows: Vec<Behaviour>) {
    rows.retain(|row| row.waits);
    let at_once = rows.len();
    run_named(rows.into_iter().map(|row| (row.name.clone(), move || run(row))).collect(), at_once);
}

/// Runs all of them, some at once; fails with every one that failed.
pub fn run_named(rows: Vec<(String, impl FnOnce() + Send)>, at_once: usize) {
    let only = std::env::var("HOSTILE_ROW").unwrap_or_default();
    let rows: Vec<_> = rows.into_iter().filter(|(name, _)| name.contains(&only)).map(|r| Mutex::new(Some(r))).collect();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let Some((name, run)) = row.lock().unwrap().take() else { continue };
                    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err() {
                        failed.lock().unwrap().push(name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} rows failed: {failed:#?}", failed.len(), rows.len());
}

/// A message that says which one it is.
fn mail(name: &str) -> Vec<u8> {
    let lines = "A line of text that is there to be kept.\r\n".repeat(name.len() + 3);
    format!(
        "From: ann@example.org\r\nTo: me@example.org\r\nSubject: {name}\r\nMessage-ID: <{name}@example.org>\r\n\
         Date: Thu, 01 Jan 2026 12:00:00 +0000\r\n\r\n{lines}{name}\r\n"
    )
    .into_bytes()
}

fn with_lf(name: &str) -> Vec<u8> {
    crate::world::mail::with_lf(&mail(name))
}

struct Scene {
    server: Server,
    scratch: Scratch,
    mailtide: Mailtide,
    tree: Tree,
    prefix: &'static str,
}

impl Scene {
    /// A server with mail, and a tree in sync with it.
    fn set(row: &Behaviour) -> Scene {
        let scratch = Scratch::new();
        let certificates = scratch.directory("certificates");
        let ca = certs::write_authority(&certificates);
        let server = Server::start(row.capability, row.prefix, row.protection, &certificates);
        let mailtide = Mailtide::new(&scratch, As::Me);
        let tree = Tree::new(mailtide.home().join("Mail"), Layout::Nested);
        let protection = match row.protection {
            Protection::None => "tls = \"none\"".to_owned(),
            Protection::StartTls => format!("tls = \"starttls\"\nca-file = \"{}\"", ca.display()),
            Protection::Implicit => format!("ca-file = \"{}\"", ca.display()),
        };
        // One that should end well waits for no silence: a machine that is busy may have its time.
        let timeout = if row.must.exit == [0] { 10 } else { 2 };
        let config = format!(
            "[accounts.work]\nmaildir = \"{}\"\n[accounts.work.imap]\nhost = \"localhost\"\nport = {}\nuser = \"{USER}\"\n\
             password = {{ env = \"MAILTIDE_PASSWORD\" }}\n{protection}\ntimeout = \"{timeout}s\"\n",
            tree.root.display(),
            server.port
        );
        std::fs::write(scratch.path().join("mailtide.toml"), config).unwrap();
        let scene = Scene { server, scratch, mailtide, tree, prefix: row.prefix };
        let mut store = scene.server.store();
        for (mailbox, names) in [
            ("INBOX", &["m1", "m2", "m3", "m4", "m5", "m6"][..]),
            ("Archive", &["a1", "a2", "a3"]),
            ("Old", &["o1"]),
            ("Drafts", &[]),
        ] {
            let mailbox = scene.wire(mailbox);
            store.create(&mailbox);
            for (n, name) in names.iter().enumerate() {
                let flags: &[&str] = if n % 2 == 0 { &["\\Seen"] } else { &[] };
                store.mailbox(&mailbox).add(&mail(name), flags, None);
            }
        }
        drop(store);
        scene.sync(&[]).expect(0);
        scene
    }

    fn wire(&self, name: &str) -> String {
        if name == "INBOX" { name.to_owned() } else { format!("{}{name}", self.prefix) }
    }

    fn sync(&self, more: &[&str]) -> Outcome {
        let config = self.scratch.path().join("mailtide.toml");
        let mut args = vec!["sync", "-c", config.to_str().unwrap()];
        args.extend_from_slice(more);
        self.mailtide.start(&args).wait_at_most(LIMIT)
    }

    /// Changes of every kind on both sides; gives what both have to be in the end.
    fn work(&self) -> Snapshot {
        let mut expected = self.server.store().clone();
        {
            let mut store = self.server.store();
            store.mailbox("INBOX").add(&mail("n1"), &[], None);
            store.mailbox("INBOX").store(1, Some('+'), &["\\Flagged"]);
            store.mailbox(&self.wire("Drafts")).add(&mail("n2"), &["\\Seen"], None);
        }
        let mut inbox = self.tree.messages("INBOX");
        let mut take = |name: &str| {
            let subject = format!("Subject: {name}\n");
            let at = inbox.iter().position(|m| String::from_utf8_lossy(&m.bytes()).contains(&subject)).unwrap();
            inbox.remove(at)
        };
        take("m2").set_letters("S");
        take("m3").delete();
        let moved = take("m4");
        let archive = self.tree.dir("Archive");
        std::fs::rename(&moved.path, archive.join("cur").join("1700000000.moved:2,")).unwrap();
        std::fs::copy(take("m5").path, archive.join("cur").join("1700000000.copied:2,S")).unwrap();
        self.tree.deliver("Archive", "1700000000.l1", &with_lf("l1"), Some("S"));
        self.tree.create_mailbox("New");
        self.tree.deliver("New", "1700000000.l2", &with_lf("l2"), Some("S"));
        self.tree.delete_mailbox("Old");
        // The same on the model.
        let archive = self.wire("Archive");
        expected.mailbox("INBOX").add(&mail("n1"), &[], None);
        expected.mailbox("INBOX").store(1, Some('+'), &["\\Flagged"]);
        expected.mailbox("INBOX").store(2, Some('+'), &["\\Seen"]);
        expected.mailbox(&self.wire("Drafts")).add(&mail("n2"), &["\\Seen"], None);
        expected.mailbox("INBOX").remove(3);
        expected.mailbox("INBOX").remove(4);
        expected.mailbox(&archive).add(&mail("m4"), &[], None);
        expected.mailbox(&archive).add(&mail("m5"), &["\\Seen"], None);
        expected.mailbox(&archive).add(&mail("l1"), &["\\Seen"], None);
        expected.create(&self.wire("New"));
        expected.mailbox(&self.wire("New")).add(&mail("l2"), &["\\Seen"], None);
        expected.mailboxes.remove(&self.wire("Old"));
        expected.snapshot(self.prefix)
    }

    fn server_snapshot(&self) -> Snapshot {
        self.server.store().snapshot(self.prefix)
    }
}

fn run(row: Behaviour) {
    let scene = Scene::set(&row);
    let expected = scene.work();
    let listed: Vec<String> = row.lists.iter().map(|name| name.iter().copied().map(char::from).collect()).collect();
    for name in &listed {
        scene.server.store().create(name);
        scene.server.store().mailbox(name).add(&mail("evil"), &[], None);
    }
    let before = (scene.tree.snapshot(), scene.server_snapshot());
    let paths = promises::outside(scene.scratch.path(), &scene.tree.root, &scene.mailtide.state());
    let name = row.name.as_str();
    scene.server.behave(row.says);
    // Quietly, and then with all that can be said of it.
    let runs: &[&[&str]] = if row.waits { &[&["-vvv"]] } else { &[&[], &["-vvv"]] };
    for (run, arguments) in runs.iter().enumerate() {
        let outcome = scene.sync(&[row.arguments, *arguments].concat());
        let said = format!("{name} {arguments:?}\n--- stdout\n{}\n--- stderr\n{}", outcome.stdout, outcome.stderr);
        if run == 0 {
            assert!(
                row.must.exit.contains(&outcome.code()),
                "{} is not of {:?}: {said}",
                outcome.code(),
                row.must.exit
            );
            for words in &row.must.tells {
                let found = outcome.stderr.contains(words) || outcome.stdout.contains(words);
                assert!(found, "nothing says `{words}`: {said}");
            }
            let unused = scene.server.unused_twists();
            assert!(unused.is_empty(), "{name}: nobody said {unused:?}: {:#?}", scene.server.heard());
        }
        promises::said_safely(&outcome, promises::MOST_KIB, &said);
        promises::nothing_hidden_in(scene.scratch.path(), &said);
        let now = (scene.tree.snapshot(), scene.server_snapshot());
        let bounds = |before, elsewhere| Bounds { before, elsewhere, expected: &expected, may: row.must.may.clone() };
        bounds(&before.0, &before.1).without(&[May::GoThere]).hold(&now.0, "the tree", &said);
        bounds(&before.1, &before.0).without(&[May::Go, May::Come]).hold(&now.1, "the server", &said);
        let paths_now = promises::outside(scene.scratch.path(), &scene.tree.root, &scene.mailtide.state());
        assert_eq!(paths, paths_now, "{said}: something was made outside");
        promises::nothing_half(&scene.tree, &said);
    }
    if row.protection != Protection::None {
        let open: Vec<_> = scene.server.heard().into_iter().filter(|h| !h.protected).collect();
        assert!(!open.iter().any(|h| promises::has_password(&h.text)), "{name}: a password in the open: {open:?}");
    }
    scene.server.behave(Vec::new());
    scene.server.store().mailboxes.retain(|name, _| !listed.contains(name));
    let good = scene.sync(&[]);
    let said = format!("{name}, then a good server\n--- stdout\n{}\n--- stderr\n{}", good.stdout, good.stderr);
    assert_eq!(good.code(), 0, "{said}");
    let sides = [("the tree", scene.tree.snapshot()), ("the server", scene.server_snapshot())];
    if row.must.may.contains(&May::Remain) {
        // What is there in the end is what both have, and nothing of it is lost.
        crate::world::compare::assert_same((sides[0].0, &sides[0].1), (sides[1].0, &sides[1].1), &said);
        promises::nothing_lost(&sides[0].1, &expected, &before.1, &said);
    } else {
        for (side, snapshot) in &sides {
            let diff = snapshot.diff(&expected, [side, "expected"]);
            assert!(diff.is_empty(), "{said}\n{diff}");
        }
    }
    let heard = scene.server.heard().len();
    scene.sync(&[]).expect(0);
    let changing: Vec<_> = scene.server.heard().split_off(heard).into_iter().filter(promises::changes).collect();
    assert!(changing.is_empty(), "{said}\nthe run after it says {changing:?}");
}
