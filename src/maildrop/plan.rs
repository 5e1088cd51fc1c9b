//! The plan of a session as data: what is fetched, deleted and left, and what the listing alone taught.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::arrivals::robbed;
use super::identity::Identified;
use super::policy::{REMEMBERED, age, is_as_listed};
use super::{Input, Listed, Numbers, Order};
use crate::mail::{KnownMessage, LocalCopy, MaildropFact, MessageNumber, Serial, ServerCopy, UidlHash, UnixSeconds};

/// What a session has to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What to fetch, in this order.
    pub fetch: Vec<Fetch>,
    /// What is known, delivered and has to go; by number.
    pub delete: BTreeMap<MessageNumber, Serial>,
    /// Messages that their header told, and that were known under another UIDL or as missing.
    pub recognised: Numbers,
    /// What is left on the server for now, and was not told before.
    pub left: BTreeMap<MessageNumber, (Left, u64)>,
    /// What the listing taught of listed messages: to be recorded first.
    pub learned: Vec<MaildropFact>,
    /// What it taught of records that no listed message was found for: to be recorded last, for those that no fetched
    /// message turned out to be.
    pub missed: BTreeMap<Serial, MaildropFact>,
    /// Records that no listed message was found for.
    pub open: BTreeSet<Serial>,
    /// Known and delivered messages that the server holds.
    pub held: Numbers,
    /// The serial of the next new message after those of this plan.
    pub next: Serial,
}

/// A message to be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch {
    /// Its number.
    pub number: MessageNumber,
    /// The serial it gets when it is delivered.
    pub serial: Serial,
    /// Its UIDL, unless another has it too.
    pub uidl: Option<UidlHash>,
    /// Octets, as listed.
    pub size: u64,
    /// When it was first seen.
    pub first_seen: UnixSeconds,
    /// What for.
    pub what: Fetched,
    /// Whether it has to go from the server once it is delivered.
    pub due: bool,
}

/// What a message is fetched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// To be delivered.
    New,
    /// To be delivered; it was seen before, and recorded under its serial.
    Seen,
    /// To be compared with what is known.
    Doubtful {
        /// The record that has its UIDL.
        rival: Option<Serial>,
    },
}

/// Why a message is not fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Left {
    /// It is larger than `max-size`.
    TooLarge,
    /// The run has fetched `max-messages`.
    Later,
}

/// One line of a plan, for a person or a program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Record that messages known under other UIDLs are these.
    Recognise {
        /// The messages.
        numbers: Numbers,
    },
    /// Fetch messages into files.
    Download {
        /// The messages.
        numbers: Numbers,
        /// Octets, as listed.
        octets: u64,
    },
    /// Fetch messages and compare them with known ones; what is new is delivered.
    Compare {
        /// The messages.
        numbers: Numbers,
        /// Octets, as listed.
        octets: u64,
    },
    /// Leave messages on the server, unfetched.
    Leave {
        /// The messages.
        numbers: Numbers,
        /// Octets, as listed.
        octets: u64,
        /// Why.
        why: Left,
    },
    /// Delete messages on the server, those just delivered among them.
    Delete {
        /// The messages.
        numbers: Numbers,
    },
}

impl Action {
    /// Octets to transfer, or not, as listed.
    pub fn octets(&self) -> u64 {
        match self {
            Action::Download { octets, .. } | Action::Compare { octets, .. } | Action::Leave { octets, .. } => *octets,
            Action::Recognise { .. } | Action::Delete { .. } => 0,
        }
    }

    /// The messages.
    pub fn numbers(&self) -> &Numbers {
        match self {
            Action::Recognise { numbers }
            | Action::Download { numbers, .. }
            | Action::Compare { numbers, .. }
            | Action::Leave { numbers, .. }
            | Action::Delete { numbers } => numbers,
        }
    }
}

