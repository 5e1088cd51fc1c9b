//! Message bodies: chunked UID FETCH, the next chunk on the wire before this one ends, literals streamed to a sink.
//!
//! Memory depends on no message's size: a body goes from the connection to the sink in pieces. A body counts only when
//! its response has ended and names a UID that was asked for and has not come yet. A chunk that is refused as a whole is
//! asked for again one by one, so that the bad message is named and the rest arrives.

use std::collections::{BTreeMap, VecDeque};

use super::command::Command;
use super::fetch::{self, Body, Fetched};
use super::frame::{Line, Went, keep_small};
use super::name::WireName;
use super::observe::Access;
use super::quirk;
use super::reply::{Status, Untagged};
use super::select::{Opening, Selected, changed_meanwhile};
use super::session::Session;
use super::wire::Job;
use crate::error::{Error, Kind, Result};
use crate::mail::{HeaderFields, Uid, UidSet, UidValidity};

/// Messages a chunk.
const CHUNK: u64 = 128;
/// Octets of UIDs a command.
const CHUNK_OCTETS: usize = 1000;
/// Messages a chunk when only a header field is wanted.
const HEADER_CHUNK: u64 = 1000;
/// Chunks on the wire.
const IN_FLIGHT: usize = 3;

/// Refusals for now in a row after which no more is asked for. One alone may be about one message: Yahoo says `NO
/// [UNAVAILABLE] FETCH Server error while fetching messages` for a damaged one (emailjs/emailjs-imap-client#60).
const LATER_MOST: usize = 10;

/// Takes bodies as they come off the wire. An error ends the fetch, and the connection with it.
pub trait BodySink {
    /// A body of `octets` begins. When no [`BodySink::message`] followed the one before, that one is to be dropped.
    fn start(&mut self, octets: u64) -> Result<()>;
    /// The next piece of the body that began last.
    fn data(&mut self, bytes: &[u8]) -> Result<()>;
    /// The body that began last is complete and belongs to this message.
    fn message(&mut self, meta: FetchedMessage) -> Result<()>;
    /// A message that was asked for was not delivered: the server refused it, or said OK without it, as it does when the
    /// message is gone.
    fn missing(&mut self, uid: Uid, refusal: Option<&Error>) -> Result<()>;
}

/// A body that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchedMessage {
    /// Whose body it is.
    pub uid: Uid,
    /// How long it was; on servers with a wrong RFC822.SIZE this is the one that is right.
    pub octets: u64,
}

/// Where what was fetched goes.
enum Goal<'a> {
    Bodies(&'a mut dyn BodySink),
    HeaderFields(&'a mut BTreeMap<Uid, HeaderFields>),
}

enum Step {
    Enable,
    Select,
    Chunk(UidSet),
}

struct Fetching<'a> {
    mailbox: &'a WireName,
    expected: Option<UidValidity>,
    wanted: &'a UidSet,
    goal: Goal<'a>,
    before: VecDeque<(Step, Command)>,
    chunks: VecDeque<UidSet>,
    sent: Vec<Step>,
    got: UidSet,
    opening: Opening,
    selected: Option<Selected>,
    failure: Option<Error>,
    /// How many chunks in a row were refused for now.
    later: usize,
}

impl Fetching<'_> {
    fn is_due(&self, uid: Uid) -> bool {
        self.wanted.contains(uid) && !self.got.contains(uid)
    }

    fn fetched(&mut self, fetched: Fetched<'_>) -> Result<()> {
        let Some(uid) = fetched.uid.filter(|uid| self.is_due(*uid)) else { return Ok(()) };
        match &mut self.goal {
            Goal::Bodies(sink) => {
                let octets = match fetched.body {
                    // The flags of somebody's change, or a body that the server cannot give.
                    None | Some(Body::Absent) => return Ok(()),
                    Some(Body::Streamed(octets)) => octets,
                    Some(Body::Kept(body)) => {
                        let octets = body.len() as u64;
                        sink.start(octets)?;
                        sink.data(&body)?;
                        octets
                    }
                };
                self.got.insert(uid);
                sink.message(FetchedMessage { uid, octets })
            }
            Goal::HeaderFields(fields) => {
                if let Some(header) = fetched.header {
                    let found = if let Body::Kept(header) = header {
                        HeaderFields::of(&header)
                    } else {
                        HeaderFields::default()
                    };
                    self.got.insert(uid);
                    fields.insert(uid, found);
                }
                Ok(())
            }
        }
    }

    fn chunk_ended(&mut self, chunk: &UidSet, status: &Status) -> Result<()> {
        let missing: UidSet = chunk.iter().filter(|uid| self.is_due(*uid)).collect();
        if missing.is_empty() || self.failure.is_some() {
            return Ok(());
        }
        let refusal = (!status.is_ok()).then(|| status.refusal("The server does not give the message"));
        let later = refusal.as_ref().is_some_and(|refusal| refusal.kind() == Kind::TryLater);
        self.later = if later { self.later + 1 } else { 0 };
        match refusal {
            Some(refusal) if self.later > LATER_MOST || quirk::is_throttled(&status.words) => {
                self.failure = Some(refusal);
                self.chunks.clear();
                Ok(())
            }
            Some(_) if chunk.len() > 1 => {
                missing.iter().for_each(|uid| self.chunks.push_back(UidSet::range(uid, uid)));
                Ok(())
            }
            refusal => match &mut self.goal {
                Goal::Bodies(sink) => missing.iter().try_for_each(|uid| sink.missing(uid, refusal.as_ref())),
                Goal::HeaderFields(_) => Ok(()),
            },
        }
    }

    fn opened(&mut self, status: &Status) {
        let outcome = if status.is_ok() {
            self.opening.checkpoint(Access::ReadOnly).map(|checkpoint| checkpoint.uid_validity)
        } else {
            Err(status.refusal("The mailbox cannot be opened"))
        };
        match outcome {
            Ok(validity) => {
                self.selected = Some(Selected { wire: self.mailbox.clone(), access: Access::ReadOnly, validity });
                if self.expected.is_some_and(|e| e != validity) {
                    self.failure = Some(changed_meanwhile());
                }
            }
            Err(error) => self.failure = Some(error),
        }
        if self.failure.is_some() {
            self.chunks.clear();
        }
    }
}

