//! A server for the targets in `tests/fuzz`, and for the tests that run the same functions.

use super::{Exchange, OutBuffer, Until};
use crate::error::{Error, Kind, Result};

/// A server that says its octets in pieces, whatever it is asked, and hangs up.
pub struct Babbler {
    octets: Vec<u8>,
    said: usize,
    piece: usize,
}

impl Babbler {
    /// Says `octets`, one more than `piece` at a time.
    pub fn new(octets: &[u8], piece: u8) -> Babbler {
        Babbler { octets: octets.to_vec(), said: 0, piece: usize::from(piece) + 1 }
    }
}

impl Exchange for Babbler {
    fn exchange(&mut self, output: &mut OutBuffer, input: &mut Vec<u8>, until: Until) -> Result<()> {
        output.consume(usize::MAX);
        if until != Until::InputArrives {
            return Ok(());
        }
        let Some(piece) = self.octets.get(self.said..).and_then(|rest| rest.chunks(self.piece).next()) else {
            return Err(Error::new(Kind::Unreachable, "The connection was closed by the server"));
        };
        input.extend_from_slice(piece);
        self.said += piece.len();
        Ok(())
    }
}
