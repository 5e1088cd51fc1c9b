//! How many mailboxes of the tree hold file descriptors for messages that are on their way to a batch.
//!
//! A message that has come holds the `tmp` it lies in. Where there are many small mailboxes, those that wait for the
//! calling thread would use up what a process may open; so a worker waits before it opens one more.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::engine::pool::Worker;
use crate::error::Result;

/// The count of all that are open, and the most there may be.
pub(super) struct Openings {
    open: Mutex<usize>,
    most: usize,
    closed: Condvar,
}

/// One that is open, until the last message that came into it has landed.
pub(super) struct Opening(Arc<Openings>);

impl Openings {
    /// So many at most; more than one batch may hold, or nothing would land.
    pub(super) fn new(most: usize) -> Arc<Openings> {
        Arc::new(Openings { open: Mutex::new(0), most, closed: Condvar::new() })
    }

    /// Waits until another one may be open.
    pub(super) fn open<J, M>(self: &Arc<Self>, worker: &Worker<'_, J, M>) -> Result<Arc<Opening>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = worker.wait_while(&self.closed, open, |open| *open >= self.most)?;
        *open += 1;
        Ok(Arc::new(Opening(Arc::clone(self))))
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        *open = open.saturating_sub(1);
        self.0.closed.notify_one();
    }
}
