//! Mailboxes of the tree that are made while what goes into them is already on its way.
//!
//! Making one takes a disk longer than a server needs to begin with its messages. Only those are left for then that get
//! downloads and nothing else. The calling thread makes some at a time, when no message waits for it, and enters them;
//! a worker waits before the first file of a mailbox until that is done.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::actions;
use crate::engine::ledger::Ledger;
use crate::engine::pool::Worker;
use crate::error::Result;
use crate::mail::MailboxName;
use crate::reconcile::guard::ApprovedPlan;
use crate::reconcile::{Action, Phase, Side};

/// Mailboxes that are made at once: so long a message that has come waits at most.
const SOME: usize = 20;

/// The mailboxes of one download that are not made yet.
pub(super) struct Meanwhile<'p> {
    left: Mutex<Left<'p>>,
    changed: Condvar,
}

#[derive(Default)]
struct Left<'p> {
    waiting: BTreeSet<&'p MailboxName>,
    failed: BTreeSet<&'p MailboxName>,
}

/// The mailboxes that the plan makes in the tree and only downloads into.
pub(super) fn waiting<'p>(plan: &'p ApprovedPlan, ledger: &Ledger<'_>) -> BTreeSet<&'p MailboxName> {
    let made = actions(plan, Phase::CreateMailboxes, ledger);
    let made = made.into_iter().filter(|(_, a)| matches!(a, Action::CreateMailbox { side: Side::Local }));
    let fits =
        |action: &Action| matches!(action, Action::CreateMailbox { side: Side::Local } | Action::Download { .. });
    let only_downloads = |name: &&MailboxName| {
        let all = plan.plan().mailboxes.get(*name);
        all.is_some_and(|all| all.len() > 1 && all.iter().all(fits))
    };
    made.map(|(name, _)| name).filter(only_downloads).collect()
}

impl<'p> Meanwhile<'p> {
    pub(super) fn new(waiting: BTreeSet<&'p MailboxName>) -> Meanwhile<'p> {
        Meanwhile { left: Mutex::new(Left { waiting, ..Left::default() }), changed: Condvar::new() }
    }

    /// Some that are to be made next; none when all are.
    pub(super) fn some(&self) -> Vec<&'p MailboxName> {
        self.lock().waiting.iter().take(SOME).copied().collect()
    }

    /// Tells that these were made and entered, or that they could not be.
    pub(super) fn made(&self, names: &[&'p MailboxName], failed: impl Fn(&MailboxName) -> bool) {
        let mut left = self.lock();
        for name in names {
            left.waiting.remove(*name);
            if failed(name) {
                left.failed.insert(*name);
            }
        }
        self.changed.notify_all();
    }

    /// Waits until `name` is made; whether it was.
    pub(super) fn wait<J, M>(&self, name: &MailboxName, worker: &Worker<'_, J, M>) -> Result<bool> {
        let left = worker.wait_while(&self.changed, self.lock(), |left| left.waiting.contains(name))?;
        Ok(!left.failed.contains(name))
    }

    fn lock(&self) -> MutexGuard<'_, Left<'p>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
