//! Mailboxes whose directory is another than the one that the last run left, and was made since: a backup was put in its
//! place. What is missing in it was not deleted, and its flags are older.
//!
//! That a directory has another inode is not enough, as some file systems give out new ones each time they are mounted: it
//! has to be younger than the last run, as far as the file system tells, and no other mailbox's. And the state has to be
//! where the last run left it: one that was moved to another machine, or put back, along with the tree is as old as that.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::local::{Listed, Scanned};
use super::this_side::ThisSide;
use crate::mail::MailboxName;
use crate::state::{State, last_run};

/// Those of the listed mailboxes; they go by the names that they have now.
pub fn look(state: &State, account: &str, here: &ThisSide<'_>) -> BTreeSet<MailboxName> {
    let listed = here.local.scans.iter().filter_map(|(name, scanned)| match scanned {
        Scanned::Listed(Listed { listing, .. }) => Some((name, listing.checkpoint.inode, listing.made?)),
        Scanned::Unchanged | Scanned::Unknown => None,
    });
    let listed: Vec<_> = listed.collect();
    // In most runs nothing is listed, and the last one is not asked for.
    let Some(ended) = listed.first().and_then(|_| ended(state, account)) else { return BTreeSet::new() };
    let known: BTreeSet<u64> = here.base.values().filter_map(|known| Some(known.local?.inode)).collect();
    let is_replaced = |name: &MailboxName, inode: u64, made: SystemTime| {
        let mailbox = here.base.get(name).filter(|mailbox| mailbox.messages() > 0);
        let Some(then) = mailbox.and_then(|mailbox| mailbox.local).filter(|then| !then.is_a_mark()) else {
            return false;
        };
        let changed = u64::try_from(then.new_time.max(then.cur_time))
            .map_or(UNIX_EPOCH, |nanoseconds| UNIX_EPOCH + Duration::from_nanos(nanoseconds));
        // A number that is free again may be given to the next one.
        let may_be_another = inode == then.inode || !known.contains(&inode);
        may_be_another && made > changed.max(ended)
    };
    let replaced = listed.into_iter().filter(|(name, inode, made)| is_replaced(name, *inode, *made));
    replaced.map(|(name, ..)| name.clone()).collect()
}

/// The end of the second in which the last run ended; `None` where nobody knows, or where the state may have come here since.
fn ended(state: &State, account: &str) -> Option<SystemTime> {
    let seconds = u64::try_from(last_run(state.path().parent()?, account)?.ended.0).ok()?;
    let second = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    state.made().filter(|made| *made < second)?;
    second.checked_add(Duration::from_secs(1))
}
