//! Downloads: bodies stream from the socket into files in `tmp`; batches of them become durable at once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::transfer::{cut, width};
use super::{World, actions, item_failed};
use crate::engine::ledger::Ledger;
use crate::engine::pool::{Heard, Results};
use crate::error::{Error, Item, Kind, Result, Retry};
use crate::local::{Delivery, Folder, Incoming, Received};
use crate::mail::{Fact, FileId, Flags, Link, MailboxName, Origin, Presence, Uid, UidSet, UidValidity, UnixSeconds};
use crate::reconcile::guard::ApprovedPlan;
use crate::reconcile::{Action, Phase};
use crate::remote::imap::{Access, Ask, BodySink, FetchedMessage, SeenCoverage, Session, WireName};
use crate::report::event::{Event, Progress};

/// A batch is made durable when it has this many messages …
const BATCH_MESSAGES: usize = 200;
/// … or this many octets.
const BATCH_OCTETS: u64 = 32 << 20;

/// Fetches everything the plan downloads.
pub fn run(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &ApprovedPlan) -> Result<()> {
    let mut jobs = Vec::new();
    let mut planned = Vec::new();
    let mut total = 0;
    for (name, action) in actions(plan, Phase::Transfer, ledger) {
        let Action::Download { uids, octets } = action else { continue };
        total += octets;
        planned.push((name, action));
        let size = |uid| world.message(name, uid).and_then(|m| m.size).unwrap_or_default();
        let uid_validity = world.uid_validity(ledger, name)?;
        for uids in cut(uids, size) {
            jobs.push(Fetch { name, wire: world.wire(name)?, uid_validity, uids });
        }
    }
    let mut landing =
        Landing { world, ledger, folders: BTreeMap::new(), batch: Vec::new(), octets: 0, tally: BTreeMap::new() };
    let outcome = world.pool.run(
        jobs,
        width(total),
        |session, job, results| fetch(world, session, &job, results),
        |heard| landing.hear(heard),
    );
    // Files that arrived whole are kept even when the connection then broke.
    let landed = landing.land();
    let tally = landing.tally;
    for (name, action) in planned {
        let (done, octets) = tally.get(name).copied().unwrap_or_default();
        ledger.done(name, action, done, octets);
    }
    outcome.and(landed)
}

struct Fetch<'p> {
    name: &'p MailboxName,
    wire: WireName,
    uid_validity: UidValidity,
    uids: UidSet,
}

