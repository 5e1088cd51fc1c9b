//! Identity across mailboxes: what left one mailbox and came to another, or came to a second one, is one message.
//!
//! Works on a plan in which every mailbox is decided by itself, and replaces transfers by moves and copies that need no
//! body:
//!
//! | the plan says | and | it becomes |
//! | --- | --- | --- |
//! | upload to B | delete from A on the server, same content | the server moves it from A to B |
//! | upload to B | any message on the server has this content | the server copies it to B |
//! | download in B | delete the file in A, same message | the file moves from A to B |
//! | download in B | any linked file is the same message | the file is linked into B |
//! | download in B and in C | same EMAILID | one download; the other is linked |
//!
//! A file is the same message as a link when their contents are equal. A UID is, when the EMAILID is that of the link
//! (RFC 8474 §5.1: the server's word that the content is the same), else when Message-ID, size and INTERNALDATE are, and
//! only this UID (or UIDs of one EMAILID) and only one content come into question. When in doubt it is transferred, and both ends are the same.
//!
//! Deletions that are not repeated (marked or kept copies) leave their message where it is, so what came elsewhere is a
//! copy of it. A message gone from a mailbox on both sides is nobody's source; what came elsewhere on one side is
//! transferred, so a move wins over a deletion, and of two moves to different places both happen.
//!
//! What one side does while the other moves a message:
//!
//! | moved on one side; the other side | both then have it |
//! | --- | --- |
//! | changes its flags | at its new place, with the flags of both |
//! | deletes it | at its new place |
//! | moves it to the same place | there, once |
//! | moves it elsewhere | at both places |
//! | copies it | at its new place, and where the copy is |
//! | moves another of the same content there | both are there |
//!
//! Without UIDPLUS a move on the server is a copy and a deletion, each at its time: an EXPUNGE may hit what others marked.
//! Nothing of it goes to Trash.
//!
//! The flags of what moved merge as those of any message do, between the agreed ones and what both ends have now; so do
//! those at every place, where it came to several. A copy of what stays is a message of its own: it has the flags that it
//! was made with.
//!
//! A run that is cut off after the effect and before the fact leaves something new on both sides, which is linked. Then
//! the link that is gone from both sides, with the same content, tells which flags had been agreed on. What such a run left
//! at its old place on the server may be flagged there before the next one deletes it: these flags come along.

mod cut_off;
mod dark;
mod flags;
mod inbox;
mod known;
mod left;
mod twins;

use std::collections::{BTreeMap, BTreeSet};

use flags::Flagged;
use known::Known;

use super::Input;
use super::delta::{Delta, LocalSide, RemoteSide};
use super::plan::{Action, Disposal, Plan, Relocation, Side};
use super::view::{Expunge, LocalContent, LocalMailbox, RemoteMailbox, RemoteMessage};
use crate::mail::{BaseMailbox, Digest, FileId, Flags, Link, MailboxName, Presence, Uid, UidSet};

/// Replaces transfers by moves and copies.
pub(super) fn relocate(input: &Input<'_>, plan: &mut Plan) {
    left::wait_for_names(input, plan);
    cut_off::keep_returned(input, plan);
    cut_off::keep_twins(input, plan);
    twins::part(input, plan);
    twins::wait(input, plan);
    dark::wait(input, plan);
    on_server(input, plan);
    in_tree(input, plan);
    cut_off::remembered(input, plan);
    left::keep_arrived(input, plan);
    left::wait_for_left(input, plan);
}

/// Lets flags follow what an earlier run brought elsewhere, now that the plan deletes nothing but what really goes; and
/// puts everything in order.
pub(super) fn take_along(input: &Input<'_>, plan: &mut Plan) {
    cut_off::take_along(input, plan);
    for actions in plan.mailboxes.values_mut() {
        actions.sort_by(|a, b| a.phase().cmp(&b.phase()).then_with(|| a.cmp(b)));
    }
}

/// A linked message that is where a relocation can take it from, with the flags it has there.
#[derive(Clone, Copy)]
struct Source<'a> {
    mailbox: &'a MailboxName,
    link: &'a Link,
    flags: &'a Flags,
    left: Left,
}

/// Whether a message's file has left it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Yes,
    No,
}

