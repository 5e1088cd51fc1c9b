//! Which renames a side can follow, and in which order.
//!
//! A server renames what is below a mailbox along with it (RFC 3501 §6.3.5), as a nested tree does. So a mailbox is renamed
//! only when everything below it leaves it, too: along with it, or for a place of its own elsewhere. And only onto a free
//! name with nothing below it, or one that is left before. Names may also be passed round: in the tree two directories
//! change places in one step, and any ring of them does in one step less than it has names; on a server the first one
//! stands aside ([`MailboxName::aside`]) until all others have theirs.

use super::super::plan::Side;
use super::{Renamed, Traces};
use crate::mail::MailboxName;

/// Drops renames that cannot be carried out, until all that are left can; gives them in the order to follow.
pub(super) fn only_possible(mut renamed: Vec<Renamed>, traces: &Traces<'_>) -> Vec<Renamed> {
    loop {
        let possible = |r: &Renamed| match r.follows {
            None => true,
            Some(Side::Local) => is_possible(r, &renamed, &traces.local.keys().copied().collect::<Vec<_>>()),
            Some(Side::Remote) => is_possible(r, &renamed, &traces.remote.keys().copied().collect::<Vec<_>>()),
        };
        let kept: Vec<Renamed> = renamed.iter().filter(|r| possible(r)).cloned().collect();
        let all_fit = kept.len() == renamed.len();
        renamed = kept;
        if all_fit {
            let (ordered, stuck) = in_order(&renamed);
            // One at a time: without it the others may fit, and rings before single ones.
            let is_single = |r: &&Renamed| ring_of(r, &renamed).is_empty();
            let Some(left_out) = stuck.iter().find(is_single).or(stuck.first()) else { return ordered };
            renamed.retain(|r| r != left_out);
        }
    }
}

/// Whether `r` can be carried out on a side that has the mailboxes `names`, among `all` renames.
fn is_possible(r: &Renamed, all: &[Renamed], names: &[&MailboxName]) -> bool {
    let of = |name: &MailboxName| all.iter().find(|other| other.follows == r.follows && other.from == *name);
    let leaves_its_place = of(&r.to).is_some();
    names.iter().all(|name| {
        if *name == &r.to || name.is_below(&r.to) {
            // How it leaves is looked at where what it is below does.
            leaves_its_place && of(name).is_some()
        } else if name.is_below(&r.from) {
            let leaves = |to: &MailboxName| !to.is_below(&r.from) && !to.is_below(&r.to);
            of(name).is_some_and(|other| is_along(r, name, &other.to) || leaves(&other.to))
        } else {
            true
        }
    })
}

/// Whether a mailbox below `r.from` goes to the place below `r.to` that a rename of `r` takes it to.
#[must_use]
pub fn is_along(r: &Renamed, from: &MailboxName, to: &MailboxName) -> bool {
    let rest = |name: &MailboxName, above: &MailboxName| {
        name.is_below(above).then(|| name.path().get(above.path().len()..).map(str::to_owned)).flatten()
    };
    rest(from, &r.from).is_some_and(|below| rest(to, &r.to) == Some(below))
}

/// What has to be out of the way, or in its place, comes first; those of a ring, together. Gives also those
/// that would wait for each other forever.
fn in_order(renamed: &[Renamed]) -> (Vec<Renamed>, Vec<Renamed>) {
    let (mut left, mut ordered) = (renamed.to_vec(), Vec::new());
    let together = |r: &Renamed| match ring_of(r, renamed) {
        ring if ring.is_empty() => vec![r.clone()],
        ring => ring.into_iter().cloned().collect(),
    };
    while !left.is_empty() {
        let may_go = |all: &Vec<Renamed>| {
            all.iter().all(|r| !left.iter().any(|other| !all.contains(other) && waits_for(r, other)))
        };
        let Some(next) = left.iter().map(together).find(may_go) else { break };
        left.retain(|r| !next.contains(r));
        ordered.extend(next);
    }
    (ordered, left)
}

/// The renames in which a side passes names round, `r` first; none where the last of these names is free.
#[must_use]
pub fn ring_of<'a>(r: &Renamed, all: &'a [Renamed]) -> Vec<&'a Renamed> {
    let after =
        |name: &MailboxName| all.iter().find(|o| o.from == *name && o.follows == r.follows && o.follows.is_some());
    let mut ring: Vec<&Renamed> = after(&r.from).filter(|first| *first == r).into_iter().collect();
    while let Some(last) = ring.last().filter(|last| last.to != r.from) {
        match after(&last.to) {
            Some(next) if ring.len() < all.len() => ring.push(next),
            _ => return Vec::new(),
        }
    }
    ring
}

fn waits_for(r: &Renamed, other: &Renamed) -> bool {
    let comes_along = is_along(other, &r.from, &r.to);
    let is_in_the_way = other.from.is_below(&r.from) && !is_along(r, &other.from, &other.to);
    let has_its_place = other.from == r.to || r.to.is_below(&other.from);
    let same_side = r.follows.is_some() && r.follows == other.follows;
    same_side && r != other && (comes_along || is_in_the_way || has_its_place || r.to.is_below(&other.to))
}
