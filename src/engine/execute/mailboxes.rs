//! Mailboxes are made before anything goes into them, and removed after everything has left them.

use std::collections::{BTreeMap, BTreeSet};

use super::{World, actions, item_failed, meanwhile};
use crate::engine::ledger::Ledger;
use crate::error::{Error, Item, Kind, Result, Retry};
use crate::local::Removed;
use crate::mail::{Fact, LocalCheckpoint, MailboxName, RemoteCheckpoint, UidSet};
use crate::reconcile::guard::ApprovedPlan;
use crate::reconcile::view::{Direction, RemoteMailbox};
use crate::reconcile::{Action, Phase, Side};
use crate::remote::imap::{Access, Ask, Deleted, Session};

/// Makes the mailboxes that one side lacks, and enters all that now exist on both.
///
/// A mailbox gets its UIDVALIDITY on record before its first link: after a crash the links must not be taken for those
/// of another generation. And what it can keep: of one made here, the plan could not know.
///
/// What is left for [`meanwhile`] is not made here.
pub fn create(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &ApprovedPlan) -> Result<()> {
    let later = meanwhile::waiting(plan, ledger);
    let mut wanted = actions(plan, Phase::CreateMailboxes, ledger);
    wanted.retain(|(name, _)| !later.contains(name));
    let mut made = make(world, ledger, plan, wanted)?;
    let listed = |name: &MailboxName| {
        world.seen.directory.mailboxes.contains_key(name) && world.seen.local.mailboxes.contains_key(name)
    };
    made.extend(world.seen.ids.keys().filter(|name| listed(name)));
    enter(world, ledger, plan, &made)
}

/// Makes those of the tree that were left for later, and enters them.
pub fn create_later(
    world: &World<'_>,
    ledger: &mut Ledger<'_>,
    plan: &ApprovedPlan,
    names: &[&MailboxName],
) -> Result<()> {
    let here = Action::CreateMailbox { side: Side::Local };
    let made = make(world, ledger, plan, names.iter().map(|name| (*name, &here)).collect())?;
    enter(world, ledger, plan, &made)
}

/// Makes the `wanted` mailboxes; gives those that are there.
fn make<'p>(
    world: &World<'_>,
    ledger: &mut Ledger<'_>,
    plan: &ApprovedPlan,
    wanted: Vec<(&'p MailboxName, &Action)>,
) -> Result<BTreeSet<&'p MailboxName>> {
    let mut made = BTreeSet::new();
    let here = |(name, action): &(&'p MailboxName, &Action)| {
        matches!(action, Action::CreateMailbox { side: Side::Local }).then_some(*name)
    };
    let local: Vec<&MailboxName> = wanted.iter().filter_map(here).collect();
    begin_restoring(ledger, plan, &local)?;
    let mut made_here: BTreeMap<_, _> = local.iter().copied().zip(world.store.create_mailboxes(&local)).collect();
    for (name, action) in wanted {
        world.stop.check()?;
        let outcome = match action {
            Action::CreateMailbox { side: Side::Local } => made_here.remove(name).unwrap_or(Ok(())),
            Action::CreateMailbox { side: Side::Remote } => {
                on_session(world, |session| session.create(&world.wire(name)?))
            }
            _ => continue,
        };
        match outcome {
            Ok(()) => {
                ledger.done(name, action, 1, 0);
                made.insert(name);
            }
            Err(error) if error.retry() == Retry::Worthwhile => return Err(error.at(name)),
            Err(error) => {
                item_failed(ledger, name, Item::Mailbox, error)?;
                ledger.break_off(name);
            }
        }
    }
    Ok(made)
}

/// Puts on record of which of these mailboxes known mail comes back, before they are made: one that a run leaves in part, or
/// without any of it, would look as if that had been deleted.
fn begin_restoring(ledger: &mut Ledger<'_>, plan: &ApprovedPlan, names: &[&MailboxName]) -> Result<()> {
    let mut begun = false;
    for name in names {
        let actions = plan.plan().mailboxes.get(*name).into_iter().flatten();
        let mut downloads = actions.filter_map(|action| match action {
            Action::Download { uids, .. } => Some(uids),
            _ => None,
        });
        let comes_back = downloads.any(|uids| uids.iter().any(|uid| ledger.link(name, uid).is_some()));
        if let Some(id) = ledger.id(name).filter(|_| comes_back) {
            ledger.enter(name, Fact::LocalChecked(id, LocalCheckpoint::BEING_RESTORED))?;
            begun = true;
        }
    }
    // Nearly always there is nothing to wait for.
    if begun { ledger.flush() } else { Ok(()) }
}

