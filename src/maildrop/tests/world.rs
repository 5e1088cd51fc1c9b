//! A maildrop, a tree and an account between them, in memory; every step can be the last one before a crash.
//!
//! The account executes plans as the engine does: the same order of effects and facts, batch by batch.

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;
use crate::mail::{DeliveredMessage, Digest, FileId, LocalCopy, MaildropFact, ServerCopy, Uidl};

pub const DAY: i64 = 24 * 3600;

/// How a server makes its UIDLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uidls {
    /// Each message has its own, for as long as the epoch lasts.
    Proper,
    /// There are none.
    None,
    /// Two messages in a row share one.
    Pairs,
    /// The number of the message.
    Numbers,
    /// A hash of the content.
    Content,
}

/// What a message holds: one of a few, so that sizes collide and copies are frequent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content(pub u8);

impl Content {
    pub fn size(self) -> u64 {
        100 * u64::from(1 + self.0 % 3)
    }

    /// Every fourth has a header that tells nothing.
    pub fn header(self) -> Option<HeaderHash> {
        (!self.0.is_multiple_of(4)).then_some(HeaderHash(self.0.into()))
    }

    pub fn digest(self) -> Digest {
        Digest([self.0; 32])
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    pub id: u32,
    pub content: Content,
}

#[derive(Debug, Clone)]
pub struct Server {
    pub messages: Vec<Message>,
    pub uidls: Uidls,
    pub can_top: bool,
    pub epoch: u32,
    next: u32,
}

impl Server {
    pub fn new(uidls: Uidls, can_top: bool) -> Server {
        Server { messages: Vec::new(), uidls, can_top, epoch: 0, next: 1 }
    }

    pub fn receive(&mut self, content: u8) -> Message {
        // Numbers for UIDLs tell no copies apart.
        let content = if self.uidls == Uidls::Numbers { (self.next % 250) as u8 } else { content };
        let message = Message { id: self.next, content: Content(content) };
        self.next += 1;
        self.messages.push(message);
        message
    }

    fn uidl(&self, at: usize, message: Message) -> Option<UidlHash> {
        let text = match self.uidls {
            Uidls::Proper => format!("{}-{}", self.epoch, message.id),
            Uidls::None => return None,
            Uidls::Pairs => format!("{}-{}", self.epoch, message.id / 2),
            Uidls::Numbers => (at + 1).to_string(),
            Uidls::Content => format!("c{}", message.content.0),
        };
        Some(UidlHash::of(&Uidl::new(text.as_bytes()).unwrap()))
    }

    /// What a session lists, but for the messages at `hidden`.
    fn list(&self, hidden: &BTreeSet<usize>) -> Vec<Listed> {
        let listed = |(at, message): (usize, &Message)| Listed {
            number: number(at),
            size: message.content.size(),
            uidl: self.uidl(at, *message),
        };
        self.messages.iter().enumerate().filter(|(at, _)| !hidden.contains(at)).map(listed).collect()
    }
}

fn number(at: usize) -> MessageNumber {
    MessageNumber::new(at as u32 + 1).unwrap()
}

/// A file and what its name tells.
#[derive(Debug, Clone, Copy)]
pub struct File {
    pub serial: Serial,
    pub uidl: Option<UidlHash>,
    pub content: Content,
    pub delivered: UnixSeconds,
}

/// How a session goes wrong.
#[derive(Debug, Clone, Default)]
pub struct Trouble {
    /// Messages that the listing lacks.
    pub hidden: BTreeSet<usize>,
    /// Steps until the crash.
    pub fuse: Option<u32>,
    /// QUIT's answer is lost, after the server deleted or before.
    pub quit_lost: Option<Committed>,
    /// Messages whose RETR is refused.
    pub refused: BTreeSet<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    Yes,
    No,
}

/// The account's side.
#[derive(Debug, Clone, Default)]
pub struct Account {
    pub policy: Policy,
    pub known: Known,
    pub next: Serial,
    pub delivering: bool,
    pub files: Vec<File>,
    /// Messages that the server deleted because we said so, and whether we know.
    pub deleted: BTreeSet<Message>,
    pub unconfirmed: bool,
    pub deleted_here: BTreeSet<Serial>,
}

/// The end of a session that did not crash.
#[derive(Debug)]
pub struct Ran {
    pub plan: Plan,
    pub fetched: usize,
}

struct Crash;

struct Session<'a> {
    account: &'a mut Account,
    server: &'a mut Server,
    trouble: Trouble,
    now: UnixSeconds,
}

