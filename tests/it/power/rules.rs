//! What must hold of the order of things in a run, whatever it does. Each rule gives what breaks it, in words.

use std::path::{Path, PathBuf};

use super::disk::{Commit, Disk, log_of};
use super::trace::{Act, Event, is_message};

/// A traced run.
pub struct Run {
    pub events: Vec<Event>,
    pub disk: Disk,
    pub commits: Vec<Commit>,
    pub database: PathBuf,
    pub tree: PathBuf,
    pub home: PathBuf,
    /// What other programs have put into the tree and not flushed.
    pub foreign: Vec<PathBuf>,
}

/// Ours, and of no consequence: what is on its way, locks, what SQLite makes anew, and the outputs.
fn counts(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !(name.ends_with(".mailtide-tmp") || name.ends_with("-shm") || name.ends_with(".lock") || name.starts_with(".std"))
}

fn unique(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split_once(":2,").map_or(&*name, |(unique, _)| unique).to_owned()
}

/// A command by which a server destroys mail, whole lines of what was said.
fn destroys(line: &str) -> bool {
    let words = line.to_ascii_uppercase();
    let command = words.split_once(' ').map(|(_, command)| command).unwrap_or_default();
    words.starts_with("DELE ")
        || ["EXPUNGE", "UID EXPUNGE", "UID MOVE", "MOVE", "CLOSE", "DELETE"].iter().any(|c| command.starts_with(c))
        || (command.contains("STORE") && command.contains("+FLAGS") && command.contains("\\DELETED"))
}

/// Whether a command names the message: `A1 UID STORE 1:3,7 …`.
fn names(line: &str, uid: u32) -> bool {
    let mut words = line.split(' ').skip(1);
    let set = words.next().filter(|word| word.eq_ignore_ascii_case("UID")).and_then(|_| words.nth(1));
    set.into_iter().flat_map(|set| set.split(',')).any(|range| {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        matches!((first.parse::<u32>(), last.parse::<u32>()), (Ok(first), Ok(last)) if (first..=last).contains(&uid))
    })
}

impl Run {
    /// Everything said to a server, line by line, with the beginning of the call.
    pub fn said(&self) -> impl Iterator<Item = (usize, &str)> {
        self.events.iter().flat_map(|event| match &event.act {
            Act::Said(text) => text.lines().map(|line| (event.start, line)).collect(),
            _ => Vec::new(),
        })
    }

    /// When a server's line that begins so was first heard after `moment`.
    fn heard(&self, begin: &str, moment: usize) -> Option<usize> {
        let has = |event: &&Event| {
            event.start > moment && matches!(&event.act, Act::Heard(text) if text.lines().any(|l| l.starts_with(begin)))
        };
        self.events.iter().find(has).map(|event| event.end)
    }

    /// Each transaction with the one before it.
    fn steps(&self) -> impl Iterator<Item = (&Commit, &Commit)> {
        self.commits.iter().zip(self.commits.iter().skip(1))
    }

    /// The message files there at `moment`, as far as the run named them, or as they were when it began.
    fn files(&self, moment: usize) -> Vec<PathBuf> {
        let mut files = self.foreign.clone();
        for event in self.events.iter().filter(|event| event.end < moment) {
            match &event.act {
                Act::Made(path) | Act::Linked(_, path) => files.push(path.clone()),
                Act::Renamed(from, to) => {
                    files.retain(|path| path != from);
                    files.push(to.clone());
                }
                Act::Removed(gone) => files.retain(|path| path != gone),
                _ => {}
            }
        }
        files.retain(|path| is_message(path));
        files
    }

    /// No file gets its name before its octets are on disk.
    pub fn whole_before_named(&self) -> Vec<String> {
        let named = |event: &Event| match &event.act {
            Act::Renamed(from, to) | Act::Linked(from, to) if counts(to) && !self.disk.is_whole(from, event.start) => {
                Some(format!("{} is named before it is on disk", to.display()))
            }
            _ => None,
        };
        self.events.iter().filter_map(named).collect()
    }