/// Enters mailboxes that exist on both sides now.
fn enter(
    world: &World<'_>,
    ledger: &mut Ledger<'_>,
    plan: &ApprovedPlan,
    names: &BTreeSet<&MailboxName>,
) -> Result<()> {
    for name in names.iter().copied() {
        let Some(id) = world.seen.ids.get(name).filter(|_| !ledger.is_broken(name)) else { continue };
        let reset = Action::ResetMailbox;
        if plan.plan().mailboxes.get(name).is_some_and(|actions| actions.contains(&reset)) {
            ledger.enter(name, Fact::MailboxReset(*id))?;
            ledger.done(name, &reset, 0, 0);
        }
        ledger.know(name, *id)?;
        begin(world, ledger, name)?;
    }
    Ok(())
}

/// Puts the mailbox's UIDVALIDITY and the flags it can keep on record when nothing of it is yet.
fn begin(world: &World<'_>, ledger: &mut Ledger<'_>, name: &MailboxName) -> Result<()> {
    let Some(id) = ledger.id(name) else { return Ok(()) };
    let recreated = !world.seen.directory.mailboxes.contains_key(name);
    if ledger.mailbox(name).is_some_and(|m| m.remote.is_some()) && !recreated {
        return Ok(());
    }
    let (uid_validity, permanent) = match world.seen.remote.mailboxes.get(name) {
        Some(RemoteMailbox::Observed(listing)) => (listing.uid_validity, listing.permanent.clone()),
        Some(RemoteMailbox::Unchanged | RemoteMailbox::Unknown) => return Ok(()),
        None => match look_into_new(world, name) {
            Ok(RemoteCheckpoint { uid_validity, permanent, .. }) => (uid_validity, permanent),
            Err(error) if error.retry() == Retry::Worthwhile => return Err(error.at(name)),
            Err(error) => {
                item_failed(ledger, name, Item::Mailbox, error)?;
                ledger.break_off(name);
                return Ok(());
            }
        },
    };
    let checkpoint = RemoteCheckpoint {
        uid_validity,
        uid_next: None,
        highest_modseq: None,
        messages: 0,
        permanent,
        object_id: None,
    };
    ledger.enter(name, Fact::RemoteChecked(id, checkpoint))
}

fn look_into_new(world: &World<'_>, name: &MailboxName) -> Result<RemoteCheckpoint> {
    let (wire, known) = (world.wire(name)?, UidSet::new());
    let ask = Ask { wire, since: None, known, access: Access::ReadWrite };
    let seen = on_session(world, |session| session.observe(&[ask]))?.pop();
    let seen = seen.ok_or_else(|| Error::new(Kind::Protocol, "The server tells nothing of a new mailbox"))?;
    seen.map(|s| s.checkpoint)
}

/// Removes mailboxes that went from the other side, the deepest first.
///
/// That nothing is linked in them any more is on record before: a directory that a crash leaves in half holds nothing
/// then that could seem to be deleted.
pub fn remove(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &ApprovedPlan) -> Result<()> {
    ledger.flush()?;
    for (name, action) in actions(plan, Phase::RemoveMailboxes, ledger).into_iter().rev() {
        world.stop.check()?;
        if ledger.is_held(name) {
            continue;
        }
        let outcome = match action {
            Action::RemoveMailbox { side: Side::Local } => remove_locally(world, name),
            Action::RemoveMailbox { side: Side::Remote } => remove_on_server(world, name),
            Action::ForgetMailbox => clear_away(world, name),
            _ => continue,
        };
        match outcome {
            Ok(Gone::Yes) => {
                ledger.enter_for(name, Fact::MailboxForgotten)?;
                ledger.done(name, action, 1, 0);
            }
            Ok(Gone::MailArrived) => {
                ledger.notice(&format!(
                    "{name}: new mail arrived meanwhile, so the mailbox stays; the next run brings it back"
                ));
                ledger.hold(name);
            }
            Err(error) if error.retry() == Retry::Worthwhile => return Err(error.at(name)),
            Err(error) => item_failed(ledger, name, Item::Mailbox, error)?,
        }
    }
    Ok(())
}

enum Gone {
    Yes,
    MailArrived,
}

fn remove_locally(world: &World<'_>, name: &MailboxName) -> Result<Gone> {
    Ok(match world.store.remove_mailbox(name)? {
        Removed::Gone => Gone::Yes,
        Removed::StillHolds(_) => Gone::MailArrived,
    })
}

/// Of a mailbox that is gone from both sides, removes what a crash may have left of its directory.
fn clear_away(world: &World<'_>, name: &MailboxName) -> Result<Gone> {
    match world.account.direction {
        Direction::Push => {}
        Direction::Both | Direction::Pull => world.store.clear_away(name)?,
    }
    Ok(Gone::Yes)
}

fn remove_on_server(world: &World<'_>, name: &MailboxName) -> Result<Gone> {
    let wire = world.wire(name)?;
    Ok(match on_session(world, |session| session.delete(&wire))? {
        Deleted::Gone => Gone::Yes,
        Deleted::StillHolds(_) => Gone::MailArrived,
    })
}

/// Asks something on any session.
pub fn on_session<T>(world: &World<'_>, ask: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
    let mut session = world.pool.take()?;
    let answer = ask(&mut session);
    if !session.is_broken() {
        world.pool.give(session);
    }
    answer
}
