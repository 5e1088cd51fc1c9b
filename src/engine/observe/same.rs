//! Messages new on both sides: which of them are the same one?
//!
//! New in the tree are files without a link, and linked files that are about to go up again, because their copy went
//! from the server or somebody undeleted them.
//!
//! Three sieves, each cheaper than the next: equal size (known already), equal Message-ID (one header line a candidate),
//! equal content (the body, read into a digest and thrown away). The second decides where it can ([`alike`]), else the
//! last. Mail that came from us anyway is
//! recognised by its file name and size and is not asked about.

use std::collections::{BTreeMap, BTreeSet};

use super::names::Directory;
use crate::error::{Error, Result};
use crate::local::WireDigest;
use crate::mail::{
    AccountId, Content, Intent, Link, MailboxId, MailboxName, MessageIdHash, Presence, Uid, UidSet, UidValidity,
    UnixSeconds,
};
use crate::reconcile::alike::{Dates, alike};
use crate::reconcile::view::{
    Coverage, Direction, LocalContent, LocalListing, LocalMailbox, LocalView, RemoteListing, RemoteMessage,
};
use crate::remote::imap::{BodySink, FetchedMessage, Session};

/// What a search for twins needs to know of one mailbox.
pub struct Candidates<'a> {
    /// The account, for origins.
    pub account: AccountId,
    /// The mailbox's number.
    pub id: Option<MailboxId>,
    /// What both sides had agreed on; nothing where the server started its UIDs anew.
    pub links: &'a BTreeMap<Uid, Link>,
    /// Uploads whose outcome is unknown.
    pub intents: &'a [Intent],
    /// What mtimes tell.
    pub dates: Dates,
    /// Which way changes go.
    pub direction: Direction,
}

/// Fills in Message-ID and content of the messages of `name` that may be a local file's twin.
pub fn look(
    session: &mut Session,
    directory: &Directory<'_>,
    name: &MailboxName,
    local: &LocalView,
    remote: &mut RemoteListing,
    candidates: &Candidates<'_>,
) -> Result<()> {
    let listing = match local.mailboxes.get(name) {
        Some(LocalMailbox::Listed(listing)) => Some(listing),
        Some(LocalMailbox::Unchanged) => None,
        Some(LocalMailbox::Unknown) | None => return Ok(()),
    };
    let mut files: Vec<New> = listing.into_iter().flat_map(unlinked).collect();
    files.extend(sent_again(listing, remote, candidates));
    let suspects = suspects(&files, remote, candidates);
    if suspects.is_empty() {
        return Ok(());
    }
    let wire = directory.wire(name)?;
    let unasked = |uid: &Uid| remote.messages.get(uid).is_some_and(|m| m.message_id.is_none());
    let ids = session.message_ids(&wire, &suspects.iter().filter(unasked).collect())?;
    for (uid, id) in &ids {
        if let Some(message) = remote.messages.get_mut(uid) {
            message.message_id = *id;
        }
    }
    let found = alike(
        files.iter().filter_map(|f| Some(((), f.content, f.modified?))),
        suspects.iter().filter_map(|uid| Some((uid, remote.messages.get(&uid)?))),
        candidates.dates,
    );
    let found: UidSet = found.into_iter().map(|((), uid)| uid).collect();
    let equal = |uid: &Uid| remote.messages.get(uid).is_some_and(|m| has_twin(&files, m));
    let twins: UidSet = suspects.iter().filter(|uid| !found.contains(*uid)).filter(equal).collect();
    if twins.is_empty() {
        return Ok(());
    }
    for (uid, content) in digests(session, &wire, remote.uid_validity, &twins)? {
        if let Some(message) = remote.messages.get_mut(&uid) {
            message.content = Some(content);
        }
    }
    Ok(())
}

/// A file that needs a UID, as far as a comparison needs it.
struct New {
    content: Content,
    /// Its mtime, where it was looked at.
    modified: Option<UnixSeconds>,
    origin: Option<crate::mail::Origin>,
}

