//! Trouble is told once: a run that is tried again meets the same failures again.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::report::event::{Event, Report};

/// Passes events on; a failure or refusal only the first time.
pub struct Once<'a> {
    report: &'a dyn Report,
    told: Mutex<BTreeSet<String>>,
}

impl<'a> Once<'a> {
    /// Wraps the report of one run.
    pub fn new(report: &'a dyn Report) -> Self {
        Once { report, told: Mutex::new(BTreeSet::new()) }
    }
}

impl Report for Once<'_> {
    fn event(&self, account: &str, event: Event<'_>) {
        let trouble = match &event {
            Event::Failed(failure) => Some(failure.to_string()),
            Event::Refused(refusal) => Some(refusal.to_string()),
            _ => None,
        };
        let is_new = |text| self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(text);
        if trouble.is_none_or(is_new) {
            self.report.event(account, event);
        }
    }
}
