//! What a run left that was cut off after the effect of a move and before its fact: something new on both sides, which is
//! linked, and a link elsewhere whose message is gone from both.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Input;
use super::super::delta::LocalSide;
use super::super::plan::{Action, Plan, Side};
use super::super::view::{Direction, LocalMailbox, RemoteMailbox};
use super::flags::Flagged;
use super::twins::{contents, is_ours, left_on_server};
use super::{Left, departures, file_of, leavers, links, spare, started_anew};
use crate::mail::{Digest, FileId, FlagChange, Flags, Link, MailboxName, Presence, SystemFlag, Uid};

/// Links of both sides that the plan drops, because their message is on neither.
pub(super) fn forgotten<'a>(input: &'a Input<'_>, plan: &Plan) -> Vec<(MailboxName, &'a Link)> {
    let mut links = Vec::new();
    for (name, action) in plan.actions() {
        let Action::Forget { uids } = action else { continue };
        let known = input.base.get(name).and_then(|b| b.links.as_ref());
        let both = uids.iter().filter_map(|uid| known?.get(&uid)).filter(|l| l.presence == Presence::Both);
        links.extend(both.map(|link| (name.clone(), link)));
    }
    links
}

/// Lets a file stay that was taken for the renamed file of such a link: the link's own file is where it moved to.
///
/// Which of the two is the copy, nothing tells any more; so none is deleted. The same where the file may be that of a
/// message which goes from the server because its own file is gone: it may have moved back here meanwhile, and both the
/// last file and the last message would be deleted, each for the other's sake. One that has the very name of the file that
/// is missing there is that one, however many others of its content have gone.
pub(super) fn keep_twins(input: &Input<'_>, plan: &mut Plan) {
    let mut arrived = contents(input, plan, Side::Remote);
    // What a run brought to a mailbox has not left that one.
    let mut brought: BTreeMap<(MailboxName, Digest), usize> = BTreeMap::new();
    for (name, action) in plan.actions() {
        if let Action::Link { uid, file, .. } = action
            && let Some((digest, _)) = file_of(input, name, file)
        {
            *arrived.entry(digest).or_default() += 1;
            if is_ours(input, name, *uid, file) {
                *brought.entry((name.clone(), digest)).or_default() += 1;
            }
        }
    }
    for (_, link) in forgotten(input, plan) {
        arrived.entry(link.digest).and_modify(|n| *n = n.saturating_sub(1));
    }
    let left_behind = left_on_server(input, plan);
    let mut twins: Vec<(MailboxName, Uid, FileId)> = Vec::new();
    for (name, actions) in &plan.mailboxes {
        let goes = |uid: Uid| {
            actions.iter().any(|a| matches!(a, Action::Delete { side: Side::Local, uids, .. } if uids.contains(uid)))
        };
        for action in actions {
            let Action::Rename { uid, file } = action else { continue };
            let Some((digest, _)) = file_of(input, name, file).filter(|_| goes(*uid)) else { continue };
            let here = brought.get(&(name.clone(), digest)).copied().unwrap_or(0);
            let left = arrived.get_mut(&digest).filter(|left| **left > here);
            if left.is_some() || left_behind.contains(&(file, digest)) {
                left.into_iter().for_each(|left| *left -= 1);
                twins.push((name.clone(), *uid, file.clone()));
            }
        }
    }
    for (name, uid, file) in twins {
        keep(input, plan, &name, uid, file);
    }
}

