//! One flight of [`super`]: which command goes next, and what becomes of what comes back.

use std::collections::{BTreeMap, VecDeque};

use super::super::command::{Command, EightBit};
use super::super::fetch::{self, Body, Fetched};
use super::super::frame::{Line, Went, keep_small};
use super::super::observe::Access;
use super::super::quirk;
use super::super::reply::{Status, Untagged};
use super::super::select::{Opening, Selected, changed_meanwhile};
use super::super::wire::Job;
use super::{BodySink, FetchedMessage, More, Wanted};
use crate::error::{Error, Kind, Result};
use crate::mail::{HeaderFields, Uid, UidSet, UidValidity};

/// Octets of UIDs a command.
const CHUNK_OCTETS: usize = 1000;
/// Of messages that are asked for one by one, after a refusal, so many are on the wire.
const ALONE_IN_FLIGHT: u64 = 3;

/// Refusals for now in a row after which no more is asked for. One alone may be about one message: Yahoo says `NO
/// [UNAVAILABLE] FETCH Server error while fetching messages` for a damaged one (emailjs/emailjs-imap-client#60).
pub(super) const LATER_MOST: usize = 10;

/// Responses about other messages that may come with one command: flags that somebody changes.
const UNASKED_MOST: u64 = 200_000;

fn endless() -> Error {
    Error::new(Kind::Protocol, "The server sends messages without end that nobody asked for")
}

/// Where what was fetched goes.
pub(super) enum Goal<'a> {
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
pub(super) struct Part {
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

pub(super) struct Fetching<'a> {
    parts: Vec<Part>,
    goal: Goal<'a>,
    /// What is to be said before the first mailbox is opened.
    pub(super) enable: Option<Command>,
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
    /// The mailbox that is open at the end.
    pub(super) selected: Option<Selected>,
    failure: Option<Error>,
    /// How many chunks in a row were refused for now.
    later: usize,
    /// Responses about other messages since a command ended.
    unasked: u64,
}

impl<'a> Fetching<'a> {
    /// A flight for what is `wanted` at first; `open` names the mailbox that is open already, and its UIDVALIDITY.
    pub(super) fn new(
        wanted: Vec<Wanted>,
        goal: Goal<'a>,
        (whole, window): (u64, u64),
        open: Option<(usize, UidValidity)>,
        eight_bit: EightBit,
    ) -> Fetching<'a> {
        let mut fetching = Fetching {
            parts: wanted.into_iter().map(Part::new).collect(),
            goal,
            enable: None,
            eight_bit,
            open: open.map(|(which, _)| which),
            chunks: VecDeque::new(),
            whole,
            window,
            asked: 0,
            full: false,
            sent: Vec::new(),
            told: None,
            selected: None,
            failure: None,
            later: 0,
            unasked: 0,
        };
        fetching.begin(open);
        fetching
    }

    /// The outcome of each mailbox.
    pub(super) fn outcomes(self) -> Result<Vec<Result<()>>> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.parts.into_iter().map(|part| part.failure.map_or(Ok(()), Err)).collect()),
        }
    }

    /// Enqueues what is wanted at first, what is open before all else.
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
