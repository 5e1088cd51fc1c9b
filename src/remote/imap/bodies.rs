//! Message bodies: chunked UID FETCH, the next chunk on the wire before this one ends, literals streamed to a sink.

use crate::error::Result;
use crate::mail::Uid;

/// Takes bodies as they come off the wire. An error ends the fetch, and the connection with it.
pub trait BodySink {
    /// A body of `octets` begins. When no [`BodySink::message`] followed the one before, that one is to be dropped.
    fn start(&mut self, octets: u64) -> Result<()>;
    /// The next piece of the body that began last.
    fn data(&mut self, bytes: &[u8]) -> Result<()>;
    /// The body that began last is complete and belongs to this message.
    fn message(&mut self, meta: FetchedMessage) -> Result<()>;
    /// A message that was asked for was not delivered; `why` is a sentence and may hold the server's words, not yet safe.
    fn missing(&mut self, uid: Uid, why: &str) -> Result<()>;
}

/// A body that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchedMessage {
    /// Whose body it is.
    pub uid: Uid,
    /// How long it was; on servers with a wrong RFC822.SIZE this is the one that is right.
    pub octets: u64,
}