impl Account {
    /// A whole session; `None` when it crashed or its end was lost.
    pub fn run(&mut self, server: &mut Server, trouble: Trouble, now: i64) -> Option<Ran> {
        Session { account: self, server, trouble, now: UnixSeconds(now) }.run().ok()
    }

    pub fn copies(&self, content: Content) -> usize {
        self.files.iter().filter(|f| f.content == content).count()
    }

    fn record(&mut self, facts: impl IntoIterator<Item = MaildropFact>) {
        for fact in facts {
            match fact {
                MaildropFact::Delivering => self.delivering = true,
                MaildropFact::Settled => self.delivering = false,
                MaildropFact::Forgotten(serial) => drop(self.known.remove(&serial)),
                MaildropFact::Known(serial, known) => {
                    self.next = self.next.max(serial.next());
                    self.known.insert(serial, known);
                }
            }
        }
    }

    /// Records the files that a crash left unknown.
    pub fn recover(&mut self) {
        for file in self.files.clone() {
            let id = file_id(file.serial);
            let known = self.known.values().any(|k| k.local.file().is_some_and(|d| d.file == id));
            if !known {
                let delivered =
                    DeliveredMessage { digest: file.content.digest(), header: file.content.header(), file: id };
                let known = KnownMessage {
                    uidl: file.uidl,
                    size: file.content.size(),
                    first_seen: file.delivered,
                    local: LocalCopy::File(delivered),
                    copy: ServerCopy::Unknown,
                };
                self.record([MaildropFact::Known(file.serial, known)]);
            }
        }
        self.delivering = false;
    }
}

fn file_id(serial: Serial) -> FileId {
    FileId::new(format!("f{serial}"))
}