enum Got<'p> {
    Message { name: &'p MailboxName, uid: Uid, received: Received },
    Failed { name: &'p MailboxName, item: Item, error: Error },
    GoneMeanwhile { name: &'p MailboxName },
}

fn fetch<'p>(world: &World<'_>, session: &mut Session, job: &Fetch<'p>, results: &Results<'_, Got<'p>>) -> Result<()> {
    let failed = |error| results.send(Got::Failed { name: job.name, item: Item::Mailbox, error });
    let folder = match world.store.folder(job.name) {
        Ok(folder) => folder,
        Err(error) => return failed(error),
    };
    let (absent, arrived) = (UidSet::new(), UidSet::new());
    let mut sink = FileSink { world, name: job.name, folder, results, current: Current::None, absent, arrived };
    let mut left = job.uids.clone();
    let mut suspect = None;
    while let Some(first) = left.first() {
        // After a break the message it happened at is asked for alone: it, or the line, is to blame.
        let batch = if suspect.is_some() { UidSet::range(first, first) } else { left.clone() };
        let outcome = session.fetch_bodies(&job.wire, job.uid_validity, &batch, &mut sink);
        sink.current = Current::None;
        let done = |uid: &Uid| sink.arrived.contains(*uid) || sink.absent.contains(*uid);
        match outcome {
            Ok(()) => {
                suspect = None;
                left = left.iter().filter(|uid| !batch.contains(*uid)).collect();
            }
            Err(error) if is_refusal(&error) => return failed(error),
            Err(error) if error.retry() == Retry::Worthwhile && session.is_broken() => {
                left = left.iter().filter(|uid| !done(uid)).collect();
                if suspect == Some(first) && left.first() == Some(first) {
                    left = left.iter().filter(|uid| *uid != first).collect();
                    let error = breaks_the_session(&error);
                    results.send(Got::Failed { name: job.name, item: Item::Message(first), error })?;
                    suspect = None;
                } else {
                    suspect = left.first();
                }
                world.stop.check()?;
                *session = world.pool.replace()?;
            }
            Err(error) => return Err(error),
        }
    }
    let absent = sink.absent;
    if absent.is_empty() { Ok(()) } else { explain(world, session, job, &absent, results) }
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
    results: &Results<'_, Got<'p>>,
) -> Result<()> {
    let name = job.name;
    let since = world.seen.remote_checks.get(name).cloned();
    let ask = Ask { wire: job.wire.clone(), since, known: UidSet::new(), access: Access::ReadOnly };
    let seen = match session.observe(&[ask])?.pop() {
        Some(Ok(seen)) => seen,
        Some(Err(error)) => return results.send(Got::Failed { name, item: Item::Mailbox, error }),
        None => return Ok(()),
    };
    results.send(Got::GoneMeanwhile { name })?;
    let is_gone = |uid: &Uid| match &seen.coverage {
        SeenCoverage::Everything => !seen.messages.contains_key(uid),
        SeenCoverage::Changes { vanished } => vanished.contains(*uid),
    };
    for uid in absent.iter().filter(|uid| !is_gone(uid)) {
        results.send(Got::Failed { name, item: Item::Message(uid), error: withheld() })?;
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

struct FileSink<'s, 'w, 'p> {
    world: &'s World<'w>,
    name: &'p MailboxName,
    folder: Folder,
    results: &'s Results<'s, Got<'p>>,
    current: Current,
    /// Not given, and not refused.
    absent: UidSet,
    /// Given or refused.
    arrived: UidSet,
}

enum Current {
    None,
    File(Box<Incoming>),
    /// The file could not be made or written; the rest of the body passes by.
    Failed(Error),
}

impl BodySink for FileSink<'_, '_, '_> {
    fn start(&mut self, _octets: u64) -> Result<()> {
        self.current = match self.folder.incoming() {
            Ok(incoming) => Current::File(Box::new(incoming)),
            Err(error) if super::concerns_the_tree(&error) => return Err(error.at(self.name)),
            Err(error) => Current::Failed(error),
        };
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        if let Current::File(incoming) = &mut self.current
            && let Err(error) = incoming.write(bytes)
        {
            if super::concerns_the_tree(&error) {
                return Err(error.at(self.name));
            }
            self.current = Current::Failed(error);
        }
        let octets = Event::Progress(Progress::Octets(bytes.len() as u64));
        self.world.report.event(&self.world.account.name, octets);
        Ok(())
    }

    fn message(&mut self, message: FetchedMessage) -> Result<()> {
        let (name, uid) = (self.name, message.uid);
        self.arrived.insert(uid);
        let listed = self.world.message(name, uid).and_then(|m| m.size);
        if message.octets == 0 && listed.is_some_and(|size| size > 0) {
            self.current = Current::None;
            self.absent.insert(uid);
            return Ok(());
        }
        let received = match std::mem::replace(&mut self.current, Current::None) {
            Current::File(incoming) => incoming.finish(),
            Current::Failed(error) => Err(error),
            Current::None => return Ok(()),
        };
        self.results.send(match received {
            Ok(received) => Got::Message { name, uid, received },
            Err(error) if super::concerns_the_tree(&error) => return Err(error.at(name)),
            Err(error) => Got::Failed { name, item: Item::Message(uid), error },
        })
    }

    fn missing(&mut self, uid: Uid, refusal: Option<&Error>) -> Result<()> {
        match refusal {
            Some(refusal) => {
                self.arrived.insert(uid);
                let error = Error::new(Kind::Refused, refusal.to_string())
                    .hint("The other messages go through; this one is asked for again at each run.");
                self.results.send(Got::Failed { name: self.name, item: Item::Message(uid), error })
            }
            None => {
                self.absent.insert(uid);
                Ok(())
            }
        }
    }
}

/// Where messages arrive: gathers them into batches, makes those durable, and enters them.
struct Landing<'l, 'w, 'b> {
    world: &'l World<'w>,
    ledger: &'l mut Ledger<'b>,
    folders: BTreeMap<MailboxName, Folder>,
    batch: Vec<(MailboxName, Uid, Received)>,
    octets: u64,
    tally: BTreeMap<MailboxName, (u64, u64)>,
}