impl Source<'_> {
    fn place(&self) -> (MailboxName, Uid) {
        (self.mailbox.clone(), self.link.uid)
    }
}

/// Every link with its mailbox: those of mailboxes that moved on, and the relatives in those that did not.
fn links<'a>(input: &'a Input<'_>) -> impl Iterator<Item = (&'a MailboxName, Option<&'a BaseMailbox>, &'a Link)> {
    let loaded = input.base.iter().flat_map(|(name, mailbox)| {
        mailbox.links.iter().flat_map(BTreeMap::values).map(move |link| (name, Some(mailbox), link))
    });
    let relatives = input.relatives.iter().flat_map(|(name, links)| {
        let mailbox = input.base.get(name);
        links.values().map(move |link| (name, mailbox, link))
    });
    loaded.chain(relatives)
}

/// Tells of links whether their file is gone from where they are, and no other is to stand for it. So it is, too, where
/// nothing is decided because a file beside it cannot be read.
fn leavers<'a>(
    input: &'a Input<'_>,
    plan: &Plan,
) -> impl Fn(&MailboxName, Option<&BaseMailbox>, &Link) -> Left + use<'a> {
    let mut found = BTreeSet::new();
    for (name, action) in plan.actions() {
        if let Action::Rename { uid, .. } | Action::Link { uid, .. } = action {
            found.insert((name.clone(), *uid));
        }
    }
    move |name, base, link| match LocalSide::of(input.local, name, base) {
        LocalSide::Unknown => Left::No,
        local if local.delta(link) != Delta::Gone || link.presence != Presence::Both => Left::No,
        _ if found.contains(&(name.clone(), link.uid)) => Left::No,
        LocalSide::Absent | LocalSide::Unchanged | LocalSide::Listed(_) => Left::Yes,
    }
}

/// Whether the server started the mailbox's UIDs anew, so that its links are dropped.
fn started_anew(remote: RemoteSide<'_>, base: Option<&BaseMailbox>) -> bool {
    let agreed = base.and_then(|b| b.remote.as_ref()).map(|c| c.uid_validity);
    remote.uid_validity().is_some_and(|now| agreed != Some(now))
}

/// What the plan deletes from `side`, and does not leave there marked.
fn departures(plan: &Plan, side: Side) -> BTreeSet<(MailboxName, Uid)> {
    let mut departures = BTreeSet::new();
    for (name, action) in plan.actions() {
        if let Action::Delete { side: s, uids, disposal: Disposal::Expunge | Disposal::Trash } = action
            && *s == side
        {
            departures.extend(uids.iter().map(|uid| (name.clone(), uid)));
        }
        // It is here as well as out there.
        if let (Action::MovedOut { uids, .. }, Side::Remote) = (action, side) {
            departures.extend(uids.iter().map(|uid| (name.clone(), uid)));
        }
    }
    departures
}

/// The links of what [`departures`] names.
fn departing<'a>(input: &'a Input<'_>, plan: &Plan, side: Side) -> impl Iterator<Item = &'a Link> + use<'a> {
    departures(plan, side).into_iter().filter_map(|(name, uid)| input.link(&name, uid))
}

/// Takes messages that move out of the deletions of their mailbox.
fn spare(plan: &mut Plan, moved: &BTreeSet<(MailboxName, Uid)>, side: Side) {
    for (name, actions) in &mut plan.mailboxes {
        for action in actions.iter_mut() {
            if let Action::Delete { side: s, uids, disposal: Disposal::Expunge | Disposal::Trash } = action
                && *s == side
            {
                *uids = uids.iter().filter(|uid| !moved.contains(&(name.clone(), *uid))).collect();
            }
            if let (Action::MovedOut { uids, .. }, Side::Remote) = (&mut *action, side) {
                *uids = uids.iter().filter(|uid| !moved.contains(&(name.clone(), *uid))).collect();
            }
        }
        let is_empty = |action: &Action| match action {
            Action::Delete { uids, .. } | Action::MovedOut { uids, .. } => uids.is_empty(),
            _ => false,
        };
        actions.retain(|action| !is_empty(action));
    }
}

/// How a source gets to its second place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It leaves its old place for this one.
    Move,
    /// It leaves its old place, for this one among others: which of them is the copy, nothing tells. Or only its file
    /// has left, and nothing is decided where it was.
    Spread,
    /// It stays where it is.
    Copy,
}

