//! How a side differs from what was agreed, as far as the observation covers it.
//!
//! A side that is [`LocalSide::Unknown`] or [`RemoteSide::Unknown`] has no deltas: nothing is decided in its mailbox.

use super::view::{Coverage, LocalListing, LocalMailbox, LocalView, RemoteListing, RemoteMailbox, RemoteView};
use crate::mail::{
    BaseMailbox, Flags, Link, MailboxName, PermanentFlags, Presence, RemoteCheckpoint, Uid, UidValidity,
};

/// A mailbox directory as the decisions need it.
#[derive(Debug, Clone, Copy)]
pub(super) enum LocalSide<'a> {
    Absent,
    Unchanged,
    Listed(&'a LocalListing),
    Unknown,
}

/// A mailbox on the server as the decisions need it.
#[derive(Debug, Clone, Copy)]
pub(super) enum RemoteSide<'a> {
    Absent,
    Unchanged(&'a RemoteCheckpoint),
    Observed(&'a RemoteListing),
    Unknown,
}

/// What happened to one side of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delta<'a> {
    Unchanged,
    /// It is there with these flags.
    Flags(&'a Flags),
    Gone,
}

impl<'a> Delta<'a> {
    /// The flags the side has now, `None` when the message is gone.
    pub(super) fn now(self, link: &'a Link) -> Option<&'a Flags> {
        match self {
            Delta::Unchanged => Some(&link.flags),
            Delta::Flags(flags) => Some(flags),
            Delta::Gone => None,
        }
    }
}

impl<'a> LocalSide<'a> {
    /// "Unchanged" means nothing without a checkpoint.
    pub(super) fn of(view: &'a LocalView, name: &MailboxName, base: Option<&BaseMailbox>) -> Self {
        match view.mailboxes.get(name) {
            None => LocalSide::Absent,
            Some(LocalMailbox::Unchanged) if base.is_some_and(|b| b.local.is_some()) => LocalSide::Unchanged,
            Some(LocalMailbox::Listed(listing)) => LocalSide::Listed(listing),
            Some(LocalMailbox::Unchanged | LocalMailbox::Unknown) => LocalSide::Unknown,
        }
    }

    /// Whether every file was seen, linked or not.
    pub(super) fn is_complete(self) -> bool {
        matches!(self, LocalSide::Listed(_))
    }

    pub(super) fn delta(self, link: &Link) -> Delta<'a> {
        match self {
            LocalSide::Listed(listing) => listing.files.get(&link.file).map_or(Delta::Gone, |f| Delta::Flags(&f.flags)),
            LocalSide::Unchanged if link.presence != Presence::RemoteOnly => Delta::Unchanged,
            LocalSide::Unchanged | LocalSide::Absent | LocalSide::Unknown => Delta::Gone,
        }
    }
}

impl<'a> RemoteSide<'a> {
    /// "Unchanged" and "changes since" mean nothing without a checkpoint, nor do changes since another generation.
    pub(super) fn of(view: &'a RemoteView, name: &MailboxName, base: Option<&'a BaseMailbox>) -> Self {
        let checkpoint = base.and_then(|b| b.remote.as_ref());
        match (view.mailboxes.get(name), checkpoint) {
            (None, _) => RemoteSide::Absent,
            (Some(RemoteMailbox::Unchanged), Some(checkpoint)) => RemoteSide::Unchanged(checkpoint),
            (Some(RemoteMailbox::Observed(listing)), checkpoint) => match listing.coverage {
                Coverage::Changes { .. } if checkpoint.is_none_or(|c| c.uid_validity != listing.uid_validity) => {
                    RemoteSide::Unknown
                }
                Coverage::Everything | Coverage::Changes { .. } => RemoteSide::Observed(listing),
            },
            (Some(RemoteMailbox::Unchanged | RemoteMailbox::Unknown), _) => RemoteSide::Unknown,
        }
    }

    /// Whether every message was seen, linked or not.
    pub(super) fn is_complete(self) -> bool {
        matches!(self, RemoteSide::Observed(RemoteListing { coverage: Coverage::Everything, .. }))
    }

    pub(super) fn delta(self, link: &Link) -> Delta<'a> {
        match self {
            RemoteSide::Observed(listing) => match (listing.messages.get(&link.uid), &listing.coverage) {
                (Some(message), _) => Delta::Flags(&message.flags),
                (None, Coverage::Changes { vanished }) if !vanished.contains(link.uid) => Delta::Unchanged,
                (None, Coverage::Everything | Coverage::Changes { .. }) => Delta::Gone,
            },
            RemoteSide::Unchanged(_) if link.presence != Presence::LocalOnly => Delta::Unchanged,
            RemoteSide::Unchanged(_) | RemoteSide::Absent | RemoteSide::Unknown => Delta::Gone,
        }
    }

    /// Whether the server, by its UIDNEXT, has never given out `uid`: it was put back to an earlier state, or has not kept
    /// what it said it had stored. That nobody sees the message there is nobody's wish then.
    pub(super) fn never_had(self, uid: Uid) -> bool {
        match self {
            RemoteSide::Observed(listing) => listing.uid_next.is_some_and(|next| uid >= next),
            RemoteSide::Unchanged(_) | RemoteSide::Absent | RemoteSide::Unknown => false,
        }
    }

    /// Which flags the mailbox can keep; all of them where it is still to be made.
    pub(super) fn permanent(self) -> PermanentFlags {
        match self {
            RemoteSide::Observed(listing) => listing.permanent.clone(),
            RemoteSide::Unchanged(checkpoint) => checkpoint.permanent.clone(),
            RemoteSide::Absent | RemoteSide::Unknown => PermanentFlags::everything(),
        }
    }

    /// The generation of its UIDs.
    pub(super) fn uid_validity(self) -> Option<UidValidity> {
        match self {
            RemoteSide::Observed(listing) => Some(listing.uid_validity),
            RemoteSide::Unchanged(checkpoint) => Some(checkpoint.uid_validity),
            RemoteSide::Absent | RemoteSide::Unknown => None,
        }
    }
}
