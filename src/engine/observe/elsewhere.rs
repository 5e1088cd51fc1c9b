//! What is new in one mailbox and known from another: the links it may be, and what tells.
//!
//! A file without a link is compared by its content, which is known. A UID without one has its EMAILID where the server
//! gives one; else its size and INTERNALDATE must be those of a link before its Message-ID is asked for, one header line.

use std::collections::{BTreeMap, BTreeSet};

use super::local;
use super::names::Directory;
use super::this_side::ThisSide;
use crate::error::Result;
use crate::mail::{Base, Digest, Link, MailboxName, Presence, Uid, UidSet, UnixSeconds};
use crate::reconcile::Relatives;
use crate::reconcile::view::{LocalContent, LocalMailbox, LocalView, RemoteMailbox, RemoteMessage, RemoteView};
use crate::remote::imap::Session;
use crate::state::Traits;

/// Reads the links, where not all were read, that something new may be the same message as. In mailboxes that did not move
/// on they are given; elsewhere they are put back, with those that have the content of a link which is gone from one side or
/// may be what is new.
pub fn relatives(here: &mut ThisSide<'_>, local: &mut LocalView, remote: &mut RemoteView) -> Result<Relatives> {
    let mut traits = Traits::default();
    for mailbox in local.mailboxes.values() {
        let LocalMailbox::Listed(listing) = mailbox else { continue };
        for file in listing.files.values() {
            if let LocalContent::Known { content, .. } = &file.content {
                traits.digests.insert(content.digest);
            }
        }
    }
    let traits = with_new(&here.base, remote, traits);
    let relatives = here.kin(&traits, remote, &mut |name, link| relist(local, name, link))?;
    if here.base.values().any(|mailbox| !mailbox.standing.is_empty()) {
        let traits = Traits { digests: open_contents(&here.base, &relatives, local, remote), ..Traits::default() };
        here.kin(&traits, remote, &mut |name, link| relist(local, name, link))?;
    }
    Ok(relatives)
}

/// The same for what is new on the server alone, before the tree was read.
pub fn relatives_there(here: &mut ThisSide<'_>, remote: &mut RemoteView) -> Result<Relatives> {
    let traits = with_new(&here.base, remote, Traits::default());
    here.kin(&traits, remote, &mut |_, _| ())
}

fn with_new(base: &Base, remote: &RemoteView, mut traits: Traits) -> Traits {
    for (_, _, message) in new_messages(base, remote) {
        traits.dates.extend(message.internal_date.zip(message.size));
    }
    traits
}

/// Puts the file of a link that stands back into the listing.
fn relist(local: &mut LocalView, name: &MailboxName, link: &Link) {
    if let Some(LocalMailbox::Listed(listing)) = local.mailboxes.get_mut(name) {
        listing.files.insert(link.file.clone(), local::as_linked(link.flags.clone()));
    }
}

/// The contents of links that one side has not any more, as far as is known, or whose EMAILID something new has.
fn open_contents(base: &Base, relatives: &Relatives, local: &LocalView, remote: &RemoteView) -> BTreeSet<Digest> {
    let called: BTreeSet<&str> = new_messages(base, remote).filter_map(|(.., m)| m.email_id.as_deref()).collect();
    let is_called = |link: &Link| link.email_id.as_deref().is_some_and(|id| called.contains(id));
    let elsewhere = relatives.values().flat_map(BTreeMap::values).filter(|link| is_called(link));
    let mut contents: BTreeSet<Digest> = elsewhere.map(|link| link.digest).collect();
    for (name, mailbox) in base {
        let is_gone = |link: &Link| local.lacks(name, &link.file) || remote.lacks(name, mailbox, link.uid);
        let links = mailbox.links.iter().flat_map(BTreeMap::values);
        let open = links.filter(|link| link.presence == Presence::Both && is_gone(link) || is_called(link));
        contents.extend(open.map(|link| link.digest));
    }
    contents
}

/// Asks for the Message-ID of every new message that may be a known one, unless it is known already.
pub fn identify(
    session: &mut Session,
    directory: &Directory<'_>,
    base: &Base,
    relatives: &Relatives,
    remote: &mut RemoteView,
) -> Result<()> {
    let loaded = base.values().flat_map(|m| m.links.iter().flat_map(BTreeMap::values));
    let known = Known::of(loaded.chain(relatives.values().flat_map(BTreeMap::values)));
    let mut wanted: BTreeMap<MailboxName, UidSet> = BTreeMap::new();
    for (name, uid, _) in new_messages(base, remote).filter(|(_, _, message)| known.may_be(message)) {
        wanted.entry(name.clone()).or_default().insert(uid);
    }
    for (name, uids) in wanted {
        let ids = session.header_fields(&directory.wire(&name)?, &uids)?;
        let Some(RemoteMailbox::Observed(listing)) = remote.mailboxes.get_mut(&name) else { continue };
        for (uid, fields) in ids {
            if let Some(message) = listing.messages.get_mut(&uid) {
                message.message_id = fields.message_id;
                message.stamps = fields.stamps;
            }
        }
    }
    Ok(())
}

/// Messages that have no link.
pub(super) fn new_messages<'a>(
    base: &'a Base,
    remote: &'a RemoteView,
) -> impl Iterator<Item = (&'a MailboxName, Uid, &'a RemoteMessage)> {
    remote.mailboxes.iter().flat_map(|(name, mailbox)| {
        let listing = match mailbox {
            RemoteMailbox::Observed(listing) => Some(listing),
            RemoteMailbox::Unchanged | RemoteMailbox::Unknown => None,
        };
        let known = base.get(name).filter(|m| {
            m.remote.as_ref().zip(listing).is_some_and(|(then, now)| then.uid_validity == now.uid_validity)
        });
        let links = known.and_then(|m| m.links.as_ref());
        let is_new = move |uid: &Uid| links.is_none_or(|links| !links.contains_key(uid));
        let messages = listing.into_iter().flat_map(|l| &l.messages).filter(move |(uid, _)| is_new(uid));
        messages.map(move |(uid, message)| (name, *uid, message))
    })
}

/// By what the known messages are recognised.
#[derive(Default)]
struct Known<'a> {
    email_ids: BTreeSet<&'a str>,
    /// Those that have no EMAILID, and all.
    nameless: BTreeSet<(u64, UnixSeconds)>,
    all: BTreeSet<(u64, UnixSeconds)>,
}

impl<'a> Known<'a> {
    fn of(links: impl Iterator<Item = &'a Link>) -> Known<'a> {
        let mut known = Known::default();
        for link in links {
            if let Some(id) = &link.email_id {
                known.email_ids.insert(id);
            } else if link.message_id.is_some() {
                known.nameless.insert((link.size, link.internal_date));
            }
            if link.message_id.is_some() {
                known.all.insert((link.size, link.internal_date));
            }
        }
        known
    }

    /// Whether its Message-ID would tell more than is known.
    fn may_be(&self, message: &RemoteMessage) -> bool {
        let Some(key) = message.size.zip(message.internal_date).filter(|_| message.message_id.is_none()) else {
            return false;
        };
        match message.email_id.as_deref() {
            Some(id) => !self.email_ids.contains(id) && self.nameless.contains(&key),
            None => self.all.contains(&key),
        }
    }
}
