//! What an account knows of the messages of its maildrop, and the facts that change that.
//!
//! A session numbers its messages anew, and a server's unique ids may be missing, change or repeat. So a message that is
//! known goes by a serial of our own, and everything the server says of it is only evidence.

use std::fmt;

use super::{AccountId, Digest, FileId, HeaderHash, Origin, Uidl, UnixSeconds};

/// The first 64 bits of BLAKE3 of a UIDL, which may be of any length and of any octets; in file names and in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UidlHash(pub u64);

impl UidlHash {
    /// The hash of a UIDL.
    pub fn of(uidl: &Uidl) -> UidlHash {
        let mut first = [0; 8];
        first.iter_mut().zip(blake3::hash(uidl.as_bytes()).as_bytes()).for_each(|(to, from)| *to = *from);
        UidlHash(u64::from_be_bytes(first))
    }

    /// Reads the sixteen lower-case hex digits that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<UidlHash> {
        let fits = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| u64::from_str_radix(text, 16).ok().map(UidlHash)).flatten()
    }
}

impl fmt::Display for UidlHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The number under which an account knows a message: rising, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(pub u64);

impl Serial {
    /// The serial of an account's first message.
    pub const FIRST: Serial = Serial(1);

    /// The one after this.
    #[must_use]
    pub fn next(self) -> Serial {
        Serial(self.0.saturating_add(1))
    }
}

impl Default for Serial {
    fn default() -> Self {
        Serial::FIRST
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a file came from that was delivered out of a maildrop, as its name tells. A hint: believed only when size and
/// digest agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaildropOrigin {
    /// The account that delivered it.
    pub account: AccountId,
    /// Its UIDL; `None` where the server had none.
    pub uidl: Option<UidlHash>,
    /// What tells it from all other messages of the account.
    pub serial: Serial,
}

/// Where a file came from that we delivered, as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileOrigin {
    /// A mailbox on an IMAP server.
    Mailbox(Origin),
    /// A maildrop.
    Maildrop(MaildropOrigin),
}

impl From<Origin> for FileOrigin {
    fn from(origin: Origin) -> FileOrigin {
        FileOrigin::Mailbox(origin)
    }
}

/// A message that an account knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMessage {
    /// Its UIDL, as the server said it last; `None` without one.
    pub uidl: Option<UidlHash>,
    /// Octets, as the server's LIST said last.
    pub size: u64,
    /// When a session listed it for the first time: ages count from here.
    pub first_seen: UnixSeconds,
    /// Whether it was delivered, and what.
    pub local: LocalCopy,
    /// What is known of the server's copy.
    pub copy: ServerCopy,
}

/// Whether a message was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalCopy {
    /// It was only seen: it is too large, or its turn has not come.
    None,
    /// Another program fetched it before this account's first run. Nothing but its UIDL tells which message it is.
    Elsewhere,
    /// Its file is durably in the tree.
    File(DeliveredMessage),
}

impl LocalCopy {
    /// What is in the tree.
    pub fn file(&self) -> Option<&DeliveredMessage> {
        match self {
            LocalCopy::File(message) => Some(message),
            LocalCopy::None | LocalCopy::Elsewhere => None,
        }
    }

    /// Whether nothing is to be fetched of it any more.
    pub fn is_done(&self) -> bool {
        !matches!(self, LocalCopy::None)
    }
}

/// What of a message is durably in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveredMessage {
    /// Digest of the file.
    pub digest: Digest,
    /// Hash of the header; `None` when it was never computed or would not identify the message.
    pub header: Option<HeaderHash>,
    /// The file.
    pub file: FileId,
}

/// What is known of the server's copy of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerCopy {
    /// The last listing had it.
    Listed,
    /// It may be there or not: we asked to delete it and have no answer, or the record was made anew of the file.
    Unknown,
    /// Listings have lacked it since then. Nobody said that it was deleted: the listing may have been partial.
    Absent(UnixSeconds),
    /// We deleted it, and the server confirmed that then.
    Deleted(UnixSeconds),
}

/// One thing that is so, durably, before it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaildropFact {
    /// Messages are going to be delivered whose facts come later: until [`MaildropFact::Settled`], files in the tree may
    /// be unknown here.
    Delivering,
    /// This is known of a message now; new, or in the place of what was known.
    Known(Serial, KnownMessage),
    /// The message is nobody's business any more.
    Forgotten(Serial),
    /// Every file delivered is known.
    Settled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_uidls_round_trip_and_nothing_else_is_one() {
        let hash = UidlHash::of(&Uidl::new(b"whatever \xff\0 it is").unwrap());
        assert_eq!(UidlHash::parse(&hash.to_string()), Some(hash));
        for bad in ["", "0123", "0123456789ABCDEF", "+123456789abcdef", "0123456789abcdef0"] {
            assert_eq!(UidlHash::parse(bad), None, "{bad}");
        }
        assert!(Serial::FIRST < Serial::FIRST.next());
    }
}
