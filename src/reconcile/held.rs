//! What left a mailbox for a place that nobody can look into now stays on the server, lest the tree hold the only copy of
//! it: for a mailbox that the server does not let us look into, and, on this side, for one that cannot be read, or as a
//! file that cannot. Of those nobody can tell which messages they hold, so that nothing missing counts as deleted. So does
//! what left for a mailbox that the server has not yet: the tree would hold the only copy of it until the next plan.
//!
//! What left the server for such a place goes from the tree all the same, and comes down again from there: unless it has a
//! twin, or flags that the server does not know of.

use std::collections::{BTreeMap, BTreeSet};

use super::Input;
use super::plan::{Action, Disposal, Here, Plan, Relocation, Side};
use super::view::{Direction, LocalContent, LocalMailbox, LocalView, Policy};
use crate::mail::{Digest, FileId, Flags, Link, MailboxName, Presence, Uid};

/// Takes the deletions of such messages out of the plan; the mailboxes they are in are unfinished.
pub(super) fn hold_back(input: &Input<'_>, plan: &mut Plan) {
    let (hides_some, is_dark) = (hides_some(input.local), input.has_dark_directories() || input.has_dark_mailboxes());
    if hides_some || is_dark {
        let alike = if is_dark { alike(input) } else { BTreeSet::new() };
        hold(input, plan, Side::Local, &|name, link, renamed| {
            // What was taken for a file that goes may be another's, whose own is out of sight.
            hides_some && renamed.is_some()
                || alike.contains(&link.digest)
                || is_dark && is_flagged_since(input, name, link, renamed)
        });
    }
    let open = open(input, plan);
    if hides_some || !open.is_empty() {
        let held = hold(input, plan, Side::Remote, &|_, link, _| hides_some || open.contains(&link.digest));
        // What only waits for the next plan needs no word.
        if hides_some || input.has_dark_mailboxes() {
            plan.held = held;
        }
    }
}

/// Whether a message of a mailbox stays, whose file may have another name now.
type Stays<'s> = dyn Fn(&MailboxName, &Link, Option<&FileId>) -> bool + 's;

/// Takes what `stays` out of the deletions on `side`; how many there were.
fn hold(input: &Input<'_>, plan: &mut Plan, side: Side, stays: &Stays<'_>) -> u64 {
    let mut held = 0;
    for (name, actions) in &mut plan.mailboxes {
        let Some(links) = input.base.get(name).and_then(|mailbox| mailbox.links.as_ref()) else { continue };
        let renamed: BTreeMap<Uid, FileId> = actions.iter().filter_map(renamed_of).collect();
        let is_kept = |uid: &Uid| links.get(uid).is_some_and(|link| stays(name, link, renamed.get(uid)));
        let mut kept = BTreeSet::new();
        for action in actions.iter_mut() {
            if let Action::Delete { side: of, uids, disposal: Disposal::Expunge | Disposal::Trash } = action
                && *of == side
            {
                let (stay, go): (Vec<Uid>, Vec<Uid>) = uids.iter().partition(is_kept);
                *uids = go.into_iter().collect();
                kept.extend(stay);
            }
        }
        if kept.is_empty() {
            continue;
        }
        held += kept.len() as u64;
        plan.unfinished.insert(name.clone());
        actions.retain(|action| match action {
            Action::Delete { uids, .. } => !uids.is_empty(),
            Action::Rename { uid, .. } if side == Side::Local => !kept.contains(uid),
            _ => true,
        });
    }
    held
}

fn renamed_of(action: &Action) -> Option<(Uid, FileId)> {
    match action {
        Action::Rename { uid, file } => Some((*uid, file.clone())),
        _ => None,
    }
}

/// Whether the file of a link has other flags than were agreed on.
fn is_flagged_since(input: &Input<'_>, name: &MailboxName, link: &Link, renamed: Option<&FileId>) -> bool {
    let Some(LocalMailbox::Listed(listing)) = input.local.mailboxes.get(name) else { return false };
    let Policy { direction, keywords, .. } = *input.policy;
    let differ = |here: &Flags| keywords.seen(here) != keywords.seen(&link.flags);
    let file = listing.files.get(renamed.unwrap_or(&link.file));
    direction == Direction::Both && file.is_some_and(|file| differ(&file.flags))
}

/// Whether a message that is missing may be somewhere in the tree all the same.
fn hides_some(local: &LocalView) -> bool {
    local.mailboxes.values().any(|mailbox| match mailbox {
        LocalMailbox::Unknown => true,
        LocalMailbox::Unchanged => false,
        LocalMailbox::Listed(listing) => listing.files.values().any(|file| file.content.is_unreadable()),
    })
}

/// Of which contents there are several messages, while a mailbox cannot be looked into on one side. One that is missing may
/// be there; without its file, another that moves there in the tree would be taken for it.
fn alike(input: &Input<'_>) -> BTreeSet<Digest> {
    let (mut once, mut alike) = (BTreeSet::new(), BTreeSet::new());
    let loaded = input.base.values().filter_map(|mailbox| mailbox.links.as_ref());
    for link in loaded.chain(input.relatives.values()).flat_map(BTreeMap::values) {
        if !once.insert(link.digest) {
            alike.insert(link.digest);
        }
    }
    alike
}

/// What files hold that were read, and of which the plan makes nothing: because the server does not let us look where they
/// are, or has no such mailbox yet, or because it is not clear what they are.
fn open(input: &Input<'_>, plan: &Plan) -> BTreeSet<Digest> {
    let mut open = BTreeSet::new();
    if !plan.actions().any(|(_, action)| matches!(action, Action::Delete { side: Side::Remote, .. })) {
        return open;
    }
    for (name, mailbox) in &input.local.mailboxes {
        let LocalMailbox::Listed(listing) = mailbox else { continue };
        let read = listing.files.iter().filter_map(|(id, file)| match &file.content {
            LocalContent::Known { content, .. } => Some((id, content.digest)),
            LocalContent::Unread | LocalContent::Unreadable(_) => None,
        });
        let mut new: BTreeMap<&FileId, Digest> = read.collect();
        if new.is_empty() {
            continue;
        }
        let actions = plan.mailboxes.get(name).map_or(&[][..], Vec::as_slice);
        let links = input.base.get(name).and_then(|known| known.links.as_ref());
        let linked = links.into_iter().flat_map(BTreeMap::values).filter(|l| l.presence != Presence::RemoteOnly);
        for file in actions.iter().filter_map(file_of).chain(linked.map(|link| &link.file)) {
            new.remove(file);
        }
        open.extend(new.into_values());
    }
    open
}

fn file_of(action: &Action) -> Option<&FileId> {
    match action {
        Action::Link { file, .. } | Action::Rename { file, .. } | Action::Upload { file, .. } => Some(file),
        Action::Move(Relocation { here: Here::File(file), .. }) => Some(file),
        Action::Copy(Relocation { here: Here::File(file), .. }) => Some(file),
        _ => None,
    }
}