fn unlinked(listing: &LocalListing) -> impl Iterator<Item = New> {
    let known = |content: &LocalContent| match content {
        LocalContent::Known { content, origin, modified } => {
            Some(New { content: *content, modified: Some(*modified), origin: *origin })
        }
        LocalContent::Unread | LocalContent::Unreadable => None,
    };
    listing.files.values().filter_map(move |file| known(&file.content))
}

/// Linked files that go up again unless their message is there under another UID.
fn sent_again(listing: Option<&LocalListing>, remote: &RemoteListing, candidates: &Candidates<'_>) -> Vec<New> {
    let gone = |uid: Uid| match &remote.coverage {
        Coverage::Everything => !remote.messages.contains_key(&uid),
        Coverage::Changes { vanished } => vanished.contains(uid),
    };
    let undeleted = |link: &Link| {
        let file = listing.and_then(|l| l.files.get(&link.file));
        link.flags.is_trashed() && file.is_some_and(|f| !f.flags.is_trashed())
    };
    let again = |link: &&Link| match (link.presence, candidates.direction) {
        (_, Direction::Pull) | (Presence::RemoteOnly, _) | (Presence::Both, Direction::Both) => false,
        (Presence::Both, Direction::Push) => gone(link.uid),
        (Presence::LocalOnly, Direction::Both | Direction::Push) => undeleted(link),
    };
    let content = |l: &Link| Content { digest: l.digest, wire_size: l.size, message_id: l.message_id };
    candidates.links.values().filter(again).map(|l| New { content: content(l), modified: None, origin: None }).collect()
}

/// Messages of a size that some file has, or that an unknown outcome or an unbelievable origin points to.
fn suspects(files: &[New], remote: &RemoteListing, candidates: &Candidates<'_>) -> UidSet {
    let sizes: BTreeSet<u64> = files.iter().map(|f| f.content.wire_size).collect();
    let mut origins = BTreeMap::new();
    for file in files {
        let ours = file.origin.filter(|o| {
            o.account == candidates.account && Some(o.mailbox) == candidates.id && o.uid_validity == remote.uid_validity
        });
        if let Some(origin) = ours {
            origins.insert(origin.uid, file.content.wire_size);
        }
    }
    let intended = |uid: Uid, size: Option<u64>| {
        candidates.intents.iter().any(|i| i.uid_next.is_none_or(|n| uid >= n) && size == Some(i.content.wire_size))
    };
    let suspect = |uid: Uid, message: &RemoteMessage| match origins.get(&uid) {
        Some(size) => message.size != Some(*size),
        None => message.size.is_some_and(|s| sizes.contains(&s)) || intended(uid, message.size),
    };
    let linked = |uid: &Uid| candidates.links.get(uid).is_some_and(|l| l.presence != Presence::LocalOnly);
    let new = remote.messages.iter().filter(|(uid, _)| !linked(uid));
    new.filter(|(uid, message)| suspect(**uid, message)).map(|(uid, _)| *uid).collect()
}

/// Whether a file of the same Message-ID (or, like the message, without one) could be it.
fn has_twin(files: &[New], message: &RemoteMessage) -> bool {
    let same = |id: Option<MessageIdHash>| id == message.message_id;
    files.iter().any(|f| same(f.content.message_id))
}

/// Reads bodies into digests.
pub fn digests(
    session: &mut Session,
    wire: &crate::remote::imap::WireName,
    uid_validity: UidValidity,
    uids: &UidSet,
) -> Result<BTreeMap<Uid, Content>> {
    let mut sink = DigestSink::default();
    session.fetch_bodies(wire, uid_validity, uids, &mut sink)?;
    Ok(sink.contents)
}

#[derive(Default)]
struct DigestSink {
    current: WireDigest,
    contents: BTreeMap<Uid, Content>,
}

impl BodySink for DigestSink {
    fn start(&mut self, _octets: u64) -> Result<()> {
        self.current = WireDigest::default();
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.current.push(bytes);
        Ok(())
    }

    fn message(&mut self, message: FetchedMessage) -> Result<()> {
        self.contents.insert(message.uid, std::mem::take(&mut self.current).finish());
        Ok(())
    }

    fn missing(&mut self, uid: Uid, _refusal: Option<&Error>) -> Result<()> {
        log::debug!("UID {uid} cannot be compared: the server does not give it");
        Ok(())
    }
}
