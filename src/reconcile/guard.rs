//! The guard: refuses what looks like an accident. Only it makes an [`ApprovedPlan`], and only the executor takes one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::plan::{Action, Disposal, Plan, Side};
use super::view::{LocalView, RemoteView};
use crate::mail::{Base, BaseMailbox, Link, MailboxName, Presence, Uid, UidSet};

/// From how many deletions on per cent are looked at.
const PERCENT_FROM: u64 = 20;

/// From how many deletions on an account that loses all its messages is an accident.
const EVERYTHING_FROM: u64 = 5;

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

/// Takes out of a plan the deletions that look like an accident, and says which; the rest of the plan stays.
///
/// A deletion removes a message from a side for good or to Trash; a mark is none. Per mailbox and side, `max` decides.
/// Per side as a whole, all of its deletions go when the *other* side has no mailbox at all (marks too, then: a tree or
/// an account that is missing altogether is no wish), when 5 or more deletions would leave nothing of the account, or
/// when they are beyond `max` as per cent. What is allowed by name or altogether stays in either case.
#[must_use]
pub fn approve(
    plan: Plan,
    base: &Base,
    local: &LocalView,
    remote: &RemoteView,
    max: MaxDelete,
    allowed: &Allowed,
) -> (ApprovedPlan, Vec<Refusal>) {
    let mut plan = plan;
    let mut refusals = Vec::new();
    let named = match allowed {
        Allowed::All => return (ApprovedPlan(plan), refusals),
        Allowed::Mailboxes(named) => named,
    };
    for side in [Side::Local, Side::Remote] {
        let other_is_empty = match side {
            Side::Local => remote.mailboxes.is_empty(),
            Side::Remote => local.mailboxes.is_empty(),
        };
        let tally = Tally::of(&plan, base, side, other_is_empty);
        if tally.looks_like_an_accident(max) {
            let mut refused = Vec::new();
            for (name, actions) in plan.mailboxes.iter_mut().filter(|(name, _)| !named.contains(name)) {
                if take_out(actions, side, other_is_empty) {
                    refused.push((name, tally.mailboxes.get(name).copied().unwrap_or_default()));
                }
            }
            match refused.as_slice() {
                [] => {}
                [(name, (deletions, of))] if !other_is_empty => {
                    refusals.push(Refusal { side, mailbox: Some((*name).clone()), deletions: *deletions, of: *of });
                }
                several => {
                    let deletions = several.iter().map(|(_, (deletions, _))| deletions).sum();
                    refusals.push(Refusal { side, mailbox: None, deletions, of: tally.of });
                }
            }
            continue;
        }
        for (name, (deletions, of)) in tally.mailboxes {
            if is_beyond(max, deletions, of) && !named.contains(&name) {
                plan.mailboxes.get_mut(&name).map(|actions| take_out(actions, side, false));
                refusals.push(Refusal { side, mailbox: Some(name), deletions, of });
            }
        }
    }
    plan.mailboxes.retain(|_, actions| !actions.is_empty());
    (ApprovedPlan(plan), refusals)
}

/// What a plan would delete from a side.
struct Tally {
    /// Deletions, and the messages they are out of, of each mailbox with deletions.
    mailboxes: BTreeMap<MailboxName, (u64, u64)>,
    deletions: u64,
    /// The messages of the account.
    of: u64,
    other_is_empty: bool,
}

impl Tally {
    fn of(plan: &Plan, base: &Base, side: Side, marks_count: bool) -> Tally {
        let mut mailboxes = BTreeMap::new();
        let mut extra = 0;
        for (name, actions) in &plan.mailboxes {
            let uids = || actions.iter().filter_map(|a| deleted(a, side, marks_count)).flat_map(UidSet::iter);
            let deletions = uids().count() as u64;
            if deletions > 0 {
                let links = base.get(name).and_then(|b| b.links.as_ref());
                let is_counted =
                    |uid: &Uid| links.and_then(|l| l.get(uid)).is_none_or(|l| l.presence == Presence::Both);
                // What an earlier run had to leave behind is no message of both sides any more.
                let left_behind = uids().filter(|uid| !is_counted(uid)).count() as u64;
                extra += left_behind;
                mailboxes.insert(name.clone(), (deletions, base.get(name).map_or(0, messages) + left_behind));
            }
        }
        let deletions = mailboxes.values().map(|(n, _)| n).sum();
        Tally {
            mailboxes,
            deletions,
            of: base.values().map(messages).sum::<u64>() + extra,
            other_is_empty: marks_count,
        }
    }

    fn looks_like_an_accident(&self, max: MaxDelete) -> bool {
        let everything = self.deletions >= EVERYTHING_FROM && self.deletions >= self.of;
        match max {
            MaxDelete::Unlimited => false,
            MaxDelete::Count(_) => self.other_is_empty || everything,
            MaxDelete::Percent(_) => self.other_is_empty || everything || is_beyond(max, self.deletions, self.of),
        }
    }
}

/// Messages that both sides have, as far as known.
fn messages(mailbox: &BaseMailbox) -> u64 {
    let both = |links: &BTreeMap<Uid, Link>| links.values().filter(|l| l.presence == Presence::Both).count() as u64;
    mailbox.links.as_ref().map_or(mailbox.link_count, both)
}

fn is_beyond(max: MaxDelete, deletions: u64, of: u64) -> bool {
    match max {
        MaxDelete::Percent(p) => {
            deletions >= PERCENT_FROM && deletions.saturating_mul(100) > of.saturating_mul(u64::from(p))
        }
        MaxDelete::Count(n) => deletions > n,
        MaxDelete::Unlimited => false,
    }
}

fn deleted(action: &Action, on: Side, marks_count: bool) -> Option<&UidSet> {
    match action {
        Action::Delete { side, uids, disposal } if *side == on && (marks_count || *disposal != Disposal::Mark) => {
            Some(uids)
        }
        _ => None,
    }
}

/// Takes deletions on `side` out of a mailbox's actions, and the mailbox's own removal; tells whether there were any.
fn take_out(actions: &mut Vec<Action>, on: Side, marks_count: bool) -> bool {
    let before = actions.len();
    actions.retain(|action| {
        let removal = matches!(action, Action::RemoveMailbox { side } if *side == on);
        !removal && deleted(action, on, marks_count).is_none()
    });
    actions.len() < before
}
