//! Counts what a run costs: octets, commands, and waits for the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that all connections of a run share; clones count into the same place.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
    commands: AtomicU64,
    waits: AtomicU64,
}

impl Meter {
    /// Octets sent: after compression, before TLS.
    pub fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// Octets received: before decompression, after TLS.
    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    /// Commands sent.
    pub fn commands(&self) -> u64 {
        self.0.commands.load(Ordering::Relaxed)
    }

    /// How often everything was sent and nothing was there to read: the round trips that cost time.
    pub fn waits(&self) -> u64 {
        self.0.waits.load(Ordering::Relaxed)
    }

    /// Counts one command.
    pub fn count_command(&self) {
        self.0.commands.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_sent(&self, octets: usize) {
        self.0.sent.fetch_add(octets as u64, Ordering::Relaxed);
    }

    pub(super) fn count_received(&self, octets: usize) {
        self.0.received.fetch_add(octets as u64, Ordering::Relaxed);
    }

    pub(super) fn count_wait(&self) {
        self.0.waits.fetch_add(1, Ordering::Relaxed);
    }
}
