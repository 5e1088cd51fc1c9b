//! What changed in mailboxes: the cheapest observation that the server allows, pipelined over all of them.

use std::collections::BTreeMap;

use super::name::WireName;
use crate::mail::{Flags, RemoteCheckpoint, Uid, UidSet, UnixSeconds};

/// One mailbox to look into.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Its name.
    pub wire: WireName,
    /// The checkpoint up to which everything is known; `None` asks for everything.
    pub since: Option<RemoteCheckpoint>,
    /// The UIDs known to exist as of `since`; empty when `since` is `None`.
    pub known: UidSet,
    /// How it is opened.
    pub access: Access,
}

/// How a mailbox is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// EXAMINE: nothing in it can change; which flags it keeps is then not known and taken to be all.
    ReadOnly,
    /// SELECT.
    ReadWrite,
}

/// What was seen of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// How it stood when it was opened: what a later [`Ask::since`] takes.
    pub checkpoint: RemoteCheckpoint,
    /// The messages seen: all of them, or those that changed.
    pub messages: BTreeMap<Uid, SeenMessage>,
    /// What absence from `messages` means.
    pub coverage: SeenCoverage,
}

/// What it means that a UID is not among the messages seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenCoverage {
    /// All messages were listed: it is gone.
    Everything,
    /// Changes since the checkpoint were listed: it is gone when in `vanished`, unchanged otherwise.
    Changes {
        /// UIDs that went; a server's range may name UIDs that never were.
        vanished: UidSet,
    },
}

/// One message as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenMessage {
    /// Its flags.
    pub flags: Flags,
    /// RFC822.SIZE in octets; asked for messages that were not known.
    pub size: Option<u64>,
    /// INTERNALDATE; asked for messages that were not known.
    pub internal_date: Option<UnixSeconds>,
    /// EMAILID (RFC 8474 §5.1) or X-GM-MSGID, where the server has one; asked for messages that were not known.
    pub email_id: Option<String>,
}