impl Plan {
    /// The plan line by line; nothing where there is nothing to do but to record.
    pub fn actions(&self) -> Vec<Action> {
        let fetched = |wanted: fn(&Fetched) -> bool| -> (Numbers, u64) {
            let all = self.fetch.iter().filter(|f| wanted(&f.what));
            (all.clone().map(|f| f.number).collect(), all.map(|f| f.size).sum())
        };
        let left = |why: Left| -> (Numbers, u64) {
            let all = self.left.iter().filter(|(_, (reason, _))| *reason == why);
            (all.clone().map(|(number, _)| *number).collect(), all.map(|(_, (_, octets))| octets).sum())
        };
        let (download, to_download) = fetched(|what| !matches!(what, Fetched::Doubtful { .. }));
        let (compare, to_compare) = fetched(|what| matches!(what, Fetched::Doubtful { .. }));
        let due = self.fetch.iter().filter(|f| f.due).map(|f| f.number);
        let mut actions = vec![
            Action::Recognise { numbers: self.recognised.clone() },
            Action::Download { numbers: download, octets: to_download },
            Action::Compare { numbers: compare, octets: to_compare },
        ];
        for why in [Left::TooLarge, Left::Later] {
            let (numbers, octets) = left(why);
            actions.push(Action::Leave { numbers, octets, why });
        }
        actions.push(Action::Delete { numbers: self.delete.keys().copied().chain(due).collect() });
        actions.retain(|action| !action.numbers().is_empty());
        actions
    }
}

/// Makes the plan once it is known who is who.
pub(super) fn make(input: &Input<'_>, found: Identified) -> Plan {
    let mut maker = Maker { input, plan: Plan { next: input.next, ..Plan::default() }, found };
    maker.look_again();
    maker.robbed();
    let mut wanted = Vec::new();
    for listed in input.listing {
        wanted.extend(maker.listed(listed));
    }
    maker.fetch(wanted);
    maker.missed();
    maker.plan
}

struct Maker<'a> {
    input: &'a Input<'a>,
    found: Identified,
    plan: Plan,
}

