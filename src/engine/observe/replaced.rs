//! Mailboxes whose directory is another than the one that the last run left, and was made since: a backup was put in its
//! place. What is missing in it was not deleted, and its flags are older.
//!
//! That a directory has another inode is not enough, as some file systems give out new ones each time they are mounted: it
//! has to be younger than the last run, as far as the file system tells, and no other mailbox's. And the state has to be where the last run left it: one that was moved to another
//! machine, or put back, along with the tree is as old as that.

use std::collections::BTreeSet;

use super::local::{Listed, Scanned};
use super::this_side::ThisSide;
use crate::local::Store;
use crate::mail::MailboxName;
use crate::state::{State, last_run};

/// Those of the listed mailboxes; they go by the names that they have now.
pub fn look(store: &Store, state: &State, account: &str, here: &ThisSide<'_>) -> BTreeSet<MailboxName> {
    let Some(ended) = ended(state, account) else { return BTreeSet::new() };
    let known: BTreeSet<u64> = here.base.values().filter_map(|known| Some(known.local?.inode)).collect();
    let is_replaced = |name: &MailboxName, inode: u64| {
        let mailbox = here.base.get(name).filter(|mailbox| mailbox.messages() > 0 && !mailbox.is_being_restored());
        let Some(then) = mailbox.and_then(|mailbox| mailbox.local).filter(|then| then.inode != 0) else { return false };
        let changed = then.new_time.max(then.cur_time);
        // A number that is free again may be given to the next one.
        let may_be_another = inode == then.inode || !known.contains(&inode);
        may_be_another && store.made(name).is_some_and(|made| made > changed.max(ended))
    };
    let listed = here.local.scans.iter().filter_map(|(name, scanned)| match scanned {
        Scanned::Listed(Listed { listing, .. }) => Some((name, listing.checkpoint.inode)),
        Scanned::Unchanged | Scanned::Unknown => None,
    });
    listed.filter(|(name, inode)| is_replaced(name, *inode)).map(|(name, _)| name.clone()).collect()
}

/// The end of the second in which the last run ended, nanoseconds since 1970; `None` where nobody knows, or where the state may
/// have come here since.
fn ended(state: &State, account: &str) -> Option<i64> {
    const SECOND: i64 = 1_000_000_000;
    let second = last_run(state.path().parent()?, account)?.ended.0.saturating_mul(SECOND);
    state.made().filter(|made| *made < second).map(|_| second.saturating_add(SECOND))
}