    /// No transaction knows of a file that the power could still take, nor follows a change of the tree that it could
    /// still undo.
    pub fn durable_before_recorded(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (before, after) in self.steps() {
            let ours =
                |path: &Path| is_message(path) && path.starts_with(&self.tree) && !self.foreign.contains(&path.into());
            broken.extend(self.disk.loses(after.start, ours));
            let there = self.files(after.start);
            let linked =
                after.held.links.iter().filter(|(key, link)| before.held.links.get(key) != Some(link) && link.1);
            let delivered = after.held.messages.iter().filter(|(serial, message)| {
                before.held.messages.get(serial).and_then(|old| old.1.as_ref()) != message.1.as_ref()
            });
            let names = linked.map(|(_, link)| &link.0).chain(delivered.filter_map(|(_, message)| message.1.as_ref()));
            for name in names {
                match there.iter().find(|path| unique(path) == *name) {
                    Some(path) => broken.extend(self.disk.loses_of(path, after.start)),
                    // It was there when the run began, and known to be durable.
                    None if before.held.links.values().any(|link| link.0 == *name) => {}
                    None => broken.push(format!("{name} is recorded and not there")),
                }
            }
        }
        broken.into_iter().map(|what| format!("recorded before it was durable: {what}")).collect()
    }

    /// No link is forgotten while its file is there.
    pub fn gone_here_before_forgotten(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (before, after) in self.steps() {
            let known = |name: &String| after.held.links.values().any(|link| link.0 == *name);
            for (name, has_file) in before.held.links.values().filter(|link| !known(&link.0)) {
                let went = |event: &Event| {
                    event.end < after.start
                        && matches!(&event.act, Act::Removed(path) | Act::Renamed(path, _) if unique(path) == *name)
                };
                let was_there = self.events.iter().any(|event| {
                    matches!(&event.act, Act::Removed(path) | Act::Renamed(path, _) if is_message(path) && unique(path) == *name)
                });
                if *has_file && was_there && !self.events.iter().any(went) {
                    broken.push(format!("{name} is forgotten before it is gone"));
                }
            }
        }
        broken
    }

    /// Nothing is deleted on a server while the power could still take anything that was written here, or while a
    /// transaction is not on disk.
    pub fn durable_before_deleted_there(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (moment, line) in self.said().filter(|(_, line)| destroys(line)) {
            let meant =
                |path: &Path| counts(path) && path.starts_with(&self.home) && !self.foreign.contains(&path.into());
            broken.extend(
                self.disk.loses(moment, meant).into_iter().map(|what| format!("`{line}` before {what} is safe")),
            );
            if self.commits.iter().any(|commit| commit.start < moment && commit.end > moment) {
                broken.push(format!("`{line}` in the midst of a transaction"));
            }
        }
        broken
    }

    /// The mailbox that was open at `moment`, as it was said.
    fn open_mailbox(&self, moment: usize) -> &str {
        let opens = |line: &str| line.contains(" SELECT ") || line.contains(" EXAMINE ");
        self.said().filter(|(said, line)| *said < moment && opens(line)).last().map_or("", |(_, line)| line)
    }

    /// What a server was told to destroy is forgotten only after it has said that it did.
    pub fn answered_before_forgotten(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (before, after) in self.steps() {
            let forgotten: Vec<_> =
                before.held.links.keys().filter(|key| !after.held.links.contains_key(key)).collect();
            let forgets = !forgotten.is_empty();
            for (moment, line) in self.said().filter(|(moment, line)| *moment >= after.start && destroys(line)) {
                let open = self.open_mailbox(moment);
                let is_meant = |(mailbox, uid): &&(String, u32)| open.contains(mailbox.as_str()) && names(line, *uid);
                if let Some((mailbox, uid)) = forgotten.iter().copied().find(is_meant) {
                    broken.push(format!("UID {uid} of {mailbox} is forgotten before `{line}`"));
                }
            }
            let deleted = |held: &super::disk::Held| held.messages.values().filter(|message| message.0 == 3).count();
            let quits = deleted(&after.held) > deleted(&before.held);
            for (moment, line) in self.said().filter(|(moment, _)| *moment < after.start) {
                let (begin, counts) = match line.split_once(' ') {
                    Some((tag, _)) if forgets && destroys(line) => (format!("{tag} OK"), true),
                    None if quits && line.eq_ignore_ascii_case("QUIT") => ("+OK".to_owned(), true),
                    _ => (String::new(), false),
                };
                if counts && self.heard(&begin, moment).is_none_or(|heard| heard > after.start) {
                    broken.push(format!("forgotten before the answer to `{line}`"));
                }
            }
            if quits && !self.said().any(|(moment, line)| moment < after.start && line.eq_ignore_ascii_case("QUIT")) {
                broken.push("taken for deleted before QUIT".to_owned());
            }
        }
        broken
    }

