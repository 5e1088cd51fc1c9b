//! What changed in mailboxes: the cheapest observation that the server allows, pipelined over all of them.
//!
//! | tier | commands | what it needs |
//! | --- | --- | --- |
//! | QRESYNC | SELECT (QRESYNC …), FETCH of new UIDs | a checkpoint with a modification sequence |
//! | CONDSTORE | SELECT (CONDSTORE), FETCH CHANGEDSINCE, FETCH of new UIDs, SEARCH for what went | the same |
//! | flags | SELECT, FETCH of all flags, FETCH of new UIDs | a checkpoint |
//! | everything | SELECT, FETCH of all that is known of a message | nothing |
//!
//! A tier is believed only when its numbers agree: what was known, less what went, plus what came, is what EXISTS says.
//! Otherwise the mailbox goes through a lower tier in a second flight. So a server that forgets, omits or rolls back
//! costs octets and never a message: "everything was listed" is said only when it was.

use std::collections::{BTreeMap, VecDeque};

use super::block::{Block, Search, Step, Tier, Verdict};
use super::capability::Capability;
use super::command::Command;
use super::name::WireName;
use super::reply::{Status, Untagged};
use super::select::Selected;
use super::session::Session;
use super::wire::Job;
use crate::error::{Error, Kind, Result};
use crate::mail::{Flags, RemoteCheckpoint, Uid, UidSet, UnixSeconds};

/// How often a mailbox may be gone through; each time in a lower tier or with a search.
const ROUNDS: usize = 5;

/// One mailbox to look into.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Its name.
    pub wire: WireName,
    /// The checkpoint up to which everything is known; `None` asks for everything.
    pub since: Option<RemoteCheckpoint>,
    /// The UIDs known to exist as of `since`; empty when `since` is `None`.
    pub known: UidSet,
    /// How it is opened.
    pub access: Access,
}

impl Ask {
    /// The first UID of which nothing is known, as far as those that are known stand together. What we sent ourselves
    /// since the checkpoint is known, and of that, as of all that is known, only changes are asked for.
    pub fn first_new(&self) -> Option<Uid> {
        let next = self.since.as_ref()?.uid_next?;
        let known = self.known.ranges().iter().find(|(first, last)| (first..=last).contains(&&next));
        Some(known.and_then(|(_, last)| last.next()).unwrap_or(next))
    }
}

/// How a mailbox is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// EXAMINE: nothing in it can change; which flags it keeps is then not known and taken to be all.
    ReadOnly,
    /// SELECT.
    ReadWrite,
}

/// What was seen of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// How it stood when it was opened: what a later [`Ask::since`] takes.
    pub checkpoint: RemoteCheckpoint,
    /// The messages seen: all of them, or those that changed.
    pub messages: BTreeMap<Uid, SeenMessage>,
    /// What absence from `messages` means.
    pub coverage: SeenCoverage,
    /// Messages that are there and that the server does not describe.
    pub undescribed: UidSet,
}

/// What it means that a UID is not among the messages seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenCoverage {
    /// All messages were listed: it is gone.
    Everything,
    /// Changes since the checkpoint were listed: it is gone when in `vanished`, unchanged otherwise.
    Changes {
        /// UIDs that went; a server's range may name UIDs that never were.
        vanished: UidSet,
    },
}

/// One message as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenMessage {
    /// Its flags.
    pub flags: Flags,
    /// RFC822.SIZE in octets; asked for messages that were not known.
    pub size: Option<u64>,
    /// INTERNALDATE; asked for messages that were not known.
    pub internal_date: Option<UnixSeconds>,
    /// EMAILID (RFC 8474 §5.1) or X-GM-MSGID, where the server has one; asked for messages that were not known.
    pub email_id: Option<String>,
}

/// One flight over some mailboxes. Each is given away as soon as all about it was answered.
struct Flight<'a, 't> {
    blocks: Vec<Option<Block<'a>>>,
    take: &'t mut dyn FnMut(Block<'a>) -> Result<()>,
    commands: VecDeque<(usize, Step, Command)>,
    sent: Vec<(usize, Step)>,
    selected: Option<Selected>,
    enabled: bool,
    modseqs: ModSeqs,
}

