//! Fault points as every release has them: none.

use std::io;
use std::time::Duration;

use super::{Heard, Step};

/// Comes before a step on disk.
#[inline(always)]
pub fn disk(_: Step) -> io::Result<()> {
    Ok(())
}

/// Comes before octets are sent.
#[inline(always)]
pub fn send() -> io::Result<()> {
    Ok(())
}

/// Comes after octets were read behind those in `input` before.
#[inline(always)]
pub fn heard(_: &mut Vec<u8>) -> io::Result<Heard> {
    Ok(Heard::GoOn)
}

/// How many of `most` octets one read takes.
#[inline(always)]
pub fn at_once(most: usize) -> usize {
    most
}

/// What of `octets` is sent at once.
#[inline(always)]
pub fn piece(octets: &[u8]) -> &[u8] {
    octets
}

/// How long a pause of `time` takes.
#[inline(always)]
pub fn pause(time: Duration) -> Duration {
    time
}
