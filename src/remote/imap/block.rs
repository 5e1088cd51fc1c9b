//! One mailbox in one flight of an observation: what came, and whether it can be believed.

use std::collections::BTreeMap;

use super::fetch::Fetched;
use super::gate::Word;
use super::observe::{Ask, Seen, SeenCoverage, SeenMessage};
use super::quirk;
use super::reply::{Code, Status, Untagged};
use super::select::Opening;
use crate::error::{Error, Kind, Result};
use crate::mail::{RemoteCheckpoint, Uid, UidSet};

/// FETCH responses that may come beyond what a mailbox of this size takes: others change flags meanwhile.
const SPARE_LINES: u64 = 200_000;

/// How a mailbox is gone through, the cheapest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// What changed and what vanished, from the opening.
    Qresync,
    /// What changed; what vanished by a search or by counting.
    CondStore,
    /// The flags of what is known, all of what is new.
    Flags,
    /// All of every message.
    Everything,
}

/// Whether all UIDs are searched for, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// They are.
    All,
    /// They are not.
    No,
}

/// What a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Switches QRESYNC on.
    Enable,
    /// Opens the mailbox.
    Select,
    /// Looks at what is known.
    Known,
    /// Looks at what is new.
    New,
    /// Searches for all UIDs.
    Search,
}

/// One mailbox in one flight.
pub struct Block<'a> {
    /// Its place among the asks.
    pub place: usize,
    /// What is asked.
    pub ask: &'a Ask,
    /// How it is gone through.
    pub tier: Tier,
    /// Whether all UIDs are searched for.
    pub search: Search,
    /// What the opening tells, kept up afterwards.
    pub opening: Opening,
    /// How the opening ended.
    pub opened: Option<Status>,
    /// How it stood when it was open.
    pub then: Opening,
    /// The messages seen.
    pub messages: BTreeMap<Uid, SeenMessage>,
    /// The UIDs that went.
    pub vanished: UidSet,
    /// The UIDs that were searched for.
    pub found: Option<UidSet>,
    /// A FETCH that did not end well.
    pub refused: Option<Status>,
    /// More went than there was, so what went is not believed.
    pub impossible: bool,
    /// FETCH responses that were taken.
    pub lines: u64,
    /// Commands about it that the server has not answered yet.
    pub unanswered: usize,
}

/// What a block came to.
pub enum Verdict {
    /// The whole truth.
    Done(Seen),
    /// Another round, this way.
    Again(Tier, Search),
}

