//! Mailboxes that have another name now: found before anything is decided, so that the decisions see one mailbox.
//!
//! | side | `from` was renamed to `to` when | |
//! | --- | --- | --- |
//! | server | `from` is not what it was, and `to` has its MAILBOXID (RFC 8474 §4) | where both have one |
//! | | … or its UIDVALIDITY, which no other has or had, or half of its UIDs; what UIDs it has are of the same size and INTERNALDATE | else |
//! | tree | `from` is gone or another directory, and `to`, not what it was, has at least half of its files | |
//! | | … or, when `from` had none, its directory's inode | |
//!
//! The other side follows when it still has `from`, and has no `to` of its own, or one that gets another name, too (of
//! mailboxes that swapped their names, or passed them round, the other side's do likewise). When both sides have renamed it
//! alike there is only something to record. In every other case ([`fits`]) nothing is renamed: messages move one by one,
//! without their bodies ([`super::relocate`]), and nothing is lost. INBOX is never renamed: RENAME leaves it and takes its
//! mail (RFC 3501 §6.3.5), which moves in the tree; and so does what goes with its directory, on the server. Under Pull the
//! server follows no rename, under Push the tree.
//!
//! Where the tree or the state is an older copy, nothing follows to a name that both sides have: one of them did already.
//! Nor for a name that another mailbox has by now.
//!
//! What one side does while the other renames a mailbox:
//!
//! | renamed on one side; the other side | both then have |
//! | --- | --- |
//! | renames it alike | the one name |
//! | renames it otherwise | both names, each with all of its mail |
//! | uses the new name for another mailbox | the new name, with the mail of both |
//! | removes it | the new name, with its mail |
//!
//! Where one of the two names cannot be looked into on the side that would follow, nothing is concluded about either, nor
//! about those whose names depend on them: what was done there meanwhile would be lost with the old name.
//!
//! Where the tree's other name is one that the server has given to another, the server's stands: a run that passes names
//! round and is cut off between two changes of place goes on so.
//!
//! A mailbox that takes the name of one that was removed has that name. What was in the removed one is deleted, by the
//! policy, where the tree says so; where the server does it stays, in the one of that name: there a removed mailbox looks
//! like one whose UIDs were started anew.

mod fits;

use std::collections::{BTreeMap, BTreeSet};

pub use fits::{is_along, ring_of};

use super::plan::Side;
use super::view::{Direction, TreeAge};
use crate::mail::{Base, BaseMailbox, FileId, Link, MailboxName, Presence, Uid, UidValidity, UnixSeconds};

/// A mailbox under its new name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// Its name when both sides last agreed on one.
    pub known: MailboxName,
    /// Its name so far on the side that follows: as known, or where the other side's names leave none for that.
    pub from: MailboxName,
    /// Its name from now on.
    pub to: MailboxName,
    /// The side that has to follow; `None` when both have done it.
    pub follows: Option<Side>,
}

/// What one side shows of a mailbox that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trace<T> {
    /// It is the one that was known under this name.
    Known,
    /// This was seen.
    Seen(T),
    /// It could not be looked into.
    Unknown,
}

/// What a mailbox directory is recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTrace<'a> {
    /// Inode of `cur`; 0 when not known.
    pub inode: u64,
    /// Its files.
    pub files: BTreeSet<&'a FileId>,
}

/// What a mailbox on the server is recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTrace<'a> {
    /// The generation of its UIDs.
    pub uid_validity: UidValidity,
    /// MAILBOXID.
    pub object_id: Option<&'a str>,
    /// All its messages by size and INTERNALDATE, where they were asked for.
    pub messages: BTreeMap<Uid, (Option<u64>, Option<UnixSeconds>)>,
}

/// What both sides show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traces<'a> {
    /// The directories there are.
    pub local: BTreeMap<&'a MailboxName, Trace<LocalTrace<'a>>>,
    /// The mailboxes the server has.
    pub remote: BTreeMap<&'a MailboxName, Trace<RemoteTrace<'a>>>,
    /// Whether what was known is what the last run left.
    pub age: TreeAge,
}

