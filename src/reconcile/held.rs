//! What left a mailbox for a place that nobody can look into now stays on the server, lest the tree hold the only copy of
//! it: for a mailbox that the server does not let us look into, and, on this side, for one that cannot be read, or as a
//! file that cannot. Of those nobody can tell which messages they hold, so that nothing missing counts as deleted.
//!
//! What left the server for such a place goes from the tree all the same, and comes down again from there: unless it has a
//! twin.

use std::collections::{BTreeMap, BTreeSet};

use super::Input;
use super::plan::{Action, Disposal, Plan, Side};
use super::view::{LocalContent, LocalMailbox, LocalView, RemoteMailbox, RemoteView};
use crate::mail::{Digest, Uid};

/// Takes the deletions of such messages out of the plan; the mailboxes they are in are unfinished.
pub(super) fn hold_back(input: &Input<'_>, plan: &mut Plan) {
    let out_of_reach = out_of_reach(input.local, input.remote);
    let hides_some = hides_some(input.local);
    let alike = alike(input);
    if out_of_reach.is_empty() && !hides_some && alike.is_empty() {
        return;
    }
    for (name, actions) in &mut plan.mailboxes {
        let Some(links) = input.base.get(name).and_then(|mailbox| mailbox.links.as_ref()) else { continue };
        let renamed: BTreeSet<Uid> = actions.iter().filter_map(renamed_of).collect();
        let is_of = |uid, all: &BTreeSet<Digest>| links.get(&uid).is_some_and(|link| all.contains(&link.digest));
        let mut files = BTreeSet::new();
        for action in actions.iter_mut() {
            let Action::Delete { side, uids, disposal: Disposal::Expunge | Disposal::Trash } = action else { continue };
            let stays = |uid: &Uid| match side {
                // What was taken for its file may be another's, whose own is out of sight.
                Side::Local => hides_some && renamed.contains(uid) || is_of(*uid, &alike),
                Side::Remote => hides_some || is_of(*uid, &out_of_reach),
            };
            let (stay, go): (Vec<Uid>, Vec<Uid>) = uids.iter().partition(stays);
            if stay.is_empty() {
                continue;
            }
            plan.unfinished.insert(name.clone());
            match side {
                Side::Local => files.extend(stay),
                Side::Remote => plan.held += stay.len() as u64,
            }
            *uids = go.into_iter().collect();
        }
        actions.retain(|action| match action {
            Action::Delete { uids, .. } => !uids.is_empty(),
            _ => renamed_of(action).is_none_or(|uid| !files.contains(&uid)),
        });
    }
}

fn renamed_of(action: &Action) -> Option<Uid> {
    match action {
        Action::Rename { uid, .. } => Some(*uid),
        _ => None,
    }
}

/// Whether a message that is missing may be somewhere in the tree all the same.
fn hides_some(local: &LocalView) -> bool {
    local.mailboxes.values().any(|mailbox| match mailbox {
        LocalMailbox::Unknown => true,
        LocalMailbox::Unchanged => false,
        LocalMailbox::Listed(listing) => listing.files.values().any(|file| file.content == LocalContent::Unreadable),
    })
}

/// Of which contents there are several messages, while a mailbox cannot be looked into on one side. One that is missing may
/// be there; without its file, another that moves there in the tree would be taken for it.
fn alike(input: &Input<'_>) -> BTreeSet<Digest> {
    let is_dark = input.remote.mailboxes.values().any(|mailbox| *mailbox == RemoteMailbox::Unknown)
        || input.local.mailboxes.values().any(|mailbox| *mailbox == LocalMailbox::Unknown);
    if !is_dark {
        return BTreeSet::new();
    }
    let (mut once, mut alike) = (BTreeSet::new(), BTreeSet::new());
    let loaded = input.base.values().filter_map(|mailbox| mailbox.links.as_ref());
    for link in loaded.chain(input.relatives.values()).flat_map(BTreeMap::values) {
        if !once.insert(link.digest) {
            alike.insert(link.digest);
        }
    }
    alike
}

/// What new files hold in mailboxes that the server has and that could not be looked into.
fn out_of_reach(local: &LocalView, remote: &RemoteView) -> BTreeSet<Digest> {
    let unknown = remote.mailboxes.iter().filter(|(_, mailbox)| matches!(mailbox, RemoteMailbox::Unknown));
    let listings = unknown.filter_map(|(name, _)| match local.mailboxes.get(name) {
        Some(LocalMailbox::Listed(listing)) => Some(listing),
        Some(LocalMailbox::Unchanged | LocalMailbox::Unknown) | None => None,
    });
    let digests = listings.flat_map(|listing| listing.files.values()).filter_map(|file| match &file.content {
        LocalContent::Known { content, .. } => Some(content.digest),
        LocalContent::Unread | LocalContent::Unreadable => None,
    });
    digests.collect()
}