impl Way {
    fn action(self, relocation: Relocation) -> Action {
        match self {
            Way::Move => Action::Move(relocation),
            Way::Spread | Way::Copy => Action::Copy(relocation),
        }
    }
}

/// Which sources are still to be had: each one moves once at most, and may be copied any number of times.
struct Supply {
    departing: BTreeSet<(MailboxName, Uid)>,
    /// Those of them that have moved.
    taken: BTreeSet<(MailboxName, Uid)>,
}

impl Supply {
    fn new(departing: BTreeSet<(MailboxName, Uid)>) -> Self {
        Supply { departing, taken: BTreeSet::new() }
    }

    /// Whether a message departs from another mailbox than `to`, and has not moved yet.
    fn has(&self, to: &MailboxName, source: &Source<'_>) -> bool {
        source.mailbox != to && self.departing.contains(&source.place()) && !self.taken.contains(&source.place())
    }

    /// One of `sources`: one that departs from another mailbox comes first. What is marked comes last: a run that was cut
    /// off has moved it already, and left the mark.
    fn take<'a>(&mut self, to: &MailboxName, sources: &[Source<'a>]) -> Option<(Source<'a>, Way)> {
        let is_marked = |s: &&Source<'a>| s.flags.is_trashed();
        if let Some(source) = sources.iter().filter(|s| self.has(to, s)).min_by_key(is_marked).copied() {
            self.taken.insert(source.place());
            return Some((source, Way::Move));
        }
        // What went from this very mailbox is back: it went elsewhere and returned since the last run.
        let is_gone = |s: &&Source<'a>| self.departing.contains(&s.place());
        let source = sources.iter().min_by_key(|s| (is_marked(s), !is_gone(s), s.left == Left::No))?;
        Some((*source, if is_gone(&source) || source.left == Left::Yes { Way::Spread } else { Way::Copy }))
    }
}

/// Files that came to a mailbox: the server follows.
fn on_server(input: &Input<'_>, plan: &mut Plan) {
    let mut wanted: BTreeMap<Digest, Vec<Source<'_>>> = BTreeMap::new();
    for (name, action) in plan.actions() {
        if let Action::Upload { file, .. } = action
            && let Some((digest, _)) = file_of(input, name, file)
        {
            wanted.entry(digest).or_default();
        }
    }
    if wanted.is_empty() {
        return;
    }
    let left = leavers(input, plan);
    for (name, base, link) in links(input).filter(|(_, _, link)| link.presence != Presence::LocalOnly) {
        let Some(sources) = wanted.get_mut(&link.digest) else { continue };
        let remote = input.remote_side(name);
        let standing = remote.delta(link).now(link).filter(|_| !started_anew(remote, base));
        let left = left(name, base, link);
        sources.extend(standing.map(|flags| Source { mailbox: name, link, flags, left }));
    }
    let mut supply = Supply::new(departures(plan, Side::Remote));
    for (name, actions) in &mut plan.mailboxes {
        let permanent = input.remote_side(name).permanent();
        for action in actions.iter_mut() {
            let Action::Upload { file, octets, .. } = &*action else { continue };
            let Some((digest, here)) = file_of(input, name, file) else { continue };
            let sources = wanted.get(&digest).map_or(&[][..], Vec::as_slice);
            // What goes from another mailbox under this name is that one: of INBOX's all is to come back.
            let goes = sources.iter().any(|source| source.link.file == *file && supply.has(name, source));
            let brought =
                inbox::brought(input, sources, file).filter(|source| !goes && supply.taken.insert(source.place()));
            let taken = brought.map(|source| (source, Way::Move)).or_else(|| supply.take(name, sources));
            let Some((source, way)) = taken else { continue };
            let relocation = Flagged { input, permanent: &permanent }.to_server(way, source, file, here, *octets);
            *action = match input.policy.expunge {
                Expunge::Named => way.action(relocation),
                Expunge::WholeMailbox => Action::Copy(relocation),
            };
        }
    }
    match input.policy.expunge {
        Expunge::Named => {
            spare(plan, &supply.taken, Side::Remote);
            inbox::spare(input, plan, &supply.taken);
        }
        Expunge::WholeMailbox => keep_out_of_trash(plan, &supply.taken),
    }
}