/// What became of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// In the order in which the other side is to follow.
    pub renamed: Vec<Renamed>,
    /// Mailboxes that the server has by another name, which the tree cannot follow to, while another has theirs. Only
    /// those with messages on both sides: what is to become of these is decided first.
    pub left: BTreeSet<MailboxName>,
    /// Mailboxes that the server has by a name of those, which are to make room first; and both names of those that a side may
    /// not follow to before it can be looked into. Nothing is concluded about these.
    pub waiting: BTreeSet<MailboxName>,
}

/// Finds the mailboxes of `base`, their links read, that have another name on either side.
#[must_use]
pub fn find(base: &Base, traces: &Traces<'_>, direction: Direction) -> Names {
    let mut on_server = on_server(base, traces);
    let mut in_tree = in_tree(base, traces);
    if traces.age == TreeAge::Older || base.values().any(BaseMailbox::is_older) {
        // Whoever has the new name on the other side has most likely followed already, and long ago where another mailbox
        // has the old name by now.
        on_server.retain(|from, to| !traces.local.contains_key(*to) && !traces.remote.contains_key(*from));
        in_tree.retain(|from, to| !traces.remote.contains_key(*to) && !traces.local.contains_key(*from));
    }
    let renamed = fits::only_possible(following(&on_server, &in_tree, traces, direction), traces);
    let renames = |name: &MailboxName| renamed.iter().any(|r| r.known == *name || r.to == *name);
    let is_shared = |name: &MailboxName| {
        base.get(name).is_some_and(|m| m.links.iter().flatten().any(|(_, l)| l.presence == Presence::Both))
    };
    let has_left = |name: &MailboxName| traces.remote.contains_key(name) && !renames(name) && is_shared(name);
    let left: BTreeSet<MailboxName> = match direction {
        Direction::Both | Direction::Pull => on_server.keys().copied().filter(|name| has_left(name)).cloned().collect(),
        Direction::Push => BTreeSet::new(),
    };
    let is_gone = |name: &MailboxName| !traces.remote.contains_key(name) && !renames(name);
    let waits = |(name, to): &(&&MailboxName, &&MailboxName)| left.contains(**to) && is_gone(name);
    let mut waiting: BTreeSet<MailboxName> = on_server.iter().filter(waits).map(|(name, _)| (*name).clone()).collect();
    waiting.extend(left.iter().filter(|name| waits_for_left(name, &left, &on_server, &in_tree)).cloned());
    let is_open = |name: &MailboxName| !renamed.iter().any(|r| r.known == *name);
    if direction != Direction::Push {
        waiting.extend(dark(on_server.into_iter().filter(|(name, _)| is_open(name)).collect(), &traces.local));
    }
    if direction != Direction::Pull {
        waiting.extend(dark(in_tree.into_iter().filter(|(name, _)| is_open(name)).collect(), &traces.remote));
    }
    Names { renamed, left, waiting }
}

/// Whether one of `left` has the name of another of them there: its messages move to it in the plan after that one's. Where
/// they wait for each other in a ring, one goes first: one whose directory has gone elsewhere, as far as there is one.
fn waits_for_left(
    name: &MailboxName,
    left: &BTreeSet<MailboxName>,
    on_server: &Pairs<'_>,
    in_tree: &Pairs<'_>,
) -> bool {
    let next = |name: &MailboxName| on_server.get(name).copied().filter(|to| left.contains(*to));
    let Some(second) = next(name) else { return false };
    let ring: Vec<&MailboxName> =
        std::iter::successors(Some(second), |at| next(at).filter(|_| *at != name)).take(left.len()).collect();
    let is_ring = ring.last().is_some_and(|last| *last == name);
    let first = ring.into_iter().filter(|_| is_ring).min_by_key(|name| (!in_tree.contains_key(name), *name));
    first != Some(name)
}

/// The names of those of `pairs` that a side may follow once it can be looked into, or once others have followed there.
fn dark<T>(mut pairs: Pairs<'_>, side: &BTreeMap<&MailboxName, Trace<T>>) -> BTreeSet<MailboxName> {
    let mut names = BTreeSet::new();
    let is_dark = |name: &MailboxName| matches!(side.get(name), Some(Trace::Unknown));
    loop {
        let is_held =
            |from: &MailboxName, to: &MailboxName| [from, to].iter().any(|n| is_dark(n) || names.contains(*n));
        let held: Vec<_> = pairs.extract_if(.., |from, to| is_held(from, to)).collect();
        if held.is_empty() {
            return names;
        }
        names.extend(held.into_iter().flat_map(|(from, to)| [from.clone(), to.clone()]));
    }
}

