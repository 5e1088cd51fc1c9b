//! Deletions, after everything that could keep a message has been done.
//!
//! Before anything goes from the server, the tree is looked at once more: a file that a mail reader was just renaming
//! while it was listed may have been overlooked, and is not gone.

use std::collections::BTreeMap;

use super::{World, actions, by_mailbox, download::is_refusal, flags::files_of, item_failed, mailboxes::on_session};
use crate::engine::ledger::Ledger;
use crate::engine::pool::{Heard, Worker};
use crate::error::{Item, Result};
use crate::mail::{Fact, FileId, FlagChange, Flags, MailboxName, Presence, SystemFlag, UidSet, UidValidity};
use crate::reconcile::guard::ApprovedPlan;
use crate::reconcile::view::LeftOut;
use crate::reconcile::{Action, Disposal, Phase, Side};
use crate::remote::imap::{Expunged, Session, WireName};

/// Deletes, marks and keeps as planned.
pub fn run(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &ApprovedPlan) -> Result<()> {
    let mut remote = Vec::new();
    for (name, action) in actions(plan, Phase::Deletions, ledger) {
        world.stop.check()?;
        match action {
            Action::Delete { side: Side::Remote, .. } => remote.push((name, action)),
            Action::Delete { side: Side::Local, uids, disposal } => {
                let done = delete_locally(world, ledger, name, uids, *disposal)?;
                ledger.done(name, action, done, 0);
            }
            Action::MovedOut { uids, to, left_out } => {
                let messages = if uids.len() == 1 { "message" } else { "messages" };
                let moved = format!("{name}: {} {messages} moved to {to}", uids.len());
                match left_out {
                    LeftOut::Always => {
                        keep(world, ledger, name, Side::Remote, uids)?;
                        ledger.notice(&format!("{moved}, which takes no part; kept on the server"));
                    }
                    LeftOut::ThisTime => {
                        ledger.hold(name);
                        ledger.notice(&format!(
                            "{moved}, which this run leaves out; a run with it moves it on the server"
                        ));
                    }
                }
                ledger.done(name, action, uids.len(), 0);
            }
            Action::Keep { side, uids } => {
                keep(world, ledger, name, *side, uids)?;
                ledger.done(name, action, uids.len(), 0);
            }
            _ => {}
        }
    }
    ledger.flush()?;
    on_server(world, ledger, by_mailbox(remote))
}

fn unlink(ledger: &mut Ledger<'_>, name: &MailboxName, uids: UidSet) -> Result<()> {
    if uids.is_empty() {
        return Ok(());
    }
    ledger.enter_for(name, |id| Fact::Unlinked(id, uids))
}

fn marked() -> Flags {
    let mut flags = Flags::none();
    flags.system.insert(SystemFlag::Trashed);
    flags
}

fn delete_locally(
    world: &World<'_>,
    ledger: &mut Ledger<'_>,
    name: &MailboxName,
    uids: &UidSet,
    disposal: Disposal,
) -> Result<u64> {
    let files = files_of(ledger, name, uids);
    let folder = match world.store.folder(name) {
        Ok(folder) => folder,
        Err(error) => {
            item_failed(ledger, name, Item::Mailbox, error)?;
            return Ok(0);
        }
    };
    let ids: Vec<FileId> = files.iter().map(|(_, file)| file.clone()).collect();
    let outcomes: Vec<Result<Option<Flags>>> = match disposal {
        Disposal::Expunge | Disposal::Trash => folder.remove(&ids).into_iter().map(|r| r.map(|()| None)).collect(),
        Disposal::Mark => {
            let mark = FlagChange { add: marked(), remove: Flags::none() };
            let changes: Vec<(FileId, FlagChange)> = ids.into_iter().map(|id| (id, mark.clone())).collect();
            folder.set_flags(&changes).into_iter().map(|r| r.map(Some)).collect()
        }
    };
    let mut gone = UidSet::new();
    let mut done = 0;
    for ((uid, file), outcome) in files.into_iter().zip(outcomes) {
        match outcome {
            Ok(None) => gone.insert(uid),
            Ok(Some(flags)) => stay(ledger, name, uid, Presence::LocalOnly, flags)?,
            Err(error) => {
                item_failed(ledger, name, Item::File(file), error)?;
                continue;
            }
        }
        done += 1;
    }
    unlink(ledger, name, gone)?;
    Ok(done)
}

