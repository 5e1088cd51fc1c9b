//! A plan: sorted actions as plain data, to be printed, compared, serialised, refused or executed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::view::LeftOut;
use crate::mail::{FileId, FlagChange, Flags, MailboxName, Uid, UidSet};

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The Maildir tree.
    Local,
    /// The account on the server.
    Remote,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Local => "local",
            Side::Remote => "server",
        })
    }
}

/// When an action runs; phases of all mailboxes run one after the other, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Mailboxes are renamed.
    RenameMailboxes,
    /// Mailboxes are created.
    CreateMailboxes,
    /// What is the same message on both sides is linked, what is on neither is forgotten; nothing is transferred.
    Identity,
    /// Messages are copied and moved between mailboxes of one side: copies first, since a source may move, too.
    Relocate,
    /// Downloads and uploads.
    Transfer,
    /// Flags.
    Flags,
    /// Deletions.
    Deletions,
    /// Mailboxes are removed.
    RemoveMailboxes,
}

/// How a message leaves a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disposal {
    /// For good.
    Expunge,
    /// To the account's Trash mailbox (server only).
    Trash,
    /// Marked `\Deleted`, and left there.
    Mark,
}

/// A message that came to this mailbox on one side and comes to it on the other, from another mailbox and without its
/// body.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Relocation {
    /// The mailbox it comes from.
    pub from: MailboxName,
    /// The UID of its link there.
    pub uid: Uid,
    /// What it is here already.
    #[serde(flatten)]
    pub here: Here,
    /// The flags agreed on as it arrives; `local` and `remote` then bring what each side lacks.
    pub flags: Flags,
    /// What the file lacks.
    pub local: FlagChange,
    /// What the server's copy lacks.
    pub remote: FlagChange,
    /// Octets that need not go over the wire.
    pub octets: u64,
}

impl Relocation {
    /// The side that follows the other.
    pub fn side(&self) -> Side {
        match self.here {
            Here::File(_) => Side::Remote,
            Here::Message(_) => Side::Local,
        }
    }
}

/// What stands for a message in the mailbox that it came to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Here {
    /// A file: the server's copy follows.
    File(FileId),
    /// A message on the server: the file follows.
    #[serde(rename = "new-uid")]
    Message(Uid),
}

/// One thing to do in one mailbox. Messages that are treated alike share an action.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Give the mailbox `from` this one's name on `side`, because it has it on the other.
    RenameMailbox {
        /// Where; `None` when both sides have done it, and it is only recorded.
        side: Option<Side>,
        /// What it is called there until now.
        from: MailboxName,
    },
    /// Make the mailbox on `side`.
    CreateMailbox {
        /// Where.
        side: Side,
    },
    /// Drop all links: the server started its UIDs anew. What is still the same is linked again by content.
    ResetMailbox,
    /// Record that a file and a UID are the same message; both sides then get the flags of both (see `SetFlags`).
    Link {
        /// The server's copy.
        uid: Uid,
        /// The file.
        file: FileId,
        /// The flags agreed on: those both have already; `SetFlags` brings the others.
        flags: Flags,
    },
    /// Record that a linked message's file has another name now.
    Rename {
        /// The message.
        uid: Uid,
        /// Its new name.
        file: FileId,
    },
    /// Record flags that both sides came to by themselves.
    Agree {
        /// The messages.
        uids: UidSet,
        /// Their flags.
        flags: Flags,
    },
    /// A message leaves another mailbox for this one.
    Move(Relocation),
    /// A message of another mailbox, or of this one, is to be here once more.
    Copy(Relocation),
    /// Fetch messages into files.
    Download {
        /// The messages.
        uids: UidSet,
        /// Octets on the wire, as far as known.
        octets: u64,
    },
    /// Append a file to the mailbox on the server.
    Upload {
        /// The file.
        file: FileId,
        /// Its flags, as far as the server can keep them.
        flags: Flags,
        /// Octets on the wire.
        octets: u64,
    },
    /// Change flags of linked messages.
    SetFlags {
        /// Where.
        side: Side,
        /// The messages, by UID also on the local side.
        uids: UidSet,
        /// What changes.
        change: FlagChange,
    },
    /// Remove linked messages from a side, because they went from the other.
    Delete {
        /// Where.
        side: Side,
        /// The messages, by UID also on the local side.
        uids: UidSet,
        /// How.
        disposal: Disposal,
    },
    /// Leave messages on the server whose files were moved to `to`, a mailbox that the run leaves out.
    MovedOut {
        /// The messages.
        uids: UidSet,
        /// Where their files are.
        to: MailboxName,
        /// For how long it is left out.
        #[serde(rename = "left-out")]
        left_out: LeftOut,
    },
    /// Record that messages are left on `side` only, by the deletion policy.
    Keep {
        /// Where they stay.
        side: Side,
        /// The messages.
        uids: UidSet,
    },
    /// Drop links of messages that are on neither side.
    Forget {
        /// The messages.
        uids: UidSet,
    },
    /// Remove the mailbox from `side`; whatever is in it that this plan does not delete keeps it alive.
    RemoveMailbox {
        /// Where.
        side: Side,
    },
    /// Forget a mailbox that is on neither side.
    ForgetMailbox,
}

