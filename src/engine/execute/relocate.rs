//! Moves and copies between mailboxes: UID MOVE and UID COPY by set there, renames and hard links here. No body is
//! transferred.
//!
//! Copies come before moves, since what is copied may move, too; a copy of a message that this run downloads waits until
//! it is there. What both sides then lack of each other's flags is left to the flags' phase: it needs the UIDs that the
//! messages have at their new place.

use std::collections::{BTreeMap, BTreeSet};

use super::delete::{self, Left};
use super::download::is_refusal;
use super::flags::kept;
use super::locate::Destination;
use super::{World, actions, item_failed};
use crate::engine::ledger::Ledger;
use crate::engine::pool::{Heard, Worker};
use crate::error::{Error, Item, Result};
use crate::local::{Arrival, Way};
use crate::mail::{Content, Fact, FlagChange, Intent, Link, MailboxName, Origin, Presence, Uid, UidSet, UidValidity};
use crate::reconcile::guard::ApprovedPlan;
use crate::reconcile::{Action, Here, Phase, Relocation, Side};
use crate::remote::imap::{Session, WireName};

/// What relocations leave to later phases.
#[derive(Debug, Default)]
pub struct Followups {
    /// Flags to be set on messages at their new place.
    flags: BTreeMap<(MailboxName, Side, FlagChange), UidSet>,
    /// Copies of what has yet to be downloaded, by mailbox and what they are there.
    copies: BTreeSet<(MailboxName, Here)>,
}

impl Followups {
    fn add(&mut self, name: &MailboxName, side: Side, change: &FlagChange, uid: Uid) {
        if !change.is_empty() {
            self.flags.entry((name.clone(), side, change.clone())).or_default().insert(uid);
        }
    }

    /// The changes of flags as actions.
    pub fn actions(self) -> Vec<(MailboxName, Action)> {
        let action = |((name, side, change), uids)| (name, Action::SetFlags { side, uids, change });
        self.flags.into_iter().map(action).collect()
    }
}

/// One relocation of the plan.
#[derive(Clone, Copy)]
struct Task<'p> {
    to: &'p MailboxName,
    action: &'p Action,
    relocation: &'p Relocation,
}

/// Moves and copies everything whose source is known; gives the flags still to be set.
pub fn run(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &ApprovedPlan) -> Result<Followups> {
    let mut followups = Followups::default();
    let tasks = tasks(ledger, plan);
    let is_known = |task: &&Task<'_>| source(world, ledger, task.relocation).is_some();
    let (known, unknown): (Vec<&Task<'_>>, Vec<&Task<'_>>) = tasks.iter().partition(is_known);
    followups.copies.extend(unknown.into_iter().map(|task| (task.to.clone(), task.relocation.here.clone())));
    for way in [Way::Copy, Way::Move] {
        let now = known.iter().filter(|task| way_of(task.action) == way).map(|task| **task);
        let (there, here): (Vec<_>, Vec<_>) = now.partition(|t| t.relocation.side() == Side::Remote);
        in_tree(world, ledger, &mut followups, here, way)?;
        on_server(world, ledger, &mut followups, there, way)?;
        ledger.flush()?;
    }
    Ok(followups)
}

/// Copies what has been downloaded since.
pub fn downloaded(
    world: &World<'_>,
    ledger: &mut Ledger<'_>,
    plan: &ApprovedPlan,
    followups: &mut Followups,
) -> Result<()> {
    let waits = |task: &Task<'_>| followups.copies.contains(&(task.to.clone(), task.relocation.here.clone()));
    let late: Vec<_> = tasks(ledger, plan).into_iter().filter(waits).collect();
    in_tree(world, ledger, followups, late, Way::Copy)?;
    ledger.flush()
}

fn tasks<'p>(ledger: &Ledger<'_>, plan: &'p ApprovedPlan) -> Vec<Task<'p>> {
    let task = |(to, action): (&'p MailboxName, &'p Action)| match action {
        Action::Move(relocation) | Action::Copy(relocation) => Some(Task { to, action, relocation }),
        _ => None,
    };
    actions(plan, Phase::Relocate, ledger).into_iter().filter_map(task).collect()
}

