//! Uploads: intents on record first, then APPENDs, streamed from the files; each outcome becomes a link.
//!
//! Several messages go in one command where the server takes that; what it refuses together goes again one by one.
//!
//! A server without UIDPLUS does not tell the UID a message got: [`super::locate`] finds it. It also tells whether a
//! message that a broken run may have sent has turned up since the mailbox was observed; such a one is not sent again.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::download::is_refusal;
use super::flags::is_gone;
use super::locate::Destination;
use super::transfer::{MESSAGES_A_JOB, OCTETS_A_JOB, width};
use super::{World, actions, item_failed};
use crate::engine::ledger::Ledger;
use crate::engine::now;
use crate::engine::pool::{Heard, Worker};
use crate::error::{Error, Item, Kind, Result};
use crate::local::Folder;
use crate::mail::{
    Content, Fact, FileId, Flags, Intent, Link, MailboxName, Presence, Uid, UidSet, UidValidity, UnixSeconds,
};
use crate::reconcile::guard::ApprovedPlan;
use crate::reconcile::{Action, Phase};
use crate::remote::imap::{Append, Grouping, Session, Uploaded, WireName};
use crate::report::event::{Event, Progress};

/// How far beyond the UIDNEXT that was observed an uploaded message's UID may be: others deliver meanwhile.
const UIDS_AHEAD: u32 = 1 << 20;

/// Appends everything the plan uploads.
pub fn run(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &ApprovedPlan) -> Result<()> {
    let mut planned = BTreeMap::new();
    let mut jobs: Vec<Job<'_>> = Vec::new();
    let mut total = 0;
    let mut linked = BTreeMap::new();
    for (name, action) in actions(plan, Phase::Transfer, ledger) {
        let Action::Upload { file, flags, octets } = action else { continue };
        let old = linked.entry(name).or_insert_with(|| ledger.files(name)).remove(file).unwrap_or_default();
        let Some((content, date)) = world.content(ledger, name, file, &old) else {
            // Known by a link until the mailbox was made anew: to be sent, it has to be read first.
            ledger.look_again(name);
            continue;
        };
        let intents = world.seen.intents.get(name).map_or(&[][..], Vec::as_slice);
        let earlier = if intents.iter().any(|i| i.file == *file) { Earlier::Begun } else { Earlier::Never };
        let flags = world.storable(ledger, name, flags);
        let letter = Letter { file: file.clone(), content, date, flags, old, earlier };
        total += octets;
        planned.insert((name, file), action);
        let fits = |job: &&mut Job<'_>| {
            job.name == name && job.octets < OCTETS_A_JOB && (job.letters.len() as u64) < MESSAGES_A_JOB
        };
        match jobs.last_mut().filter(fits) {
            Some(job) => job.push(letter),
            None => jobs.push(Job::new(world, ledger, name, letter)?),
        }
    }
    if jobs.is_empty() {
        return Ok(());
    }
    intend(ledger, &jobs)?;
    let mut booking = Booking { world, ledger, planned };
    world.pool.run(
        jobs,
        width(total),
        |session, job, worker| send(world, session, job, worker),
        |heard| booking.hear(heard),
    )
}

/// One message to send.
struct Letter {
    file: FileId,
    content: Content,
    date: UnixSeconds,
    flags: Flags,
    /// The UIDs it had: a file that is sent again, because its copy went from the server, leaves them behind.
    old: UidSet,
    earlier: Earlier,
}

/// Whether a run that broke off had begun to send the message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Earlier {
    Never,
    Begun,
}

struct Job<'p> {
    name: &'p MailboxName,
    wire: WireName,
    uid_validity: UidValidity,
    /// The messages can only get this UID or a higher one.
    uid_next: Option<Uid>,
    letters: Vec<Letter>,
    octets: u64,
}

impl<'p> Job<'p> {
    fn new(world: &World<'_>, ledger: &Ledger<'_>, name: &'p MailboxName, first: Letter) -> Result<Job<'p>> {
        let observed = world.seen.remote_checks.get(name);
        let agreed = ledger.mailbox(name).and_then(|m| m.remote.as_ref());
        let mut job = Job {
            name,
            wire: world.wire(name)?,
            uid_validity: world.uid_validity(ledger, name)?,
            uid_next: observed.or(agreed).and_then(|c| c.uid_next),
            letters: Vec::new(),
            octets: 0,
        };
        job.push(first);
        Ok(job)
    }

    fn push(&mut self, letter: Letter) {
        self.octets += letter.content.wire_size;
        self.letters.push(letter);
    }
}

/// Writes down what is about to be sent, before the first octet goes out.
fn intend(ledger: &mut Ledger<'_>, jobs: &[Job<'_>]) -> Result<()> {
    for job in jobs {
        let Some(mailbox) = ledger.id(job.name) else { continue };
        for Letter { file, content, flags, .. } in &job.letters {
            let flags = flags.clone();
            let intent = Intent { mailbox, file: file.clone(), content: *content, uid_next: job.uid_next, flags };
            ledger.enter(job.name, Fact::Intended(intent))?;
        }
    }
    ledger.flush()?;
    ledger.state().begin_sending(now())
}

