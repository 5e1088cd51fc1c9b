//! Both sides, message by message: what a mailbox holds as a multiset of (content, flags).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::mail::with_lf;

/// Flags as IMAP writes them; keywords in small letters, since servers compare them without case.
pub type FlagSet = BTreeSet<String>;

/// SHA-256 of a message with CRLF as LF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub fn of(bytes: &[u8]) -> Fingerprint {
        Fingerprint(Sha256::digest(with_lf(bytes)).into())
    }
}

/// A message as one side shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    pub content: Fingerprint,
    pub flags: FlagSet,
    /// Its subject, for people.
    pub label: String,
}

impl Seen {
    pub fn new(bytes: &[u8], flags: FlagSet) -> Seen {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
        let subject = text.lines().find_map(|l| l.strip_prefix("Subject: ")).unwrap_or("(no subject)");
        Seen { content: Fingerprint::of(bytes), flags, label: subject.trim_end().to_owned() }
    }
}

/// One side: each mailbox's messages, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot(pub BTreeMap<String, Vec<Seen>>);

impl Snapshot {
    pub fn messages(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    pub fn add(&mut self, mailbox: &str, seen: Seen) {
        let list = self.0.entry(mailbox.to_owned()).or_default();
        let at = list.partition_point(|s| *s < seen);
        list.insert(at, seen);
    }

    /// The differences, one a line; empty when both are the same.
    pub fn diff(&self, other: &Snapshot, names: [&str; 2]) -> String {
        let mut text = String::new();
        let [ours, theirs] = names;
        let mailboxes: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        for mailbox in mailboxes {
            let (a, b) = match (self.0.get(mailbox), other.0.get(mailbox)) {
                (Some(a), Some(b)) => (a, b),
                (Some(a), None) => {
                    writeln!(text, "{mailbox}: only {ours} ({} messages)", a.len()).unwrap();
                    continue;
                }
                (None, b) => {
                    writeln!(text, "{mailbox}: only {theirs} ({} messages)", b.map_or(0, Vec::len)).unwrap();
                    continue;
                }
            };
            let (mut only_a, mut only_b) = (without(a, b), without(b, a));
            only_a.retain(|x| match only_b.iter().position(|y| y.content == x.content) {
                Some(at) => {
                    let y = only_b.swap_remove(at);
                    let line = format!("{mailbox}: “{}” {ours} {:?}, {theirs} {:?}", x.label, x.flags, y.flags);
                    writeln!(text, "{line}").unwrap();
                    false
                }
                None => true,
            });
            for (side, list) in [(ours, only_a), (theirs, only_b)] {
                for seen in list {
                    writeln!(text, "{mailbox}: “{}” {:?} only {side}", seen.label, seen.flags).unwrap();
                }
            }
        }
        text
    }
}

/// What is in `a` more often than in `b`.
fn without(a: &[Seen], b: &[Seen]) -> Vec<Seen> {
    let mut left: BTreeMap<&Seen, usize> = BTreeMap::new();
    b.iter().for_each(|s| *left.entry(s).or_default() += 1);
    a.iter()
        .filter(|s| match left.get_mut(s) {
            Some(n @ 1..) => {
                *n -= 1;
                false
            }
            _ => true,
        })
        .cloned()
        .collect()
}

/// Fails with the differences unless both are the same.
#[track_caller]
pub fn assert_same(a: (&str, &Snapshot), b: (&str, &Snapshot), context: &str) {
    let diff = a.1.diff(b.1, [a.0, b.0]);
    assert!(diff.is_empty(), "{context}:\n{diff}");
}

#[test]
fn differences_are_named() {
    let message = |text: &str, flags: &[&str]| {
        Seen::new(format!("Subject: {text}\r\n\r\n").as_bytes(), flags.iter().map(|f| (*f).to_owned()).collect())
    };
    let mut a = Snapshot::default();
    a.add("INBOX", message("one", &["\\Seen"]));
    a.add("INBOX", message("twice", &[]));
    let mut b = a.clone();
    assert_eq!(a.diff(&b, ["here", "there"]), "");
    b.add("INBOX", message("twice", &[]));
    a.0.get_mut("INBOX").unwrap().iter_mut().for_each(|s| s.flags.clear());
    b.0.insert("Empty".into(), Vec::new());
    let diff = a.diff(&b, ["here", "there"]);
    assert_eq!(diff.lines().count(), 3, "{diff}");
}