fn way_of(action: &Action) -> Way {
    if matches!(action, Action::Move(_)) { Way::Move } else { Way::Copy }
}

/// The link that a message comes from.
fn source(world: &World<'_>, ledger: &Ledger<'_>, relocation: &Relocation) -> Option<Link> {
    let Relocation { from, uid, .. } = relocation;
    let relative = || world.seen.relatives.get(from)?.get(uid);
    ledger.link(from, *uid).or_else(relative).cloned()
}

/// Enters that a message is at its new place, and in the same transaction what there is now at the `old` one: a crash
/// never leaves it at both, or at neither.
fn arrived(
    ledger: &mut Ledger<'_>,
    followups: &mut Followups,
    task: Task<'_>,
    link: Link,
    local: &FlagChange,
    old: Vec<Fact>,
) -> Result<()> {
    let Task { to, action, relocation } = task;
    followups.add(to, Side::Local, local, link.uid);
    followups.add(to, Side::Remote, &relocation.remote, link.uid);
    let settled = |id| match &relocation.here {
        Here::File(file) => Some(Fact::Settled(id, file.clone())),
        Here::Message(_) => None,
    };
    let new = ledger.id(to).map(|id| (Fact::Linked(id, link), settled(id)));
    let new = new.into_iter().flat_map(|(linked, settled)| std::iter::once(linked).chain(settled));
    let old = old.into_iter().map(|fact| (&relocation.from, fact));
    ledger.enter_together(old.chain(new.map(|fact| (to, fact))))?;
    ledger.done(to, action, 1, 0);
    Ok(())
}

fn in_tree(
    world: &World<'_>,
    ledger: &mut Ledger<'_>,
    followups: &mut Followups,
    tasks: Vec<Task<'_>>,
    way: Way,
) -> Result<()> {
    let mut groups: BTreeMap<(&MailboxName, &MailboxName), Vec<Task<'_>>> = BTreeMap::new();
    for task in tasks {
        groups.entry((&task.relocation.from, task.to)).or_default().push(task);
    }
    for ((from, to), group) in groups {
        world.stop.check()?;
        let folders = world.store.folder(from).and_then(|source| Ok((source, world.store.folder(to)?)));
        let (source_folder, folder) = match folders {
            Ok(folders) => folders,
            Err(error) => {
                item_failed(ledger, to, Item::Mailbox, error)?;
                ledger.hold(from);
                continue;
            }
        };
        let (mut taken, mut arrivals) = (Vec::new(), Vec::new());
        for task in group {
            let Here::Message(uid) = task.relocation.here else { continue };
            let (link, mailbox) = (source(world, ledger, task.relocation), ledger.id(to));
            let Some((link, mailbox)) = link.zip(mailbox) else {
                // Its download failed, and is told there.
                ledger.hold(to);
                continue;
            };
            let origin = Origin { account: world.id, mailbox, uid_validity: world.uid_validity(ledger, to)?, uid };
            arrivals.push(Arrival { link, origin, change: task.relocation.local.clone() });
            taken.push((task, uid));
        }
        for (((task, uid), arrival), outcome) in
            taken.into_iter().zip(&arrivals).zip(folder.take_over(&source_folder, &arrivals, way))
        {
            match outcome {
                Ok(Some(delivered)) => {
                    let relocation = task.relocation;
                    let kept = kept(&relocation.local, &delivered.flags);
                    let mut flags = relocation.flags.after(&kept);
                    // That the file does not carry them here is nobody's wish.
                    flags.keywords.retain(|keyword| !delivered.left_out.contains(keyword));
                    let link = Link {
                        uid,
                        file: delivered.file,
                        presence: Presence::Both,
                        flags,
                        internal_date: world.internal_date(ledger, to, uid).unwrap_or(arrival.link.internal_date),
                        email_id: world.email_id(to, uid).or_else(|| arrival.link.email_id.clone()),
                        ..arrival.link.clone()
                    };
                    let gone = [relocation.uid].into_iter().collect();
                    let left = ledger.id(from).filter(|_| way == Way::Move).map(|id| Fact::Unlinked(id, gone));
                    arrived(ledger, followups, task, link, &FlagChange::default(), left.into_iter().collect())?;
                }
                // Whoever took it away meanwhile is heard in the next run.
                Ok(None) => {
                    ledger.hold(from);
                    ledger.hold(to);
                }
                Err(error) => {
                    ledger.hold(from);
                    item_failed(ledger, to, Item::Message(uid), error)?;
                }
            }
        }
    }
    Ok(())
}

