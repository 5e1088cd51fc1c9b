//! Two messages of one content that came to one mailbox, one on each side, out of different places.
//!
//! What is new on both sides of a mailbox with one content is one message. When it left another mailbox on both sides as
//! well, it is one that both sides moved. But where the file left one link and the server's copy another, two messages
//! have moved here, and to take them for one would lose a copy.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Input;
use super::super::delta::{Delta, LocalSide};
use super::super::plan::{Action, Plan, Side};
use super::super::view::{Direction, LocalContent, LocalMailbox, RemoteMailbox, TreeAge};
use super::cut_off::{forgotten, put_flags};
use super::flags::Flagged;
use super::{departing, file_of, started_anew};
use crate::mail::{Digest, FileId, FlagChange, Intent, MailboxName, Presence, Uid, UidSet};

/// Lets both of such a pair follow to the other side.
pub(super) fn part(input: &Input<'_>, plan: &mut Plan) {
    // With an older copy, nothing is deleted on the server for a file that is missing: to take them for one loses none.
    if input.policy.direction != Direction::Both || input.local.age == TreeAge::Older {
        return;
    }
    let (from_server, from_tree) = (contents(input, plan, Side::Remote), contents(input, plan, Side::Local));
    let hidden = hidden(input);
    let mut pairs: BTreeMap<Digest, usize> = BTreeMap::new();
    for digest in from_server.keys().chain(from_tree.keys()) {
        let of = |contents: &BTreeMap<Digest, usize>| contents.get(digest).copied().unwrap_or(0);
        let (there, here) = (of(&from_server), of(&from_tree));
        let dark = of(&hidden);
        pairs.insert(*digest, there.min(here + dark).max(here.min(there + dark)));
    }
    pairs.retain(|_, n| *n > 0);
    let left_behind = left_on_server(input, plan);
    if pairs.is_empty() && left_behind.is_empty() {
        return;
    }
    let mut moved_on_both: BTreeMap<Digest, usize> = BTreeMap::new();
    for (_, link) in forgotten(input, plan) {
        *moved_on_both.entry(link.digest).or_default() += 1;
    }
    let stayed = stayed(input);
    let mut links = Vec::new();
    for (name, action) in plan.actions() {
        let Action::Link { uid, file, .. } = action else { continue };
        let Some((digest, _)) = file_of(input, name, file) else { continue };
        // What was there before has not come: a message left on the server, a file whose UIDs were started anew.
        let was_there = is_kept(input, name, *uid) || stayed.contains(&(name, file));
        if is_ours(input, name, *uid, file) {
            // It stands for one of those: we moved it there.
            moved_on_both.entry(digest).and_modify(|left| *left = left.saturating_sub(1));
        } else if !was_there {
            links.push((name, *uid, file, digest));
        }
    }
    let mut parted = Vec::new();
    for (name, uid, file, digest) in links {
        if left_behind.contains(&(file, digest)) {
            pairs.entry(digest).and_modify(|left| *left = left.saturating_sub(1));
            parted.push((name.clone(), uid, file.clone()));
            continue;
        }
        match (moved_on_both.get_mut(&digest), pairs.get_mut(&digest)) {
            (Some(left @ 1..), _) => *left -= 1,
            (_, Some(left @ 1..)) => {
                *left -= 1;
                parted.push((name.clone(), uid, file.clone()));
            }
            (Some(_) | None, Some(_) | None) => {}
        }
    }
    parted.into_iter().for_each(|(name, uid, file)| both_go(input, plan, &name, uid, file));
}

/// Takes back the link of such a pair where the two may have come out of mailboxes that nothing is decided in now: whether
/// they are two or one that both sides moved, a later plan sees.
pub(super) fn wait(input: &Input<'_>, plan: &mut Plan) {
    if input.policy.direction != Direction::Both {
        return;
    }
    let mut new = Vec::new();
    for (name, action) in plan.actions() {
        let Action::Link { uid, file, .. } = action else { continue };
        let its = file_of(input, name, file).filter(|_| !is_ours(input, name, *uid, file));
        new.extend(its.map(|(digest, _)| (name.clone(), *uid, digest)));
    }
    if new.is_empty() {
        return;
    }
    let unsure = may_be_two(input, plan);
    let unsure = new.into_iter().filter(|(_, _, digest)| unsure.contains(digest));
    for (name, uid, _) in unsure {
        take_apart(plan, &name, uid);
        plan.unfinished.insert(name);
    }
}

/// Contents of which the file of one message may be missing where nothing is decided, and the server's copy of another.
fn may_be_two(input: &Input<'_>, plan: &Plan) -> BTreeSet<Digest> {
    let open = |name: &MailboxName| is_dark(input, name) || plan.mailboxes.get(name).is_none_or(Vec::is_empty);
    let mut gone: BTreeMap<Digest, [BTreeSet<(&MailboxName, Uid)>; 2]> = BTreeMap::new();
    for (name, mailbox) in input.base.iter().filter(|(name, _)| open(name)) {
        let (local, remote) = (LocalSide::of(input.local, name, Some(mailbox)), input.remote_side(name));
        let links = mailbox.links.iter().flat_map(BTreeMap::values);
        for link in links.filter(|link| link.presence == Presence::Both) {
            let is_gone = [local.delta(link) == Delta::Gone, remote.delta(link) == Delta::Gone];
            if is_gone.contains(&true) {
                let places = gone.entry(link.digest).or_default().iter_mut().zip(is_gone);
                places.filter(|(_, gone)| *gone).for_each(|(places, _)| _ = places.insert((name, link.uid)));
            }
        }
    }
    let are_two =
        |[here, there]: &[BTreeSet<_>; 2]| !here.is_empty() && !there.is_empty() && here.union(there).nth(1).is_some();
    gone.into_iter().filter(|(_, places)| are_two(places)).map(|(digest, _)| digest).collect()
}

