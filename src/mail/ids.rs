//! Identifiers: one type each, ordered where order reaches a plan or the disk.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt;

use serde::{Serialize, Serializer};

/// An IMAP unique identifier of a message in a mailbox (RFC 3501 §2.3.1.1): 1 to 2³²−1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Uid(NonZeroU32);

impl Uid {
    /// The largest UID there can be.
    pub const MAX: Uid = Uid(NonZeroU32::MAX);
    /// The smallest UID there can be.
    pub const MIN: Uid = Uid(NonZeroU32::MIN);

    /// Makes a UID; `None` for 0.
    pub fn new(n: u32) -> Option<Uid> {
        NonZeroU32::new(n).map(Uid)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The UID after this one; `None` after the last.
    pub fn next(self) -> Option<Uid> {
        self.0.checked_add(1).map(Uid)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The generation of a mailbox's UIDs (RFC 3501 §2.3.1.1); when it changes, no UID means what it meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct UidValidity(pub u32);

impl UidValidity {
    /// Of UIDs that the server lost when it was put back to an earlier state. No server has it (RFC 3501 §2.3.1.1).
    pub const PUT_BACK: UidValidity = UidValidity(0);
}

impl fmt::Display for UidValidity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A modification sequence (RFC 7162 §3.1.1): 63 bits; a mailbox's highest one rises with every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ModSeq(pub u64);

impl fmt::Display for ModSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Seconds since 1970-01-01T00:00:00Z; INTERNALDATE and mtime without their zone and fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct UnixSeconds(pub i64);

/// A mailbox in file names and in the state: 32 bits of a hash of its name at first sight, so that it can be computed
/// again after the state was lost; it stays when the mailbox is renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct MailboxId(pub u32);

impl MailboxId {
    /// The id a mailbox gets when it is first seen under `path` (see [`super::MailboxName::path`]).
    ///
    /// Two names of one account may collide; the state then takes the next free number.
    pub fn of_path(path: &str) -> MailboxId {
        let hash = blake3::hash(path.as_bytes());
        let mut four = [0; 4];
        for (to, from) in four.iter_mut().zip(hash.as_bytes()) {
            *to = *from;
        }
        MailboxId(u32::from_be_bytes(four))
    }
}

impl fmt::Display for MailboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// An account's random id: in the tree's marker file, in the state and in file names; eight hex digits as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u32);

impl AccountId {
    /// Reads the eight lower-case hex digits that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<AccountId> {
        let fits = text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| u32::from_str_radix(text, 16).ok().map(AccountId)).flatten()
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A Maildir file's unique part: its name without directory and without the `:2,…` suffix. Stays the same when flags
/// change or the file goes from `new` to `cur`; may be any bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(Box<OsStr>);

impl FileId {
    /// Takes a unique part as it is.
    pub fn new(name: impl Into<OsString>) -> FileId {
        FileId(name.into().into_boxed_os_str())
    }

    /// Octets of the message on the wire, where the name tells (`W=`, a Maildir++ field; whatever we deliver has it).
    pub fn wire_size(&self) -> Option<u64> {
        self.0.to_str()?.split(',').find_map(|field| field.strip_prefix("W="))?.parse().ok()
    }

    /// The name as the file system has it.
    pub fn as_os_str(&self) -> &OsStr {
        &self.0
    }

    /// The name's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_string_lossy().fmt(f)
    }
}

impl Serialize for FileId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How often a run has changed an account. Tree and state count alike, so that a copy of either that was put back shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Generation(pub u64);

impl Generation {
    /// The one after this.
    #[must_use]
    pub fn next(self) -> Generation {
        Generation(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a downloaded file came from, as its name tells. A hint: believed only when size or digest agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The account that delivered it.
    pub account: AccountId,
    /// The mailbox it was fetched from.
    pub mailbox: MailboxId,
    /// That mailbox's UIDVALIDITY then.
    pub uid_validity: UidValidity,
    /// Its UID there.
    pub uid: Uid,
}

impl Origin {
    /// Whether it names this mailbox, in this generation of its UIDs.
    pub fn is_of(&self, account: AccountId, mailbox: MailboxId, uid_validity: UidValidity) -> bool {
        (self.account, self.mailbox, self.uid_validity) == (account, mailbox, uid_validity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_ids_round_trip_and_nothing_else_is_one() {
        let id = AccountId(0x0a1b_2c3d);
        assert_eq!(AccountId::parse(&id.to_string()), Some(id));
        for bad in ["", "0a1b2c3", "0A1B2C3D", "0a1b2c3d4", "+a1b2c3d"] {
            assert_eq!(AccountId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn uid_zero_is_no_uid() {
        assert_eq!(Uid::new(0), None);
        assert_eq!(Uid::MAX.next(), None);
    }
}