impl Action {
    /// When it runs.
    pub fn phase(&self) -> Phase {
        match self {
            Action::RenameMailbox { .. } => Phase::RenameMailboxes,
            Action::CreateMailbox { .. } => Phase::CreateMailboxes,
            Action::Move(_) | Action::Copy(_) => Phase::Relocate,
            Action::ResetMailbox
            | Action::Link { .. }
            | Action::Rename { .. }
            | Action::Agree { .. }
            | Action::Forget { .. } => Phase::Identity,
            Action::Download { .. } | Action::Upload { .. } => Phase::Transfer,
            Action::SetFlags { .. } => Phase::Flags,
            Action::Delete { .. } | Action::MovedOut { .. } | Action::Keep { .. } => Phase::Deletions,
            Action::RemoveMailbox { .. } | Action::ForgetMailbox => Phase::RemoveMailboxes,
        }
    }

    /// How many messages it concerns; 0 for an action on a mailbox.
    pub fn messages(&self) -> u64 {
        match self {
            Action::Link { .. } | Action::Rename { .. } | Action::Move(_) | Action::Copy(_) | Action::Upload { .. } => {
                1
            }
            Action::Agree { uids, .. }
            | Action::Download { uids, .. }
            | Action::SetFlags { uids, .. }
            | Action::Delete { uids, .. }
            | Action::MovedOut { uids, .. }
            | Action::Keep { uids, .. }
            | Action::Forget { uids } => uids.len(),
            Action::RenameMailbox { .. }
            | Action::CreateMailbox { .. }
            | Action::ResetMailbox
            | Action::RemoveMailbox { .. }
            | Action::ForgetMailbox => 0,
        }
    }

    /// The side whose mail it changes; `None` when it only changes what is recorded.
    pub fn changes(&self) -> Option<Side> {
        match self {
            Action::RenameMailbox { side, .. } => *side,
            Action::CreateMailbox { side }
            | Action::SetFlags { side, .. }
            | Action::Delete { side, .. }
            | Action::RemoveMailbox { side } => Some(*side),
            Action::Move(relocation) | Action::Copy(relocation) => Some(relocation.side()),
            Action::Download { .. } => Some(Side::Local),
            Action::Upload { .. } => Some(Side::Remote),
            Action::ResetMailbox
            | Action::Link { .. }
            | Action::Rename { .. }
            | Action::Agree { .. }
            | Action::MovedOut { .. }
            | Action::Keep { .. }
            | Action::Forget { .. }
            | Action::ForgetMailbox => None,
        }
    }
}

/// What a run would do: the actions of each mailbox, in the order of their phases.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Plan {
    /// Mailboxes without an action are left out.
    pub mailboxes: BTreeMap<MailboxName, Vec<Action>>,
    /// Mailboxes in which more is to be done than this plan can: their checkpoints stay where they are.
    #[serde(skip)]
    pub unfinished: BTreeSet<MailboxName>,
    /// Mailboxes that the server numbered anew and in which a file cannot be read: nothing is done in them.
    #[serde(skip)]
    pub waiting: BTreeSet<MailboxName>,
    /// Messages that are missing in the tree and stay on the server, since they may be where nothing can be read now.
    #[serde(skip)]
    pub held: u64,
}

impl Plan {
    /// Whether there is nothing to do, not even to record.
    pub fn is_empty(&self) -> bool {
        self.mailboxes.values().all(Vec::is_empty)
    }

    /// Every action with its mailbox, mailbox by mailbox.
    pub fn actions(&self) -> impl Iterator<Item = (&MailboxName, &Action)> {
        self.mailboxes.iter().flat_map(|(name, actions)| actions.iter().map(move |a| (name, a)))
    }
}
