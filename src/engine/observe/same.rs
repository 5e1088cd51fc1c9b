//! Messages new on both sides: which of them are the same one?
//!
//! New in the tree are files without a link, and linked files that are about to go up again, because their copy went
//! from the server or somebody undeleted them.
//!
//! Three sieves, each cheaper than the next: equal size (known already), equal Message-ID (one header line a candidate),
//! equal content (the body, read into a digest and thrown away). The second decides where it can ([`alike`]), else the
//! last. Mail that came from us anyway is recognised by its file name and size and is not asked about.
//!
//! The stamps of other synchronisers ([`crate::mail::stamp`]) make no difference, on neither side: those of a file are known;
//! what no file has the size of, and is longer than one by the length of a stamp, is asked for it.

use std::collections::{BTreeMap, BTreeSet};

use super::names::Directory;
use crate::error::{Error, Result};
use crate::local::WireDigest;
use crate::mail::stamp::StampScan;
use crate::mail::{
    AccountId, Content, Contents, Intent, Link, MailboxId, MailboxName, MessageIdHash, Origin, Presence, Uid, UidSet,
    UidValidity, UnixSeconds,
};
use crate::reconcile::alike::{Dates, alike};
use crate::reconcile::sent::needs_a_look;
use crate::reconcile::view::{
    Coverage, Direction, LocalContent, LocalListing, LocalMailbox, LocalView, RemoteListing, RemoteMessage,
};
use crate::remote::imap::{BodySink, FetchedMessage, Session, WireName};

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
    let wire = directory.wire(name)?;
    let mut suspects = suspects(&files, remote, candidates);
    ask(session, &wire, remote, &suspects)?;
    let mut found = found(&files, &suspects, remote, candidates);
    let longer = longer_by_a_stamp(&files, &found, &suspects, remote, candidates);
    if !longer.is_empty() {
        ask(session, &wire, remote, &longer)?;
        let stamped = |uid: &Uid| remote.messages.get(uid).is_some_and(|m| m.stamps > 0);
        longer.iter().filter(stamped).for_each(|uid| suspects.insert(uid));
        found = self::found(&files, &suspects, remote, candidates);
    }
    let found: UidSet = found.into_values().collect();
    let is_sent = |uid: Uid, message| needs_a_look(candidates.intents, uid, message, |file| local.lacks(name, file));
    let equal = |uid: &Uid| remote.messages.get(uid).is_some_and(|m| has_twin(&files, m) || is_sent(*uid, m));
    let twins: UidSet = suspects.iter().filter(|uid| !found.contains(*uid)).filter(equal).collect();
    if twins.is_empty() {
        return Ok(());
    }
    for (uid, contents) in digests(session, &wire, remote.uid_validity, &twins)? {
        if let Some(message) = remote.messages.get_mut(&uid) {
            message.content = Some(contents.whole);
            message.unstamped = contents.unstamped.map(Box::new);
        }
    }
    Ok(())
}

/// Fills in what the headers of `uids` tell, where it was not asked for yet.
fn ask(session: &mut Session, wire: &WireName, remote: &mut RemoteListing, uids: &UidSet) -> Result<()> {
    let unasked = |uid: &Uid| remote.messages.get(uid).is_some_and(|m| m.message_id.is_none());
    let unasked: UidSet = uids.iter().filter(unasked).collect();
    if unasked.is_empty() {
        return Ok(());
    }
    for (uid, fields) in session.header_fields(wire, &unasked)? {
        if let Some(message) = remote.messages.get_mut(&uid) {
            message.message_id = fields.message_id;
            message.stamps = fields.stamps;
        }
    }
    Ok(())
}

/// The files, by number, that need no look at a body, and what they are.
fn found(
    files: &[New],
    suspects: &UidSet,
    remote: &RemoteListing,
    candidates: &Candidates<'_>,
) -> BTreeMap<usize, Uid> {
    let known = files.iter().enumerate().filter_map(|(n, f)| Some((n, f.contents.plain(), f.modified?)));
    let asked = suspects.iter().filter_map(|uid| Some((uid, remote.messages.get(&uid)?)));
    alike(known, asked, candidates.dates).into_iter().collect()
}

