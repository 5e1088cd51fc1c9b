//! Byte streams: TCP, TLS, deflate, with timeouts, counters and a loop that reads while it writes.
//!
//! Invariant: one thread drives one connection, full duplex. Whatever waits for room to write also reads, so that no
//! server can block itself and us at once. No protocol is known here.

#[cfg(any(test, fuzzing))]
pub(in crate::remote) mod babbler;
pub(in crate::remote) mod certificate;
mod compress;
pub(in crate::remote) mod conceal;
mod dial;
pub mod meter;
pub mod options;
pub mod out_buffer;
mod pace;
pub mod protection;
mod socket;
#[cfg(test)]
pub(in crate::remote) mod testing;
pub mod tls;
pub mod transport;
pub mod trust;

pub use dial::resolve;
pub use meter::Meter;
pub use out_buffer::OutBuffer;
pub use protection::Protection;
pub use tls::Connector;
pub use transport::Transport;

use crate::error::Result;

/// What [`Exchange::exchange`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// `input` has grown by at least one octet.
    InputArrives,
    /// At most this many octets still wait to be sent; 0 means that everything is out.
    OutputBelow(usize),
}

/// Both directions of a connection at once; [`Transport`] is the real one, tests use others in memory.
pub trait Exchange {
    /// Sends from `output` and appends to `input` until the wish is met; `output` is the same buffer every time.
    ///
    /// # Errors
    /// The connection is over: lost, silent for too long, or stopped. What arrived before that is in `input`.
    fn exchange(&mut self, output: &mut OutBuffer, input: &mut Vec<u8>, until: Until) -> Result<()>;
}
