//! What is asked about messages without a link, as the engine asks: Message-IDs where they tell something, bodies where
//! nothing else does. Every body that is read is counted.

use std::collections::{BTreeMap, BTreeSet};

use mailtide::mail::{Content, Digest, Link, MailboxName, Origin, Presence, Uid, UnixSeconds};
use mailtide::reconcile::alike::{Dates, alike};
use mailtide::reconcile::sent::needs_a_look;
use mailtide::reconcile::view::{
    Coverage, Direction, LocalContent, LocalListing, LocalMailbox, RemoteListing, RemoteMailbox, RemoteMessage,
};

use super::observe::Observation;
use super::world::{ACCOUNT, Body, World};

type Bodies<'a> = &'a dyn Fn(&MailboxName, Uid) -> Body;

/// Messages that have no link.
pub fn new_messages(seen: &Observation) -> Vec<(MailboxName, Uid, RemoteMessage)> {
    let mut new = Vec::new();
    for (name, mailbox) in &seen.remote.mailboxes {
        let RemoteMailbox::Observed(listing) = mailbox else { continue };
        let known = seen
            .base
            .get(name)
            .filter(|m| m.remote.as_ref().is_some_and(|then| then.uid_validity == listing.uid_validity));
        let links = known.and_then(|m| m.links.as_ref());
        let unlinked = listing.messages.iter().filter(|(uid, _)| links.is_none_or(|links| !links.contains_key(uid)));
        new.extend(unlinked.map(|(uid, message)| (name.clone(), *uid, message.clone())));
    }
    new
}

/// By what the state finds links of messages that something new may be: contents, and INTERNALDATE with size.
pub fn traits(seen: &Observation) -> (BTreeSet<Digest>, BTreeSet<(UnixSeconds, u64)>) {
    let mut digests = BTreeSet::new();
    for mailbox in seen.local.mailboxes.values() {
        let LocalMailbox::Listed(listing) = mailbox else { continue };
        for file in listing.files.values() {
            if let LocalContent::Known { content, .. } = &file.content {
                digests.insert(content.digest);
            }
        }
    }
    let dates = new_messages(seen).into_iter().filter_map(|(_, _, m)| m.internal_date.zip(m.size)).collect();
    (digests, dates)
}

/// Leaves only those links of mailboxes that did not move on that the state would find.
pub fn relatives(seen: &mut Observation) {
    let (digests, dates) = traits(seen);
    for links in seen.relatives.values_mut() {
        links.retain(|_, l| digests.contains(&l.digest) || dates.contains(&(l.internal_date, l.size)));
    }
    seen.relatives.retain(|_, links| !links.is_empty());
}

/// Asks for the Message-ID of every new message that may be a known one.
pub fn identify(world: &World, seen: &mut Observation, bodies: Bodies<'_>) {
    let loaded = seen.base.values().flat_map(|m| m.links.iter().flat_map(BTreeMap::values));
    let links: Vec<&Link> = loaded.chain(seen.relatives.values().flat_map(BTreeMap::values)).collect();
    let emails: BTreeSet<&str> = links.iter().filter_map(|l| l.email_id.as_deref()).collect();
    let named = |l: &&&Link| l.message_id.is_some();
    let all: BTreeSet<_> = links.iter().filter(named).map(|l| (l.size, l.internal_date)).collect();
    let nameless: BTreeSet<_> =
        links.iter().filter(named).filter(|l| l.email_id.is_none()).map(|l| (l.size, l.internal_date)).collect();
    let may_be = |message: &RemoteMessage| {
        let Some(key) = message.size.zip(message.internal_date) else { return false };
        match message.email_id.as_deref() {
            Some(id) => !emails.contains(id) && nameless.contains(&key),
            None => all.contains(&key),
        }
    };
    let wanted: Vec<_> = new_messages(seen).into_iter().filter(|(_, _, message)| may_be(message)).collect();
    for (name, uid, _) in wanted {
        let message_id = world.content(bodies(&name, uid)).message_id;
        message(seen, &name, uid).message_id = message_id;
    }
}

fn message<'s>(seen: &'s mut Observation, name: &MailboxName, uid: Uid) -> &'s mut RemoteMessage {
    match seen.remote.mailboxes.get_mut(name) {
        Some(RemoteMailbox::Observed(listing)) => listing.messages.get_mut(&uid).expect("it was seen"),
        _ => panic!("{name} was not looked into"),
    }
}

/// A file that needs a UID.
struct New {
    content: Content,
    modified: Option<UnixSeconds>,
    origin: Option<Origin>,
}