impl Session<'_> {
    fn step(&mut self) -> Result<(), Crash> {
        if self.trouble.fuse == Some(0) {
            return Err(Crash);
        }
        self.trouble.fuse = self.trouble.fuse.map(|n| n - 1);
        Ok(())
    }

    fn plan(&self) -> Plan {
        let listing = self.server.list(&self.trouble.hidden);
        let ids = if self.server.uidls == Uidls::Numbers { Ids::Numbers } else { Ids::Proper };
        let mut headers = if self.server.can_top { Headers::Asked(BTreeMap::new()) } else { Headers::Unavailable };
        for _ in 0..5 {
            let input = Input {
                known: &self.account.known,
                next: self.account.next,
                listing: &listing,
                ids,
                headers: &headers,
                deleted_here: &self.account.deleted_here,
                policy: &self.account.policy,
                failed: &BTreeSet::new(),
                fetched: 0,
                now: self.now,
            };
            match consider(&input) {
                Next::Plan(plan) => return plan,
                Next::Ask(numbers) => {
                    let Headers::Asked(asked) = &mut headers else { panic!("asks what cannot be had") };
                    for number in numbers {
                        let before = asked.insert(number, self.message(number).content.header());
                        assert_eq!(before, None, "asks twice");
                    }
                }
            }
        }
        panic!("asks and asks")
    }

    fn message(&self, number: MessageNumber) -> Message {
        self.server.messages[number.get() as usize - 1]
    }

    fn run(mut self) -> Result<Ran, Crash> {
        if self.account.delivering {
            self.step()?;
            self.account.recover();
        }
        let plan = self.plan();
        self.step()?;
        self.account.record(plan.learned.clone());
        let known = self.account.known.clone();
        let mut arrivals = Arrivals::new(&known, &plan);
        let mut deleting: BTreeSet<MessageNumber> = plan.delete.keys().copied().collect();
        let mut serials: BTreeMap<MessageNumber, Serial> = plan.delete.clone();
        let mut told: BTreeSet<Serial> = BTreeSet::new();
        let mut fetched = 0;
        for batch in plan.fetch.chunks(2) {
            let mut facts = Vec::new();
            if !self.account.delivering {
                self.step()?;
                self.account.record([MaildropFact::Delivering]);
            }
            for fetch in batch {
                let message = self.message(fetch.number);
                if self.trouble.refused.contains(&(fetch.number.get() as usize - 1)) {
                    facts.extend(fetch.seen());
                    continue;
                }
                fetched += 1;
                let content = message.content;
                match arrivals.judge(fetch, content.digest(), content.header()) {
                    Verdict::New(also) => {
                        self.step()?;
                        let file = File { serial: fetch.serial, uidl: fetch.uidl, content, delivered: self.now };
                        self.account.files.push(file);
                        facts.extend(also);
                        facts.push(MaildropFact::Known(fetch.serial, delivered(fetch, content)));
                        if fetch.due {
                            deleting.insert(fetch.number);
                            serials.insert(fetch.number, fetch.serial);
                        }
                    }
                    Verdict::Known { serial, first_seen, facts: also } => {
                        facts.extend(also);
                        if self.account.policy.keep.is_over(first_seen, self.now) {
                            deleting.insert(fetch.number);
                            serials.insert(fetch.number, serial);
                        }
                    }
                }
            }
            self.step()?;
            told.extend(facts.iter().filter_map(|fact| match fact {
                MaildropFact::Known(serial, _) | MaildropFact::Forgotten(serial) => Some(*serial),
                _ => None,
            }));
            self.account.record(facts);
        }
        self.step()?;
        let missed = plan.missed.clone().into_iter().filter(|(serial, _)| !told.contains(serial));
        let missed: Vec<_> = missed.map(|(_, fact)| fact).collect();
        self.account.record(missed);
        let unknown = |serial: &Serial| {
            let known = self.account.known[serial].clone();
            MaildropFact::Known(*serial, KnownMessage { copy: ServerCopy::Unknown, ..known })
        };
        let unknown: Vec<_> = serials.values().map(unknown).collect();
        self.account.record(unknown.into_iter().chain([MaildropFact::Settled]));
        self.quit(&deleting, &serials)?;
        Ok(Ran { plan, fetched })
    }

    fn quit(
        &mut self,
        deleting: &BTreeSet<MessageNumber>,
        serials: &BTreeMap<MessageNumber, Serial>,
    ) -> Result<(), Crash> {
        for number in deleting {
            let content = self.message(*number).content;
            let known = &self.account.known[&serials[number]];
            let file = &known.local.file().expect("deletes only what is delivered").file;
            assert!(self.account.files.iter().any(|f| file_id(f.serial) == *file), "{number}: no file");
            assert!(self.account.copies(content) > 0, "{number}: its content is nowhere");
        }
        self.step()?;
        let committed = self.trouble.quit_lost != Some(Committed::No);
        if committed {
            let gone: Vec<Message> = deleting.iter().map(|n| self.message(*n)).collect();
            self.server.messages.retain(|m| !gone.contains(m));
            self.account.deleted.extend(gone);
        }
        if self.trouble.quit_lost.is_some() || self.step().is_err() {
            self.account.unconfirmed |= committed && !deleting.is_empty();
            return Err(Crash);
        }
        let now = self.now;
        let confirmed = |number: &MessageNumber| {
            let serial = serials[number];
            let known = self.account.known[&serial].clone();
            MaildropFact::Known(serial, KnownMessage { copy: ServerCopy::Deleted(now), ..known })
        };
        let facts: Vec<_> = deleting.iter().map(confirmed).collect();
        self.account.record(facts);
        Ok(())
    }
}

fn delivered(fetch: &Fetch, content: Content) -> KnownMessage {
    KnownMessage {
        uidl: fetch.uidl,
        size: fetch.size,
        first_seen: fetch.first_seen,
        local: LocalCopy::File(DeliveredMessage {
            digest: content.digest(),
            header: content.header(),
            file: file_id(fetch.serial),
        }),
        copy: ServerCopy::Listed,
    }
}
