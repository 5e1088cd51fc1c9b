//! Trouble is told once: a run that is tried again meets the same failures again, and what ails the whole run hits many
//! mailboxes.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::error::{ItemFailure, Reach};
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
            Event::Failed(ItemFailure { reach: Reach::Run, hint: Some(hint), .. }) => Some(hint.clone()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Item, Kind};
    use crate::mail::MailboxName;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Report for Heard {
        fn event(&self, _account: &str, event: Event<'_>) {
            if let Event::Failed(failure) = event {
                self.0.lock().unwrap().push(failure.to_string());
            }
        }
    }

    #[test]
    fn what_ails_the_whole_run_is_told_of_one_mailbox() {
        let (heard, error) = (Heard::default(), || Error::new(Kind::LocalTree, "Could not").hint("Do it."));
        let once = Once::new(&heard);
        for name in ["a", "b"] {
            let name = MailboxName::parse(name).unwrap();
            for error in [error().of_the_run(), error().of_the_run(), error()] {
                once.event("x", Event::Failed(&ItemFailure::new(&name, Item::Mailbox, &error)));
            }
        }
        let heard = heard.0.lock().unwrap();
        assert_eq!(*heard, ["a: mailbox: Could not", "a: mailbox: Could not", "b: mailbox: Could not"]);
    }
}