/// Looks at messages that files without a link may be.
pub fn look(world: &World, seen: &mut Observation, bodies: Bodies<'_>) {
    let has_left = |name: &&MailboxName| seen.names.left.contains(*name);
    let all: Vec<MailboxName> = seen.remote.mailboxes.keys().filter(|name| !has_left(name)).cloned().collect();
    for name in all {
        let Some(RemoteMailbox::Observed(listing)) = seen.remote.mailboxes.get(&name) else { continue };
        let dates = Dates::of(seen.base.get(&name), Some(listing.uid_validity));
        let local = match seen.local.mailboxes.get(&name) {
            Some(LocalMailbox::Listed(local)) => Some(local),
            Some(LocalMailbox::Unchanged) => None,
            Some(LocalMailbox::Unknown) | None => continue,
        };
        let links = links_of(seen, &name, listing);
        let mut files: Vec<New> = local.into_iter().flat_map(unlinked).collect();
        files.extend(sent_again(local, listing, &links, seen.policy.direction));
        let suspects = suspects(seen, &name, &files, listing, &links);
        for uid in &suspects {
            let message_id = world.content(bodies(&name, *uid)).message_id;
            message(seen, &name, *uid).message_id = message_id;
        }
        let asked: Vec<(Uid, RemoteMessage)> =
            suspects.iter().map(|uid| (*uid, message(seen, &name, *uid).clone())).collect();
        let found = alike(
            files.iter().filter_map(|f| Some(((), f.content, f.modified?))),
            asked.iter().map(|(uid, message)| (*uid, message)),
            dates,
        );
        for (uid, asked) in &asked {
            let is_found = found.iter().any(|((), other)| other == uid);
            let intents = seen.intents.get(&name).map_or(&[][..], Vec::as_slice);
            let is_sent = needs_a_look(intents, *uid, asked, |file| seen.local.lacks(&name, file));
            let has_twin = is_sent || files.iter().any(|f| f.content.message_id == asked.message_id);
            if !is_found && has_twin && !world.server.kind.headers_only {
                let body = bodies(&name, *uid);
                seen.reads.push(body);
                message(seen, &name, *uid).content = Some(world.content(body));
            }
        }
    }
}

/// What both sides had agreed on; nothing where the server started its UIDs anew.
fn links_of(seen: &Observation, name: &MailboxName, listing: &RemoteListing) -> BTreeMap<Uid, Link> {
    let known = seen.base.get(name);
    let anew = known.and_then(|m| m.remote.as_ref()).is_some_and(|c| c.uid_validity != listing.uid_validity);
    known.filter(|_| !anew).and_then(|m| m.links.clone()).unwrap_or_default()
}

fn unlinked(listing: &LocalListing) -> impl Iterator<Item = New> {
    listing.files.values().filter_map(|file| match &file.content {
        LocalContent::Known { content, origin, modified, .. } => {
            Some(New { content: *content, modified: Some(*modified), origin: *origin })
        }
        LocalContent::Unread | LocalContent::Unreadable(_) => None,
    })
}

/// Linked files that go up again unless their message is there under another UID.
fn sent_again(
    local: Option<&LocalListing>,
    remote: &RemoteListing,
    links: &BTreeMap<Uid, Link>,
    direction: Direction,
) -> Vec<New> {
    let gone = |uid: Uid| match &remote.coverage {
        Coverage::Everything => !remote.messages.contains_key(&uid),
        Coverage::Changes { vanished } => vanished.contains(uid),
    };
    let undeleted = |link: &Link| {
        let file = local.and_then(|l| l.files.get(&link.file));
        link.flags.is_trashed() && file.is_some_and(|f| !f.flags.is_trashed())
    };
    let again = |link: &&Link| match (link.presence, direction) {
        (_, Direction::Pull) | (Presence::RemoteOnly, _) | (Presence::Both, Direction::Both) => false,
        (Presence::Both, Direction::Push) => gone(link.uid),
        (Presence::LocalOnly, Direction::Both | Direction::Push) => undeleted(link),
    };
    let content = |l: &Link| Content { digest: l.digest, wire_size: l.size, message_id: l.message_id };
    links.values().filter(again).map(|l| New { content: content(l), modified: None, origin: None }).collect()
}

/// Messages of a size that some file has, or that an unknown outcome or an unbelievable origin points to.
fn suspects(
    seen: &Observation,
    name: &MailboxName,
    files: &[New],
    remote: &RemoteListing,
    links: &BTreeMap<Uid, Link>,
) -> Vec<Uid> {
    let sizes: BTreeSet<u64> = files.iter().map(|f| f.content.wire_size).collect();
    let here = (ACCOUNT, seen.ids[name], remote.uid_validity);
    let ours = |f: &New| f.origin.filter(|o| (o.account, o.mailbox, o.uid_validity) == here);
    let origins: BTreeMap<Uid, u64> = files.iter().filter_map(|f| Some((ours(f)?.uid, f.content.wire_size))).collect();
    let intended = |uid: Uid, size: Option<u64>| {
        let open = seen.intents.get(name).into_iter().flatten();
        open.into_iter().any(|i| i.uid_next.is_none_or(|n| uid >= n) && size == Some(i.content.wire_size))
    };
    let suspect = |uid: Uid, message: &RemoteMessage| match origins.get(&uid) {
        Some(size) => message.size != Some(*size),
        None => message.size.is_some_and(|s| sizes.contains(&s)) || intended(uid, message.size),
    };
    let is_linked = |uid: &Uid| links.get(uid).is_some_and(|l| l.presence != Presence::LocalOnly);
    let new = remote.messages.iter().filter(|(uid, _)| !is_linked(uid));
    new.filter(|(uid, message)| suspect(**uid, message)).map(|(uid, _)| *uid).collect()
}
