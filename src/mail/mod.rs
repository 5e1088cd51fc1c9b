//! The vocabulary: what a message, a mailbox and an agreement between two sides are, without any I/O.
//!
//! Every identifier is a type of its own, so that a UID and a count, a wire size and a file size never meet by mistake.
//! Everything here is plain data that both sides, the planner and the state share.

pub mod base;
pub mod digest;
pub mod fact;
pub mod flags;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod header_hash;
pub mod ids;
pub mod known;
pub mod mailbox;
pub mod maildrop;
pub mod message_id;
pub mod stamp;
pub mod uid_set;
pub mod utf7;

pub use base::{Base, BaseMailbox, Link, LocalCheckpoint, PermanentFlags, Presence, RemoteCheckpoint, Standing};
pub use digest::{Content, Contents, Digest};
pub use fact::{Fact, Intent};
pub use flags::{FlagChange, Flags, Keyword, SystemFlag, SystemFlags};
pub use header_hash::{HeaderHash, HeaderHashScan};
pub use ids::{AccountId, FileId, Generation, MailboxId, ModSeq, Origin, Uid, UidValidity, UnixSeconds};
pub use known::{
    DeliveredMessage, FileOrigin, KnownMessage, LocalCopy, MaildropFact, MaildropOrigin, Serial, ServerCopy, UidlHash,
};
pub use mailbox::MailboxName;
pub use maildrop::{MessageNumber, Uidl};
pub use message_id::MessageIdHash;
pub use stamp::HeaderFields;
pub use uid_set::UidSet;
