//! Which renames a side can follow, and in which order.
//!
//! A server renames what is below a mailbox along with it (RFC 3501 §6.3.5), as a nested tree does. So a mailbox is renamed
//! only when everything below it leaves it, too: along with it, or for a place of its own elsewhere. And only onto a free
//! name with nothing below it; two that swap their names, and what is below them, are in each other's way.

use super::super::plan::Side;
use super::{Renamed, Traces};
use crate::mail::MailboxName;

/// Drops renames that cannot be carried out, until all that are left can.
pub(super) fn only_possible(renamed: &mut Vec<Renamed>, traces: &Traces<'_>) {
    loop {
        let possible = |r: &Renamed| match r.follows {
            None => true,
            Some(Side::Local) => is_possible(r, renamed, &traces.local.keys().copied().collect::<Vec<_>>()),
            Some(Side::Remote) => is_possible(r, renamed, &traces.remote.keys().copied().collect::<Vec<_>>()),
        };
        let kept: Vec<Renamed> = renamed.iter().filter(|r| possible(r)).cloned().collect();
        if kept.len() == renamed.len() {
            return;
        }
        *renamed = kept;
    }
}

/// Whether `r` can be carried out on a side that has the mailboxes `names`, among `all` renames.
fn is_possible(r: &Renamed, all: &[Renamed], names: &[&MailboxName]) -> bool {
    let goes_to = |name: &MailboxName| {
        all.iter().find(|other| other.follows == r.follows && other.from == *name).map(|other| &other.to)
    };
    let back = all.iter().find(|other| other.follows == r.follows && other.from == r.to && other.to == r.from);
    let back = back.filter(|_| r.follows == Some(Side::Local));
    names.iter().all(|name| {
        if *name == &r.to {
            back.is_some()
        } else if name.is_below(&r.to) {
            back.is_some_and(|back| goes_to(name).is_some_and(|to| is_along(back, name, to)))
        } else if name.is_below(&r.from) {
            let leaves = |to: &MailboxName| !to.is_below(&r.from) && !to.is_below(&r.to);
            goes_to(name).is_some_and(|to| is_along(r, name, to) || leaves(to))
        } else {
            true
        }
    })
}

/// Whether a mailbox below `r.from` goes to the place below `r.to` that a rename of `r` takes it to.
fn is_along(r: &Renamed, from: &MailboxName, to: &MailboxName) -> bool {
    let rest = |name: &MailboxName, above: &MailboxName| {
        name.is_below(above).then(|| name.path().get(above.path().len()..).map(str::to_owned)).flatten()
    };
    rest(from, &r.from).is_some_and(|below| rest(to, &r.to) == Some(below))
}

/// What has to be out of the way, or in its place, comes first.
pub(super) fn in_order(renamed: Vec<Renamed>) -> Vec<Renamed> {
    let (mut left, mut ordered) = (renamed, Vec::new());
    while !left.is_empty() {
        let free = left.iter().position(|r| !left.iter().any(|other| waits_for(r, other)));
        ordered.push(left.remove(free.unwrap_or(0)));
    }
    ordered
}

fn waits_for(r: &Renamed, other: &Renamed) -> bool {
    let comes_along = is_along(other, &r.from, &r.to);
    let is_in_the_way = other.from.is_below(&r.from) && !is_along(r, &other.from, &other.to);
    let same_side = r.follows == other.follows;
    same_side && (comes_along || is_in_the_way || r.to.is_below(&other.from) || r.to.is_below(&other.to))
}
