//! Messages that a run brought to the server and was cut off before it could record them, and whose files have gone since:
//! deleted here, or moved on.
//!
//! Without a link they would seem to be new mail there, and come down: deleted mail would be back, and mail that moved on
//! would be there twice. But that they were about to be sent is on record (`Fact::Intended`). A message that came since,
//! with the content of one whose file has gone, gets the link that the run would have recorded, with the flags that were
//! sent, and all else follows as if it had: by the policy it is deleted there, or moves on as well. Files that are still
//! there come first: what they are, the planner finds.

use std::collections::{BTreeMap, BTreeSet};

use super::arrived::Seen;
use super::view::{LocalView, RemoteListing, RemoteMailbox, RemoteMessage};
use crate::mail::{Base, BaseMailbox, FileId, Intent, Link, MailboxName, Presence, Uid, UidSet, UnixSeconds};

/// Gives such messages their link, in `base`; they are to be recorded.
pub fn look(seen: &Seen<'_>, base: &mut Base, local: &LocalView) -> BTreeMap<MailboxName, UidSet> {
    let mut links: BTreeMap<MailboxName, UidSet> = BTreeMap::new();
    for (name, intents) in seen.intents {
        let Some(mailbox) = base.get_mut(name).filter(|_| !seen.left.contains(name) && !seen.reset.contains(name))
        else {
            continue;
        };
        let Some(RemoteMailbox::Observed(listing)) = seen.remote.mailboxes.get(name) else { continue };
        for (intent, uid) in found(name, mailbox, intents, listing, local) {
            let Some(message) = listing.messages.get(&uid) else { continue };
            if let Some(known) = mailbox.links.as_mut() {
                known.insert(uid, link(intent, uid, message));
                links.entry(name.clone()).or_default().insert(uid);
            }
        }
    }
    links
}

/// The intents of a mailbox whose files have gone, as far as that is known.
pub fn gone<'i>(
    name: &MailboxName,
    mailbox: &BaseMailbox,
    intents: &'i [Intent],
    local: &LocalView,
) -> impl Iterator<Item = &'i Intent> {
    open(mailbox, intents).filter(move |intent| local.lacks(name, &intent.file))
}

/// Those whose files have no link.
fn open<'i>(mailbox: &BaseMailbox, intents: &'i [Intent]) -> impl Iterator<Item = &'i Intent> {
    let links = mailbox.links.iter().flat_map(BTreeMap::values);
    let here = links.filter(|link| link.presence != Presence::RemoteOnly);
    let linked: BTreeSet<&FileId> = here.map(|link| &link.file).collect();
    intents.iter().filter(move |intent| !linked.contains(&intent.file))
}

/// Whether a message may be what was to be sent, of which a file `is_gone`, and only its body would tell.
pub fn needs_a_look(intents: &[Intent], uid: Uid, message: &RemoteMessage, is_gone: impl Fn(&FileId) -> bool) -> bool {
    let may_be = |i: &Intent| {
        i.uid_next.is_some_and(|next| uid >= next)
            && (message.message_id, message.size) == (i.content.message_id, Some(i.content.wire_size))
    };
    message.message_id.is_none() && intents.iter().any(|intent| may_be(intent) && is_gone(&intent.file))
}

/// Those whose message is there.
fn found<'i>(
    name: &MailboxName,
    mailbox: &BaseMailbox,
    intents: &'i [Intent],
    listing: &RemoteListing,
    local: &LocalView,
) -> Vec<(&'i Intent, Uid)> {
    let is_now = mailbox.remote.as_ref().is_some_and(|then| then.uid_validity == listing.uid_validity);
    let Some(links) = mailbox.links.as_ref().filter(|_| is_now) else { return Vec::new() };
    let (mut gone, mut waiting): (Vec<&Intent>, Vec<&Intent>) =
        open(mailbox, intents).partition(|intent| local.lacks(name, &intent.file));
    let is_new = |uid: &Uid| !links.contains_key(uid) && !mailbox.standing.contains(*uid);
    let mut found = Vec::new();
    for (uid, message) in listing.messages.iter().filter(|(uid, _)| is_new(uid)) {
        let is_it = |intent: &&Intent| intent.uid_next.is_some_and(|next| *uid >= next) && is_of(message, intent);
        if let Some(at) = waiting.iter().position(is_it) {
            waiting.swap_remove(at);
        } else if let Some(at) = gone.iter().position(is_it) {
            found.push((gone.swap_remove(at), *uid));
        }
    }
    found
}

/// Whether a message is what was to be sent, by its content, or by what it is known by without a look at that.
fn is_of(message: &RemoteMessage, intent: &Intent) -> bool {
    match message.content {
        Some(content) => content.digest == intent.content.digest,
        None => {
            message.message_id.is_some()
                && (message.message_id, message.size) == (intent.content.message_id, Some(intent.content.wire_size))
        }
    }
}

fn link(intent: &Intent, uid: Uid, message: &RemoteMessage) -> Link {
    Link {
        uid,
        file: intent.file.clone(),
        presence: Presence::Both,
        flags: intent.flags.clone(),
        size: intent.content.wire_size,
        digest: intent.content.digest,
        message_id: intent.content.message_id,
        internal_date: message.internal_date.unwrap_or(UnixSeconds(0)),
        email_id: message.email_id.clone(),
    }
}
