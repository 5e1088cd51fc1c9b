//! Messages out of the maildrop: RETR and TOP, pipelined where the server can, streamed into a sink.

use crate::error::{Error, Result};
use crate::mail::MessageNumber;

/// Takes messages as they come off the wire, one after the other, in the order they were asked for.
///
/// A message's calls are [`start`](Self::start), [`data`](Self::data) any number of times, then
/// [`done`](Self::done); or [`refused`](Self::refused) alone. A message that was started and not done when the call
/// ends in an error is not whole and has to be thrown away. An error of any method ends the call and the connection.
pub trait MaildropSink {
    /// A message begins.
    fn start(&mut self, number: MessageNumber) -> Result<()>;
    /// The next octets of the message that began last, as stored on the server: the dots that the protocol added are gone.
    fn data(&mut self, octets: &[u8]) -> Result<()>;
    /// The message that began last is complete.
    fn done(&mut self, number: MessageNumber) -> Result<()>;
    /// The server does not give this message; the others go on.
    fn refused(&mut self, number: MessageNumber, error: &Error) -> Result<()>;
}
