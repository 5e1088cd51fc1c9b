//! Message bodies: chunked UID FETCH, the next chunk on the wire before this one ends, literals streamed to a sink.
//!
//! One flight goes through any number of mailboxes: the next one is opened while the bodies of this one still come, so
//! that many small mailboxes cost no wait each; and while it flies the sink may ask for more. Commands go out in bursts:
//! a full window at first, and the next ones when half of it has come. Memory depends on no message's size: a body goes from the connection to
//! the sink in pieces. A body counts only when its response has ended and names a UID that was asked for in this mailbox
//! and has not come yet. A chunk that is refused as a whole is asked for again one by one, so that the bad message is
//! named and the rest arrives.

use std::collections::{BTreeMap, VecDeque};

use super::command::{Command, EightBit};
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
/// Whole chunks on the wire where the caller does not say how many messages there shall be.
const IN_FLIGHT: u64 = 3;
/// Of messages that are asked for one by one, after a refusal, so many are on the wire.
const ALONE_IN_FLIGHT: u64 = 3;

/// Refusals for now in a row after which no more is asked for. One alone may be about one message: Yahoo says `NO
/// [UNAVAILABLE] FETCH Server error while fetching messages` for a damaged one (emailjs/emailjs-imap-client#60).
const LATER_MOST: usize = 10;

/// Responses about other messages that may come with one command: flags that somebody changes.
const UNASKED_MOST: u64 = 200_000;

fn endless() -> Error {
    Error::new(Kind::Protocol, "The server sends messages without end that nobody asked for")
}

/// Takes bodies as they come off the wire. An error ends the fetch, and the connection with it.
pub trait BodySink {
    /// What follows is of this mailbox, counted from 0, of those that are asked for. Told before the first word about a
    /// mailbox and again when another one lay between.
    fn mailbox(&mut self, which: usize) {
        let _ = which;
    }
    /// A body of `octets` begins. When no [`BodySink::message`] followed the one before, that one is to be dropped.
    fn start(&mut self, octets: u64) -> Result<()>;
    /// The next piece of the body that began last.
    fn data(&mut self, bytes: &[u8]) -> Result<()>;
    /// The body that began last is complete and belongs to this message.
    fn message(&mut self, meta: FetchedMessage) -> Result<()>;
    /// A message that was asked for was not delivered: the server refused it, or said OK without it, as it does when the
    /// message is gone.
    fn missing(&mut self, uid: Uid, refusal: Option<&Error>) -> Result<()>;
    /// What else to ask for, now that there is room on the wire.
    fn more(&mut self) -> Option<More> {
        None
    }
}

/// What a sink wants beyond what was asked for at first.
#[derive(Debug)]
pub enum More {
    /// Other messages of the mailbox that was named last.
    Same(UidSet),
    /// Another mailbox, counted on.
    Another(Wanted),
}

/// A body that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchedMessage {
    /// Whose body it is.
    pub uid: Uid,
    /// How long it was; on servers with a wrong RFC822.SIZE this is the one that is right.
    pub octets: u64,
}

/// Messages of one mailbox to fetch.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The mailbox.
    pub mailbox: WireName,
    /// The generation that the UIDs are of; `None` takes any.
    pub validity: Option<UidValidity>,
    /// The messages.
    pub uids: UidSet,
}

/// Where what was fetched goes.
enum Goal<'a> {
    Bodies(&'a mut dyn BodySink),
    HeaderFields(&'a mut BTreeMap<Uid, HeaderFields>),
}

enum Step {
    Enable,
    Select(usize),
    Chunk(usize, Chunk),
}

/// Messages to ask for in one command.
#[derive(Default)]
struct Chunk {
    uids: UidSet,
    /// As how many messages it counts while it is on the wire.
    weight: u64,
}

/// How far one mailbox is.
struct Part {
    wanted: Wanted,
    got: UidSet,
    opening: Opening,
    failure: Option<Error>,
}

impl Part {
    fn new(wanted: Wanted) -> Part {
        Part { wanted, got: UidSet::new(), opening: Opening::default(), failure: None }
    }

    fn is_due(&self, uid: Uid) -> bool {
        self.failure.is_none() && self.wanted.uids.contains(uid) && !self.got.contains(uid)
    }
}

struct Fetching<'a> {
    parts: Vec<Part>,
    goal: Goal<'a>,
    /// What is to be said before the first mailbox is opened.
    enable: Option<Command>,
    eight_bit: EightBit,
    /// The mailbox that the next command finds open.
    open: Option<usize>,
    chunks: VecDeque<(usize, Chunk)>,
    /// Messages of a whole chunk.
    whole: u64,
    /// Messages that may be on the wire.
    window: u64,
    /// The weight of the commands that have not ended.
    asked: u64,
    /// The window was full, and less than half of it has come since.
    full: bool,
    sent: Vec<Step>,
    /// The mailbox the sink was told last.
    told: Option<usize>,
    selected: Option<Selected>,
    failure: Option<Error>,
    /// How many chunks in a row were refused for now.
    later: usize,
    /// Responses about other messages since a command ended.
    unasked: u64,
}

