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
use crate::mail::Digest;

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
        for action in actions.iter_mut() {
            let Action::Delete { side, uids, disposal: Disposal::Expunge | Disposal::Trash } = action else { continue };
            let before = uids.len();
            let is_of = |uid, all: &BTreeSet<Digest>| links.get(&uid).is_some_and(|link| all.contains(&link.digest));
            let went = |uid| match side {
                Side::Local => is_of(uid, &alike),
                Side::Remote => hides_some || is_of(uid, &out_of_reach),
            };
            *uids = uids.iter().filter(|uid| !went(*uid)).collect();
            let held = before - uids.len();
            if held > 0 {
                plan.held += if *side == Side::Remote { held } else { 0 };
                plan.unfinished.insert(name.clone());
            }
        }
        actions.retain(|action| !matches!(action, Action::Delete { uids, .. } if uids.is_empty()));
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

/// Of which contents there are several messages, while the server has a mailbox that cannot be looked into. One that is
/// missing may be there; without its file, another that moves there in the tree would be taken for it.
fn alike(input: &Input<'_>) -> BTreeSet<Digest> {
    if !input.remote.mailboxes.values().any(|mailbox| *mailbox == RemoteMailbox::Unknown) {
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