enum Outcome<'p> {
    /// It is on the server under this UID.
    Stored { name: &'p MailboxName, letter: Letter, uid: Uid },
    /// It was not taken.
    Failed { name: &'p MailboxName, file: FileId, error: Error },
    /// Some are on the server, and it does not say where; the intents stay, and the next run finds them by content.
    Unlocated { name: &'p MailboxName, error: Error },
    /// The file went or changed meanwhile; the next run sees to it.
    Changed { name: &'p MailboxName, file: FileId },
    /// It is on the server since the mailbox was observed; the next look links it.
    TurnedUp { name: &'p MailboxName },
}

fn send<'p>(
    world: &World<'_>,
    session: &mut Session,
    job: Job<'p>,
    worker: &Worker<'_, Job<'p>, Outcome<'p>>,
) -> Result<()> {
    let (name, uid_validity, uid_next) = (job.name, job.uid_validity, job.uid_next);
    let wire = job.wire.clone();
    let letters = still_to_send(world, session, job, worker)?;
    let folder = world.store.folder(name)?;
    let mut sending = Sending { world, name, uid_validity, folder, worker, unlocated: Vec::new() };
    // Whom a command with several messages is refused does not learn which of them was the bad one.
    let refused_together = sending.send(session, &wire, Grouping::Together, letters)?;
    sending.send(session, &wire, Grouping::Alone, refused_together)?;
    let unlocated = sending.unlocated;
    if unlocated.is_empty() {
        return Ok(());
    }
    let sent: Vec<Content> = unlocated.iter().map(|letter| letter.content).collect();
    let found = match Destination::new(world, name, &wire, uid_validity, uid_next).appended(session, &sent) {
        Ok(found) => found,
        Err(error) if is_refusal(&error) => return worker.send(Outcome::Unlocated { name, error }),
        Err(error) => return Err(error),
    };
    for (letter, uid) in unlocated.into_iter().zip(found) {
        worker.send(match uid {
            Some(uid) => Outcome::Stored { name, letter, uid },
            None => Outcome::Failed { name, file: letter.file, error: lost() },
        })?;
    }
    Ok(())
}

/// Letters on their way into one mailbox.
struct Sending<'a, 'w, 'p> {
    world: &'a World<'w>,
    name: &'p MailboxName,
    uid_validity: UidValidity,
    folder: Folder,
    worker: &'a Worker<'a, Job<'p>, Outcome<'p>>,
    /// On the server, under a UID that was not told.
    unlocated: Vec<Letter>,
}

impl Sending<'_, '_, '_> {
    /// Sends letters; gives back those that were refused together.
    fn send(
        &mut self,
        session: &mut Session,
        wire: &WireName,
        grouping: Grouping,
        letters: Vec<Letter>,
    ) -> Result<Vec<Letter>> {
        let Sending { world, name, uid_validity, folder, worker, unlocated } = self;
        let (name, uid_validity) = (*name, *uid_validity);
        // By the index the session knows them by.
        let on_the_way: RefCell<Vec<Option<Letter>>> = RefCell::new(Vec::new());
        let mut refused_together = Vec::new();
        let mut broken = Ok(());
        let mut appends = letters.into_iter().filter_map(|letter| match open(folder, &letter) {
            Ok(append) => {
                on_the_way.borrow_mut().push(Some(letter));
                Some(append)
            }
            Err(Unsent::Changed) => {
                worker.send(Outcome::Changed { name, file: letter.file }).ok()?;
                None
            }
            Err(Unsent::Unreadable(error)) => {
                worker.send(Outcome::Failed { name, file: letter.file, error }).ok()?;
                None
            }
        });
        let outcome = session.append(wire, grouping, &mut appends, &mut |index, uploaded| {
            let Some(letter) = on_the_way.borrow_mut().get_mut(index).and_then(Option::take) else { return };
            let told = match uploaded {
                Uploaded::RefusedTogether => {
                    refused_together.push(letter);
                    return;
                }
                Uploaded::Stored(Some((validity, uid))) if validity == uid_validity => {
                    progress(world, &letter);
                    worker.send(Outcome::Stored { name, letter, uid })
                }
                Uploaded::Stored(_) => {
                    progress(world, &letter);
                    unlocated.push(letter);
                    Ok(())
                }
                Uploaded::Refused(error) => {
                    progress(world, &letter);
                    worker.send(Outcome::Failed { name, file: letter.file, error })
                }
            };
            if broken.is_ok() {
                broken = told;
            }
        });
        drop(appends);
        outcome.and(broken)?;
        Ok(refused_together)
    }
}

fn progress(world: &World<'_>, letter: &Letter) {
    let octets = Progress::Octets(letter.content.wire_size);
    world.report.event(&world.account.name, Event::Progress(octets));
}

/// The letters of a job without those that turned up; those that were in doubt come first, right after this look.
fn still_to_send<'p>(
    world: &World<'_>,
    session: &mut Session,
    job: Job<'p>,
    worker: &Worker<'_, Job<'p>, Outcome<'p>>,
) -> Result<Vec<Letter>> {
    let Job { name, wire, uid_validity, uid_next, letters, .. } = job;
    let (mut doubtful, fresh): (Vec<_>, Vec<_>) = letters.into_iter().partition(|l| l.earlier == Earlier::Begun);
    if !doubtful.is_empty() {
        let sent: Vec<Content> = doubtful.iter().map(|letter| letter.content).collect();
        let found = Destination::new(world, name, &wire, uid_validity, uid_next).turned_up(session, &sent)?;
        if found.iter().any(Option::is_some) {
            worker.send(Outcome::TurnedUp { name })?;
        }
        doubtful = doubtful.into_iter().zip(found).filter(|(_, uid)| uid.is_none()).map(|(letter, _)| letter).collect();
    }
    doubtful.extend(fresh);
    Ok(doubtful)
}

