//! Marking messages deleted, and the one moment in which the server deletes them: its OK to QUIT (RFC 1939 §6).

/// The server has said OK to QUIT: what was marked deleted is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// How many messages were marked.
    pub deleted: usize,
}