    /// A message that moves from one directory to another is safe in the second before the first forgets it.
    pub fn arrived_before_left(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for event in &self.events {
            let Act::Renamed(from, to) = &event.act else { continue };
            let (Some(old), Some(new)) = (from.parent(), to.parent()) else { continue };
            if old == new || !is_message(from) {
                continue;
            }
            let left = self.disk.first_flush(old, event.end);
            let arrived = self.disk.first_flush(new, event.end);
            if let Some((left, _)) = left
                && arrived.is_none_or(|(_, arrived)| arrived > left)
            {
                broken.push(format!("{} forgets what {} does not hold for sure", old.display(), new.display()));
            }
        }
        broken
    }

    /// A message that is removed, and has another name, is safe under that first.
    pub fn linked_before_removed(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (at, event) in self.events.iter().enumerate() {
            let Act::Removed(gone) = &event.act else { continue };
            let links = self.events.iter().take(at).filter_map(|earlier| match &earlier.act {
                Act::Linked(from, to) if from == gone && is_message(gone) => Some(to),
                _ => None,
            });
            broken.extend(links.flat_map(|to| self.disk.loses_of(to, event.start)));
        }
        broken
    }

    /// SQLite's own order: pages go to the database only from a log that is on disk, and the log goes when they are.
    pub fn log_before_database(&self) -> Vec<String> {
        let log = log_of(&self.database);
        let mut broken = Vec::new();
        for event in &self.events {
            match &event.act {
                Act::Wrote(path, ..) if *path == self.database => {
                    let lost = self.disk.loses(event.start, |path| *path == log);
                    broken.extend(lost.into_iter().map(|what| format!("the database is written before {what}")));
                }
                Act::Removed(path) | Act::Cut(path, _) if *path == log => {
                    let lost = self.disk.loses(event.start, |path| *path == self.database);
                    broken.extend(lost.into_iter().map(|what| format!("the log goes before {what}")));
                }
                _ => {}
            }
        }
        broken
    }

    /// What may be sent twice is written down before it is sent.
    pub fn intended_before_sent(&self) -> Vec<String> {
        let is_sent = |line: &str| line.contains(" APPEND ") || line.contains(" MULTIAPPEND ");
        let unannounced = |(moment, line): (usize, &str)| {
            let last = self.commits.iter().rfind(|commit| commit.end < moment);
            let announced = last.is_some_and(|commit| !commit.held.intents.is_empty());
            (is_sent(line) && !announced).then(|| format!("`{line}` is not announced"))
        };
        self.said().filter_map(unannounced).collect()
    }

    /// Where a server cannot move, the originals go only after it has said that the copies are made.
    pub fn copied_before_removed(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let copies: Vec<(usize, &str)> = self.said().filter(|(_, line)| line.contains(" UID COPY ")).collect();
        for (moment, line) in self.said().filter(|(_, line)| destroys(line)) {
            for (copied, copy) in copies.iter().filter(|(copied, _)| *copied <= moment) {
                let tag = copy.split(' ').next().unwrap_or_default();
                if self.heard(&format!("{tag} OK"), *copied).is_none_or(|heard| heard > moment) {
                    broken.push(format!("`{line}` before the answer to `{copy}`"));
                }
            }
        }
        broken
    }

