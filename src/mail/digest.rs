//! What identifies a message by its content.

use std::fmt;

use super::MessageIdHash;

/// BLAKE3 of a message as its local file holds it (LF line ends, or verbatim where the message has a bare CR or LF).
///
/// A message on the server has the digest of the file it would become, so both sides compare directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Reads the 32 bytes that the state keeps.
    pub fn from_bytes(bytes: &[u8]) -> Option<Digest> {
        bytes.try_into().ok().map(Digest)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// What is known of a message once its bytes were read, on either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Content {
    /// The digest of the local form.
    pub digest: Digest,
    /// Octets on the wire (CRLF line ends): what RFC822.SIZE says and what APPEND announces.
    pub wire_size: u64,
    /// The Message-ID, hashed; `None` when the message has none.
    pub message_id: Option<MessageIdHash>,
}

/// What a message holds, with and without the stamps of other synchronisers (see [`super::stamp`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contents {
    /// All of it.
    pub whole: Content,
    /// The message without its stamps; `None` when it has none.
    pub unstamped: Option<Content>,
}

impl Contents {
    /// The message without stamps.
    pub fn plain(&self) -> Content {
        self.unstamped.unwrap_or(self.whole)
    }
}

impl From<Content> for Contents {
    fn from(whole: Content) -> Self {
        Contents { whole, unstamped: None }
    }
}
