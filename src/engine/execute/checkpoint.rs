//! Checks mailboxes off: what was observed of them has been processed, so the next run need not look before it.
//!
//! Checkpoints are those of the observation, not of the end: what others and we ourselves did since is seen next time.
//! A mailbox that is held keeps its old ones. Under a one-way direction a side whose changes are ignored on purpose is
//! checked off only when there is nothing to ignore, so that the other direction can be chosen later without a loss.

use super::{World, arriving};
use crate::engine::ledger::Ledger;
use crate::error::{Item, Result};
use crate::mail::{BaseMailbox, Fact, LocalCheckpoint, MailboxName, Presence, RemoteCheckpoint};
use crate::reconcile::guard::Refusal;
use crate::reconcile::view::{Coverage, Direction, LocalMailbox, RemoteMailbox};
use crate::reconcile::{Plan, arrived};

/// Forgets the checkpoints of mailboxes that one side does not have any more. Their links go one by one; should such a
/// mailbox be back as it was (it had another name for a moment), nobody would look at what is in it otherwise. Those of
/// unfinished ones that get another name, too: an earlier run may have taken another directory for theirs, and entered
/// links, while their own has stayed as their checkpoint says.
pub fn distrust(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &Plan) -> Result<()> {
    let seen = world.seen;
    let there =
        |name: &MailboxName| seen.local.mailboxes.contains_key(name) && seen.remote.mailboxes.contains_key(name);
    let renamed = |name: &MailboxName| seen.names.renamed.iter().any(|r| r.to == *name);
    let doubtful = |name: &&MailboxName| !there(name) || plan.unfinished.contains(*name) && renamed(name);
    for name in plan.mailboxes.keys().filter(doubtful) {
        let Some((id, remote, local)) = ledger.mailbox(name).map(|m| (m.id, m.remote.clone(), m.local)) else {
            continue;
        };
        if let Some(mut check) = remote {
            check.look_again();
            ledger.enter(name, Fact::RemoteChecked(id, check))?;
        }
        if let Some(mut check) = local {
            check.look_again();
            ledger.enter(name, Fact::LocalChecked(id, check))?;
        }
    }
    Ok(())
}

/// Enters the checkpoints of all mailboxes that are done.
pub fn record(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &Plan) -> Result<()> {
    let brought = arrived::brought(plan);
    for (name, id) in &world.seen.ids {
        arriving::settle(world, ledger, name, brought.get(name))?;
        if ledger.is_held(name) || ledger.mailbox(name).is_none() {
            continue;
        }
        arriving::forget_sent(world, ledger, name)?;
        let direction = world.account.direction;
        if let Some(check) = world.seen.local_checks.get(name)
            && !(direction == Direction::Pull && ignored_locally(world, ledger, name))
            && ledger.mailbox(name).and_then(|m| m.local) != Some(*check)
        {
            ledger.enter(name, Fact::LocalChecked(*id, *check))?;
        }
        let is_marked = |mailbox: &BaseMailbox| mailbox.local.is_some_and(|check| check.is_a_mark());
        if !world.seen.local_checks.contains_key(name) && ledger.mailbox(name).is_some_and(is_marked) {
            ledger.enter(name, Fact::LocalChecked(*id, LocalCheckpoint::RESTORED))?;
        }
        if let Some(check) = world.seen.remote_checks.get(name)
            && !(direction == Direction::Push && ignored_remotely(world, ledger, name))
            && ledger.mailbox(name).is_some_and(|known| may_be_checked(known, check))
        {
            ledger.enter(name, Fact::RemoteChecked(*id, check.clone()))?;
        }
    }
    for (name, counts) in ledger.counts().clone() {
        if plan.mailboxes.contains_key(&name) {
            ledger.event(crate::report::event::Event::MailboxDone { mailbox: &name, counts });
        }
    }
    Ok(())
}

/// After a run over an older copy, of the tree or of the state: the mailboxes with which it was not done, in part or since it
/// had not to, stay older ones by themselves, so that the others need not be.
pub fn leave_older(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &Plan, refused: &[Refusal]) -> Result<()> {
    let not_asked = ledger.state().base(&|name| !world.account.mailboxes.selects(name))?;
    let marks = not_asked
        .values()
        .filter(|mailbox| !mailbox.was_left_out())
        .map(|mailbox| Fact::LocalChecked(mailbox.id, LocalCheckpoint::OLDER));
    ledger.state().record(&marks.collect::<Vec<_>>())?;
    for (name, id) in &world.seen.ids {
        // What does not go up keeps nothing from coming back.
        let mut failures = ledger.failures().iter().filter(|failure| failure.mailbox == *name);
        let fails = failures.any(|failure| !matches!(failure.item, Item::File(_)));
        let is_refused = refused.iter().any(|refusal| refusal.mailbox.as_ref().is_none_or(|refused| refused == name));
        if ledger.mailbox(name).is_some() && (fails || is_refused || plan.unfinished.contains(name)) {
            ledger.enter(name, Fact::LocalChecked(*id, LocalCheckpoint::OLDER))?;
        }
    }
    Ok(())
}

/// Whether a checkpoint says more than is known, and nothing that would give links the UIDs of other messages.
fn may_be_checked(known: &BaseMailbox, check: &RemoteCheckpoint) -> bool {
    let Some(then) = &known.remote else { return true };
    then != check && (then.uid_validity == check.uid_validity || known.messages() == 0)
}

/// Whether the tree has something that a pull leaves alone: files of its own, other flags, or a file that is gone.
fn ignored_locally(world: &World<'_>, ledger: &Ledger<'_>, name: &MailboxName) -> bool {
    let Some(LocalMailbox::Listed(listing)) = world.seen.local.mailboxes.get(name) else { return false };
    let links = ledger.mailbox(name).and_then(|m| m.links.as_ref());
    let mut linked = 0;
    for link in links.into_iter().flat_map(|l| l.values()).filter(|l| l.presence != Presence::RemoteOnly) {
        match listing.files.get(&link.file) {
            Some(file) if world.relevant(file.flags.clone()) == link.flags => linked += 1,
            Some(_) => return true,
            None => {}
        }
    }
    linked != listing.files.len()
}

/// Whether the server has something that a push leaves alone.
fn ignored_remotely(world: &World<'_>, ledger: &Ledger<'_>, name: &MailboxName) -> bool {
    let Some(RemoteMailbox::Observed(listing)) = world.seen.remote.mailboxes.get(name) else { return false };
    let differs = listing.messages.iter().any(|(uid, message)| {
        ledger.link(name, *uid).is_none_or(|link| link.flags != world.relevant(message.flags.clone()))
    });
    let vanished = match &listing.coverage {
        Coverage::Everything => false,
        Coverage::Changes { vanished } => !vanished.is_empty(),
    };
    differs || vanished
}
