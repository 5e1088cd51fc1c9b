//! Making and removing mailboxes.

/// What became of a mailbox that was to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone, or was before.
    Gone,
    /// It holds messages, so it was left.
    StillHolds(u64),
}
