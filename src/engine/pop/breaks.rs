//! Messages at which sessions break: a server that hangs up at one would keep all behind it away, in every run.

use std::collections::BTreeMap;

use super::look::Looked;
use crate::error::{Error, Item, ItemFailure, Kind};
use crate::mail::MailboxName;
use crate::maildrop::Fetch;

/// How often a session may break at one message before that is left out of the run.
const AT_ONE: u32 = 2;

/// Where the sessions of a run broke.
#[derive(Debug, Default)]
pub(super) struct Breaks {
    at: BTreeMap<Item, u32>,
}

impl Breaks {
    /// A session broke at this message.
    pub(super) fn count(&mut self, item: Item) {
        *self.at.entry(item).or_default() += 1;
    }

    /// How many did at any.
    pub(super) fn total(&self) -> u32 {
        self.at.values().sum()
    }

    /// Puts such messages behind all others, and in the end takes them out of the plan: those are the failures.
    pub(super) fn set_aside(&self, looked: &mut Looked, mailbox: &MailboxName) -> Vec<ItemFailure> {
        if self.at.is_empty() {
            return Vec::new();
        }
        let times = |fetch: &Fetch| self.at.get(&looked.item(fetch.number)).copied().unwrap_or(0);
        let all = looked.plan.fetch.iter().copied();
        let (mut fetch, left): (Vec<Fetch>, Vec<Fetch>) = all.partition(|one| times(one) < AT_ONE);
        fetch.sort_by_key(times);
        let failure = |one: Fetch| {
            let error = Error::new(Kind::Unreachable, "The session broke at this message each time")
                .hint("Look at it with another program. The other messages are fetched.");
            ItemFailure::new(mailbox, looked.item(one.number), &error)
        };
        let failures = left.into_iter().map(failure).collect();
        looked.plan.fetch = fetch;
        failures
    }
}
