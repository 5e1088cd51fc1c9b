//! What a message turns out to be once it was fetched and its digest is known.

use std::collections::{BTreeMap, BTreeSet};

use super::identity::claimable;
use super::{Fetch, Fetched, Known, Plan};
use crate::mail::{
    Digest, HeaderHash, KnownMessage, LocalCopy, MaildropFact, Serial, ServerCopy, UidlHash, UnixSeconds,
};

/// The records that a fetched message may turn out to be. Each is found once: N in, N out.
#[derive(Debug)]
pub struct Arrivals<'a> {
    known: &'a Known,
    open: BTreeMap<Digest, BTreeSet<Serial>>,
    of_uidl: BTreeMap<UidlHash, Vec<Serial>>,
    found: BTreeSet<Serial>,
}

/// What a fetched message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has to be delivered; then the facts hold, beside that of its own.
    New(Vec<MaildropFact>),
    /// It is delivered already.
    Known {
        /// Its record.
        serial: Serial,
        /// When it was first seen.
        first_seen: UnixSeconds,
        /// What holds now.
        facts: Vec<MaildropFact>,
    },
}

impl<'a> Arrivals<'a> {
    /// Expects the messages of `plan`, which was made of `known`.
    pub fn new(known: &'a Known, plan: &'a Plan) -> Self {
        let mut open: BTreeMap<Digest, BTreeSet<Serial>> = BTreeMap::new();
        let mut of_uidl: BTreeMap<UidlHash, Vec<Serial>> = BTreeMap::new();
        for (serial, record) in plan.open.iter().filter_map(|serial| Some((*serial, known.get(serial)?))) {
            if let Some(delivered) = claimable(record) {
                open.entry(delivered.digest).or_default().insert(serial);
            }
            if let Some(uidl) = record.uidl {
                of_uidl.entry(uidl).or_default().push(serial);
            }
        }
        Arrivals { known, open, of_uidl, found: BTreeSet::new() }
    }

    /// Tells what a message is that came with this digest and header.
    pub fn judge(&mut self, fetch: &Fetch, digest: Digest, header: Option<HeaderHash>) -> Verdict {
        let rival = match fetch.what {
            Fetched::Doubtful { rival } => rival.and_then(|serial| Some((serial, self.known.get(&serial)?))),
            Fetched::New | Fetched::Seen => None,
        };
        let is_rival = |(_, known): &(Serial, &KnownMessage)| known.local.file().is_some_and(|d| d.digest == digest);
        let found = match rival.filter(is_rival) {
            // A rival that somebody else turned out to be is taken; one that we deleted was never open.
            Some((serial, known)) if claimable(known).is_none() || self.is_open(digest, serial) => Some(serial),
            _ => self.open.get(&digest).and_then(|open| open.first().copied()),
        };
        let Some((serial, known)) = found.and_then(|serial| Some((serial, self.known.get(&serial)?))) else {
            return Verdict::New(self.robbed(fetch.uidl));
        };
        self.open.entry(digest).or_default().remove(&serial);
        self.found.insert(serial);
        let mut now = KnownMessage { uidl: fetch.uidl, size: fetch.size, copy: ServerCopy::Listed, ..known.clone() };
        if let LocalCopy::File(delivered) = &mut now.local {
            delivered.header = header;
        }
        let mut facts = vec![MaildropFact::Known(serial, now)];
        if fetch.what == Fetched::Seen {
            facts.push(MaildropFact::Forgotten(fetch.serial));
        }
        facts.extend(self.robbed(fetch.uidl));
        Verdict::Known { serial, first_seen: known.first_seen, facts }
    }

    fn is_open(&self, digest: Digest, serial: Serial) -> bool {
        self.open.get(&digest).is_some_and(|open| open.contains(&serial))
    }

    /// Records that have this UIDL and are another message go without one.
    fn robbed(&self, uidl: Option<UidlHash>) -> Vec<MaildropFact> {
        let all = uidl.and_then(|uidl| self.of_uidl.get(&uidl)).into_iter().flatten();
        let others = all.filter(|serial| !self.found.contains(serial));
        let robbed = |serial: &Serial| self.known.get(serial).map(|known| robbed(*serial, known));
        others.filter_map(robbed).collect()
    }
}

/// What is known of a message whose UIDL names another now.
pub(super) fn robbed(serial: Serial, known: &KnownMessage) -> MaildropFact {
    MaildropFact::Known(serial, KnownMessage { uidl: None, ..known.clone() })
}