impl<'a> Block<'a> {
    /// Begins without anything seen.
    pub fn new(place: usize, ask: &'a Ask, tier: Tier, search: Search) -> Block<'a> {
        Block {
            place,
            ask,
            tier,
            search,
            opening: Opening::default(),
            opened: None,
            then: Opening::default(),
            messages: BTreeMap::new(),
            vanished: UidSet::new(),
            found: None,
            refused: None,
            impossible: false,
            lines: 0,
            unanswered: 0,
        }
    }

    /// Whether the opening ended well.
    pub fn is_open(&self) -> bool {
        self.opened.as_ref().is_some_and(Status::is_ok)
    }

    /// Takes data in that came while `step` was the oldest unanswered command.
    ///
    /// # Errors
    /// The server describes messages without end.
    pub fn take(&mut self, step: Step, data: Untagged<'_>) -> Result<()> {
        match data {
            Untagged::Fetch(tokens) => {
                self.lines += 1;
                if self.lines > SPARE_LINES.saturating_add(u64::from(self.opening.exists).saturating_mul(4)) {
                    return Err(Error::new(Kind::Protocol, "The server describes far more messages than it has"));
                }
                self.message(step, Fetched::read(tokens));
            }
            Untagged::Vanished { earlier, uids } => {
                if !earlier {
                    self.expunged(u32::try_from(uids.len()).unwrap_or(u32::MAX));
                }
                self.vanished.insert_all(&uids);
                self.messages.retain(|uid, _| !uids.contains(*uid));
            }
            Untagged::Expunge => self.expunged(1),
            // Unasked, it answers nothing. Dovecot says it before the FETCH in front of it has ended.
            Untagged::Search(uids) if self.search == Search::All => self.found = Some(uids),
            Untagged::Status(Status { code: Some(Code::Closed), .. }) if step == Step::Select => {
                // What came before was of the mailbox before.
                self.opening = Opening::default();
                self.messages.clear();
                self.vanished = UidSet::new();
            }
            other => self.opening.take(&other),
        }
        Ok(())
    }

    /// So many went while the mailbox was open; only messages that were there can (RFC 7162 §3.2.10).
    fn expunged(&mut self, gone: u32) {
        self.impossible |= gone > self.opening.exists;
        self.opening.exists = self.opening.exists.saturating_sub(gone);
    }

    fn message(&mut self, step: Step, fetched: Fetched<'_>) {
        let Some(uid) = fetched.uid else { return };
        // `n:*` names the last message when none is n or above (RFC 3501 §9 `seq-range`).
        let echo = step == Step::New && self.ask.first_new().is_some_and(|n| uid < n);
        if let Some(message) = self.messages.get_mut(&uid) {
            if let Some(flags) = fetched.flags {
                message.flags = flags;
            }
            message.size = fetched.size.or(message.size);
            message.internal_date = fetched.internal_date.or(message.internal_date);
            message.email_id = fetched.email_id.or_else(|| message.email_id.take());
        } else if let (Some(flags), false) = (fetched.flags, echo) {
            let Fetched { size, internal_date, email_id, .. } = fetched;
            self.messages.insert(uid, SeenMessage { flags, size, internal_date, email_id });
        }
    }

    /// Judges what came: is it the whole truth, or does it take another round?
    ///
    /// # Errors
    /// The mailbox was refused, or the server's numbers do not agree.
    pub fn verdict(self) -> Result<Verdict> {
        let opened = self.opened.as_ref().filter(|s| !s.is_ok());
        if let Some(refused) = opened {
            return match (self.lower(), refused.word) {
                // The parameters may be what it does not understand.
                (Some(lower), Word::Bad) => Ok(Verdict::Again(lower, Search::No)),
                _ => Err(refused.refusal("The mailbox cannot be opened")),
            };
        }
        let checkpoint = self.then.checkpoint(self.ask.access)?;
        let same = self.ask.since.as_ref().is_some_and(|s| s.uid_validity == checkpoint.uid_validity);
        match self.tier {
            // Nothing of the checkpoint holds.
            Tier::Qresync | Tier::CondStore | Tier::Flags if !same => Ok(Verdict::Again(Tier::Everything, Search::No)),
            Tier::Qresync | Tier::CondStore => Ok(self.changes(checkpoint)),
            Tier::Flags | Tier::Everything => self.listing(checkpoint, same),
        }
    }

    /// The tier below, for tiers whose commands have parameters that a server may not understand.
    fn lower(&self) -> Option<Tier> {
        match self.tier {
            Tier::Qresync => Some(Tier::CondStore),
            Tier::CondStore => Some(Tier::Flags),
            Tier::Flags | Tier::Everything => None,
        }
    }

    fn changes(self, checkpoint: RemoteCheckpoint) -> Verdict {
        let since = self.ask.since.as_ref();
        // NOMODSEQ now, or a server that was put back to an earlier state.
        let back = checkpoint.highest_modseq < since.and_then(|s| s.highest_modseq)
            || (checkpoint.uid_next.is_some() && checkpoint.uid_next < since.and_then(|s| s.uid_next));
        if back || self.impossible || self.failure().is_some() {
            return Verdict::Again(Tier::Flags, Search::No);
        }
        let known = &self.ask.known;
        let vanished = match (&self.found, self.search) {
            (Some(found), _) => known.iter().filter(|uid| !found.contains(*uid)).collect(),
            (None, Search::All) => return Verdict::Again(Tier::Flags, Search::No),
            (None, Search::No) => self.vanished,
        };
        let stayed = known.iter().filter(|uid| !vanished.contains(*uid)).count();
        let came = self.messages.keys().filter(|uid| !known.contains(**uid)).count();
        let there = u64::from(self.opening.exists);
        let as_found = self.found.as_ref().is_none_or(|found| found.len() == there);
        if as_found && there == (stayed + came) as u64 {
            let coverage = SeenCoverage::Changes { vanished };
            return Verdict::Done(Seen { checkpoint, messages: self.messages, coverage, undescribed: UidSet::new() });
        }
        match (self.tier, self.search) {
            (Tier::CondStore, Search::No) => Verdict::Again(Tier::CondStore, Search::All),
            _ => Verdict::Again(Tier::Flags, Search::No),
        }
    }

    fn listing(mut self, checkpoint: RemoteCheckpoint, same: bool) -> Result<Verdict> {
        // What came between the FETCH and the SEARCH is for the next run.
        if let (Some(found), Some(next)) = (&mut self.found, checkpoint.uid_next) {
            *found = found.iter().filter(|uid| *uid < next || self.messages.contains_key(uid)).collect();
        }
        let seen = self.messages.len() as u64;
        let all = match &self.found {
            None => seen >= u64::from(self.opening.exists) && !self.impossible && self.failure().is_none(),
            // A search that finds nothing where something is says nothing.
            Some(found) if found.is_empty() && self.opening.exists > 0 => {
                return Err(disagrees(u64::from(self.opening.exists), 0));
            }
            Some(found) => found.len() == self.messages.keys().filter(|uid| found.contains(**uid)).count() as u64,
        };
        if all {
            let coverage = SeenCoverage::Everything;
            let undescribed = UidSet::new();
            return Ok(Verdict::Done(Seen { checkpoint, messages: self.messages, coverage, undescribed }));
        }
        let Some(found) = &self.found else {
            return match (self.search, &self.refused) {
                (Search::No, _) => Ok(Verdict::Again(self.tier, Search::All)),
                (Search::All, Some(refused)) => Err(refused.refusal("The server does not list the mailbox's messages")),
                (Search::All, None) => Err(disagrees(u64::from(self.opening.exists), seen)),
            };
        };
        // Some are there and cannot be described: they are not gone, so this is no listing of everything.
        if !same && !self.ask.known.is_empty() {
            return Err(disagrees(found.len(), seen));
        }
        let vanished = self.ask.known.iter().filter(|uid| !found.contains(*uid)).collect();
        let undescribed = found.iter().filter(|uid| !self.messages.contains_key(uid)).collect();
        let coverage = SeenCoverage::Changes { vanished };
        Ok(Verdict::Done(Seen { checkpoint, messages: self.messages, coverage, undescribed }))
    }

    /// The FETCH that failed, unless there was nothing to fetch.
    fn failure(&self) -> Option<&Status> {
        self.refused.as_ref().filter(|_| !quirk::is_empty_range(self.opening.exists))
    }
}

fn disagrees(there: u64, seen: u64) -> Error {
    Error::new(Kind::Protocol, format!("The server counts {there} messages and describes {seen}"))
        .hint("Nothing is concluded from that; the next run looks again.")
}
