//! Files that this run did not write and is going to record: on disk first, see [`Folder::flush`].
//!
//! [`Folder::flush`]: crate::local::Folder::flush

use std::collections::BTreeMap;

use super::{World, actions};
use crate::engine::ledger::Ledger;
use crate::error::Result;
use crate::mail::{FileId, MailboxName};
use crate::reconcile::guard::ApprovedPlan;
use crate::reconcile::{Action, Here, Phase};

/// More files than this are flushed with all else on their file system: each by itself makes the disk wait.
const FEW: usize = 50;

/// Flushes the files that the plan links or sends.
pub fn flush(world: &World<'_>, ledger: &Ledger<'_>, plan: &ApprovedPlan) -> Result<()> {
    let mut files: BTreeMap<&MailboxName, Vec<&FileId>> = BTreeMap::new();
    for phase in [Phase::Identity, Phase::Relocate, Phase::Transfer] {
        for (name, action) in actions(plan, phase, ledger) {
            if let Some(file) = file_of(action) {
                files.entry(name).or_default().push(file);
            }
        }
    }
    if files.values().map(Vec::len).sum::<usize>() > FEW && world.store.flush_all()? {
        return Ok(());
    }
    for (name, files) in files {
        world.stop.check()?;
        // A mailbox that cannot be opened fails where something is done in it.
        if let Ok(folder) = world.store.folder(name) {
            folder.flush(&files)?;
        }
    }
    Ok(())
}

/// The file on which a fact about this action will rest.
fn file_of(action: &Action) -> Option<&FileId> {
    match action {
        Action::Link { file, .. } | Action::Rename { file, .. } | Action::Upload { file, .. } => Some(file),
        Action::Move(relocation) | Action::Copy(relocation) => match &relocation.here {
            Here::File(file) => Some(file),
            Here::Message(_) => None,
        },
        _ => None,
    }
}
