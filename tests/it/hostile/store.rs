//! What the scripted server keeps: mailboxes and messages with UIDs, flags, modification sequences, and what went.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::compare::{Seen, Snapshot};

/// A date for messages that came without one.
const DATE: &str = "17-Jul-1996 09:44:25 +0000";

/// A message as IMAP shows it.
#[derive(Debug, Clone)]
pub struct Message {
    pub flags: BTreeSet<String>,
    pub bytes: Vec<u8>,
    pub date: String,
    pub modseq: u64,
}

impl Message {
    /// The same content has the same number, as in Gmail's labels.
    pub fn gmail_id(&self) -> u64 {
        self.bytes.iter().fold(0xcbf2_9ce4, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3) >> 1)
    }
}

/// A mailbox.
#[derive(Debug, Clone)]
pub struct Mailbox {
    pub validity: u32,
    pub next: u32,
    pub modseq: u64,
    pub messages: BTreeMap<u32, Message>,
    /// (modification sequence, UID) of what went.
    pub gone: Vec<(u64, u32)>,
}

impl Mailbox {
    /// The n-th message's number, from 1.
    pub fn number(&self, uid: u32) -> usize {
        self.messages.range(..=uid).count()
    }

    pub fn add(&mut self, bytes: &[u8], flags: &[&str], date: Option<&str>) -> u32 {
        let uid = self.next;
        self.next += 1;
        self.modseq += 1;
        let message = Message {
            flags: flags.iter().map(|f| (*f).to_owned()).collect(),
            bytes: bytes.to_vec(),
            date: date.unwrap_or(DATE).to_owned(),
            modseq: self.modseq,
        };
        self.messages.insert(uid, message);
        uid
    }

    pub fn remove(&mut self, uid: u32) {
        self.modseq += 1;
        self.messages.remove(&uid);
        self.gone.push((self.modseq, uid));
    }

    pub fn store(&mut self, uid: u32, sign: Option<char>, flags: &[&str]) {
        self.modseq += 1;
        let modseq = self.modseq;
        let Some(message) = self.messages.get_mut(&uid) else { return };
        message.modseq = modseq;
        let named = flags.iter().map(|f| (*f).to_owned());
        match sign {
            Some('+') => message.flags.extend(named),
            Some(_) => message.flags.retain(|f| !flags.contains(&f.as_str())),
            None => message.flags = named.collect(),
        }
    }

    /// The UIDs there are of `1:3,7,9:*`.
    pub fn named(&self, set: &str) -> Vec<u32> {
        let last = self.messages.keys().next_back().copied().unwrap_or(self.next);
        let number = |text: &str| if text == "*" { last } else { text.parse().unwrap_or(0) };
        let ranges: Vec<(u32, u32)> = set
            .split(',')
            .map(|part| {
                let (first, last) = part.split_once(':').unwrap_or((part, part));
                let (first, last) = (number(first), number(last));
                (first.min(last), first.max(last))
            })
            .collect();
        let is_in = |uid: &&u32| ranges.iter().any(|(first, last)| (first..=last).contains(uid));
        self.messages.keys().filter(is_in).copied().collect()
    }
}

/// All mailboxes, by the names they have on the wire.
#[derive(Debug, Clone, Default)]
pub struct Store {
    pub mailboxes: BTreeMap<String, Mailbox>,
    made: u32,
}

impl Store {
    pub fn create(&mut self, name: &str) {
        self.made += 1;
        let mailbox =
            Mailbox { validity: 1000 + self.made, next: 1, modseq: 1, messages: BTreeMap::new(), gone: Vec::new() };
        self.mailboxes.insert(name.to_owned(), mailbox);
    }

    pub fn mailbox(&mut self, name: &str) -> &mut Mailbox {
        self.mailboxes.get_mut(name).unwrap_or_else(|| panic!("the server has no {name}"))
    }

    /// What there is, under the names a client gives mailboxes below `prefix`.
    pub fn snapshot(&self, prefix: &str) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (name, mailbox) in &self.mailboxes {
            let name = name.strip_prefix(prefix).unwrap_or(name);
            snapshot.0.insert(name.to_owned(), Vec::new());
            for message in mailbox.messages.values() {
                snapshot.add(name, Seen::new(&message.bytes, message.flags.clone()));
            }
        }
        snapshot
    }
}
