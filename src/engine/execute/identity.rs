//! What is the same message on both sides is recorded; nothing is transferred.

use super::{World, actions};
use crate::engine::ledger::Ledger;
use crate::error::Result;
use crate::mail::{Fact, MailboxName};
use crate::reconcile::guard::ApprovedPlan;
use crate::reconcile::{Action, Phase};

/// Records links, new names of files, and flags that both sides came to by themselves.
pub fn record(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &ApprovedPlan) -> Result<()> {
    for (name, action) in actions(plan, Phase::Identity, ledger) {
        let done = apply(world, ledger, name, action)?;
        if !matches!(action, Action::ResetMailbox) {
            ledger.done(name, action, done, 0);
        }
    }
    Ok(())
}

fn apply(world: &World<'_>, ledger: &mut Ledger<'_>, name: &MailboxName, action: &Action) -> Result<u64> {
    let Some(id) = ledger.id(name) else { return Ok(0) };
    match action {
        Action::Link { uid, file, flags } => {
            // A file that came back to a message left on the server alone needs no reading: the link knows it.
            let again = ledger.link(name, *uid).filter(|l| l.file == *file).cloned().map(|mut link| {
                link.presence = crate::mail::Presence::Both;
                link.flags = flags.clone();
                link
            });
            let Some(link) = again.or_else(|| world.link(name, *uid, file, flags.clone())) else { return Ok(0) };
            ledger.enter(name, Fact::Linked(id, link))?;
            ledger.enter(name, Fact::Settled(id, file.clone()))?;
            Ok(1)
        }
        Action::Rename { uid, file } => {
            ledger.enter(name, Fact::Renamed(id, *uid, file.clone()))?;
            Ok(1)
        }
        Action::Agree { uids, flags } => {
            for uid in uids.iter() {
                ledger.agree(name, uid, flags.clone())?;
            }
            Ok(uids.len())
        }
        _ => Ok(0),
    }
}