/// Messages of one mailbox that go to one other by one command.
struct Job<'p> {
    from: &'p MailboxName,
    to: &'p MailboxName,
    wires: (WireName, WireName),
    validities: (UidValidity, UidValidity),
    /// The messages can only get this UID or a higher one.
    uid_next: Option<Uid>,
    tasks: BTreeMap<Uid, (Task<'p>, Link)>,
}

enum Outcome<'p> {
    /// Each message's new UID, in the order of the old ones, and what is left at the old place.
    Done {
        job: Job<'p>,
        uids: Vec<Option<Uid>>,
        left: Left,
    },
    Failed {
        job: Job<'p>,
        error: Error,
    },
}

fn on_server(
    world: &World<'_>,
    ledger: &mut Ledger<'_>,
    followups: &mut Followups,
    tasks: Vec<Task<'_>>,
    way: Way,
) -> Result<()> {
    let jobs = jobs(world, ledger, tasks, way)?;
    intend(ledger, &jobs)?;
    let width = jobs.len() / 4 + 1;
    world.pool.run(
        jobs,
        width,
        |session, job, worker| relocate(world, session, job, way, worker),
        |heard| match heard {
            Heard::Pause => ledger.flush(),
            Heard::Result(Outcome::Failed { job, error }) => {
                ledger.hold(job.from);
                job.tasks.values().try_for_each(|(task, _)| settle(ledger, *task))?;
                item_failed(ledger, job.to, Item::Mailbox, error)
            }
            Heard::Result(Outcome::Done { job, uids, left }) => enter(world, ledger, followups, job, &uids, way, &left),
        },
    )
}

/// Writes down what is about to arrive, and with which flags, before anything is sent.
fn intend(ledger: &mut Ledger<'_>, jobs: &[Job<'_>]) -> Result<()> {
    for job in jobs {
        let Some(mailbox) = ledger.id(job.to) else { continue };
        for (task, link) in job.tasks.values() {
            let Here::File(file) = &task.relocation.here else { continue };
            let (uid_next, flags) = (job.uid_next, task.relocation.flags.clone());
            let intent = Intent { mailbox, file: file.clone(), content: content(link), uid_next, flags };
            ledger.enter(job.to, Fact::Intended(intent))?;
        }
    }
    ledger.flush()
}

fn content(link: &Link) -> Content {
    Content { digest: link.digest, wire_size: link.size, message_id: link.message_id }
}

/// Enters that what became of a message is known.
fn settle(ledger: &mut Ledger<'_>, task: Task<'_>) -> Result<()> {
    match &task.relocation.here {
        Here::File(file) => ledger.enter_for(task.to, |id| Fact::Settled(id, file.clone())),
        Here::Message(_) => Ok(()),
    }
}

