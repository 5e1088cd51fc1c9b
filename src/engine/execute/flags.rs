//! Flags: renames of files here, UID STORE there, one for each distinct change.

use std::collections::BTreeMap;

use super::{World, actions, by_mailbox, download::is_refusal, item_failed};
use crate::engine::ledger::Ledger;
use crate::engine::pool::{Heard, Worker};
use crate::error::{Error, Item, Result};
use crate::local::Folder;
use crate::mail::{FileId, FlagChange, Flags, MailboxName, Uid, UidSet, UidValidity};
use crate::reconcile::guard::ApprovedPlan;
use crate::reconcile::{Action, Phase, Side};
use crate::remote::imap::{Session, Stored, WireName};

/// Changes flags on both sides: those planned, and those of messages that `came` from elsewhere, which were planned, and
/// are told, with their move.
pub fn run(
    world: &World<'_>,
    ledger: &mut Ledger<'_>,
    plan: &ApprovedPlan,
    came: &[(MailboxName, Action)],
) -> Result<()> {
    let mut planned = actions(plan, Phase::Flags, ledger);
    planned.extend(came.iter().map(|(name, action)| (name, action)));
    let told = |action: &Action| !came.iter().any(|(_, with_move)| std::ptr::eq(with_move, action));
    let on = |wanted: Side| {
        let of_side = move |(_, action): &(&MailboxName, &Action)| matches!(action, Action::SetFlags { side, .. } if *side == wanted);
        by_mailbox(planned.iter().copied().filter(of_side))
    };
    for (name, actions) in on(Side::Local) {
        world.stop.check()?;
        for action in actions {
            let Action::SetFlags { uids, change, .. } = action else { continue };
            let done = set_locally(world, ledger, name, uids, change)?;
            if told(action) {
                ledger.done(name, action, done, 0);
            }
        }
    }
    ledger.flush()?;
    on_server(world, ledger, on(Side::Remote), &told)
}

/// Changes the flags of the files of `uids`; those done are entered.
fn set_locally(
    world: &World<'_>,
    ledger: &mut Ledger<'_>,
    name: &MailboxName,
    uids: &UidSet,
    change: &FlagChange,
) -> Result<u64> {
    let files = files_of(ledger, name, uids);
    let changes: Vec<(FileId, FlagChange)> = files.iter().map(|(_, file)| (file.clone(), change.clone())).collect();
    let folder = match world.store.folder(name) {
        Ok(folder) => folder,
        Err(error) => {
            item_failed(ledger, name, Item::Mailbox, error)?;
            return Ok(0);
        }
    };
    let mut done = 0;
    for ((uid, file), outcome) in files.into_iter().zip(folder.set_flags(&changes)) {
        match outcome {
            Ok(flags) => {
                enter(ledger, name, uid, &kept(change, &flags))?;
                done += 1;
            }
            // Whoever removed the file meanwhile is heard in the next run.
            Err(_) if is_gone(&folder, &file) => ledger.hold(name),
            Err(error) => item_failed(ledger, name, Item::File(file), error)?,
        }
    }
    Ok(done)
}

/// Whether the file is certainly not there any more.
pub fn is_gone(folder: &Folder, file: &FileId) -> bool {
    folder.still_there(std::slice::from_ref(file)).is_ok_and(|there| there.is_empty())
}

/// The part of `change` that a file with `flags` now really carries: a keyword may have found no letter.
pub fn kept(change: &FlagChange, flags: &Flags) -> FlagChange {
    FlagChange { add: change.add.minus(&change.add.minus(flags)), remove: change.remove.clone() }
}

/// The files of linked messages.
pub fn files_of(ledger: &Ledger<'_>, name: &MailboxName, uids: &UidSet) -> Vec<(Uid, FileId)> {
    uids.iter().filter_map(|uid| Some((uid, ledger.link(name, uid)?.file.clone()))).collect()
}

