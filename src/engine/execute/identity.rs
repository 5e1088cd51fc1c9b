//! What is the same message on both sides is recorded, and what is on neither any more; nothing is transferred.

use std::collections::BTreeMap;

use super::{World, actions};
use crate::engine::ledger::Ledger;
use crate::error::Result;
use crate::mail::{Fact, FileId, MailboxName, UidSet};
use crate::reconcile::guard::ApprovedPlan;
use crate::reconcile::view::LocalMailbox;
use crate::reconcile::{Action, Phase};

/// Records links, new names of files, flags that both sides came to by themselves, and what is gone from both.
pub fn record(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &ApprovedPlan) -> Result<()> {
    let planned = actions(plan, Phase::Identity, ledger);
    let record = |ledger: &mut Ledger<'_>| {
        let mut files = BTreeMap::new();
        for (name, action) in &planned {
            let done = apply(world, ledger, name, action, &mut files)?;
            if !matches!(action, Action::ResetMailbox) {
                ledger.done(name, action, done, 0);
            }
        }
        Ok(())
    };
    // A message that moved on both sides is forgotten in one mailbox and linked in another: both, or neither.
    match planned.iter().any(|(_, action)| matches!(action, Action::Forget { .. })) {
        true => ledger.at_once(record),
        false => record(ledger),
    }
}

/// The UIDs of each linked file of a mailbox, as recorded before this phase.
type Files<'p> = BTreeMap<&'p MailboxName, BTreeMap<FileId, UidSet>>;

fn apply<'p>(
    world: &World<'_>,
    ledger: &mut Ledger<'_>,
    name: &'p MailboxName,
    action: &Action,
    files: &mut Files<'p>,
) -> Result<u64> {
    let Some(id) = ledger.id(name) else { return Ok(0) };
    match action {
        Action::Link { uid, file, flags } => {
            // A file that came back to a message left on the server alone needs no reading: the link knows it.
            let again = ledger.link(name, *uid).filter(|l| l.file == *file).cloned().map(|mut link| {
                link.presence = crate::mail::Presence::Both;
                link.flags = flags.clone();
                link
            });
            let old = files.entry(name).or_insert_with(|| ledger.files(name)).remove(file).unwrap_or_default();
            let link = again.or_else(|| {
                let content = world.content(ledger, name, file, &old)?;
                Some(world.link(name, *uid, file, flags.clone(), content, ledger.link(name, *uid)))
            });
            let Some(link) = link else { return Ok(0) };
            ledger.link_file(name, link, old)?;
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
        Action::Forget { uids } => {
            // A file that stays is a new one for the next run, which reads no directory that is as it was.
            if let Some(mut check) = ledger.mailbox(name).and_then(|m| m.local)
                && stays(world, ledger, name, uids)
            {
                check.look_again();
                ledger.enter(name, Fact::LocalChecked(id, check))?;
            }
            ledger.enter(name, Fact::Unlinked(id, uids.clone()))?;
            Ok(uids.len())
        }
        _ => Ok(0),
    }
}

/// Whether a file of one of these links is there.
fn stays(world: &World<'_>, ledger: &Ledger<'_>, name: &MailboxName, uids: &UidSet) -> bool {
    let Some(LocalMailbox::Listed(listing)) = world.seen.local.mailboxes.get(name) else { return false };
    uids.iter().any(|uid| ledger.link(name, uid).is_some_and(|link| listing.files.contains_key(&link.file)))
}