    /// All rules.
    pub fn broken(&self) -> Vec<String> {
        [
            self.whole_before_named(),
            self.durable_before_recorded(),
            self.gone_here_before_forgotten(),
            self.durable_before_deleted_there(),
            self.answered_before_forgotten(),
            self.arrived_before_left(),
            self.linked_before_removed(),
            self.log_before_database(),
            self.intended_before_sent(),
            self.copied_before_removed(),
        ]
        .concat()
    }
}

/// A run of these calls in a tree at `/t` with the files `before`; nothing is known of a state.
#[cfg(test)]
fn run(before: &[&str], calls: &[&str]) -> Run {
    let text: Vec<String> = calls.iter().map(|call| format!("1 {call}")).collect();
    let events = super::trace::parse(&format!("1 +++\n{}", text.join("\n")));
    let before = before.iter().map(PathBuf::from).collect();
    Run {
        disk: Disk::new(&events, &before, &[]),
        commits: Vec::new(),
        events,
        database: "/t/s.sqlite".into(),
        tree: "/t".into(),
        home: "/t".into(),
        foreign: Vec::new(),
    }
}

#[test]
fn each_rule_is_broken_by_what_it_forbids_and_by_nothing_else() {
    const DELIVERED: [&str; 5] = [
        r#"openat(3</t/tmp>, "m.mailtide-tmp", O_RDWR|O_CREAT, 0600) = 4</t/tmp/m.mailtide-tmp>"#,
        r#"write(4</t/tmp/m.mailtide-tmp>, "x", 1) = 1"#,
        "fdatasync(4</t/tmp/m.mailtide-tmp>) = 0",
        r#"renameat2(3</t/tmp>, "m.mailtide-tmp", 5</t/new>, "m", 0) = 0"#,
        "fsync(5</t/new>) = 0",
    ];
    let without = |left_out: usize| -> Vec<&str> {
        DELIVERED.iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, call)| *call).collect()
    };
    let said = |line: &str| format!(r#"sendto(9<TCP:[a->b]>, "{line}\r\n", 9, 0, NULL, 0) = {}"#, line.len() + 2);
    let heard =
        |line: &str| format!(r#"recvfrom(9<TCP:[a->b]>, "{line}\r\n", 99, 0, NULL, NULL) = {}"#, line.len() + 2);
    let all =
        |calls: &[&str], rule: fn(&Run) -> Vec<String>| rule(&run(&["/t", "/t/tmp", "/t/new", "/t/cur/old"], calls));

    assert!(all(&DELIVERED, Run::whole_before_named).is_empty());
    assert_eq!(all(&without(2), Run::whole_before_named).len(), 1);

    let dele = said("DELE 1");
    let then_deleted = |mut calls: Vec<&'static str>| -> Vec<String> {
        let last = dele.clone();
        let mut all: Vec<String> = calls.drain(..).map(str::to_owned).collect();
        all.push(last);
        all
    };
    let deleted = |calls: Vec<&'static str>| {
        let calls = then_deleted(calls);
        all(&calls.iter().map(String::as_str).collect::<Vec<_>>(), Run::durable_before_deleted_there)
    };
    assert!(deleted(DELIVERED.to_vec()).is_empty());
    assert_eq!(deleted(DELIVERED[..4].to_vec()).len(), 1, "the name");

    let moved = r#"renameat2(6</t/cur>, "old", 5</t/new>, "old", 0) = 0"#;
    let (new, cur) = ("fsync(5</t/new>) = 0", "fsync(6</t/cur>) = 0");
    assert!(all(&[moved, new, cur], Run::arrived_before_left).is_empty());
    assert_eq!(all(&[moved, cur, new], Run::arrived_before_left).len(), 1);

    let linked = r#"linkat(6</t/cur>, "old", 5</t/new>, "old", 0) = 0"#;
    let removed = r#"unlinkat(6</t/cur>, "old", 0) = 0"#;
    assert!(all(&[linked, new, removed], Run::linked_before_removed).is_empty());
    assert_eq!(all(&[linked, removed, new], Run::linked_before_removed).len(), 1);

    let (copy, ok, expunge) = (said("A1 UID COPY 1 b"), heard("A1 OK"), said("A2 UID EXPUNGE 1"));
    assert!(all(&[&copy, &ok, &expunge], Run::copied_before_removed).is_empty());
    assert_eq!(all(&[&copy, &expunge, &ok], Run::copied_before_removed).len(), 1);

    assert_eq!(all(&[&said("A1 APPEND a {1+}")], Run::intended_before_sent).len(), 1);

    let log = r#"openat(AT_FDCWD</>, "/t/s.sqlite-wal", O_RDWR|O_CREAT, 0600) = 7</t/s.sqlite-wal>"#;
    let page = r#"pwrite64(7</t/s.sqlite-wal>, "x", 1, 0) = 1"#;
    let (flushed, named) = ("fdatasync(7</t/s.sqlite-wal>) = 0", "fsync(8</t>) = 0");
    let written = r#"pwrite64(8</t/s.sqlite>, "x", 1, 0) = 1"#;
    assert!(all(&[log, page, flushed, named, written], Run::log_before_database).is_empty());
    assert_eq!(all(&[log, named, page, written], Run::log_before_database).len(), 1);
}