type Pairs<'a> = BTreeMap<&'a MailboxName, &'a MailboxName>;

/// What each side would do for the names that mailboxes have on the other.
fn following(on_server: &Pairs<'_>, in_tree: &Pairs<'_>, traces: &Traces<'_>, direction: Direction) -> Vec<Renamed> {
    // Of a name that another mailbox has now, there is nothing to follow with.
    let is_taken = |pairs: &Pairs<'_>, name: &MailboxName| pairs.values().any(|to| *to == name);
    let mut renamed = Vec::new();
    let mut follow = |known: &MailboxName, from: &MailboxName, to: &MailboxName, follows| {
        if !from.is_below(to) && !to.is_below(from) {
            renamed.push(Renamed { known: known.clone(), from: from.clone(), to: to.clone(), follows });
        }
    };
    let tree_follows = |name: &MailboxName| is_whole(&traces.local, name) && direction != Direction::Push;
    for (known, to) in on_server.iter().filter(|(known, _)| !known.is_inbox()) {
        match in_tree.get(known) {
            // A run was cut off while it passed names round there. Its directory may have been removed since, and another
            // have its name by now.
            None if to.is_aside() && is_taken(in_tree, known) => follow(known, known, to, None),
            also if to.is_aside() && direction != Direction::Pull => {
                follow(known, to, also.unwrap_or(known), Some(Side::Remote));
            }
            Some(also) if also == to => follow(known, known, to, None),
            // Two changed places in the tree, as a run does that passes names round and is cut off; or somebody did.
            Some(place) if is_taken(on_server, place) && tree_follows(place) => {
                follow(known, place, to, Some(Side::Local));
            }
            None if !is_taken(in_tree, known) && tree_follows(known) => follow(known, known, to, Some(Side::Local)),
            Some(_) | None => {}
        }
    }
    for (known, to) in in_tree {
        let stands = !on_server.contains_key(known) && is_whole(&traces.remote, known) && direction != Direction::Pull;
        if stands && !is_taken(on_server, to) && !is_taken(on_server, known) {
            follow(known, known, to, Some(Side::Remote));
        }
    }
    renamed
}

/// Who became whom on one side; each name is taken once. `left` are those that are not what they were.
fn pairs<'a, T>(
    base: &'a Base,
    left: &BTreeSet<&MailboxName>,
    is_now: &dyn Fn(&BaseMailbox, &MailboxName) -> bool,
    names: &BTreeMap<&'a MailboxName, T>,
) -> Pairs<'a> {
    let mut taken = BTreeSet::new();
    let mut pairs = Pairs::new();
    for (from, mailbox) in base.iter().filter(|(from, _)| left.contains(from)) {
        let is_free = |to: &MailboxName| to != from && !to.is_inbox() && !taken.contains(to);
        if let Some(to) = names.keys().find(|to| is_free(to) && is_now(mailbox, to)) {
            taken.insert(*to);
            pairs.insert(from, *to);
        }
    }
    pairs
}

/// Whether a side has the mailbox and could look into it.
fn is_whole<T>(side: &BTreeMap<&MailboxName, Trace<T>>, name: &MailboxName) -> bool {
    matches!(side.get(name), Some(Trace::Known | Trace::Seen(_)))
}

fn on_server<'a>(base: &'a Base, traces: &Traces<'a>) -> Pairs<'a> {
    let has_left = |name: &MailboxName| match (traces.remote.get(name), base.get(name).and_then(|b| b.remote.as_ref()))
    {
        (None, _) | (Some(Trace::Seen(_)), None) => true,
        (Some(Trace::Known | Trace::Unknown), _) => false,
        (Some(Trace::Seen(now)), Some(then)) => !then.is_of(now.uid_validity, now.object_id),
    };
    // A run that was cut off may have begun with what is there now.
    let begun = |to: &MailboxName| base.get(to).and_then(|b| b.remote.as_ref()).is_some_and(|c| c.uid_next.is_none());
    let left = base.keys().filter(|name| has_left(name)).collect();
    let is_now = |mailbox: &BaseMailbox, to: &MailboxName| {
        let Some(Trace::Seen(trace)) = traces.remote.get(to) else { return false };
        let only = || is_only(base, traces, trace.uid_validity);
        (has_left(to) || begun(to)) && is_same(mailbox, trace, &only)
    };
    pairs(base, &left, &is_now, &traces.remote)
}

