//! Fault points as every release has them: none.

use std::io;
use std::time::Duration;

use super::Step;

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

/// Comes after a line was heard.
#[inline(always)]
pub fn heard(_: &[u8]) -> io::Result<()> {
    Ok(())
}

/// Whether a fault is ordered.
#[inline(always)]
pub fn is_armed() -> bool {
    false
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