/// Lets a file stay that goes because its message went, while another message goes because that very file is missing where
/// it was: it came here under the name that a link was left with, and only one of them is that link's own. The link is
/// dropped, and the next plan finds a new file, and a message that it is. A directory that has not changed got no file, and
/// would not be looked into then; and what came elsewhere, as a new file, has not come here.
pub(super) fn keep_returned(input: &Input<'_>, plan: &mut Plan) {
    let link = |(name, uid): &(MailboxName, Uid)| input.link(name, *uid);
    let missing = departures(plan, Side::Remote).into_iter();
    let mut missing: BTreeMap<(&FileId, Digest), (MailboxName, Uid)> =
        missing.filter_map(|place| Some((link(&place).map(|l| (&l.file, l.digest))?, place))).collect();
    if missing.is_empty() {
        return;
    }
    let (mut files, mut messages) = (BTreeSet::new(), BTreeSet::new());
    let mut unexplained = contents(input, plan, Side::Remote);
    for (name, action) in plan.actions() {
        if let Action::Upload { file, .. } = action
            && let Some((digest, _)) = file_of(input, name, file)
        {
            unexplained.entry(digest).and_modify(|n| *n = n.saturating_sub(1));
        }
    }
    let is_listed = |name: &MailboxName| matches!(input.local.mailboxes.get(name), Some(LocalMailbox::Listed(_)));
    for place in departures(plan, Side::Local).into_iter().filter(|(name, _)| is_listed(name)) {
        let Some(link) = link(&place) else { continue };
        let Some(left @ 1..) = unexplained.get_mut(&link.digest) else { continue };
        if let Some(message) = missing.remove(&(&link.file, link.digest)) {
            *left -= 1;
            files.insert(place);
            messages.insert(message);
        }
    }
    spare(plan, &files, Side::Local);
    spare(plan, &messages, Side::Remote);
    for (name, uid) in &files {
        if let Some(actions) = plan.mailboxes.get_mut(name) {
            actions.push(Action::Forget { uids: [*uid].into_iter().collect() });
        }
    }
    plan.unfinished.extend(files.into_iter().chain(messages).map(|(name, _)| name));
}

/// The link is dropped, and its supposed file is a new one.
fn keep(input: &Input<'_>, plan: &mut Plan, name: &MailboxName, uid: Uid, file: FileId) {
    let Some(actions) = plan.mailboxes.get_mut(name) else { return };
    actions.retain(|action| !matches!(action, Action::Rename { uid: other, .. } if *other == uid));
    for action in actions.iter_mut() {
        if let Action::Delete { side: Side::Local, uids, .. } = action {
            *uids = uids.iter().filter(|other| *other != uid).collect();
        }
    }
    actions.retain(|action| !matches!(action, Action::Delete { uids, .. } if uids.is_empty()));
    actions.push(Action::Forget { uids: [uid].into_iter().collect() });
    let size = input.link(name, uid).map(|link| link.size);
    let here = file_of(input, name, &file).map(|(_, flags)| flags);
    // Where the server has another mailbox of this name, the next plan looks whether it is there.
    let sends = input.policy.direction != Direction::Pull && !input.names.left.contains(name);
    if let Some((octets, here)) = size.zip(here).filter(|_| sends) {
        let permanent = input.remote_side(name).permanent();
        let flags = permanent.storable(&Flagged { input, permanent: &permanent }.seen(here));
        actions.push(Action::Upload { file, flags, octets });
    }
}

/// Merges the flags of messages newly linked, and gone from another mailbox on both sides, against those agreed on there.
///
/// One that a run brought there, and could not record, may still stand where its file left it: what changed in its flags
/// there since comes along.
pub(super) fn remembered(input: &Input<'_>, plan: &mut Plan) {
    let mut lost: BTreeMap<Digest, Vec<&Link>> = BTreeMap::new();
    for (_, link) in forgotten(input, plan) {
        lost.entry(link.digest).or_default().push(link);
    }
    let late = late(input, plan);
    if lost.is_empty() && late.is_empty() {
        return;
    }
    for (name, actions) in &mut plan.mailboxes {
        let intents = input.intents.get(name).map_or(&[][..], Vec::as_slice);
        let permanent = input.remote_side(name).permanent();
        let Some(RemoteMailbox::Observed(listing)) = input.remote.mailboxes.get(name) else { continue };
        let flagged = Flagged { input, permanent: &permanent };
        let mut changes = Vec::new();
        for action in actions.iter_mut() {
            let Action::Link { uid, file, flags } = action else { continue };
            let Some((digest, here)) = file_of(input, name, file) else { continue };
            if intents.iter().any(|i| i.file == *file) {
                let Some((late, message)) = late.get(&digest).zip(listing.messages.get(uid)) else { continue };
                let (local, remote) = flagged.merged_with(late, flags, here, &message.flags);
                changes.push((*uid, local, remote));
                continue;
            }
            let link = lost.get_mut(&digest).and_then(Vec::pop);
            let Some((link, message)) = link.zip(listing.messages.get(uid)) else { continue };
            let (agreed, local, remote) = flagged.merged(&link.flags, here, &message.flags);
            *flags = agreed;
            changes.push((*uid, local, remote));
        }
        for (uid, local, remote) in changes {
            put_flags(actions, uid, Side::Local, local);
            put_flags(actions, uid, Side::Remote, remote);
        }
    }
}