/// Messages, none of `suspects`, that may be a file that was not found, with a stamp.
fn longer_by_a_stamp(
    files: &[New],
    found: &BTreeMap<usize, Uid>,
    suspects: &UidSet,
    remote: &RemoteListing,
    candidates: &Candidates<'_>,
) -> UidSet {
    let (least, most) = (StampScan::WEIGHTS.start(), StampScan::WEIGHTS.end());
    let believed = |f: &New| f.believed(remote, candidates);
    let open = files.iter().enumerate().filter(|(n, f)| !found.contains_key(n) && !believed(f));
    let sizes: BTreeSet<u64> = open.map(|(_, f)| f.contents.plain().wire_size).collect();
    if sizes.is_empty() {
        return UidSet::new();
    }
    let origins: BTreeSet<Uid> = files.iter().filter(|f| believed(f)).filter_map(|f| f.origin).map(|o| o.uid).collect();
    let fits = |size: u64| sizes.range(size.saturating_sub(*most)..=size.saturating_sub(*least)).next().is_some();
    let new = remote.messages.iter().filter(|(uid, _)| !candidates.is_linked(**uid) && !suspects.contains(**uid));
    let new = new.filter(|(uid, message)| !origins.contains(uid) && message.size.is_some_and(fits));
    new.map(|(uid, _)| *uid).collect()
}

/// A file that needs a UID, as far as a comparison needs it.
struct New {
    contents: Contents,
    /// Its mtime, where it was looked at.
    modified: Option<UnixSeconds>,
    origin: Option<Origin>,
}

impl New {
    /// Where it came from, when that is this mailbox.
    fn ours(&self, remote: &RemoteListing, candidates: &Candidates<'_>) -> Option<Uid> {
        let here = |o: &Origin| candidates.id.is_some_and(|id| o.is_of(candidates.account, id, remote.uid_validity));
        self.origin.filter(here).map(|o| o.uid)
    }

    /// Whether its name is believed, which says what it is.
    fn believed(&self, remote: &RemoteListing, candidates: &Candidates<'_>) -> bool {
        let message = self.ours(remote, candidates).and_then(|uid| remote.messages.get(&uid));
        message.is_some_and(|m| m.size == Some(self.contents.whole.wire_size))
    }
}

impl Candidates<'_> {
    /// Whether it is known what a message is: also of one that stays on the server alone.
    fn is_linked(&self, uid: Uid) -> bool {
        self.links.get(&uid).is_some_and(|l| l.presence != Presence::LocalOnly)
    }
}

fn unlinked(listing: &LocalListing) -> impl Iterator<Item = New> {
    let known = |content: &LocalContent| match content {
        LocalContent::Known { content, unstamped, origin, modified } => {
            let contents = Contents { whole: *content, unstamped: unstamped.as_deref().copied() };
            Some(New { contents, modified: Some(*modified), origin: *origin })
        }
        LocalContent::Unread | LocalContent::Unreadable(_) => None,
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
    candidates
        .links
        .values()
        .filter(again)
        .map(|l| New { contents: content(l).into(), modified: None, origin: None })
        .collect()
}

/// Messages of a size that some file has, or that an unknown outcome or an unbelievable origin points to.
fn suspects(files: &[New], remote: &RemoteListing, candidates: &Candidates<'_>) -> UidSet {
    let both = |f: &New| [f.contents.whole.wire_size, f.contents.plain().wire_size];
    let sizes: BTreeSet<u64> = files.iter().flat_map(both).collect();
    let ours = |f: &New| Some((f.ours(remote, candidates)?, f.contents.whole.wire_size));
    let origins: BTreeMap<Uid, u64> = files.iter().filter_map(ours).collect();
    let intended = |uid: Uid, size: Option<u64>| {
        candidates.intents.iter().any(|i| i.uid_next.is_none_or(|n| uid >= n) && size == Some(i.content.wire_size))
    };
    let suspect = |uid: Uid, message: &RemoteMessage| match origins.get(&uid) {
        Some(size) => message.size != Some(*size),
        None => message.size.is_some_and(|s| sizes.contains(&s)) || intended(uid, message.size),
    };
    let new = remote.messages.iter().filter(|(uid, _)| !candidates.is_linked(**uid));
    new.filter(|(uid, message)| suspect(**uid, message)).map(|(uid, _)| *uid).collect()
}

/// Whether a file of the same Message-ID (or, like the message, without one) could be it.
fn has_twin(files: &[New], message: &RemoteMessage) -> bool {
    let same = |id: Option<MessageIdHash>| id == message.message_id;
    files.iter().any(|f| same(f.contents.whole.message_id))
}

/// Reads bodies into digests.
pub fn digests(
    session: &mut Session,
    wire: &WireName,
    uid_validity: UidValidity,
    uids: &UidSet,
) -> Result<BTreeMap<Uid, Contents>> {
    let mut sink = DigestSink::default();
    session.fetch_bodies(wire, uid_validity, uids, &mut sink)?;
    Ok(sink.contents)
}

#[derive(Default)]
struct DigestSink {
    current: WireDigest,
    contents: BTreeMap<Uid, Contents>,
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
