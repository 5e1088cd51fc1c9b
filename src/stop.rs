//! When to stop: Ctrl-C, SIGTERM or the run's deadline. Whoever waits or loops asks between two steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};

/// A wish to stop that all threads of a run share.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    signalled: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Stop {
    /// Stops when `signalled` becomes true (a signal handler sets it) or `limit` from now has passed.
    pub fn new(signalled: Arc<AtomicBool>, limit: Option<Duration>) -> Stop {
        Stop { signalled, deadline: limit.and_then(|l| Instant::now().checked_add(l)) }
    }

    /// An error of kind [`Kind::Interrupted`] once the run has to stop.
    pub fn check(&self) -> Result<()> {
        if self.signalled.load(Ordering::Relaxed) {
            return Err(Error::new(Kind::Interrupted, "Interrupted")
                .hint("What was done is recorded; run the same command again to go on."));
        }
        if self.deadline.is_some_and(|d| Instant::now() >= d) {
            return Err(Error::new(Kind::Interrupted, "The deadline has passed").hint(
                "What was done is recorded; run the same command again to go on, or give it a longer `--deadline`.",
            ));
        }
        Ok(())
    }

    /// How long one wait may last before [`Stop::check`] is to be asked again: `most`, or less near the deadline.
    pub fn slice(&self, most: Duration) -> Duration {
        let left = self.deadline.map_or(most, |d| d.saturating_duration_since(Instant::now()));
        most.min(left).min(Duration::from_millis(200))
    }
}
