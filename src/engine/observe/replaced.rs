//! Mailboxes whose directory is another than the one that the last run left, and was made since: a backup was put in its
//! place. What is missing in it was not deleted, and its flags are older.
//!
//! That a directory has another inode is not enough, as some file systems give out new ones each time they are mounted: it
//! has to be younger than the last change that was seen in it (or, where that is not known, than the last run), as far as the
//! file system tells, and no other mailbox's.

use std::collections::BTreeSet;

use super::local::{Listed, Scanned};
use super::this_side::ThisSide;
use crate::local::Store;
use crate::mail::{MailboxName, UnixSeconds};

/// Those of the listed mailboxes; they go by the names that they have now. `last_run` tells when the last run ended.
pub fn look(store: &Store, here: &ThisSide<'_>, last_run: Option<UnixSeconds>) -> BTreeSet<MailboxName> {
    let second = |time: UnixSeconds| time.0.saturating_add(1).saturating_mul(1_000_000_000);
    let ended = last_run.map_or(i64::MAX, second);
    let known: BTreeSet<u64> = here.base.values().filter_map(|known| Some(known.local?.inode)).collect();
    let is_replaced = |name: &MailboxName, inode: u64| {
        let mailbox = here.base.get(name).filter(|mailbox| mailbox.messages() > 0 && !mailbox.is_being_restored());
        let Some(then) = mailbox.and_then(|mailbox| mailbox.local).filter(|then| then.inode != 0) else { return false };
        let changed = then.new_time.max(then.cur_time);
        let since = match inode == then.inode {
            // A number that is free again may be given to the next one.
            true if changed == i64::MIN => ended,
            true => changed,
            false if known.contains(&inode) => return false,
            false => changed,
        };
        store.made(name).is_some_and(|made| made > since)
    };
    let listed = here.local.scans.iter().filter_map(|(name, scanned)| match scanned {
        Scanned::Listed(Listed { listing, .. }) => Some((name, listing.checkpoint.inode)),
        Scanned::Unchanged | Scanned::Unknown => None,
    });
    listed.filter(|(name, inode)| is_replaced(name, *inode)).map(|(name, _)| name.clone()).collect()
}