impl Maker<'_> {
    /// What the last run got only a part of, by its size, is fetched once more: it is whole now, or the size is wrong.
    fn look_again(&mut self) {
        let Identified { same, doubtful, .. } = &mut self.found;
        for listed in self.input.listing.iter().filter(|listed| self.input.failed.contains(&listed.number)) {
            let known = same.get(&listed.number).and_then(|serial| Some((*serial, self.input.known.get(serial)?)));
            if let Some((serial, _)) = known.filter(|(_, known)| known.local.is_done() && !is_whole(known, listed.size))
            {
                same.remove(&listed.number);
                doubtful.insert(listed.number, Some(serial));
            }
        }
    }

    /// Records whose UIDL names another message now go without one.
    fn robbed(&mut self) {
        for serial in &self.found.robbed {
            let known = self.input.known.get(serial);
            self.plan.learned.extend(known.map(|known| robbed(*serial, known)));
        }
    }

    /// Decides about one message; gives it back when it is wanted.
    fn listed(&mut self, listed: &Listed) -> Option<Fetch> {
        let uidl = listed.uidl.filter(|uidl| !self.found.repeated.contains(uidl));
        let mut fetch = Fetch {
            number: listed.number,
            serial: self.plan.next,
            uidl,
            size: listed.size,
            first_seen: self.input.now,
            what: Fetched::New,
            due: false,
        };
        let same = self.found.same.get(&listed.number);
        match same.and_then(|serial| Some((*serial, self.input.known.get(serial)?))) {
            Some((serial, known)) => {
                let uidl = if listed.uidl.is_some() { uidl } else { known.uidl };
                let now = KnownMessage { uidl, size: listed.size, copy: ServerCopy::Listed, ..known.clone() };
                if now != *known {
                    if self.found.by_content.contains(&listed.number) {
                        self.plan.recognised.insert(listed.number);
                    }
                    self.plan.learned.push(MaildropFact::Known(serial, now));
                }
                if known.local.is_done() {
                    self.plan.held.insert(listed.number);
                    let over = self.input.policy.keep.is_over(known.first_seen, self.input.now);
                    let whole = is_whole(known, listed.size);
                    if whole && (over || self.input.deleted_here.contains(&serial)) {
                        self.plan.delete.insert(listed.number, serial);
                    }
                    return None;
                }
                fetch = Fetch { serial, first_seen: known.first_seen, what: Fetched::Seen, ..fetch };
            }
            None => {
                self.plan.next = self.plan.next.next();
                if let Some(rival) = self.found.doubtful.get(&listed.number) {
                    fetch.what = Fetched::Doubtful { rival: *rival };
                }
            }
        }
        fetch.due = self.input.policy.keep.is_over(fetch.first_seen, self.input.now);
        Some(fetch)
    }

    /// Takes as many of what is wanted as the limits allow.
    fn fetch(&mut self, mut wanted: Vec<Fetch>) {
        if self.input.policy.order == Order::Newest {
            wanted.reverse();
        }
        // Who has a rival is compared with it before anybody else can turn out to be it.
        wanted.sort_by_key(|fetch| !matches!(fetch.what, Fetched::Doubtful { rival: Some(_) }));
        let all = self.input.policy.max_messages.unwrap_or(u64::MAX);
        let mut room = all.saturating_sub(self.input.fetched);
        for fetch in wanted {
            if self.input.policy.max_size.is_some_and(|most| fetch.size > most) {
                self.leave(&fetch, Left::TooLarge);
                continue;
            }
            // What is doubtful, or fails, each time would keep all else away.
            let again = self.input.failed.contains(&fetch.number);
            if !again && !matches!(fetch.what, Fetched::Doubtful { .. }) {
                if room == 0 {
                    self.leave(&fetch, Left::Later);
                    continue;
                }
                room -= 1;
            }
            self.plan.fetch.push(fetch);
        }
    }

    /// Leaves a message on the server. Of what is too large a person is told when it is first seen.
    fn leave(&mut self, fetch: &Fetch, why: Left) {
        let recorded = fetch.seen();
        if recorded.is_some() || why == Left::Later {
            self.plan.left.insert(fetch.number, (why, fetch.size));
        }
        self.plan.learned.extend(recorded);
    }

    fn missed(&mut self) {
        let claimed: BTreeSet<Serial> = self.found.same.values().copied().collect();
        for (serial, known) in self.input.known.iter().filter(|(serial, _)| !claimed.contains(serial)) {
            self.plan.open.insert(*serial);
            let uidl = known.uidl.filter(|_| !self.found.robbed.contains(serial));
            let now = self.input.now;
            let fact = match known.copy {
                ServerCopy::Listed | ServerCopy::Unknown => {
                    let copy = ServerCopy::Absent(now);
                    MaildropFact::Known(*serial, KnownMessage { uidl, copy, ..known.clone() })
                }
                ServerCopy::Absent(since) | ServerCopy::Deleted(since) if age(since, now) >= REMEMBERED.as_secs() => {
                    MaildropFact::Forgotten(*serial)
                }
                ServerCopy::Absent(_) | ServerCopy::Deleted(_) => continue,
            };
            self.plan.missed.insert(*serial, fact);
        }
    }
}

/// Whether the file that was delivered can be all of a message with this size, as far as its name tells.
fn is_whole(known: &KnownMessage, listed: u64) -> bool {
    known.local.file().and_then(|delivered| delivered.file.wire_size()).is_none_or(|came| is_as_listed(listed, came))
}

impl Fetch {
    /// The record of a message that was seen for the first time and is not delivered; `None` where nothing would be
    /// known by it.
    pub fn seen(&self) -> Option<MaildropFact> {
        let known = KnownMessage {
            uidl: Some(self.uidl?),
            size: self.size,
            first_seen: self.first_seen,
            local: LocalCopy::None,
            copy: ServerCopy::Listed,
        };
        (self.what == Fetched::New).then_some(MaildropFact::Known(self.serial, known))
    }
}