/// Whether one mailbox had this UIDVALIDITY, and one has it now: it is no number that the server gives to many.
fn is_only(base: &Base, traces: &Traces<'_>, uid_validity: UidValidity) -> bool {
    let known = base.values().filter(|m| m.remote.as_ref().is_some_and(|c| c.uid_validity == uid_validity));
    let is_it = |trace: &&Trace<RemoteTrace<'_>>| matches!(trace, Trace::Seen(t) if t.uid_validity == uid_validity);
    known.count() == 1 && traces.remote.values().filter(is_it).count() == 1
}

/// Whether a mailbox on the server is the one that was known.
fn is_same(known: &BaseMailbox, trace: &RemoteTrace<'_>, is_only: &dyn Fn() -> bool) -> bool {
    let Some(checkpoint) = &known.remote else { return false };
    if let (Some(id), Some(now)) = (checkpoint.object_id.as_deref(), trace.object_id) {
        return id == now && checkpoint.uid_validity == trace.uid_validity;
    }
    if checkpoint.uid_validity != trace.uid_validity {
        return false;
    }
    let links: Vec<_> = links(known, Presence::LocalOnly).collect();
    let agrees = |link: &&&Link, size: Option<u64>, date: Option<UnixSeconds>| {
        size.is_none_or(|size| size == link.size) && date.is_none_or(|date| date == link.internal_date)
    };
    let there: Vec<_> = links.iter().filter_map(|l| trace.messages.get(&l.uid).map(|(s, d)| (l, *s, *d))).collect();
    let all_agree = there.iter().all(|(link, size, date)| agrees(link, *size, *date));
    all_agree && (is_most(there.len(), links.len()) || is_only())
}

fn in_tree<'a>(base: &'a Base, traces: &Traces<'a>) -> Pairs<'a> {
    let has_left = |name: &MailboxName| match (traces.local.get(name), base.get(name)) {
        (None, _) | (Some(Trace::Seen(_)), None) => true,
        (Some(Trace::Known | Trace::Unknown), _) => false,
        (Some(Trace::Seen(now)), Some(then)) => !has_inode(then, now.inode) && !is_directory_of(then, now),
    };
    let left: BTreeSet<_> = base.keys().filter(|name| !name.is_inbox() && has_left(name)).collect();
    let is_now = |mailbox: &BaseMailbox, to: &MailboxName| {
        let Some(Trace::Seen(trace)) = traces.local.get(to) else { return false };
        (left.contains(to) || !base.contains_key(to)) && is_directory_of(mailbox, trace)
    };
    pairs(base, &left, &is_now, &traces.local)
}

/// Whether a directory is that of a mailbox that was known.
fn is_directory_of(known: &BaseMailbox, trace: &LocalTrace<'_>) -> bool {
    let (of, there) =
        files(known).fold((0, 0), |(of, there), file| (of + 1, there + usize::from(trace.files.contains(file))));
    if of == 0 {
        return trace.files.is_empty() && has_inode(known, trace.inode);
    }
    is_most(there, of)
}

/// Whether the directory under a mailbox's name is, as it seems, still its own: its inode tells, or a file that is there.
pub fn is_still(known: &BaseMailbox, inode: u64, is_there: impl Fn(&FileId) -> bool) -> bool {
    has_inode(known, inode) || files(known).next().is_none() || files(known).any(is_there)
}

/// Whether it is the directory that was there when the mailbox was last in order.
pub fn has_inode(known: &BaseMailbox, inode: u64) -> bool {
    let agreed = known.local.map(|check| check.inode).filter(|inode| *inode != 0);
    agreed == Some(inode)
}

/// The files that a mailbox's directory had.
fn files(known: &BaseMailbox) -> impl Iterator<Item = &FileId> {
    links(known, Presence::RemoteOnly).map(|link| &link.file)
}

fn links(mailbox: &BaseMailbox, without: Presence) -> impl Iterator<Item = &Link> {
    mailbox.links.iter().flat_map(BTreeMap::values).filter(move |link| link.presence != without)
}

fn is_most(there: usize, of: usize) -> bool {
    there > 0 && 2 * there >= of
}