fn stay(
    ledger: &mut Ledger<'_>,
    name: &MailboxName,
    uid: crate::mail::Uid,
    presence: Presence,
    flags: Flags,
) -> Result<()> {
    ledger.enter_for(name, |id| Fact::PresenceChanged(id, uid, presence, flags))
}

fn keep(world: &World<'_>, ledger: &mut Ledger<'_>, name: &MailboxName, side: Side, uids: &UidSet) -> Result<()> {
    for uid in uids.iter() {
        let agreed = ledger.link(name, uid).map(|l| l.flags.clone()).unwrap_or_default();
        let (presence, flags) = match side {
            Side::Local => (Presence::LocalOnly, agreed),
            Side::Remote => (Presence::RemoteOnly, world.remote_flags(ledger, name, uid)),
        };
        stay(ledger, name, uid, presence, flags)?;
    }
    Ok(())
}

struct Job<'p> {
    name: &'p MailboxName,
    wire: WireName,
    uid_validity: UidValidity,
    trash: Option<WireName>,
    parts: Vec<(&'p Action, UidSet, Disposal)>,
}

enum Outcome<'p> {
    Did { name: &'p MailboxName, action: &'p Action, uids: UidSet, left: Left },
    Failed { name: &'p MailboxName, error: crate::error::Error },
}

/// Where the messages of a deletion are now.
pub enum Left {
    Nowhere,
    Marked,
    /// Marked instead of expunged, because an EXPUNGE would take as many messages of others along.
    MarkedForOthers(u64),
}

fn on_server(world: &World<'_>, ledger: &mut Ledger<'_>, planned: BTreeMap<&MailboxName, Vec<&Action>>) -> Result<()> {
    let mut jobs = Vec::new();
    for (name, actions) in planned {
        let mut parts = Vec::new();
        for action in actions {
            let Action::Delete { uids, disposal, .. } = action else { continue };
            let uids = really_gone(world, ledger, name, uids)?;
            if !uids.is_empty() {
                parts.push((action, uids, *disposal));
            }
        }
        if parts.is_empty() {
            continue;
        }
        let trash = match &world.seen.remote.trash {
            Some(trash) => Some(world.wire(trash)?),
            None => None,
        };
        let uid_validity = world.uid_validity(ledger, name)?;
        jobs.push(Job { name, wire: world.wire(name)?, uid_validity, trash, parts });
    }
    make_trash(world, &jobs)?;
    let width = jobs.len() / 4 + 1;
    world.pool.run(jobs, width, dispose, |heard| match heard {
        Heard::Pause => ledger.flush(),
        Heard::Result(Outcome::Failed { name, error }) => item_failed(ledger, name, Item::Mailbox, error),
        Heard::Result(Outcome::Did { name, action, uids, left }) => enter(world, ledger, name, action, uids, &left),
    })
}

/// Makes the Trash mailbox when something is to go there and the server did not list it.
fn make_trash(world: &World<'_>, jobs: &[Job<'_>]) -> Result<()> {
    let needed = jobs.iter().any(|job| job.parts.iter().any(|(_, _, disposal)| *disposal == Disposal::Trash));
    match &world.seen.remote.trash {
        Some(trash) if needed && !world.seen.directory.mailboxes.contains_key(trash) => {
            on_session(world, |session| session.create(&world.wire(trash)?))
        }
        _ => Ok(()),
    }
}