/// A run of these calls with transactions: at which line of the trace each was written, and the links it leaves.
#[cfg(test)]
fn run_with(calls: &[&str], commits: &[(usize, &[(u32, &str)])]) -> Run {
    let held = |links: &[(u32, &str)]| {
        let link = |(uid, file): &(u32, &str)| (("INBOX".to_owned(), *uid), ((*file).to_owned(), true));
        super::disk::Held { links: links.iter().map(link).collect(), ..Default::default() }
    };
    let commits = commits.iter().map(|(at, links)| Commit { start: *at, end: *at, held: held(links) });
    Run { commits: commits.collect(), ..run(&["/t", "/t/new", "/t/cur", "/t/cur/old"], calls) }
}

#[test]
fn each_rule_about_the_state_is_broken_by_a_transaction_that_comes_too_early() {
    const OLD: &[(u32, &str)] = &[(1, "old")];
    let removed = r#"unlinkat(6</t/cur>, "old", 0) = 0"#;
    let flushed = "fsync(6</t/cur>) = 0";
    // Line 0 is of the trace itself: the calls begin at 1.
    for (forgotten_at, broken) in [(1, 1), (4, 0)] {
        let calls = ["x", "x", removed, flushed, "x"];
        let run = run_with(&calls, &[(0, OLD), (forgotten_at, &[])]);
        assert_eq!(run.gone_here_before_forgotten().len(), broken, "{forgotten_at}");
    }
    let unflushed = run_with(&[removed, "x", "x"], &[(0, OLD), (3, &[])]);
    assert_eq!(unflushed.durable_before_recorded().len(), 1);

    let made = r#"openat(5</t/new>, "m", O_RDWR|O_CREAT, 0600) = 4</t/new/m>"#;
    for (recorded_at, broken) in [(1, 1), (2, 1), (3, 0)] {
        let run = run_with(&[made, "fsync(5</t/new>) = 0", "x"], &[(0, &[]), (recorded_at, &[(7, "m")])]);
        assert_eq!(run.durable_before_recorded().len().min(1), broken, "{recorded_at}");
    }

    let said = |line: &str| format!(r#"sendto(9<TCP:[a->b]>, "{line}\r\n", 9, 0, NULL, 0) = {}"#, line.len() + 2);
    let heard = r#"recvfrom(9<TCP:[a->b]>, "A2 OK\r\n", 99, 0, NULL, NULL) = 7"#;
    for (uids, forgotten_at, broken) in [("1", 2, 1), ("1", 4, 1), ("1", 6, 0), ("3:4,1:2", 2, 1), ("2:9", 2, 0)] {
        let (select, expunge) = (said("A1 SELECT \\\"INBOX\\\""), said(&format!("A2 UID EXPUNGE {uids}")));
        let calls = [&select, "x", &expunge, "x", heard, "x"];
        let run = run_with(&calls, &[(0, OLD), (forgotten_at, &[])]);
        assert_eq!(run.answered_before_forgotten().len(), broken, "{uids} at {forgotten_at}");
    }
}
