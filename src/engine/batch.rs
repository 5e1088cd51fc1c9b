//! How much arrived mail is gathered before it is made durable and recorded.

use std::time::{Duration, Instant};

/// A batch is full when it has this many messages …
const MESSAGES: usize = 200;
/// … or this many octets …
const OCTETS: u64 = 32 << 20;
/// … or its first one has waited so long: what a slow server has sent should not be asked for again after a kill.
pub const AGE: Duration = Duration::from_secs(5);

/// What a batch holds.
#[derive(Debug, Default)]
pub struct Batch {
    messages: usize,
    octets: u64,
    /// When its first message came.
    begun: Option<Instant>,
}

impl Batch {
    /// A message of so many octets came.
    pub fn add(&mut self, octets: u64) {
        self.messages += 1;
        self.octets += octets;
        self.begun.get_or_insert_with(Instant::now);
    }

    /// Whether it has to be landed.
    pub fn is_full(&self) -> bool {
        let is_old = self.begun.is_some_and(|begun| begun.elapsed() >= AGE);
        self.messages >= MESSAGES || self.octets >= OCTETS || is_old
    }
}