fn jobs<'p>(world: &World<'_>, ledger: &mut Ledger<'_>, tasks: Vec<Task<'p>>, way: Way) -> Result<Vec<Job<'p>>> {
    let mut jobs: Vec<Job<'p>> = Vec::new();
    let mut groups: BTreeMap<(&MailboxName, &MailboxName), Vec<Task<'p>>> = BTreeMap::new();
    for task in tasks {
        groups.entry((&task.relocation.from, task.to)).or_default().push(task);
    }
    for ((from, to), group) in groups {
        let mut ready = group.iter().map(|task| task.relocation.uid).collect::<UidSet>();
        if way == Way::Move {
            // A file that is back where it was has not moved.
            ready = delete::really_gone(world, ledger, from, &ready)?;
        }
        let validities = (world.uid_validity(ledger, from)?, world.uid_validity(ledger, to)?);
        let observed = world.seen.remote_checks.get(to);
        let uid_next = observed.or(ledger.mailbox(to).and_then(|m| m.remote.as_ref())).and_then(|c| c.uid_next);
        let wires = (world.wire(from)?, world.wire(to)?);
        let mut rounds: Vec<Job<'p>> = Vec::new();
        for task in group.into_iter().filter(|task| ready.contains(task.relocation.uid)) {
            let Some(link) = source(world, ledger, task.relocation) else { continue };
            let uid = task.relocation.uid;
            // A set names a message once; a second copy of it needs a command of its own.
            match rounds.iter_mut().find(|job| !job.tasks.contains_key(&uid)) {
                Some(job) => _ = job.tasks.insert(uid, (task, link)),
                None => {
                    let tasks = [(uid, (task, link))].into();
                    rounds.push(Job { from, to, wires: wires.clone(), validities, uid_next, tasks });
                }
            }
        }
        jobs.append(&mut rounds);
    }
    Ok(jobs)
}

fn relocate<'p>(
    world: &World<'_>,
    session: &mut Session,
    job: Job<'p>,
    way: Way,
    worker: &Worker<'_, Job<'p>, Outcome<'p>>,
) -> Result<()> {
    let ((from, to), (validity, new_validity)) = (&job.wires, job.validities);
    let uids: UidSet = job.tasks.keys().copied().collect();
    let outcome = match way {
        Way::Copy => session.copy_messages(from, validity, &uids, to),
        Way::Move => session.move_messages(from, validity, &uids, to),
    };
    let done = match outcome {
        Ok(done) => done,
        Err(error) if is_refusal(&error) => return worker.send(Outcome::Failed { job, error }),
        Err(error) => return Err(error),
    };
    let left = delete::left(done.left);
    if done.is_told() {
        let of = |uid: &Uid| done.of(*uid).filter(|(v, _)| *v == new_validity).map(|(_, uid)| uid);
        let uids = job.tasks.keys().map(of).collect();
        return worker.send(Outcome::Done { job, uids, left });
    }
    let moved: Vec<Content> = job.tasks.values().map(|(_, link)| content(link)).collect();
    let uids = match Destination::new(world, job.to, to, new_validity, job.uid_next).moved(session, &moved) {
        Ok(uids) => uids,
        // They are there, and the next run finds them by their content.
        Err(error) if is_refusal(&error) => vec![None; moved.len()],
        Err(error) => return Err(error),
    };
    worker.send(Outcome::Done { job, uids, left })
}

fn enter(
    world: &World<'_>,
    ledger: &mut Ledger<'_>,
    followups: &mut Followups,
    job: Job<'_>,
    uids: &[Option<Uid>],
    way: Way,
    left: &Left,
) -> Result<()> {
    let mut seen = BTreeSet::new();
    for ((old, (task, link)), uid) in job.tasks.into_iter().zip(uids) {
        let Here::File(file) = &task.relocation.here else { continue };
        let is_free = |uid: &Uid| !world.is_taken(ledger, job.to, *uid);
        let Some(uid) = uid.filter(is_free).filter(|uid| seen.insert(*uid)) else {
            // It went meanwhile, or cannot be told from others, or the server named a message that was there before; the
            // next run looks for it by its content. The intent stays: it tells with which flags the message came.
            ledger.hold(job.from);
            ledger.hold(job.to);
            continue;
        };
        let link =
            Link { uid, file: file.clone(), presence: Presence::Both, flags: task.relocation.flags.clone(), ..link };
        let old = match way {
            Way::Move => delete::left_there(world, ledger, job.from, [old].into_iter().collect(), left),
            Way::Copy => Vec::new(),
        };
        arrived(ledger, followups, task, link, &task.relocation.local, old)?;
    }
    Ok(())
}