impl Fetching<'_> {
    /// Enqueues what is wanted at first; `open` names the mailbox that is open already, and its UIDVALIDITY.
    fn begin(&mut self, open: Option<(usize, UidValidity)>) {
        let mut order: Vec<usize> = (0..self.parts.len()).collect();
        if let Some((open, found)) = open {
            order.sort_by_key(|which| *which != open);
            if let Some(part) = self.parts.get_mut(open)
                && part.wanted.validity.is_some_and(|expected| expected != found)
            {
                part.failure = Some(changed_meanwhile());
            }
        }
        for which in order {
            let part = self.parts.get(which).filter(|part| part.failure.is_none());
            if let Some(uids) = part.map(|part| part.wanted.uids.clone()) {
                self.enqueue(which, &uids);
            }
        }
    }

    /// Whether another command may be sent: up to a full window, and then not before half of it has come.
    fn has_room(&mut self) -> bool {
        self.full = if self.full { self.asked > self.window / 2 } else { self.asked >= self.window };
        !self.full
    }

    /// Cuts what is wanted of a mailbox into chunks that follow those that wait.
    fn enqueue(&mut self, which: usize, uids: &UidSet) {
        let chunks = uids.chunks(self.whole, CHUNK_OCTETS).into_iter();
        self.chunks.extend(chunks.map(|uids| (which, Chunk { weight: uids.len(), uids })));
    }

    /// Takes from the sink what else it wants, when nothing waits to be asked for.
    fn look_for_more(&mut self) {
        let Goal::Bodies(sink) = &mut self.goal else { return };
        while self.chunks.is_empty() && self.failure.is_none() {
            match (sink.more(), self.parts.last_mut()) {
                (None, _) => return,
                (Some(More::Another(wanted)), _) => {
                    let uids = wanted.uids.clone();
                    self.parts.push(Part::new(wanted));
                    self.enqueue(self.parts.len() - 1, &uids);
                    return;
                }
                (Some(More::Same(_)), None) => return,
                (Some(More::Same(uids)), Some(last)) => {
                    last.wanted.uids.insert_all(&uids);
                    if last.failure.is_none() {
                        self.enqueue(self.parts.len() - 1, &uids);
                        return;
                    }
                }
            }
        }
    }

    fn fetched(&mut self, which: usize, fetched: Fetched<'_>) -> Result<()> {
        let Some(part) = self.parts.get_mut(which) else { return Ok(()) };
        let Some(uid) = fetched.uid.filter(|uid| part.is_due(*uid)) else {
            self.unasked += 1;
            return if self.unasked > UNASKED_MOST { Err(endless()) } else { Ok(()) };
        };
        match &mut self.goal {
            Goal::Bodies(sink) => {
                let octets = match fetched.body {
                    // The flags of somebody's change, or a body that the server cannot give.
                    None | Some(Body::Absent) => return Ok(()),
                    Some(Body::Streamed(octets)) => octets,
                    Some(Body::Kept(body)) => {
                        let octets = body.len() as u64;
                        turn(&mut self.told, which, &mut **sink);
                        sink.start(octets)?;
                        sink.data(&body)?;
                        octets
                    }
                };
                part.got.insert(uid);
                sink.message(FetchedMessage { uid, octets })
            }
            Goal::HeaderFields(fields) => {
                if let Some(header) = fetched.header {
                    let found = if let Body::Kept(header) = header {
                        HeaderFields::of(&header)
                    } else {
                        HeaderFields::default()
                    };
                    part.got.insert(uid);
                    fields.insert(uid, found);
                }
                Ok(())
            }
        }
    }

    fn chunk_ended(&mut self, which: usize, chunk: &Chunk, status: &Status) -> Result<()> {
        self.asked = self.asked.saturating_sub(chunk.weight);
        let Some(part) = self.parts.get(which) else { return Ok(()) };
        let missing: UidSet = chunk.uids.iter().filter(|uid| part.is_due(*uid)).collect();
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
            Some(_) if chunk.uids.len() > 1 => {
                // Each weighs much: a server in trouble gets few questions at once.
                let weight = self.window.div_ceil(ALONE_IN_FLIGHT);
                let alone = |uid| (which, Chunk { uids: UidSet::range(uid, uid), weight });
                self.chunks.extend(missing.iter().map(alone));
                Ok(())
            }
            refusal => match &mut self.goal {
                Goal::Bodies(sink) => {
                    turn(&mut self.told, which, &mut **sink);
                    missing.iter().try_for_each(|uid| sink.missing(uid, refusal.as_ref()))
                }
                Goal::HeaderFields(_) => Ok(()),
            },
        }
    }

    fn opened(&mut self, which: usize, status: &Status) {
        let Some(part) = self.parts.get_mut(which) else { return };
        let outcome = if status.is_ok() {
            part.opening.checkpoint(Access::ReadOnly).map(|checkpoint| checkpoint.uid_validity)
        } else {
            Err(status.refusal("The mailbox cannot be opened"))
        };
        self.selected = None;
        match outcome {
            Ok(validity) => {
                let wire = part.wanted.mailbox.clone();
                self.selected = Some(Selected { wire, access: Access::ReadOnly, validity });
                if part.wanted.validity.is_some_and(|e| e != validity) {
                    part.failure = Some(changed_meanwhile());
                }
            }
            Err(error) => part.failure = Some(error),
        }
        if part.failure.is_some() {
            self.chunks.retain(|(of, _)| *of != which);
        }
    }
}

