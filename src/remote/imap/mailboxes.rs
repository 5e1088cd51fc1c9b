//! Which mailboxes there are and how they stand: NAMESPACE, LIST, STATUS.

use std::collections::BTreeMap;

use super::name::{Names, WireName};
use crate::mail::{MailboxName, ModSeq, Uid, UidValidity};

/// What the server lists of the user's own mailboxes; other users' and shared ones are left out.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// How names are written.
    pub names: Names,
    /// Every mailbox, containers included.
    pub mailboxes: BTreeMap<MailboxName, Listed>,
    /// Listed names that cannot be used, each as a sentence for a person; foreign text in it is not yet safe.
    pub unusable: Vec<String>,
}

/// One listed mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name as the server writes it.
    pub wire: WireName,
    /// Whether it can hold messages (no `\Noselect`, no `\NonExistent`).
    pub selectable: bool,
    /// What it is for (RFC 6154), where the server says so.
    pub special_use: Option<SpecialUse>,
    /// How it stands; `None` when it is a container or its STATUS was refused.
    pub status: Option<MailboxStatus>,
    /// MAILBOXID (RFC 8474 §4), where the server has one.
    pub object_id: Option<String>,
}

/// What a mailbox is for (RFC 6154 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpecialUse {
    /// All messages of the account.
    All,
    /// An archive.
    Archive,
    /// Drafts.
    Drafts,
    /// Everything `\Flagged`.
    Flagged,
    /// Important messages (RFC 8457).
    Important,
    /// Junk.
    Junk,
    /// Sent messages.
    Sent,
    /// Deleted messages.
    Trash,
}

/// How a mailbox stands (RFC 3501 §7.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxStatus {
    /// How many messages it holds.
    pub messages: u32,
    /// The UID the next message gets at least; `None` when the server did not say.
    pub uid_next: Option<Uid>,
    /// The generation of its UIDs.
    pub uid_validity: UidValidity,
    /// Its highest modification sequence; `None` without CONDSTORE and under NOMODSEQ.
    pub highest_modseq: Option<ModSeq>,
}
