//! Downloads: bodies stream from the socket into files in `tmp`; [`super::landing`] makes batches of them durable.

use std::sync::Arc;

use super::landing::{BATCH_MAILBOXES, Landing};
use super::meanwhile::{self, Meanwhile};
use super::openings::{Opening, Openings};
use super::transfer::{cut, width, window};
use super::{World, actions};
use crate::engine::ledger::Ledger;
use crate::engine::pool::Worker;
use crate::error::{Error, Item, Kind, Result, Retry};
use crate::local::{Folder, Incoming, Received};
use crate::mail::{MailboxName, Uid, UidSet, UidValidity};
use crate::reconcile::guard::ApprovedPlan;
use crate::reconcile::view::RemoteMailbox;
use crate::reconcile::{Action, Phase};
use crate::remote::imap::{Access, Ask, BodySink, FetchedMessage, More, SeenCoverage, Session, Wanted, WireName};
use crate::report::event::{Event, Progress};

/// Fetches everything the plan downloads.
pub fn run(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &ApprovedPlan) -> Result<()> {
    let later = meanwhile::waiting(plan, ledger);
    let mut jobs = Vec::new();
    let mut planned = Vec::new();
    let (mut messages, mut total) = (0, 0);
    for (name, action) in actions(plan, Phase::Transfer, ledger) {
        let Action::Download { uids, octets } = action else { continue };
        messages += uids.len();
        total += octets;
        planned.push((name, action));
        let size = |uid| world.message(name, uid).and_then(|m| m.size).unwrap_or_default();
        let uid_validity = match world.seen.remote.mailboxes.get(name) {
            Some(RemoteMailbox::Observed(listing)) if later.contains(name) => listing.uid_validity,
            _ => world.uid_validity(ledger, name)?,
        };
        for uids in cut(uids, size) {
            jobs.push(Fetch { name, wire: world.wire(name)?, uid_validity, uids });
        }
    }
    let width = world.pool.width(width(total), jobs.len());
    let window = window(messages, width);
    let making = Meanwhile::new(later);
    let openings = Openings::new(BATCH_MAILBOXES + 2 * width);
    let mut landing = Landing::new(world, ledger, plan, &making);
    let work = |session: &mut Session, job, worker: &Worker<'_, _, _>| {
        fetch(world, session, job, window, (&making, &openings), worker)
    };
    let outcome = world.pool.run(jobs, width, work, &mut landing).and_then(|()| landing.make_the_rest());
    // Files that arrived whole are kept even when the connection then broke.
    let landed = landing.land().and(landing.tell());
    let tally = landing.tally();
    for (name, action) in planned {
        let (done, octets) = tally.get(name).copied().unwrap_or_default();
        ledger.done(name, action, done, octets);
    }
    outcome.and(landed)
}

/// Messages of one mailbox. A connection asks for those of its next job while the ones before still come.
struct Fetch<'p> {
    name: &'p MailboxName,
    wire: WireName,
    uid_validity: UidValidity,
    uids: UidSet,
}

impl Fetch<'_> {
    fn wanted(&self, uids: UidSet) -> Wanted {
        Wanted { mailbox: self.wire.clone(), validity: Some(self.uid_validity), uids }
    }
}