/// Tells the sink which mailbox it is, when it was another one before.
fn turn(told: &mut Option<usize>, which: usize, sink: &mut dyn BodySink) {
    if told.replace(which) != Some(which) {
        sink.mailbox(which);
    }
}

impl Job for Fetching<'_> {
    fn next(&mut self) -> Option<Command> {
        if !self.has_room() {
            return None;
        }
        self.look_for_more();
        let which = self.chunks.front()?.0;
        if self.open != Some(which) {
            if let Some(enable) = self.enable.take() {
                self.sent.push(Step::Enable);
                return Some(enable);
            }
            let part = self.parts.get_mut(which)?;
            part.opening = Opening::default();
            self.open = Some(which);
            self.sent.push(Step::Select(which));
            return Some(Command::new("EXAMINE").mailbox(&part.wanted.mailbox, self.eight_bit));
        }
        let items = match self.goal {
            Goal::Bodies(_) => "(UID BODY.PEEK[])".to_owned(),
            Goal::HeaderFields(_) => format!("(UID BODY.PEEK[HEADER.FIELDS ({})])", HeaderFields::NAMES),
        };
        let (_, chunk) = self.chunks.pop_front()?;
        let command = Command::new(format_args!("UID FETCH {} {items}", chunk.uids));
        self.asked += chunk.weight;
        self.sent.push(Step::Chunk(which, chunk));
        Some(command)
    }

    fn literal(&mut self, current: usize, line: &Line, octets: u64) -> Result<Went> {
        let Goal::Bodies(sink) = &mut self.goal else { return Ok(keep_small(octets)) };
        let Some(uid) = fetch::opens_body(line) else { return Ok(keep_small(octets)) };
        let Some(Step::Chunk(which, _)) = self.sent.get(current) else { return Ok(Went::Skipped) };
        let due = |part: &Part| part.failure.is_none() && uid.is_none_or(|uid| part.is_due(uid));
        if self.failure.is_some() || !self.parts.get(*which).is_some_and(due) {
            return Ok(Went::Skipped);
        }
        turn(&mut self.told, *which, &mut **sink);
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
            (Some(Step::Select(which)), data) => {
                if let Some(part) = self.parts.get_mut(*which) {
                    part.opening.take(&data);
                }
                Ok(())
            }
            (Some(Step::Chunk(which, _)), Untagged::Fetch(tokens)) if self.failure.is_none() => {
                self.fetched(*which, Fetched::read(tokens))
            }
            _ => Ok(()),
        }
    }

    fn tagged(&mut self, which: usize, status: Status) -> Result<()> {
        self.unasked = 0;
        match self.sent.get_mut(which) {
            Some(Step::Select(which)) => {
                let which = *which;
                self.opened(which, &status);
                Ok(())
            }
            Some(Step::Chunk(which, chunk)) => {
                let (which, chunk) = (*which, std::mem::take(chunk));
                self.chunk_ended(which, &chunk, &status)
            }
            Some(Step::Enable) | None => Ok(()),
        }
    }
}

