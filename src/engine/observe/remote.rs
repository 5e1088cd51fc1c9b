//! The remote side: STATUS tells which mailboxes moved on; only those are looked into, all in one flight.

use std::collections::BTreeMap;

use super::local::LocalSide;
use super::names::Directory;
use super::this_side::ThisSide;
use crate::error::{Error, Item, ItemFailure, Kind, Result};
use crate::mail::{Base, BaseMailbox, MailboxName, Presence, RemoteCheckpoint, UidSet};
use crate::reconcile::view::{Coverage, Direction, RemoteListing, RemoteMailbox, RemoteMessage, RemoteView};
use crate::remote::imap::{Access, Ask, MailboxStatus, Seen, SeenCoverage, SeenMessage, Session};

/// What the account looked like.
#[derive(Debug, Default)]
pub struct RemoteSide {
    /// Every selected mailbox the server lists.
    pub view: RemoteView,
    /// What to record once everything seen was processed.
    pub checkpoints: BTreeMap<MailboxName, RemoteCheckpoint>,
    /// What could not be looked into.
    pub failures: Vec<ItemFailure>,
}

/// The mailboxes whose STATUS differs from their checkpoint, or says too little to tell.
pub fn moved_on(directory: &Directory<'_>, base: &Base) -> Vec<MailboxName> {
    let moved = |(name, listed): (&MailboxName, &crate::remote::imap::Listed)| {
        let as_agreed = base.get(name).and_then(|m| m.remote.as_ref()).zip(listed.status.as_ref());
        let unchanged = as_agreed.is_some_and(|(checkpoint, status)| is_unchanged(checkpoint, status));
        (!unchanged).then(|| name.clone())
    };
    directory.mailboxes.iter().filter_map(moved).collect()
}

/// About how many messages of mailboxes that moved on are new, as far as STATUS and the tree tell.
pub fn new_messages(directory: &Directory<'_>, moved: &[MailboxName], base: &Base, local: &LocalSide) -> usize {
    let new = |name: &MailboxName| {
        let there = u64::from(directory.mailboxes.get(name)?.status.as_ref()?.messages);
        let (known, standing) = base.get(name).map_or((0, 0), |mailbox| (mailbox.link_count, mailbox.standing.len()));
        Some(there.saturating_sub(known.max(standing + local.files(name))))
    };
    usize::try_from(moved.iter().filter_map(new).sum::<u64>()).unwrap_or(usize::MAX)
}

/// Without a HIGHESTMODSEQ on both sides a flag may have changed unseen, so nothing short of a listing will do.
fn is_unchanged(checkpoint: &RemoteCheckpoint, status: &MailboxStatus) -> bool {
    checkpoint.highest_modseq.is_some()
        && checkpoint.highest_modseq == status.highest_modseq
        && checkpoint.uid_validity == status.uid_validity
        && checkpoint.messages == status.messages
        && checkpoint.uid_next.is_some()
        && checkpoint.uid_next == status.uid_next
}

/// Looks into `moved` and gives the view of all mailboxes; the links of those that moved were read.
pub fn look(
    session: &mut Session,
    directory: &Directory<'_>,
    moved: &[MailboxName],
    here: &mut ThisSide<'_>,
    direction: Direction,
) -> Result<RemoteSide> {
    let mut side = RemoteSide::default();
    side.view.trash.clone_from(&directory.trash);
    side.failures.extend(directory.failures.iter().cloned());
    for name in directory.mailboxes.keys() {
        side.view.mailboxes.insert(name.clone(), RemoteMailbox::Unchanged);
    }
    let gone: Vec<_> = here.base.keys().filter(|name| !directory.mailboxes.contains_key(*name)).cloned().collect();
    for name in gone {
        let was_there = here.base.get(&name).is_some_and(|mailbox| mailbox.remote.is_some());
        let is_here = here.local.scans.contains_key(&name);
        if let Some(doubt) = directory.may_still_be(&name, is_here).filter(|_| was_there) {
            side.unknown(&name, &doubt);
        }
        here.compare(&name, None, None)?;
    }
    look_into(session, directory, moved, here, direction, &mut side)?;
    Ok(side)
}

