//! The guard: refuses what looks like an accident. Only it makes an [`ApprovedPlan`], and only the executor takes one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::plan::{Action, Disposal, Here, Plan, Relocation, Side};
use super::view::{LocalContent, LocalMailbox, LocalView, RemoteMailbox, RemoteView};
use crate::mail::{Base, BaseMailbox, Digest, Link, MailboxName, Presence, Uid, UidSet, UnixSeconds};

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

impl MaxDelete {
    /// Whether so many deletions of so many messages are more than that.
    pub fn is_beyond(self, deletions: u64, of: u64) -> bool {
        match self {
            MaxDelete::Percent(p) => {
                deletions >= PERCENT_FROM && deletions.saturating_mul(100) > of.saturating_mul(u64::from(p))
            }
            MaxDelete::Count(n) => deletions > n,
            MaxDelete::Unlimited => false,
        }
    }
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

impl Allowed {
    /// The mailboxes named that are none of those `known`.
    pub fn unknown<'a>(&'a self, known: impl Fn(&MailboxName) -> bool + 'a) -> impl Iterator<Item = &'a MailboxName> {
        let named = match self {
            Allowed::Mailboxes(named) => Some(named),
            Allowed::All => None,
        };
        named.into_iter().flatten().filter(move |name| !known(name))
    }
}

/// What becomes of the part of a plan that deletes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rest {
    /// It is done.
    #[default]
    Done,
    /// It waits: a tree or an account that lost everything would look less empty in the next run, and its deletions small.
    Waits,
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
    /// How many there are; both without newer mail, where only so the limit is passed.
    pub of: u64,
    /// What becomes of all else.
    pub rest: Rest,
    /// Mailboxes that may lose their mail all the same: a person named them.
    #[serde(skip)]
    pub spared: BTreeSet<MailboxName>,
}

