//! Files that somebody deleted in the tree, and what of it the guard lets through.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Allowed, Pop3Account};
use crate::error::Result;
use crate::local::{Scan, Store};
use crate::mail::{Digest, FileId, Serial, ServerCopy};
use crate::maildrop::{Known, Plan};
use crate::reconcile::Side;
use crate::reconcile::guard::{Refusal, Rest};

/// From how many deletions on losing all of them is an accident.
const EVERYTHING_FROM: u64 = 5;

/// Messages that were delivered, may be on the server, and are nowhere in the tree.
pub(super) fn gone(account: &Pop3Account, store: &Store, known: &Known) -> Result<BTreeSet<Serial>> {
    let there = |copy| match copy {
        ServerCopy::Listed | ServerCopy::Unknown | ServerCopy::Absent(_) => true,
        ServerCopy::Deleted(_) => false,
    };
    let mut files: BTreeMap<FileId, Digest> = BTreeMap::new();
    for message in known.values().filter(|message| there(message.copy)) {
        files.extend(message.local.file().map(|delivered| (delivered.file.clone(), delivered.digest)));
    }
    if files.is_empty() {
        return Ok(BTreeSet::new());
    }
    // Most are where they were delivered, and that is one mailbox to read; a dry run may find a new name for it.
    if store.mailboxes()?.contains_key(&account.mailbox)
        && let Scan::Listed(listing) = store.scan(&account.mailbox, None)?
    {
        files.retain(|file, _| !listing.files.contains_key(file));
    }
    let missing = if files.is_empty() { BTreeSet::new() } else { store.gone_from_tree(&files)? };
    let is_missing = |message: &crate::mail::KnownMessage| {
        there(message.copy) && message.local.file().is_some_and(|delivered| missing.contains(&delivered.file))
    };
    Ok(known.iter().filter(|(_, message)| is_missing(message)).map(|(serial, _)| *serial).collect())
}

/// What the guard says to deletions that are planned because of files that are gone; `None`: nothing.
pub(super) fn refusal(
    account: &Pop3Account,
    allowed: &Allowed,
    plan: &Plan,
    gone: &BTreeSet<Serial>,
) -> Option<Refusal> {
    let named = match allowed {
        Allowed::All => true,
        Allowed::Mailboxes(mailboxes) => mailboxes.contains(&account.mailbox),
    };
    let deletions = plan.delete.values().filter(|serial| gone.contains(serial)).count() as u64;
    let everything = deletions >= EVERYTHING_FROM && deletions == plan.held.len();
    let accident = everything || account.max_delete.is_beyond(deletions, plan.held.len());
    // With new mail in it an emptied tree would look less empty to the next run.
    let rest = if everything { Rest::Waits } else { Rest::Done };
    (accident && !named).then(|| Refusal {
        side: Side::Remote,
        mailbox: Some(account.mailbox.clone()),
        deletions,
        of: plan.held.len(),
        rest,
        spared: BTreeSet::new(),
    })
}