/// Looks into mailboxes; what is known of them is replaced, and compared with what there is on this side.
pub fn look_into(
    session: &mut Session,
    directory: &Directory<'_>,
    names: &[MailboxName],
    here: &mut ThisSide<'_>,
    direction: Direction,
    side: &mut RemoteSide,
) -> Result<()> {
    let access = match direction {
        Direction::Pull => Access::ReadOnly,
        Direction::Both | Direction::Push => Access::ReadWrite,
    };
    let mut asks = Vec::with_capacity(names.len());
    for name in names {
        asks.push(ask(directory.wire(name)?, here.base.get(name), access));
    }
    session.observe_each(&asks, &mut |place, seen| {
        let Some(name) = names.get(place) else { return Ok(()) };
        match seen {
            Ok(seen) => side.add(name, seen),
            Err(error) => side.unknown(name, &error),
        }
        here.compare(name, side.view.mailboxes.get_mut(name), side.checkpoints.get(name))
    })
}

fn not_described(uids: &UidSet) -> Error {
    Error::new(Kind::Protocol, format!("The server holds messages that it does not describe (UID {uids})"))
        .hint("The rest of the mailbox is in sync; every run asks for them again. Look at them with another client.")
}

/// What to ask of a mailbox. A checkpoint without UIDNEXT only fixes UIDVALIDITY: nothing was processed under it.
fn ask(wire: crate::remote::imap::WireName, base: Option<&BaseMailbox>, access: Access) -> Ask {
    let since = base.and_then(|m| m.remote.clone()).filter(|c| c.uid_next.is_some());
    Ask { wire, since, known: base.map(known_uids).unwrap_or_default(), access }
}

/// The UIDs that were on the server when last agreed.
fn known_uids(mailbox: &BaseMailbox) -> UidSet {
    let links = mailbox.links.iter().flatten().filter(|(_, l)| l.presence != Presence::LocalOnly);
    let linked = links.map(|(uid, _)| *uid).collect();
    UidSet::union(mailbox.standing.by_flags().values().chain([&linked]))
}

impl RemoteSide {
    fn add(&mut self, name: &MailboxName, seen: Seen) {
        let Seen { checkpoint, messages, coverage, undescribed } = seen;
        if !undescribed.is_empty() {
            self.fail(name, &not_described(&undescribed));
        }
        let message = |message: SeenMessage| RemoteMessage {
            flags: message.flags,
            size: message.size,
            internal_date: message.internal_date,
            email_id: message.email_id.map(Into::into),
            ..RemoteMessage::default()
        };
        let listing = RemoteListing {
            uid_validity: checkpoint.uid_validity,
            uid_next: checkpoint.uid_next,
            // Collected, not inserted one by one: a map that grows at its end has half-empty nodes.
            messages: messages.into_iter().map(|(uid, seen)| (uid, message(seen))).collect(),
            coverage: match coverage {
                SeenCoverage::Everything => Coverage::Everything,
                SeenCoverage::Changes { vanished } => Coverage::Changes { vanished },
            },
            permanent: checkpoint.permanent.clone(),
        };
        self.checkpoints.insert(name.clone(), checkpoint);
        self.view.mailboxes.insert(name.clone(), RemoteMailbox::Observed(listing));
    }

    /// Nothing is known of the mailbox, and why.
    pub(super) fn unknown(&mut self, name: &MailboxName, why: &Error) {
        self.fail(name, why);
        self.checkpoints.remove(name);
        self.view.mailboxes.insert(name.clone(), RemoteMailbox::Unknown);
    }

    /// A failure is told once, however often the mailbox is looked into.
    fn fail(&mut self, name: &MailboxName, why: &Error) {
        let failure = ItemFailure::new(name, Item::Mailbox, why);
        if !self.failures.contains(&failure) {
            self.failures.push(failure);
        }
    }
}