/// Deletes what moved from its old place, where that is a deletion, without a copy in Trash.
fn keep_out_of_trash(plan: &mut Plan, moved: &BTreeSet<(MailboxName, Uid)>) {
    for (name, actions) in &mut plan.mailboxes {
        let mut expunged = UidSet::new();
        for action in actions.iter_mut() {
            if let Action::Delete { side: Side::Remote, uids, disposal: Disposal::Trash } = action {
                let (left, deleted) = uids.iter().partition(|uid| moved.contains(&(name.clone(), *uid)));
                (expunged, *uids) = (left, deleted);
            }
        }
        actions.retain(|action| !matches!(action, Action::Delete { uids, .. } if uids.is_empty()));
        for action in actions.iter_mut() {
            if let Action::Delete { side: Side::Remote, uids, disposal: Disposal::Expunge } = action {
                uids.extend(std::mem::take(&mut expunged).iter());
            }
        }
        if !expunged.is_empty() {
            actions.push(Action::Delete { side: Side::Remote, uids: expunged, disposal: Disposal::Expunge });
        }
    }
}

/// What a file holds that is to go up, and its flags.
fn file_of<'a>(input: &'a Input<'_>, name: &MailboxName, file: &FileId) -> Option<(Digest, &'a Flags)> {
    let Some(LocalMailbox::Listed(listing)) = input.local.mailboxes.get(name) else { return None };
    let found = listing.files.get(file)?;
    match &found.content {
        LocalContent::Known { content, .. } => Some((content.digest, &found.flags)),
        LocalContent::Unread | LocalContent::Unreadable(_) => None,
    }
}

/// Messages that came to a mailbox on the server: the tree follows.
fn in_tree(input: &Input<'_>, plan: &mut Plan) {
    let Some(known) = Known::gather(input, plan, || known::with_file(input, plan)) else { return };
    let mut supply = Supply::new(departures(plan, Side::Local));
    let mut first: BTreeMap<(&str, Option<u64>), (MailboxName, Uid, &Flags)> = BTreeMap::new();
    for (name, actions) in &mut plan.mailboxes {
        let permanent = input.remote_side(name).permanent();
        let flagged = Flagged { input, permanent: &permanent };
        let mut relocations = Vec::new();
        for action in actions.iter_mut() {
            let here = downloads(input, name, action).collect::<Vec<_>>();
            let Action::Download { uids, octets } = action else { continue };
            let mut found = UidSet::new();
            for (uid, message) in here {
                let relocation = match supply.take(name, &known.sources(message)) {
                    Some((source, way)) => way.action(flagged.to_tree(way, source, uid, message)),
                    None => {
                        let Some(id) = message.email_id.as_deref() else { continue };
                        match first.get(&(id, message.size)) {
                            Some((from, first, flags)) => {
                                Action::Copy(flagged.arrived(from, *first, flags, uid, message))
                            }
                            None => {
                                first.insert((id, message.size), (name.clone(), uid, &message.flags));
                                continue;
                            }
                        }
                    }
                };
                found.insert(uid);
                *octets = octets.saturating_sub(message.size.unwrap_or_default());
                relocations.push(relocation);
            }
            *uids = uids.iter().filter(|uid| !found.contains(*uid)).collect();
        }
        actions.retain(|action| !matches!(action, Action::Download { uids, .. } if uids.is_empty()));
        actions.append(&mut relocations);
    }
    spare(plan, &supply.taken, Side::Local);
}

/// The messages of a download as observed.
fn downloads<'a>(
    input: &'a Input<'_>,
    name: &MailboxName,
    action: &Action,
) -> impl Iterator<Item = (Uid, &'a RemoteMessage)> + use<'a> {
    let listing = match input.remote.mailboxes.get(name) {
        Some(RemoteMailbox::Observed(listing)) => Some(listing),
        Some(RemoteMailbox::Unchanged | RemoteMailbox::Unknown) | None => None,
    };
    let uids = match action {
        Action::Download { uids, .. } => uids.clone(),
        _ => UidSet::new(),
    };
    let uids: Vec<Uid> = uids.iter().collect();
    uids.into_iter().filter_map(move |uid| Some((uid, listing?.messages.get(&uid)?)))
}