fn lost() -> Error {
    Error::new(Kind::Refused, "The server took the message, and it cannot be found there")
        .hint("Look for it with another client: the server or a filter may have moved or changed it.")
}

enum Unsent {
    Changed,
    Unreadable(Error),
}

fn open(folder: &Folder, letter: &Letter) -> std::result::Result<Append, Unsent> {
    let body = match folder.open_message(&letter.file) {
        Ok(body) => body,
        Err(_) if is_gone(folder, &letter.file) => return Err(Unsent::Changed),
        Err(error) => return Err(Unsent::Unreadable(error)),
    };
    if body.content() != letter.content {
        return Err(Unsent::Changed);
    }
    Ok(Append { size: body.size(), flags: letter.flags.clone(), date: letter.date, body: Box::new(body) })
}

/// Enters outcomes as they come.
struct Booking<'l, 'w, 'b, 'p> {
    world: &'l World<'w>,
    ledger: &'l mut Ledger<'b>,
    planned: BTreeMap<(&'p MailboxName, &'p FileId), &'p Action>,
}

impl<'p> Booking<'_, '_, '_, 'p> {
    fn hear(&mut self, heard: Heard<Outcome<'p>>) -> Result<()> {
        match heard {
            Heard::Result(Outcome::Stored { name, letter, uid }) => self.stored(name, letter, uid),
            Heard::Result(Outcome::Failed { name, file, error }) => {
                self.settle(name, &file)?;
                item_failed(self.ledger, name, Item::File(file), error)
            }
            Heard::Result(Outcome::Unlocated { name, error }) => {
                self.ledger.hold(name);
                item_failed(self.ledger, name, Item::Mailbox, error)
            }
            Heard::Result(Outcome::Changed { name, file }) => {
                self.ledger.hold(name);
                self.settle(name, &file)
            }
            Heard::Result(Outcome::TurnedUp { name }) => {
                self.ledger.look_again(name);
                Ok(())
            }
            Heard::Pause => self.ledger.flush(),
        }
    }

    fn settle(&mut self, name: &MailboxName, file: &FileId) -> Result<()> {
        self.ledger.enter_for(name, |id| Fact::Settled(id, file.clone()))
    }

    fn stored(&mut self, name: &'p MailboxName, letter: Letter, uid: Uid) -> Result<()> {
        // The UID of a message that was there before (CVE-2021-3578), or one that nobody has given out yet, tells nothing:
        // the next look finds the right one, by its content.
        let next = self.world.seen.remote_checks.get(name).and_then(|checkpoint| checkpoint.uid_next);
        let far_ahead = next.is_some_and(|next| uid.get() > next.get().saturating_add(UIDS_AHEAD));
        if far_ahead || self.world.is_taken(self.ledger, name, uid) {
            self.ledger.look_again(name);
            return Ok(());
        }
        let Letter { file, content, date, flags, old, .. } = letter;
        let link = Link {
            uid,
            file: file.clone(),
            presence: Presence::Both,
            flags: self.world.relevant(flags),
            size: content.wire_size,
            digest: content.digest,
            message_id: content.message_id,
            internal_date: date,
            email_id: None,
        };
        self.ledger.link_file(name, link, old)?;
        if let Some((key, action)) = self.planned.get_key_value(&(name, &file)) {
            self.ledger.done(key.0, action, 1, content.wire_size);
        }
        self.ledger.event(Event::Progress(Progress::Messages(1)));
        Ok(())
    }
}
