//! Changes to messages: flags, expunging, moving. Nothing here is sent before the mailbox is open and its UIDVALIDITY
//! is the one the caller means.

/// What became of messages that were to be expunged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expunged {
    /// They are gone.
    Gone,
    /// They are marked `\Deleted` and still there: without UIDPLUS an EXPUNGE would also have removed what others marked.
    LeftMarked {
        /// How many messages others have marked.
        foreign: u64,
    },
}
