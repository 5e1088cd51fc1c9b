//! COMPRESS=DEFLATE (RFC 4978): raw deflate both ways.
//!
//! Invariant: whatever was given to [`Deflate::compress`] can be read by the peer once what waits is sent (each batch
//! ends with a sync flush), and one call of [`Deflate::inflate`] never grows its output by more than it is told to,
//! however well a hostile peer compresses.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::out_buffer::OutBuffer;
use crate::error::{Error, Kind, Result};

/// How much compressed output may wait before more is made.
const AHEAD: usize = 64 * 1024;
const PIECE: usize = 32 * 1024;

/// Both directions of a compressed connection.
pub(super) struct Deflate {
    compressor: Compress,
    /// Compressed octets on their way out.
    pub(super) wire: OutBuffer,
    decompressor: Decompress,
    /// Compressed octets received and not yet decompressed.
    pub(super) raw: Vec<u8>,
    /// The decompressor may hold more output although `raw` is empty.
    holds_output: bool,
    /// The peer ended its stream, as some do when they log a client out; nothing can follow.
    ended: bool,
}

impl Deflate {
    /// Starts the layer; `received` came after the server's OK and is compressed already.
    pub(super) fn new(received: Vec<u8>) -> Deflate {
        Deflate {
            compressor: Compress::new(Compression::default(), false),
            wire: OutBuffer::new(),
            decompressor: Decompress::new(false),
            raw: received,
            holds_output: false,
            ended: false,
        }
    }

    /// Moves from `output` to `wire` as much as is sensible now.
    pub(super) fn compress(&mut self, output: &mut OutBuffer) -> Result<()> {
        while !output.is_empty() && self.wire.len() < AHEAD {
            let piece = output.as_slice().get(..PIECE).unwrap_or(output.as_slice());
            let flush = if piece.len() == output.len() { FlushCompress::Sync } else { FlushCompress::None };
            let mut room = Vec::with_capacity(PIECE / 2);
            let mut taken = 0;
            loop {
                let before = self.compressor.total_in();
                room.clear();
                self.compressor
                    .compress_vec(piece.get(taken..).unwrap_or_default(), &mut room, flush)
                    .map_err(|e| Error::new(Kind::Protocol, "Compressing failed").because(e))?;
                taken += step(before, self.compressor.total_in());
                self.wire.push(&room);
                // Room left over means that all is taken and, for a sync flush, that the flush is complete.
                if room.len() < room.capacity() && taken >= piece.len() {
                    break;
                }
            }
            output.consume(taken);
        }
        Ok(())
    }

    /// Whether [`Deflate::inflate`] has nothing to work on.
    pub(super) fn is_drained(&self) -> bool {
        self.raw.is_empty() && !self.holds_output
    }

    /// Whether the peer said that nothing follows.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Appends decompressed octets to `input`, `most` at the most.
    pub(super) fn inflate(&mut self, input: &mut Vec<u8>, most: usize) -> Result<()> {
        let end = input.len() + most;
        let mut taken = 0;
        while (taken < self.raw.len() || self.holds_output) && input.len() < end {
            let start = input.len();
            input.resize(end.min(start + PIECE), 0);
            let (took, gave) = (self.decompressor.total_in(), self.decompressor.total_out());
            let room = input.get_mut(start..).unwrap_or_default();
            let status = self
                .decompressor
                .decompress(self.raw.get(taken..).unwrap_or_default(), room, FlushDecompress::Sync)
                .map_err(|e| broken().because(e))?;
            let took = step(took, self.decompressor.total_in());
            let gave = step(gave, self.decompressor.total_out());
            self.holds_output = gave == room.len();
            input.truncate(start + gave);
            taken += took;
            if status == Status::StreamEnd {
                self.ended = true;
                self.holds_output = false;
                taken = self.raw.len();
            } else if took == 0 && gave == 0 && taken < self.raw.len() {
                // Takes nothing and gives nothing although there is input and room: it would go on so for ever.
                return Err(broken());
            }
        }
        self.raw.drain(..taken.min(self.raw.len()));
        Ok(())
    }
}

fn step(before: u64, after: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
}

fn broken() -> Error {
    Error::new(Kind::Protocol, "The server's compressed stream is broken")
        .hint("Set `compress = false` for this account.")
        .worth_retrying()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pump(from: &mut Deflate, to: &mut Deflate, input: &mut Vec<u8>, piece: usize) {
        for part in from.wire.as_slice().to_vec().chunks(piece) {
            to.raw.extend_from_slice(part);
            while !to.is_drained() {
                to.inflate(input, 1000).unwrap();
            }
        }
        from.wire.consume(usize::MAX);
    }

    #[test]
    fn every_batch_arrives_whole_in_pieces_of_any_size() {
        let (mut here, mut there) = (Deflate::new(Vec::new()), Deflate::new(Vec::new()));
        let mut noise = fastrand::Rng::with_seed(4978);
        for (size, piece) in [(1, 1), (17, 1), (70_000, 3), (300_000, 1000), (0, 1), (5, 1)] {
            for octet in [None, Some(b'x')] {
                let batch: Vec<u8> = (0..size).map(|_| octet.unwrap_or_else(|| noise.u8(..))).collect();
                let (mut output, mut input) = (OutBuffer::new(), Vec::new());
                output.push(&batch);
                while !output.is_empty() {
                    here.compress(&mut output).unwrap();
                    pump(&mut here, &mut there, &mut input, piece);
                }
                assert!(input == batch, "{size} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_bomb_comes_out_in_bounded_pieces() {
        let (mut here, mut there) = (Deflate::new(Vec::new()), Deflate::new(Vec::new()));
        let mut output = OutBuffer::new();
        output.push(&vec![0; 10_000_000]);
        here.compress(&mut output).unwrap();
        assert!(output.is_empty() && here.wire.len() < 50_000);
        there.raw.extend_from_slice(here.wire.as_slice());
        let mut all = 0;
        while !there.is_drained() {
            let mut input = Vec::new();
            there.inflate(&mut input, 100_000).unwrap();
            assert!(input.len() <= 100_000 && input.capacity() < 400_000);
            all += input.len();
        }
        assert_eq!(all, 10_000_000);
    }

    #[test]
    fn garbage_is_an_error() {
        let error = Deflate::new(b"\xff\xff\xff\xff\xff".to_vec()).inflate(&mut Vec::new(), 1000).unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol);
    }

    #[test]
    fn a_stream_that_its_sender_ended_is_over() {
        // Dovecot 2.3 ends its stream behind the reply to LOGOUT.
        let mut layer = Deflate::new(b"\x4b\x04\x00garbage behind it".to_vec());
        let mut input = Vec::new();
        layer.inflate(&mut input, 1000).unwrap();
        assert!(layer.is_ended() && layer.is_drained());
        assert_eq!(input, b"a");
    }
}