impl Session {
    /// Fetches bodies of one mailbox, see [`Session::fetch_all`].
    ///
    /// # Errors
    /// Those of [`Session::fetch_all`], and that the mailbox was refused or replaced meanwhile.
    pub fn fetch_bodies(
        &mut self,
        mailbox: &WireName,
        validity: UidValidity,
        uids: &UidSet,
        sink: &mut dyn BodySink,
    ) -> Result<()> {
        let wanted = Wanted { mailbox: mailbox.clone(), validity: Some(validity), uids: uids.clone() };
        self.fetch_all(vec![wanted], IN_FLIGHT * CHUNK, sink)?.pop().unwrap_or(Ok(()))
    }

    /// Fetches bodies of several mailboxes in one flight, in any order, and of those that the sink asks for meanwhile,
    /// with about `window` messages asked for and not come. Each UID of a mailbox whose outcome is `Ok` ends in one
    /// [`BodySink::message`] or [`BodySink::missing`]. An outcome is an error where the mailbox was refused or replaced
    /// meanwhile; there is one for each mailbox, in their order.
    ///
    /// A message of no octets is delivered as such: whether that can be is for the caller to judge by its size.
    ///
    /// # Errors
    /// The server asks to come back later, the sink failed, or the connection is over.
    pub fn fetch_all(&mut self, wanted: Vec<Wanted>, window: u64, sink: &mut dyn BodySink) -> Result<Vec<Result<()>>> {
        self.fetch(wanted, Goal::Bodies(sink), CHUNK.min(window.div_ceil(2)).max(1), window)
    }

    /// Fetches a few fields of headers. A UID that is not in the answer is gone.
    ///
    /// # Errors
    /// The mailbox was refused, the server asks to come back later, or the connection is over.
    pub fn header_fields(&mut self, mailbox: &WireName, uids: &UidSet) -> Result<BTreeMap<Uid, HeaderFields>> {
        let mut fields = BTreeMap::new();
        let wanted = vec![Wanted { mailbox: mailbox.clone(), validity: None, uids: uids.clone() }];
        let goal = Goal::HeaderFields(&mut fields);
        self.fetch(wanted, goal, HEADER_CHUNK, IN_FLIGHT * HEADER_CHUNK)?.pop().unwrap_or(Ok(()))?;
        Ok(fields)
    }

    fn fetch(&mut self, wanted: Vec<Wanted>, goal: Goal<'_>, whole: u64, window: u64) -> Result<Vec<Result<()>>> {
        // What is open needs no opening as long as it comes first.
        let is_open = |wanted: &Wanted| self.is_open(&wanted.mailbox, Access::ReadOnly);
        let open = wanted.iter().enumerate().find_map(|(which, wanted)| Some((which, is_open(wanted)?)));
        let mut job = Fetching {
            parts: wanted.into_iter().map(Part::new).collect(),
            goal,
            enable: self.enable(),
            eight_bit: self.eight_bit,
            open: open.map(|(which, _)| which),
            chunks: VecDeque::new(),
            whole,
            window,
            asked: 0,
            full: false,
            sent: Vec::new(),
            told: None,
            selected: self.selected.take(),
            failure: None,
            later: 0,
            unasked: 0,
        };
        job.begin(open);
        let flight = self.wire.fly(&mut job);
        // What was not said is still to be said.
        self.enabled &= job.enable.is_none();
        flight?;
        self.selected = job.selected;
        match job.failure {
            Some(failure) => Err(failure),
            None => Ok(job.parts.into_iter().map(|part| part.failure.map_or(Ok(()), Err)).collect()),
        }
    }
}

#[cfg(test)]
mod tests;