/// Whether modification sequences may be used: servers send them with SELECT even where CONDSTORE is switched off here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ModSeqs {
    Used,
    Unused,
}

impl<'a> Flight<'a, '_> {
    fn add(&mut self, mut block: Block<'a>, commands: impl Iterator<Item = (Step, Command)>) {
        for (step, command) in commands {
            block.unanswered += 1;
            self.commands.push_back((self.blocks.len(), step, command));
        }
        self.blocks.push(Some(block));
    }
}

impl Job for Flight<'_, '_> {
    fn next(&mut self) -> Option<Command> {
        let (block, step, command) = self.commands.pop_front()?;
        self.sent.push((block, step));
        Some(command)
    }

    fn untagged(&mut self, current: usize, data: Untagged<'_>) -> Result<()> {
        if let Some(&(block, step)) = self.sent.get(current)
            && let Some(Some(block)) = self.blocks.get_mut(block)
            && step != Step::Enable
            // After a refused SELECT, data is of no mailbox that we know.
            && (step == Step::Select || block.is_open())
        {
            block.take(step, data)?;
        }
        Ok(())
    }

    fn tagged(&mut self, which: usize, status: Status) -> Result<()> {
        let Some(&(at, step)) = self.sent.get(which) else { return Ok(()) };
        let Some(place) = self.blocks.get_mut(at) else { return Ok(()) };
        let Some(block) = place else { return Ok(()) };
        match step {
            Step::Enable => self.enabled = status.is_ok(),
            Step::Select => {
                block.then = block.opening.clone();
                if self.modseqs == ModSeqs::Unused {
                    block.then.highest_modseq = None;
                }
                let (wire, access) = (block.ask.wire.clone(), block.ask.access);
                let validity = block.opening.validity.filter(|_| status.is_ok());
                self.selected = validity.map(|validity| Selected { wire, access, validity });
                block.opened = Some(status);
            }
            Step::Known | Step::New | Step::Search => {
                if !status.is_ok() {
                    block.refused = Some(status);
                }
            }
        }
        block.unanswered -= 1;
        let answered = place.take_if(|block| block.unanswered == 0);
        answered.map_or(Ok(()), |block| (self.take)(block))
    }
}

impl Session {
    /// Looks into mailboxes; the answers stand in the order of the asks.
    ///
    /// # Errors
    /// The outer error ends the connection. An inner one concerns that mailbox only: it was refused, or the server's
    /// numbers do not agree; nothing can be concluded of it.
    pub fn observe(&mut self, asks: &[Ask]) -> Result<Vec<Result<Seen>>> {
        let mut answers: BTreeMap<usize, Result<Seen>> = BTreeMap::new();
        self.observe_each(asks, &mut |place, seen| {
            answers.insert(place, seen);
            Ok(())
        })?;
        Ok(answers.into_values().collect())
    }

