//! What was observed in this run, and how far the observation reaches: absence outside its coverage means nothing.
//!
//! Of messages that stand on both sides as agreed ([`crate::mail::Standing`]), neither the files nor what the server told
//! are in the views, as their links are not in the base.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::mail::{
    Base, BaseMailbox, Content, Digest, FileId, Flags, Keyword, MailboxId, MailboxName, MessageIdHash, Origin,
    PermanentFlags, Uid, UidSet, UidValidity, UnixSeconds,
};

/// The local tree as observed; mailboxes outside the run's selection are left out of both views and of the base.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LocalView {
    /// Every mailbox directory that exists.
    pub mailboxes: BTreeMap<MailboxName, LocalMailbox>,
    /// Whether it is the tree that the last run left.
    pub age: TreeAge,
    /// Mailboxes whose directory is an older copy, put in the place of the one that the last run left.
    pub replaced: BTreeSet<MailboxName>,
    /// Messages that came lately to mailboxes that the run leaves out, by content; looked for only when files are
    /// missing.
    pub outside: BTreeMap<Digest, Outside>,
}

impl LocalView {
    /// Whether a mailbox of the tree is as the last run left it.
    pub fn age_of(&self, name: &MailboxName) -> TreeAge {
        if self.replaced.contains(name) { TreeAge::Older } else { self.age }
    }

    /// Whether a file is gone from a mailbox, as far as that is known.
    pub fn lacks(&self, name: &MailboxName, file: &FileId) -> bool {
        match self.mailboxes.get(name) {
            Some(LocalMailbox::Listed(listing)) => !listing.files.contains_key(file),
            Some(LocalMailbox::Unchanged | LocalMailbox::Unknown) => false,
            None => true,
        }
    }
}

/// A mailbox of the tree that the run leaves out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outside {
    /// For how long.
    pub left_out: LeftOut,
    /// Its name.
    pub mailbox: MailboxName,
}

/// For how long a mailbox is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftOut {
    /// Other runs have it.
    ThisTime,
    /// The configuration excludes it.
    Always,
}

/// Whether a tree is the one that the last run left, and what is missing in it was deleted since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TreeAge {
    /// It is.
    #[default]
    AsLeft,
    /// It, or the state, was put back from an older copy: what is missing comes back, and nobody changed the flags.
    Older,
}

/// One mailbox directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalMailbox {
    /// The directories are as the checkpoint says: every link with a file stands as agreed.
    Unchanged,
    /// All of `new` and `cur` was read.
    Listed(LocalListing),
    /// It exists and could not be read; nothing is known, so nothing is concluded.
    Unknown,
}

/// All files of one mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalListing {
    /// Every message file.
    pub files: BTreeMap<FileId, LocalFile>,
    /// Which keywords a file here can carry.
    pub keywords: KeywordRoom,
}

/// One message file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    /// Its flags, letters translated to keywords.
    pub flags: Flags,
    /// What it holds: read for files without a link only; `Unread` for those with one.
    pub content: LocalContent,
}

/// What is known of a file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalContent {
    /// Not looked at: the file has a link.
    Unread,
    /// Read in this run.
    Known {
        /// Digest, wire size, Message-ID.
        content: Content,
        /// The same without the stamps of other synchronisers, where it has any.
        unstamped: Option<Box<Content>>,
        /// mtime, which an upload sends as INTERNALDATE.
        modified: UnixSeconds,
        /// Where its name says it came from.
        origin: Option<Origin>,
    },
    /// It could not be read (the failure is reported by who tried): no upload, no conclusion. With where its name says it
    /// came from.
    Unreadable(Option<Origin>),
}

impl LocalContent {
    /// Whether it could not be read.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, LocalContent::Unreadable(_))
    }
}

/// Keywords take the letters `a` to `z`, so a mailbox directory has room for 26.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeywordRoom {
    /// Those that have a letter.
    pub known: BTreeSet<Keyword>,
    /// How many letters are free.
    pub free: usize,
}

/// The account as observed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemoteView {
    /// Every mailbox that the server lists, containers (`\Noselect`) left out.
    pub mailboxes: BTreeMap<MailboxName, RemoteMailbox>,
    /// The mailbox that deleted mail goes to (`\Trash`, RFC 6154, or the configured one).
    pub trash: Option<MailboxName>,
}

impl RemoteView {
    /// Mailboxes whose UIDs mean something else now.
    pub fn reset(&self, base: &Base) -> BTreeSet<MailboxName> {
        let is_reset = |(name, mailbox): (&MailboxName, &RemoteMailbox)| match mailbox {
            RemoteMailbox::Observed(listing) => {
                let before = base.get(name).and_then(|m| m.remote.as_ref()).map(|c| c.uid_validity);
                before.is_some_and(|v| v != listing.uid_validity).then(|| name.clone())
            }
            RemoteMailbox::Unchanged | RemoteMailbox::Unknown => None,
        };
        self.mailboxes.iter().filter_map(is_reset).collect()
    }