/// Those of `uids` whose file is still not there.
pub fn really_gone(world: &World<'_>, ledger: &mut Ledger<'_>, name: &MailboxName, uids: &UidSet) -> Result<UidSet> {
    if !world.seen.local.mailboxes.contains_key(name) {
        return Ok(uids.clone());
    }
    let folder = match world.store.folder(name) {
        Ok(folder) => folder,
        Err(error) => {
            item_failed(ledger, name, Item::Mailbox, error)?;
            return Ok(UidSet::new());
        }
    };
    let files = files_of(ledger, name, uids);
    let ids: Vec<FileId> = files.iter().map(|(_, file)| file.clone()).collect();
    let back = match folder.still_there(&ids) {
        Ok(back) => back,
        Err(error) => {
            item_failed(ledger, name, Item::Mailbox, error)?;
            return Ok(UidSet::new());
        }
    };
    let there: UidSet = files.iter().filter(|(_, file)| back.contains(file)).map(|(uid, _)| *uid).collect();
    if !there.is_empty() {
        ledger.hold(name);
    }
    Ok(uids.iter().filter(|uid| !there.contains(*uid)).collect())
}

fn dispose<'p>(session: &mut Session, job: Job<'p>, worker: &Worker<'_, Job<'p>, Outcome<'p>>) -> Result<()> {
    let Job { name, wire, uid_validity, trash, parts } = job;
    for (action, uids, disposal) in parts {
        let outcome = match (disposal, &trash) {
            (Disposal::Expunge, _) => session.expunge(&wire, uid_validity, &uids).map(left),
            (Disposal::Trash, Some(trash)) => {
                session.move_messages(&wire, uid_validity, &uids, trash).map(|moved| left(moved.left))
            }
            (Disposal::Mark, _) | (Disposal::Trash, None) => {
                let mark = FlagChange { add: marked(), remove: Flags::none() };
                let stored = session.store(&wire, uid_validity, &[(uids.clone(), mark)]);
                stored.and_then(|s| s.results.into_iter().collect::<Result<Vec<()>>>()).map(|_| Left::Marked)
            }
        };
        match outcome {
            Ok(left) => worker.send(Outcome::Did { name, action, uids, left })?,
            Err(error) if is_refusal(&error) => worker.send(Outcome::Failed { name, error })?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What an expunge or a move left behind.
pub fn left(expunged: Expunged) -> Left {
    match expunged {
        Expunged::Gone => Left::Nowhere,
        Expunged::LeftMarked { foreign } => Left::MarkedForOthers(foreign),
    }
}

fn enter(
    world: &World<'_>,
    ledger: &mut Ledger<'_>,
    name: &MailboxName,
    action: &Action,
    uids: UidSet,
    left: &Left,
) -> Result<()> {
    let done = uids.len();
    if let Left::MarkedForOthers(foreign) = left {
        ledger.notice(&format!(
            "{name}: {done} deleted messages stay on the server, marked \\Deleted: it has no UIDPLUS, and an EXPUNGE \
             would also remove {foreign} that another client marked"
        ));
    }
    left_there(world, ledger, name, uids, left).into_iter().try_for_each(|fact| ledger.enter(name, fact))?;
    ledger.done(name, action, done, 0);
    Ok(())
}

/// Where messages are that were to go.
pub fn left_there(world: &World<'_>, ledger: &Ledger<'_>, name: &MailboxName, uids: UidSet, left: &Left) -> Vec<Fact> {
    let Some(id) = ledger.id(name) else { return Vec::new() };
    match left {
        Left::Nowhere => vec![Fact::Unlinked(id, uids)],
        Left::Marked | Left::MarkedForOthers(_) => {
            let stays = |uid| {
                let flags = world.remote_flags(ledger, name, uid).union(&marked());
                Fact::PresenceChanged(id, uid, Presence::RemoteOnly, flags)
            };
            uids.iter().map(stays).collect()
        }
    }
}
