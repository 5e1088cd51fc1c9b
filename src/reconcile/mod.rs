//! The specification: base + what was observed + policy → plan. Pure: no I/O, clock, randomness, threads, logging.

use std::collections::BTreeMap;

use crate::mail::{AccountId, Base, Intent, MailboxName};

pub mod guard;
pub mod plan;
pub mod view;

pub use plan::{Action, Disposal, Phase, Plan, Side};
use view::{LocalView, MailboxIds, Policy, RemoteView};

/// Everything a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What both sides last agreed on.
    pub base: &'a Base,
    /// The tree as observed.
    pub local: &'a LocalView,
    /// The account as observed.
    pub remote: &'a RemoteView,
    /// The number of each mailbox in file names.
    pub ids: &'a MailboxIds,
    /// The account's id in file names.
    pub account: AccountId,
    /// APPENDs whose outcome is unknown.
    pub intents: &'a BTreeMap<MailboxName, Vec<Intent>>,
    /// What the account's settings allow.
    pub policy: &'a Policy,
}

/// Decides what a run has to do.
#[must_use]
pub fn reconcile(_input: &Input<'_>) -> Plan {
    Plan::default()
}
