//! Files of a mailbox that the server has by another name ([`Input::left`]), whose message came to the one that has its
//! name there: the plan cannot speak of both, so the file stays and loses its link, and the next plan finds it again.
//!
//! What a message is known by is what it is known by without its body. Where that errs, a deleted message comes back.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Input;
use super::super::plan::{Action, Disposal, Plan, Side};
use super::super::view::{LocalContent, LocalMailbox, RemoteListing, RemoteMailbox, RemoteMessage};
use super::known::{Key, key_of};
use super::started_anew;
use crate::mail::{FileId, Link, MailboxName, Uid, UidSet};

/// Has them wait until no directory gets another name, or goes, in the same plan: the tree may follow to their own names
/// then. A run that is cut off between the deletion of a file and its record would have the next one follow, find the file
/// missing, and delete its message.
pub(super) fn wait_for_names(input: &Input<'_>, plan: &mut Plan) {
    if input.names.left.is_empty() {
        return;
    }
    for (name, actions) in &mut plan.mailboxes {
        let before = actions.len();
        actions.retain(|action| !matches!(action, Action::RemoveMailbox { side: Side::Local }));
        if actions.len() < before {
            plan.unfinished.insert(name.clone());
        }
    }
    // One that cannot be looked into may get its own name in a later plan.
    if input.names.renamed.is_empty() && !input.has_dark_directories() {
        return;
    }
    for (name, actions) in &mut plan.mailboxes {
        // Nor is what the server may have of them under another name looked after before.
        if input.names.left.contains(name) || started_anew(input.remote_side(name), input.base.get(name)) {
            actions.clear();
            plan.unfinished.insert(name.clone());
        }
    }
}

/// Has those wait whose name there is one of these (the plan that looks at what has it now takes them along), and those
/// whose name cannot be followed to yet; and what came to them, where it came from.
pub(super) fn wait_for_left(input: &Input<'_>, plan: &mut Plan) {
    for name in &input.names.waiting {
        for action in plan.mailboxes.remove(name).into_iter().flatten() {
            if let Action::Move(relocation) = action {
                plan.unfinished.insert(relocation.from);
            }
        }
        plan.unfinished.insert(name.clone());
    }
}

/// Lets such files stay, as many as messages came; those that a plan before this one let stay are of them.
pub(super) fn keep_arrived(input: &Input<'_>, plan: &mut Plan) {
    for name in &input.names.left {
        let links = input.base.get(name).and_then(|b| b.links.as_ref());
        let (Some(links), Some(RemoteMailbox::Observed(listing))) = (links, input.remote.mailboxes.get(name)) else {
            continue;
        };
        let (mut called, mut alike) = (BTreeMap::<&str, usize>::new(), BTreeMap::<Key, usize>::new());
        for message in but_for_unlinked(input, name, links, listing) {
            message.email_id.iter().for_each(|id| *called.entry(id).or_default() += 1);
            key_of(message).into_iter().for_each(|key| *alike.entry(key).or_default() += 1);
        }
        let mut stays = |uid: Uid| {
            let left = links.get(&uid).and_then(|link| match (link.email_id.as_deref(), link.message_id) {
                (Some(id), _) => called.get_mut(id),
                (None, Some(id)) => alike.get_mut(&(link.size, link.internal_date, id)),
                (None, None) => None,
            });
            left.filter(|left| **left > 0).map(|left| *left -= 1).is_some()
        };
        let Some(actions) = plan.mailboxes.get_mut(name) else { continue };
        let mut kept = UidSet::new();
        for action in actions.iter_mut() {
            if let Action::Delete { side: Side::Local, uids, disposal: Disposal::Expunge | Disposal::Trash } = action {
                let (stay, go): (Vec<Uid>, Vec<Uid>) = uids.iter().partition(|uid| stays(*uid));
                *uids = go.into_iter().collect();
                stay.into_iter().for_each(|uid| kept.insert(uid));
            }
        }
        actions.retain(|action| !matches!(action, Action::Delete { uids, .. } if uids.is_empty()));
        if !kept.is_empty() {
            actions.push(Action::Forget { uids: kept });
        }
    }
}

/// The messages of a listing but for those that a file without a link may be.
fn but_for_unlinked<'a>(
    input: &Input<'a>,
    name: &MailboxName,
    links: &BTreeMap<Uid, Link>,
    listing: &'a RemoteListing,
) -> Vec<&'a RemoteMessage> {
    let mut messages: Vec<&RemoteMessage> = listing.messages.values().collect();
    let Some(LocalMailbox::Listed(local)) = input.local.mailboxes.get(name) else { return messages };
    let linked: BTreeSet<&FileId> = links.values().map(|link| &link.file).collect();
    for (_, file) in local.files.iter().filter(|(id, _)| !linked.contains(id)) {
        let LocalContent::Known { content, modified, .. } = &file.content else { continue };
        let may_be = |message: &&RemoteMessage| {
            message.size == Some(content.wire_size)
                && match message.message_id {
                    Some(id) => content.message_id == Some(id),
                    None => message.internal_date == Some(*modified),
                }
        };
        messages.iter().position(may_be).into_iter().for_each(|at| _ = messages.swap_remove(at));
    }
    messages
}