impl Landing<'_, '_, '_> {
    fn hear(&mut self, heard: Heard<Got<'_>>) -> Result<()> {
        match heard {
            Heard::Result(Got::Message { name, uid, received }) => {
                self.octets += received.content.wire_size;
                self.batch.push((name.clone(), uid, received));
                let full = self.batch.len() >= BATCH_MESSAGES || self.octets >= BATCH_OCTETS;
                if full { self.land() } else { Ok(()) }
            }
            Heard::Result(Got::Failed { name, item, error }) => item_failed(self.ledger, name, item, error),
            Heard::Result(Got::GoneMeanwhile { name }) => {
                self.ledger.hold(name);
                Ok(())
            }
            Heard::Pause => self.land(),
        }
    }

    fn land(&mut self) -> Result<()> {
        self.octets = 0;
        let mut groups: BTreeMap<MailboxName, Vec<(Uid, Received)>> = BTreeMap::new();
        for (name, uid, received) in self.batch.drain(..) {
            groups.entry(name).or_default().push((uid, received));
        }
        let mut landed = 0;
        for (name, group) in groups {
            landed += self.land_in(&name, group)?;
        }
        if landed > 0 {
            self.ledger.flush()?;
            self.ledger.event(Event::Progress(Progress::Messages(landed)));
        }
        Ok(())
    }

    fn land_in(&mut self, name: &MailboxName, group: Vec<(Uid, Received)>) -> Result<u64> {
        let (world, ledger) = (self.world, &mut *self.ledger);
        let Some(id) = ledger.id(name) else { return Ok(0) };
        let uid_validity = world.uid_validity(ledger, name)?;
        let folder = match self.folders.entry(name.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(world.store.folder(name)?),
        };
        let mut links = Vec::with_capacity(group.len());
        let mut deliveries = Vec::with_capacity(group.len());
        for (uid, received) in group {
            let flags = world.remote_flags(ledger, name, uid);
            let internal_date = world.internal_date(ledger, name, uid).unwrap_or(UnixSeconds(0));
            links.push(Link {
                uid,
                file: FileId::new(""),
                presence: Presence::Both,
                flags: Flags::none(),
                size: received.content.wire_size,
                digest: received.content.digest,
                message_id: received.content.message_id,
                internal_date,
                email_id: world.email_id(name, uid),
            });
            let origin = Origin { account: world.id, mailbox: id, uid_validity, uid };
            deliveries.push(Delivery { received, origin: origin.into(), flags, internal_date });
        }
        let mut landed = 0;
        for (mut link, outcome) in links.into_iter().zip(folder.deliver(deliveries)) {
            match outcome {
                Ok(delivered) => {
                    link.file = delivered.file;
                    link.flags = delivered.flags;
                    let tally = self.tally.entry(name.clone()).or_default();
                    *tally = (tally.0 + 1, tally.1 + link.size);
                    landed += 1;
                    ledger.enter(name, Fact::Linked(id, link))?;
                }
                Err(error) => item_failed(ledger, name, Item::Message(link.uid), error)?,
            }
        }
        Ok(landed)
    }
}
