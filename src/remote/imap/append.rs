//! Uploads: APPEND, pipelined where the server takes literals without a word of its own first.

use std::fmt;
use std::io::Read;

use crate::mail::{Flags, UnixSeconds};

/// One message to upload.
pub struct Append {
    /// Octets on the wire.
    pub size: u64,
    /// The flags it gets.
    pub flags: Flags,
    /// Its INTERNALDATE.
    pub date: UnixSeconds,
    /// Yields exactly `size` octets; anything else leaves the connection unusable.
    pub body: Box<dyn Read + Send>,
}

impl fmt::Debug for Append {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Append").field("size", &self.size).field("flags", &self.flags).finish_non_exhaustive()
    }
}