    /// Looks into mailboxes, and gives what was seen of each as soon as it was, with its place among the asks: no more
    /// than one listing has to be in memory at a time.
    ///
    /// # Errors
    /// Those of [`Session::observe`], and those of `take`.
    pub fn observe_each(
        &mut self,
        asks: &[Ask],
        take: &mut dyn FnMut(usize, Result<Seen>) -> Result<()>,
    ) -> Result<()> {
        let mut rounds: Vec<(usize, Tier, Search)> =
            asks.iter().enumerate().map(|(place, ask)| (place, self.tier(ask), Search::No)).collect();
        for round in 1..=ROUNDS {
            let mut again = Vec::new();
            self.observe_once(asks, &rounds, &mut |block| {
                let place = block.place;
                match block.verdict() {
                    Ok(Verdict::Again(tier, search)) if round < ROUNDS => {
                        again.push((place, tier, search));
                        Ok(())
                    }
                    Ok(Verdict::Again(..)) => {
                        take(place, Err(Error::new(Kind::Protocol, "The server's numbers do not agree")))
                    }
                    Ok(Verdict::Done(seen)) => take(place, Ok(seen)),
                    Err(error) => take(place, Err(error)),
                }
            })?;
            rounds = again.into_iter().map(|(place, tier, search)| (place, self.possible(tier), search)).collect();
            if rounds.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// The cheapest tier for an ask.
    fn tier(&self, ask: &Ask) -> Tier {
        match &ask.since {
            None => Tier::Everything,
            Some(since) if since.uid_next.is_none() => Tier::Everything,
            Some(since) if since.highest_modseq.is_none() => Tier::Flags,
            Some(_) => self.possible(Tier::Qresync),
        }
    }

    /// `tier`, or the next one that the server has.
    fn possible(&self, tier: Tier) -> Tier {
        match tier {
            Tier::Qresync if self.qresync => Tier::Qresync,
            Tier::Qresync | Tier::CondStore if self.capabilities.has(Capability::CondStore) => Tier::CondStore,
            Tier::Qresync | Tier::CondStore | Tier::Flags => Tier::Flags,
            Tier::Everything => Tier::Everything,
        }
    }

    fn observe_once<'a>(
        &mut self,
        asks: &'a [Ask],
        rounds: &[(usize, Tier, Search)],
        take: &mut dyn FnMut(Block<'a>) -> Result<()>,
    ) -> Result<()> {
        let mut flight = Flight {
            blocks: Vec::new(),
            take,
            commands: VecDeque::new(),
            sent: Vec::new(),
            selected: None,
            enabled: self.qresync,
            modseqs: if self.capabilities.has(Capability::CondStore) { ModSeqs::Used } else { ModSeqs::Unused },
        };
        for &(place, tier, search) in rounds {
            let Some(ask) = asks.get(place) else { continue };
            let enable = self.enable().map(|enable| (Step::Enable, enable));
            let esearch = self.capabilities.has(Capability::Esearch);
            let search = if tier == Tier::CondStore && esearch { Search::All } else { search };
            let commands = enable.into_iter().chain(self.commands(ask, tier, search));
            flight.add(Block::new(place, ask, tier, search), commands);
        }
        self.selected = None;
        self.wire.fly(&mut flight)?;
        self.selected = flight.selected;
        self.qresync = flight.enabled;
        Ok(())
    }

    fn commands(&self, ask: &Ask, tier: Tier, search: Search) -> Vec<(Step, Command)> {
        let select = |parameters: &str| (Step::Select, self.select(&ask.wire, ask.access, parameters));
        let id = if self.capabilities.has(Capability::ObjectId) {
            " EMAILID"
        } else if self.capabilities.has(Capability::GmailExt) {
            " X-GM-MSGID"
        } else {
            ""
        };
        let items = format!("(UID FLAGS INTERNALDATE RFC822.SIZE{id})");
        let since = ask.since.as_ref();
        let first_new = ask.first_new().map_or(1, Uid::get);
        let modseq = since.and_then(|s| s.highest_modseq).map_or(1, |m| m.0);
        // Nothing is known below the first UID.
        let known = |rest: &str| {
            let command = Command::new(format_args!("UID FETCH 1:{} (UID FLAGS){rest}", first_new.saturating_sub(1)));
            (first_new > 1).then_some((Step::Known, command))
        };
        let new = (Step::New, Command::new(format_args!("UID FETCH {first_new}:* {items}")));
        let mut commands = match tier {
            Tier::Qresync => {
                let validity = since.map_or(0, |s| s.uid_validity.0);
                vec![select(&format!(" (QRESYNC ({validity} {modseq}))")), new]
            }
            Tier::CondStore => [select(" (CONDSTORE)")]
                .into_iter()
                .chain(known(&format!(" (CHANGEDSINCE {modseq})")))
                .chain([new])
                .collect(),
            Tier::Flags => [select("")].into_iter().chain(known("")).chain([new]).collect(),
            Tier::Everything => vec![select(""), (Step::Known, Command::new(format_args!("UID FETCH 1:* {items}")))],
        };
        if search == Search::All {
            commands.push((Step::Search, self.uid_search("ALL")));
        }
        commands
    }
}

#[cfg(test)]
mod tests;