    /// Whether a linked message was there when its mailbox was looked at; `None` where nobody knows.
    pub fn has(&self, name: &MailboxName, known: &BaseMailbox, uid: Uid) -> Option<bool> {
        let in_listing = |listing: &RemoteListing| match &listing.coverage {
            Coverage::Everything => listing.messages.contains_key(&uid),
            Coverage::Changes { vanished } => !vanished.contains(uid),
        };
        match self.mailboxes.get(name)? {
            RemoteMailbox::Unchanged => Some(true),
            RemoteMailbox::Observed(listing) => {
                let same = known.remote.as_ref().is_some_and(|then| then.uid_validity == listing.uid_validity);
                same.then(|| in_listing(listing))
            }
            RemoteMailbox::Unknown => None,
        }
    }

    /// Whether a linked message is gone, as far as that is known, be it with its mailbox.
    pub fn lacks(&self, name: &MailboxName, known: &BaseMailbox, uid: Uid) -> bool {
        !self.mailboxes.contains_key(name) || self.has(name, known, uid) == Some(false)
    }
}

/// One mailbox on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteMailbox {
    /// STATUS equals the checkpoint: every link with a server copy stands as agreed.
    Unchanged,
    /// It was looked into.
    Observed(RemoteListing),
    /// It exists and could not be looked into; nothing is known, so nothing is concluded.
    Unknown,
}

/// What was seen of one mailbox on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteListing {
    /// The generation of its UIDs; differs from the checkpoint's when the server started anew.
    pub uid_validity: UidValidity,
    /// The UID that the next message gets at least, as the server says; `None` where it does not.
    pub uid_next: Option<Uid>,
    /// The messages seen: all of them, or those that changed.
    pub messages: BTreeMap<Uid, RemoteMessage>,
    /// What absence from `messages` means.
    pub coverage: Coverage,
    /// Which flags it can keep.
    pub permanent: PermanentFlags,
}

/// What it means that a UID is not among the messages seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// All messages were listed: it is gone.
    Everything,
    /// Changes since the checkpoint were listed: it is gone when in `vanished`, unchanged otherwise.
    Changes {
        /// UIDs that went; may name UIDs that were never known.
        vanished: UidSet,
    },
}

/// One message on the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemoteMessage {
    /// Its flags.
    pub flags: Flags,
    /// RFC822.SIZE; asked for messages without a link only.
    pub size: Option<u64>,
    /// INTERNALDATE; asked for messages without a link only.
    pub internal_date: Option<UnixSeconds>,
    /// Message-ID; asked only where a local file might be the same message.
    pub message_id: Option<MessageIdHash>,
    /// Octets of stamps; asked together with the Message-ID.
    pub stamps: u64,
    /// Content; read only where a local file might be the same message.
    pub content: Option<Content>,
    /// The same without the stamps of other synchronisers, where it has any.
    pub unstamped: Option<Box<Content>>,
    /// EMAILID (RFC 8474 §5.1) or X-GM-MSGID, where the server has one; asked for messages without a link only.
    pub email_id: Option<Box<str>>,
}

impl RemoteMessage {
    /// RFC822.SIZE without stamps, as far as known.
    pub fn plain_size(&self) -> Option<u64> {
        self.size.map(|size| size.saturating_sub(self.stamps))
    }

    /// The content without stamps, where it was read.
    pub fn plain(&self) -> Option<Content> {
        self.unstamped.as_deref().copied().or(self.content)
    }
}

/// What the account's settings allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Which way changes go.
    pub direction: Direction,
    /// What a deletion on one side does to the other.
    pub deletions: Deletions,
    /// Whether keywords are synchronised; when not, the views carry none.
    pub keywords: Keywords,
    /// Whether the server can expunge named UIDs only (UIDPLUS, RFC 4315).
    pub expunge: Expunge,
}

/// Which way changes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// Server to tree; nothing that changes the server is ever planned.
    Pull,
    /// Tree to server; nothing that changes the tree is ever planned.
    Push,
}

/// What a deletion on one side does to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deletions {
    /// It is repeated there.
    #[default]
    Expunge,
    /// On the server: moved to Trash, and expunged in Trash itself. In the tree: repeated.
    Trash,
    /// The other side's copy is marked `\Deleted` and stays.
    Mark,
    /// The other side's copy stays as it is.
    Never,
}

/// Whether keywords are synchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keywords {
    /// Both ways, as far as a side can keep them.
    #[default]
    Synced,
    /// Not looked at.
    Ignored,
}

impl Keywords {
    /// Flags as far as they are looked at.
    pub fn seen(self, flags: &Flags) -> Cow<'_, Flags> {
        match self {
            Keywords::Ignored if !flags.keywords.is_empty() => Cow::Owned(flags.without_keywords()),
            Keywords::Ignored | Keywords::Synced => Cow::Borrowed(flags),
        }
    }
}

/// How messages can be removed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expunge {
    /// UID EXPUNGE: only what is named.
    Named,
    /// EXPUNGE alone: everything marked `\Deleted`, so only where nothing else is marked.
    WholeMailbox,
}

/// Where a mailbox stands in file names: what an [`Origin`] of this account must say to be a hint for it.
pub type MailboxIds = BTreeMap<MailboxName, MailboxId>;