pub(super) enum Got<'p> {
    Message { name: &'p MailboxName, uid: Uid, received: Received, opening: Arc<Opening> },
    Failed { name: &'p MailboxName, item: Item, error: Error },
    GoneMeanwhile { name: &'p MailboxName },
}

fn fetch<'p>(
    world: &World<'_>,
    session: &mut Session,
    job: Fetch<'p>,
    window: u64,
    (making, openings): (&Meanwhile<'p>, &Arc<Openings>),
    worker: &Worker<'_, Fetch<'p>, Got<'p>>,
) -> Result<()> {
    let parts = vec![Part::new(job)];
    let mut sink = FileSink { world, worker, making, openings, parts, at: 0, folder: None, current: Current::None };
    let mut suspect = None;
    loop {
        let first = sink.parts.iter().enumerate().find_map(|(n, part)| Some((n, part.left.first()?)));
        let Some((which, first)) = first else { break };
        // After a break the message it happened at is asked for alone: it, or the line, is to blame.
        let mut asked: Vec<(usize, UidSet)> = match suspect {
            Some((which, uid)) => vec![(which, UidSet::range(uid, uid))],
            None => {
                sink.parts.iter().map(|p| p.left.clone()).enumerate().filter(|(_, uids)| !uids.is_empty()).collect()
            }
        };
        let fetches = asked.iter().filter_map(|(n, uids)| Some((sink.parts.get(*n)?, uids)));
        let wanted = fetches.map(|(part, uids)| part.fetch.wanted(uids.clone())).collect();
        let goes_on = suspect.is_none();
        let outcome = session.fetch_all(wanted, window, &mut Numbered { sink: &mut sink, asked: &mut asked, goes_on });
        sink.current = Current::None;
        match outcome {
            Ok(outcomes) => {
                suspect = None;
                for ((n, uids), outcome) in asked.iter().zip(outcomes) {
                    let Some(part) = sink.parts.get_mut(*n) else { continue };
                    part.left = part.left.iter().filter(|uid| !uids.contains(*uid)).collect();
                    match outcome {
                        Ok(()) => {}
                        Err(error) if is_refusal(&error) => {
                            part.left = UidSet::new();
                            worker.send(Got::Failed { name: part.fetch.name, item: Item::Mailbox, error })?;
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) if error.retry() == Retry::Worthwhile && session.is_broken() => {
                sink.parts.iter_mut().for_each(Part::keep_what_is_left);
                let left = |part: &mut Part<'p>| part.left.contains(first).then_some(part.fetch.name);
                let again = suspect == Some((which, first));
                if again && let Some(name) = sink.parts.get_mut(which).and_then(left) {
                    if let Some(part) = sink.parts.get_mut(which) {
                        part.left = part.left.iter().filter(|uid| *uid != first).collect();
                    }
                    let error = breaks_the_session(&error);
                    worker.send(Got::Failed { name, item: Item::Message(first), error })?;
                    suspect = None;
                } else {
                    suspect = sink.parts.iter().enumerate().find_map(|(n, part)| Some((n, part.left.first()?)));
                }
                world.stop.check()?;
                *session = world.pool.replace()?;
            }
            Err(error) => return Err(error),
        }
    }
    let mut absent = sink.parts.iter().filter(|part| !part.absent.is_empty());
    absent.try_for_each(|part| explain(world, session, &part.fetch, &part.absent, worker))
}

fn breaks_the_session(error: &Error) -> Error {
    Error::new(Kind::Refused, format!("The server ends the session each time it is asked for the message: {error}"))
        .hint("It is probably damaged there: try to open it with another client. It is asked for again at each run.")
}

/// Tells messages that went meanwhile, which is nobody's fault, from those the server lists and does not give.
fn explain<'p>(
    world: &World<'_>,
    session: &mut Session,
    job: &Fetch<'p>,
    absent: &UidSet,
    worker: &Worker<'_, Fetch<'p>, Got<'p>>,
) -> Result<()> {
    let name = job.name;
    let since = world.seen.remote_checks.get(name).cloned();
    let ask = Ask { wire: job.wire.clone(), since, known: UidSet::new(), access: Access::ReadOnly };
    let seen = match session.observe(&[ask])?.pop() {
        Some(Ok(seen)) => seen,
        Some(Err(error)) => return worker.send(Got::Failed { name, item: Item::Mailbox, error }),
        None => return Ok(()),
    };
    worker.send(Got::GoneMeanwhile { name })?;
    let is_gone = |uid: &Uid| match &seen.coverage {
        SeenCoverage::Everything => !seen.messages.contains_key(uid),
        SeenCoverage::Changes { vanished } => vanished.contains(*uid),
    };
    for uid in absent.iter().filter(|uid| !is_gone(uid)) {
        worker.send(Got::Failed { name, item: Item::Message(uid), error: withheld() })?;
    }
    Ok(())
}

fn withheld() -> Error {
    Error::new(Kind::Refused, "The server lists the message and does not give it")
        .hint("It may be damaged there: try to open it with another client. It is asked for again at each run.")
}

/// A NO concerns the mailbox; anything else the connection.
pub fn is_refusal(error: &Error) -> bool {
    error.kind() == Kind::Refused
}

/// How far one mailbox is.
struct Part<'p> {
    fetch: Fetch<'p>,
    /// Still to be asked for.
    left: UidSet,
    /// Not given, and not refused.
    absent: UidSet,
    /// Given or refused.
    arrived: UidSet,
    /// Its directories cannot be opened, and that was told.
    shut: bool,
}

impl<'p> Part<'p> {
    fn new(fetch: Fetch<'p>) -> Part<'p> {
        let (absent, arrived) = (UidSet::new(), UidSet::new());
        Part { left: fetch.uids.clone(), fetch, absent, arrived, shut: false }
    }

    fn keep_what_is_left(&mut self) {
        let done = |uid: &Uid| self.arrived.contains(*uid) || self.absent.contains(*uid);
        self.left = self.left.iter().filter(|uid| !done(uid)).collect();
    }
}

struct FileSink<'s, 'w, 'p> {
    world: &'s World<'w>,
    worker: &'s Worker<'s, Fetch<'p>, Got<'p>>,
    making: &'s Meanwhile<'p>,
    openings: &'s Arc<Openings>,
    parts: Vec<Part<'p>>,
    /// The mailbox that messages come from now.
    at: usize,
    /// Its directories, from its first message on.
    folder: Option<(Folder, Arc<Opening>)>,
    current: Current,
}

/// A sink whose mailboxes are those that were asked for in one flight.
struct Numbered<'a, 's, 'w, 'p> {
    sink: &'a mut FileSink<'s, 'w, 'p>,
    asked: &'a mut Vec<(usize, UidSet)>,
    /// Whether more may be asked for.
    goes_on: bool,
}

enum Current {
    None,
    File(Box<Incoming>, Arc<Opening>),
    /// The file could not be made or written; the rest of the body passes by.
    Failed(Error),
}

impl FileSink<'_, '_, '_> {
    /// Begins a file; `None` where the mailbox cannot be written to, which is told once.
    fn incoming(&mut self) -> Result<Current> {
        let part = self.parts.get_mut(self.at).ok_or_else(unasked)?;
        let (folder, opening) = match &self.folder {
            Some(open) => open,
            None if !self.making.wait(part.fetch.name, self.worker)? => return Ok(Current::None),
            None => match self.openings.open(self.worker).map(|o| (self.world.store.folder(part.fetch.name), o))? {
                (Ok(folder), opening) => self.folder.insert((folder, opening)),
                (Err(error), _) => {
                    if !std::mem::replace(&mut part.shut, true) {
                        self.worker.send(Got::Failed { name: part.fetch.name, item: Item::Mailbox, error })?;
                    }
                    return Ok(Current::None);
                }
            },
        };
        match folder.incoming() {
            Ok(incoming) => Ok(Current::File(Box::new(incoming), Arc::clone(opening))),
            Err(error) if super::concerns_the_tree(&error) => Err(error.at(part.fetch.name)),
            Err(error) => Ok(Current::Failed(error)),
        }
    }

    fn located(&self, error: Error) -> Error {
        match self.parts.get(self.at) {
            Some(part) => error.at(part.fetch.name),
            None => error,
        }
    }
}

fn unasked() -> Error {
    Error::new(Kind::Protocol, "A message came that belongs to no mailbox")
}

impl BodySink for Numbered<'_, '_, '_, '_> {
    fn mailbox(&mut self, which: usize) {
        let at = self.asked.get(which).map_or(usize::MAX, |(at, _)| *at);
        if self.sink.at != at {
            self.sink.at = at;
            self.sink.folder = None;
        }
    }

    fn start(&mut self, _octets: u64) -> Result<()> {
        self.sink.current = self.sink.incoming()?;
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        let sink = &mut *self.sink;
        if let Current::File(incoming, _) = &mut sink.current
            && let Err(error) = incoming.write(bytes)
        {
            if super::concerns_the_tree(&error) {
                return Err(sink.located(error));
            }
            sink.current = Current::Failed(error);
        }
        let octets = Event::Progress(Progress::Octets(bytes.len() as u64));
        sink.world.report.event(&sink.world.account.name, octets);
        Ok(())
    }

    fn message(&mut self, message: FetchedMessage) -> Result<()> {
        let (sink, uid) = (&mut *self.sink, message.uid);
        let part = sink.parts.get_mut(sink.at).ok_or_else(unasked)?;
        let name = part.fetch.name;
        part.arrived.insert(uid);
        let listed = sink.world.message(name, uid).and_then(|m| m.size);
        if message.octets == 0 && listed.is_some_and(|size| size > 0) {
            sink.current = Current::None;
            part.absent.insert(uid);
            return Ok(());
        }
        let received = match std::mem::replace(&mut sink.current, Current::None) {
            Current::File(incoming, opening) => incoming.finish().map(|received| (received, opening)),
            Current::Failed(error) => Err(error),
            Current::None => return Ok(()),
        };
        sink.worker.send(match received {
            Ok((received, opening)) => Got::Message { name, uid, received, opening },
            Err(error) if super::concerns_the_tree(&error) => return Err(error.at(name)),
            Err(error) => Got::Failed { name, item: Item::Message(uid), error },
        })
    }

    fn more(&mut self) -> Option<More> {
        let sink = &mut *self.sink;
        let fetch = self.goes_on.then(|| sink.worker.next_job()).flatten()?;
        let at = sink.parts.len() - 1;
        let uids = fetch.uids.clone();
        match (sink.parts.last_mut(), self.asked.last_mut()) {
            (Some(part), Some((last, asked))) if *last == at && part.fetch.name == fetch.name => {
                part.left.insert_all(&uids);
                asked.insert_all(&uids);
                Some(More::Same(uids))
            }
            _ => {
                let wanted = fetch.wanted(uids.clone());
                self.asked.push((sink.parts.len(), uids));
                sink.parts.push(Part::new(fetch));
                Some(More::Another(wanted))
            }
        }
    }

    fn missing(&mut self, uid: Uid, refusal: Option<&Error>) -> Result<()> {
        let part = self.sink.parts.get_mut(self.sink.at).ok_or_else(unasked)?;
        match refusal {
            Some(refusal) => {
                part.arrived.insert(uid);
                let error = Error::new(Kind::Refused, refusal.to_string())
                    .hint("The other messages go through; this one is asked for again at each run.");
                self.sink.worker.send(Got::Failed { name: part.fetch.name, item: Item::Message(uid), error })
            }
            None => {
                part.absent.insert(uid);
                Ok(())
            }
        }
    }
}