/// What changed on the server, by content, in the flags of messages that their file has left, where only one is it. A mark
/// does not count: it may be ours.
fn late(input: &Input<'_>, plan: &Plan) -> BTreeMap<Digest, FlagChange> {
    let mut late: BTreeMap<Digest, Vec<FlagChange>> = BTreeMap::new();
    if input.intents.is_empty() || input.policy.direction != Direction::Both {
        return BTreeMap::new();
    }
    let left = leavers(input, plan);
    for (name, base, link) in links(input).filter(|(name, base, link)| left(name, *base, link) == Left::Yes) {
        let remote = input.remote_side(name);
        let standing = remote.delta(link).now(link).filter(|_| !started_anew(remote, base));
        late.entry(link.digest).or_default().extend(standing.map(|flags| since(link, flags)));
    }
    let only = |(digest, mut changes): (Digest, Vec<FlagChange>)| {
        let change = changes.pop().filter(|change| changes.is_empty() && !change.is_empty())?;
        Some((digest, change))
    };
    late.into_iter().filter_map(only).collect()
}

fn since(link: &Link, flags: &Flags) -> FlagChange {
    let mut change = link.flags.change_to(flags);
    change.add.system.remove(SystemFlag::Trashed);
    change
}

/// Does the same for what was recorded at its new place before the run was cut off, and is deleted at its old one now. Of
/// that, nothing tells but the name that its file has kept.
pub(super) fn take_along(input: &Input<'_>, plan: &mut Plan) {
    if input.policy.direction != Direction::Both {
        return;
    }
    let mut late: BTreeMap<(&FileId, Digest), FlagChange> = BTreeMap::new();
    for (name, uid) in departures(plan, Side::Remote) {
        let Some(link) = input.link(&name, uid) else { continue };
        let change = input.remote_side(&name).delta(link).now(link).map(|flags| since(link, flags));
        late.extend(change.filter(|change| !change.is_empty()).map(|change| ((&link.file, link.digest), change)));
    }
    if late.is_empty() {
        return;
    }
    for (name, mailbox) in input.base {
        let (local, remote) = (LocalSide::of(input.local, name, Some(mailbox)), input.remote_side(name));
        let standing = mailbox.links.iter().flat_map(BTreeMap::values).filter(|l| l.presence == Presence::Both);
        for link in standing.filter(|_| !started_anew(remote, Some(mailbox))) {
            let flags = local.delta(link).now(link).zip(remote.delta(link).now(link));
            let Some((late, (here, there))) = late.get(&(&link.file, link.digest)).zip(flags) else { continue };
            let permanent = remote.permanent();
            let flagged = Flagged { input, permanent: &permanent };
            let (here, there) = flagged.merged_with(late, &link.flags, here, there);
            let actions = plan.mailboxes.entry(name.clone()).or_default();
            put_flags(actions, link.uid, Side::Local, here);
            put_flags(actions, link.uid, Side::Remote, there);
        }
    }
}

/// Plans this change of a message's flags on `side`, and no other.
pub(super) fn put_flags(actions: &mut Vec<Action>, uid: Uid, side: Side, change: FlagChange) {
    for action in actions.iter_mut() {
        if let Action::SetFlags { side: s, uids, .. } = action
            && *s == side
        {
            *uids = uids.iter().filter(|other| *other != uid).collect();
        }
    }
    actions.retain(|action| !matches!(action, Action::SetFlags { uids, .. } if uids.is_empty()));
    if change.is_empty() {
        return;
    }
    let same = actions.iter_mut().find_map(|action| match action {
        Action::SetFlags { side: s, uids, change: c } if *s == side && *c == change => Some(uids),
        _ => None,
    });
    match same {
        Some(uids) => uids.insert(uid),
        None => actions.push(Action::SetFlags { side, uids: [uid].into_iter().collect(), change }),
    }
}