fn enter(ledger: &mut Ledger<'_>, name: &MailboxName, uid: Uid, change: &FlagChange) -> Result<()> {
    match ledger.link(name, uid).map(|link| link.flags.after(change)) {
        Some(flags) => ledger.agree(name, uid, flags),
        None => Ok(()),
    }
}

struct Job<'p> {
    name: &'p MailboxName,
    wire: WireName,
    uid_validity: UidValidity,
    actions: Vec<&'p Action>,
}

struct Outcome<'p> {
    name: &'p MailboxName,
    /// `None` for the mailbox as a whole.
    action: Option<&'p Action>,
    /// Which of the action's messages were there to be changed.
    result: Result<UidSet>,
}

fn on_server<'p>(
    world: &World<'_>,
    ledger: &mut Ledger<'_>,
    planned: BTreeMap<&'p MailboxName, Vec<&'p Action>>,
    told: &dyn Fn(&Action) -> bool,
) -> Result<()> {
    let mut jobs = Vec::new();
    for (name, actions) in planned {
        jobs.push(Job { name, wire: world.wire(name)?, uid_validity: world.uid_validity(ledger, name)?, actions });
    }
    let width = jobs.len() / 4 + 1;
    world.pool.run(jobs, width, store, |heard| match heard {
        Heard::Pause => ledger.flush(),
        Heard::Result(Outcome { name, action: None, result: Err(error) }) => {
            item_failed(ledger, name, Item::Mailbox, error)
        }
        Heard::Result(Outcome { name, action: Some(action), result }) => stored(ledger, name, action, result, told),
        Heard::Result(Outcome { action: None, result: Ok(_), .. }) => Ok(()),
    })
}

fn store<'p>(session: &mut Session, job: Job<'p>, worker: &Worker<'_, Job<'p>, Outcome<'p>>) -> Result<()> {
    let Job { name, wire, uid_validity, actions } = job;
    let change = |action: &'p Action| match action {
        Action::SetFlags { uids, change, .. } => Some((action, (uids.clone(), change.clone()))),
        _ => None,
    };
    let (actions, changes): (Vec<&Action>, Vec<(UidSet, FlagChange)>) = actions.into_iter().filter_map(change).unzip();
    match session.store(&wire, uid_validity, &changes) {
        Ok(Stored { results, there }) => {
            for ((action, (uids, _)), result) in actions.into_iter().zip(changes).zip(results) {
                let changed = || uids.iter().filter(|uid| there.contains(*uid)).collect();
                worker.send(Outcome { name, action: Some(action), result: result.map(|()| changed()) })?;
            }
            Ok(())
        }
        Err(error) if is_refusal(&error) => worker.send(Outcome { name, action: None, result: Err(error) }),
        Err(error) => Err(error),
    }
}

fn stored(
    ledger: &mut Ledger<'_>,
    name: &MailboxName,
    action: &Action,
    result: Result<UidSet, Error>,
    told: &dyn Fn(&Action) -> bool,
) -> Result<()> {
    let Action::SetFlags { uids, change, .. } = action else { return Ok(()) };
    let changed = match result {
        Ok(changed) => changed,
        Err(error) => return item_failed(ledger, name, Item::Mailbox, error),
    };
    // What another client took away first was not changed: wherever it turns up, the change is still to be made.
    if changed.len() < uids.len() {
        ledger.hold(name);
    }
    changed.iter().try_for_each(|uid| enter(ledger, name, uid, change))?;
    if told(action) {
        ledger.done(name, action, changed.len(), 0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_without_a_letter_is_not_agreed_on() {
        let flags = |names: &[&str]| {
            let mut flags = Flags::none();
            names.iter().for_each(|n| flags.insert_imap(n));
            flags
        };
        let change = FlagChange { add: flags(&["\\Seen", "late"]), remove: flags(&["\\Flagged"]) };
        let kept = kept(&change, &flags(&["\\Seen"]));
        assert_eq!(kept, FlagChange { add: flags(&["\\Seen"]), remove: flags(&["\\Flagged"]) });
    }
}
