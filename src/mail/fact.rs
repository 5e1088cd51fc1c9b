//! Facts: what is durably done. Only facts change the base, and the state records them a batch at a time.

use super::{
    Content, FileId, Flags, Link, LocalCheckpoint, MailboxId, MailboxName, Presence, RemoteCheckpoint, Uid, UidSet,
};

/// One thing that is so, on disk or on the server, before it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The mailbox exists on both sides under this id; known ones are left as they are.
    MailboxKnown {
        /// Its number.
        id: MailboxId,
        /// Its name.
        name: MailboxName,
    },
    /// The mailbox has this name on both sides now.
    MailboxRenamed(MailboxId, MailboxName),
    /// The mailbox exists on neither side any more; its links go with it.
    MailboxForgotten(MailboxId),
    /// UIDVALIDITY changed: no UID means what it meant, so all links of the mailbox go and its checkpoints too.
    MailboxReset(MailboxId),
    /// The message is on both sides; replaces a link of the same UID.
    Linked(MailboxId, Link),
    /// The message's file has another name now.
    Renamed(MailboxId, Uid, FileId),
    /// Both sides have these flags now.
    FlagsAgreed(MailboxId, Uid, Flags),
    /// The message is left on one side by agreement, with these flags.
    PresenceChanged(MailboxId, Uid, Presence, Flags),
    /// These messages are on neither side any more.
    Unlinked(MailboxId, UidSet),
    /// Everything observed up to here on the server was processed.
    RemoteChecked(MailboxId, RemoteCheckpoint),
    /// Everything observed up to here in the directories was processed.
    LocalChecked(MailboxId, LocalCheckpoint),
    /// A message is about to be brought to the mailbox on the server.
    Intended(Intent),
    /// The outcome of an intent is known: the file is linked, or was refused.
    Settled(MailboxId, FileId),
    /// These messages are about to come to the mailbox in the tree, which may not be known yet.
    Arriving(MailboxId, UidSet),
    /// What was to come to the mailbox in the tree is linked, or has not come.
    Arrived(MailboxId),
}

/// An APPEND, a COPY or a MOVE whose outcome may stay unknown: the message may be in the mailbox already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The mailbox it goes to.
    pub mailbox: MailboxId,
    /// The file that it is here.
    pub file: FileId,
    /// What was sent.
    pub content: Content,
    /// UIDNEXT before it was sent: the message can only have this UID or a higher one.
    pub uid_next: Option<Uid>,
    /// The flags that are agreed on as it arrives.
    pub flags: Flags,
}