/// Files, by name, that left a link whose message still stands on the server: what came there elsewhere is not that one.
pub(super) fn left_on_server<'a>(input: &'a Input<'_>, plan: &Plan) -> BTreeSet<(&'a FileId, Digest)> {
    departing(input, plan, Side::Remote).map(|link| (&link.file, link.digest)).collect()
}

/// How often each content is to leave `side`.
pub(super) fn contents(input: &Input<'_>, plan: &Plan, side: Side) -> BTreeMap<Digest, usize> {
    let mut contents = BTreeMap::new();
    departing(input, plan, side).for_each(|link| *contents.entry(link.digest).or_default() += 1);
    contents
}

/// How many messages of each content may have gone unseen from mailboxes that could not be looked into.
fn hidden(input: &Input<'_>) -> BTreeMap<Digest, usize> {
    let mut hidden = BTreeMap::new();
    let dark = input.base.iter().filter(|(name, _)| is_dark(input, name));
    for link in dark.flat_map(|(_, mailbox)| mailbox.links.iter().flat_map(BTreeMap::values)) {
        *hidden.entry(link.digest).or_default() += 1;
    }
    hidden
}

fn is_dark(input: &Input<'_>, name: &MailboxName) -> bool {
    match (input.local.mailboxes.get(name), input.remote.mailboxes.get(name)) {
        (Some(LocalMailbox::Unknown), _) | (_, Some(RemoteMailbox::Unknown)) => true,
        (Some(LocalMailbox::Listed(listing)), _) => listing.files.values().any(|f| f.content.is_unreadable()),
        (Some(LocalMailbox::Unchanged) | None, _) => false,
    }
}

/// Files of mailboxes whose UIDs were started anew, as far as they had a link.
fn stayed<'a>(input: &'a Input<'_>) -> BTreeSet<(&'a MailboxName, &'a FileId)> {
    let anew = input.base.iter().filter(|(name, base)| started_anew(input.remote_side(name), Some(base)));
    let links = anew.flat_map(|(name, base)| base.links.iter().flat_map(BTreeMap::values).map(move |l| (name, l)));
    links.filter(|(_, link)| link.presence != Presence::RemoteOnly).map(|(name, link)| (name, &link.file)).collect()
}

/// Whether the message was kept when its file was deleted.
fn is_kept(input: &Input<'_>, name: &MailboxName, uid: Uid) -> bool {
    let kept = input.link(name, uid).is_some_and(|link| link.presence == Presence::RemoteOnly);
    kept && !started_anew(input.remote_side(name), input.base.get(name))
}

/// Whether we brought one of the two there: a run broke off before it was recorded.
pub(super) fn is_ours(input: &Input<'_>, name: &MailboxName, uid: Uid, file: &FileId) -> bool {
    // A message that was there before we began is another's.
    let is_since = |intent: &Intent| intent.uid_next.is_none_or(|next| uid >= next);
    let mut intents = input.intents.get(name).into_iter().flatten();
    let begun = intents.any(|intent| intent.file == *file && is_since(intent));
    let origin = match input.local.mailboxes.get(name) {
        Some(LocalMailbox::Listed(listing)) => listing.files.get(file).and_then(|f| match &f.content {
            LocalContent::Known { origin, .. } => *origin,
            LocalContent::Unread | LocalContent::Unreadable(_) => None,
        }),
        Some(LocalMailbox::Unchanged | LocalMailbox::Unknown) | None => None,
    };
    let here = |id| input.ids.get(name) == Some(&id);
    begun || origin.is_some_and(|o| o.account == input.account && here(o.mailbox) && o.uid == uid)
}

/// The file goes up and the message comes down, as far as anything is known of them: without their bodies.
fn both_go(input: &Input<'_>, plan: &mut Plan, name: &MailboxName, uid: Uid, file: FileId) {
    let Some((_, here)) = file_of(input, name, &file) else { return };
    let size = match input.remote.mailboxes.get(name) {
        Some(RemoteMailbox::Observed(listing)) => listing.messages.get(&uid).and_then(|m| m.size),
        Some(RemoteMailbox::Unchanged | RemoteMailbox::Unknown) | None => None,
    };
    let permanent = input.remote_side(name).permanent();
    let flags = permanent.storable(&Flagged { input, permanent: &permanent }.seen(here));
    take_apart(plan, name, uid);
    let Some(actions) = plan.mailboxes.get_mut(name) else { return };
    let octets = size.unwrap_or_default();
    actions.push(Action::Upload { file, flags, octets });
    let down = actions.iter_mut().find_map(|action| match action {
        Action::Download { uids, octets } => Some((uids, octets)),
        _ => None,
    });
    match down {
        Some((uids, all)) => {
            uids.insert(uid);
            *all = all.saturating_add(octets);
        }
        None => {
            let uids: UidSet = [uid].into_iter().collect();
            actions.push(Action::Download { uids, octets });
        }
    }
}

/// Takes the link of a message out of the plan, and what was to be done to its flags.
fn take_apart(plan: &mut Plan, name: &MailboxName, uid: Uid) {
    let Some(actions) = plan.mailboxes.get_mut(name) else { return };
    [Side::Local, Side::Remote].into_iter().for_each(|side| put_flags(actions, uid, side, FlagChange::default()));
    for action in actions.iter_mut() {
        if let Action::Agree { uids, .. } = action {
            *uids = uids.iter().filter(|other| *other != uid).collect();
        }
    }
    actions.retain(|action| match action {
        Action::Link { uid: linked, .. } => *linked != uid,
        Action::Agree { uids, .. } => !uids.is_empty(),
        _ => true,
    });
}