impl Refusal {
    /// Whether it keeps an action on `mailbox` from being done.
    #[must_use]
    pub fn stops(&self, mailbox: &MailboxName, action: &Action) -> bool {
        let loses = loss(action, self.side, self.rest);
        match self.rest {
            Rest::Waits => !(loses && self.spared.contains(mailbox)),
            Rest::Done => {
                loses && self.mailbox.as_ref().is_none_or(|name| name == mailbox) && !self.spared.contains(mailbox)
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { side, mailbox, deletions, of, rest, .. } = self;
        let place = match side {
            Side::Local => "in the local tree",
            Side::Remote => "on the server",
        };
        match (mailbox, deletions) {
            (None, 0) => write!(f, "all mailboxes would be removed {place}")?,
            (Some(name), _) => write!(f, "{name}: {deletions} of {of} messages would be deleted {place}")?,
            (None, _) => write!(f, "{deletions} of {of} messages of the account would be deleted {place}")?,
        }
        match rest {
            Rest::Done => Ok(()),
            Rest::Waits => f.write_str("; until that is decided nothing is done"),
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
/// A deletion removes a message from a side for good or to Trash; a mark is none, nor is a move: the plan brings the
/// same message to that side's other mailbox (the same content goes up or is found there, or one of the same size and INTERNALDATE comes
/// down). Per mailbox and side, `max` decides, for all messages and also for the older ones alone: those below the UIDNEXT
/// of the checkpoint, which no refusal moves on. So deletions that were refused do not pass later, when new mail has made
/// them few.
/// Per side as a whole, all of its deletions go when the *other* side has no mailbox at all (marks too, then: a tree or
/// an account that is missing altogether is no wish), when 5 or more deletions would leave nothing of the account, or
/// when they are beyond `max` as per cent. Where the server gave out new UIDs, it has what is linked anew, and has lost the
/// rest: one that lists an empty INBOX and nothing else has lost everything. In the first two cases the rest of the plan waits too ([`Rest::Waits`]).
/// What is allowed by name or altogether stays in either case.
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
        let mut arrivals = arrivals(&plan, local, remote, side);
        if side == Side::Remote {
            arrived_before(base, local, &mut arrivals);
        }
        let tally = Tally::of(&plan, base, side, arrivals, other_is_empty);
        let refuse = |mailbox, Share { deletions, of }, rest| Refusal {
            side,
            mailbox,
            deletions,
            of,
            rest,
            spared: named.clone(),
        };
        if let Some(rest) = tally.accident(max) {
            let loses = |actions: &[Action]| actions.iter().any(|a| loss(a, side, rest));
            let losing = plan.mailboxes.iter().filter(|(name, actions)| !named.contains(name) && loses(actions));
            let losing: Vec<_> =
                losing.map(|(name, _)| (name, tally.mailboxes.get(name).copied().unwrap_or_default())).collect();
            match losing.as_slice() {
                [] => {}
                [(name, shares)] if !other_is_empty => {
                    refusals.push(refuse(Some((*name).clone()), shares.telling(max), rest));
                }
                several => {
                    let deletions = several.iter().map(|(_, shares)| shares.all.deletions).sum();
                    let all = Share { deletions, ..tally.account.all };
                    let older = several.iter().map(|(_, shares)| shares.older.deletions).sum();
                    let older = Share { deletions: older, ..tally.account.older };
                    refusals.push(refuse(None, Shares { all, older }.telling(max), rest));
                }
            }
            continue;
        }
        let beyond = tally.mailboxes.into_iter().filter(|(name, shares)| shares.beyond(max) && !named.contains(name));
        refusals.extend(beyond.map(|(name, shares)| refuse(Some(name), shares.telling(max), Rest::Done)));
    }
    for (name, actions) in &mut plan.mailboxes {
        actions.retain(|action| !refusals.iter().any(|refusal| refusal.stops(name, action)));
    }
    plan.mailboxes.retain(|_, actions| !actions.is_empty());
    (ApprovedPlan(plan), refusals)
}

/// So many deletions out of so many messages.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    deletions: u64,
    of: u64,
}

impl Share {
    fn add(&mut self, other: Share) {
        self.deletions += other.deletions;
        self.of += other.of;
    }

    fn is_beyond(self, max: MaxDelete) -> bool {
        max.is_beyond(self.deletions, self.of)
    }
}

/// The deletions of all messages, and of those that were there when the mailbox was last in order.
#[derive(Debug, Clone, Copy, Default)]
struct Shares {
    all: Share,
    older: Share,
}

impl Shares {
    /// What stands in the mailbox before anything is deleted.
    fn of(mailbox: &BaseMailbox) -> Shares {
        let (all, older) = match &mailbox.links {
            // What was not read did not move on: nothing in it is new.
            None => (mailbox.link_count, mailbox.link_count),
            Some(links) => {
                let both = || links.values().filter(|l| l.presence == Presence::Both);
                let older = both().filter(|l| is_older(mailbox, l.uid)).count() as u64;
                let standing = mailbox.standing.len();
                (both().count() as u64 + standing, older + standing)
            }
        };
        Shares { all: Share { deletions: 0, of: all }, older: Share { deletions: 0, of: older } }
    }

    /// The same where the server gave out new UIDs: of the known messages it has those that are linked anew.
    fn found_again(actions: &[Action]) -> Shares {
        let of = actions.iter().filter(|action| matches!(action, Action::Link { .. })).count() as u64;
        Shares { all: Share { deletions: 0, of }, older: Share { deletions: 0, of } }
    }

    fn add(&mut self, other: Shares) {
        self.all.add(other.all);
        self.older.add(other.older);
    }

    fn beyond(&self, max: MaxDelete) -> bool {
        self.all.is_beyond(max) || self.older.is_beyond(max)
    }

    /// The one that tells why it is refused.
    fn telling(&self, max: MaxDelete) -> Share {
        if !self.all.is_beyond(max) && self.older.is_beyond(max) { self.older } else { self.all }
    }
}

/// Whether a message was there at the checkpoint, which is not recorded while anything of its mailbox is refused.
fn is_older(mailbox: &BaseMailbox, uid: Uid) -> bool {
    mailbox.remote.as_ref().and_then(|checkpoint| checkpoint.uid_next).is_none_or(|next| uid < next)
}

/// Adds the messages that a run which broke off had moved already, but for their deletion at the old place: they are
/// linked at the new one, and no checkpoint there knows of them yet.
fn arrived_before(base: &Base, local: &LocalView, arrivals: &mut Arrivals) {
    for (name, mailbox) in base {
        let Some(LocalMailbox::Listed(listing)) = local.mailboxes.get(name) else { continue };
        for link in mailbox.links.iter().flat_map(BTreeMap::values) {
            let is_here = link.presence == Presence::Both && listing.files.contains_key(&link.file);
            if is_here && !is_older(mailbox, link.uid) {
                *arrivals.entry(Trace::Content(link.digest)).or_default() += 1;
            }
        }
    }
}

/// What a plan would delete from a side.
struct Tally {
    /// Of each mailbox with deletions.
    mailboxes: BTreeMap<MailboxName, Shares>,
    account: Shares,
    /// The other side has no mailbox at all.
    marks_count: bool,
}

impl Tally {
    fn of(plan: &Plan, base: &Base, side: Side, mut arrivals: Arrivals, marks_count: bool) -> Tally {
        let mut tally = Tally { mailboxes: BTreeMap::new(), account: Shares::default(), marks_count };
        for (name, mailbox) in base {
            let actions = plan.mailboxes.get(name).map_or(&[][..], Vec::as_slice);
            let mut shares = Shares::of(mailbox);
            if side == Side::Local && actions.contains(&Action::ResetMailbox) {
                shares = Shares::found_again(actions);
            }
            let actions = actions.iter();
            for uid in actions.filter_map(|a| deleted(a, side, marks_count)).flat_map(UidSet::iter) {
                let link = mailbox.links.as_ref().and_then(|links| links.get(&uid));
                if link.is_some_and(|link| arrives(&mut arrivals, link, side)) {
                    continue;
                }
                // What an earlier run had to leave behind is no message of both sides any more.
                let left_behind = u64::from(link.is_some_and(|l| l.presence != Presence::Both));
                let one = Share { deletions: 1, of: left_behind };
                shares.all.add(one);
                if is_older(mailbox, uid) {
                    shares.older.add(one);
                }
            }
            tally.account.add(shares);
            if shares.all.deletions > 0 {
                tally.mailboxes.insert(name.clone(), shares);
            }
        }
        tally
    }

    /// What becomes of the rest, when the deletions look like an accident of the account as a whole.
    fn accident(&self, max: MaxDelete) -> Option<Rest> {
        let Share { deletions, of } = self.account.all;
        let everything = deletions >= EVERYTHING_FROM && deletions >= of;
        match max {
            MaxDelete::Unlimited => None,
            MaxDelete::Count(_) | MaxDelete::Percent(_) if self.marks_count || everything => Some(Rest::Waits),
            MaxDelete::Percent(_) if self.account.beyond(max) => Some(Rest::Done),
            MaxDelete::Count(_) | MaxDelete::Percent(_) => None,
        }
    }
}

/// How a message that left a mailbox is recognised in another.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trace {
    Content(Digest),
    SizeAndDate(u64, UnixSeconds),
}

type Arrivals = BTreeMap<Trace, u64>;

/// What the plan brings to `side`.
fn arrivals(plan: &Plan, local: &LocalView, remote: &RemoteView, side: Side) -> Arrivals {
    let mut arrivals = Arrivals::new();
    let mut add = |trace: Trace| *arrivals.entry(trace).or_default() += 1;
    for (name, action) in plan.actions() {
        match (action, local.mailboxes.get(name), remote.mailboxes.get(name)) {
            (
                Action::Upload { file, .. }
                | Action::Link { file, .. }
                | Action::Copy(Relocation { here: Here::File(file), .. }),
                Some(LocalMailbox::Listed(listing)),
                _,
            ) if side == Side::Remote => {
                if let Some(LocalContent::Known { content, .. }) = listing.files.get(file).map(|f| &f.content) {
                    add(Trace::Content(content.digest));
                }
            }
            (Action::Download { uids, .. }, _, Some(RemoteMailbox::Observed(listing))) if side == Side::Local => {
                for message in uids.iter().filter_map(|uid| listing.messages.get(&uid)) {
                    let trace = message.size.zip(message.internal_date);
                    trace.into_iter().for_each(|(size, date)| add(Trace::SizeAndDate(size, date)));
                }
            }
            _ => {}
        }
    }
    arrivals
}

/// Whether a message that is deleted on `side` comes to it elsewhere; each arrival counts once.
fn arrives(arrivals: &mut Arrivals, link: &Link, side: Side) -> bool {
    let trace = match side {
        Side::Local => Trace::SizeAndDate(link.size, link.internal_date),
        Side::Remote => Trace::Content(link.digest),
    };
    match arrivals.get_mut(&trace) {
        Some(left @ 1..) => {
            *left -= 1;
            true
        }
        Some(0) | None => false,
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

/// Whether the action takes mail, or a mailbox, from `side`; marks are a loss only where all of it is at stake.
fn loss(action: &Action, on: Side, rest: Rest) -> bool {
    let removal = matches!(action, Action::RemoveMailbox { side } if *side == on);
    removal || deleted(action, on, rest == Rest::Waits).is_some()
}