impl Job for Fetching<'_> {
    fn next(&mut self) -> Option<Command> {
        if let Some((step, command)) = self.before.pop_front() {
            self.sent.push(step);
            return Some(command);
        }
        let items = match self.goal {
            Goal::Bodies(_) => "(UID BODY.PEEK[])".to_owned(),
            Goal::HeaderFields(_) => format!("(UID BODY.PEEK[HEADER.FIELDS ({})])", HeaderFields::NAMES),
        };
        let chunk = self.chunks.pop_front()?;
        let command = Command::new(format_args!("UID FETCH {chunk} {items}"));
        self.sent.push(Step::Chunk(chunk));
        Some(command)
    }

    fn window(&self) -> usize {
        IN_FLIGHT
    }

    fn literal(&mut self, line: &Line, octets: u64) -> Result<Went> {
        let Goal::Bodies(sink) = &mut self.goal else { return Ok(keep_small(octets)) };
        let Some(uid) = fetch::opens_body(line) else { return Ok(keep_small(octets)) };
        let due = uid.is_none_or(|uid| self.wanted.contains(uid) && !self.got.contains(uid));
        if !due || self.failure.is_some() {
            return Ok(Went::Skipped);
        }
        sink.start(octets)?;
        Ok(Went::Streamed)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.goal {
            Goal::Bodies(sink) => sink.data(bytes),
            Goal::HeaderFields(_) => Ok(()),
        }
    }

    fn untagged(&mut self, current: usize, data: Untagged<'_>) -> Result<()> {
        match (self.sent.get(current), data) {
            (Some(Step::Select), data) => {
                self.opening.take(&data);
                Ok(())
            }
            (Some(Step::Chunk(_)), Untagged::Fetch(tokens)) if self.failure.is_none() => {
                self.fetched(Fetched::read(tokens))
            }
            _ => Ok(()),
        }
    }

    fn tagged(&mut self, which: usize, status: Status) -> Result<()> {
        match self.sent.get_mut(which) {
            Some(Step::Select) => {
                self.opened(&status);
                Ok(())
            }
            Some(Step::Chunk(chunk)) => {
                let chunk = std::mem::take(chunk);
                self.chunk_ended(&chunk, &status)
            }
            Some(Step::Enable) | None => Ok(()),
        }
    }
}

impl Session {
    /// Fetches bodies, in any order; each UID ends in one [`BodySink::message`] or [`BodySink::missing`].
    ///
    /// A message of no octets is delivered as such: whether that can be is for the caller to judge by its size.
    ///
    /// # Errors
    /// The mailbox was refused or replaced meanwhile, the server asks to come back later, the sink failed, or the
    /// connection is over.
    pub fn fetch_bodies(
        &mut self,
        mailbox: &WireName,
        validity: UidValidity,
        uids: &UidSet,
        sink: &mut dyn BodySink,
    ) -> Result<()> {
        self.fetch(mailbox, Some(validity), uids, Goal::Bodies(sink), CHUNK)
    }

    /// Fetches a few fields of headers. A UID that is not in the answer is gone.
    ///
    /// # Errors
    /// The mailbox was refused, the server asks to come back later, or the connection is over.
    pub fn header_fields(&mut self, mailbox: &WireName, uids: &UidSet) -> Result<BTreeMap<Uid, HeaderFields>> {
        let mut fields = BTreeMap::new();
        self.fetch(mailbox, None, uids, Goal::HeaderFields(&mut fields), HEADER_CHUNK)?;
        Ok(fields)
    }

    fn fetch<'a>(
        &mut self,
        mailbox: &'a WireName,
        expected: Option<UidValidity>,
        uids: &'a UidSet,
        goal: Goal<'a>,
        chunk: u64,
    ) -> Result<()> {
        let mut before = VecDeque::new();
        match self.is_open(mailbox, Access::ReadOnly) {
            Some(found) if expected.is_some_and(|e| e != found) => return Err(changed_meanwhile()),
            Some(_) => (),
            None => {
                before.extend(self.enable().map(|command| (Step::Enable, command)));
                before.push_back((Step::Select, self.select(mailbox, Access::ReadOnly, "")));
                self.selected = None;
            }
        }
        let mut job = Fetching {
            mailbox,
            expected,
            wanted: uids,
            goal,
            before,
            chunks: uids.chunks(chunk, CHUNK_OCTETS).into(),
            sent: Vec::new(),
            got: UidSet::new(),
            opening: Opening::default(),
            selected: self.selected.take(),
            failure: None,
            later: 0,
        };
        self.wire.fly(&mut job)?;
        self.selected = job.selected;
        job.failure.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests;
