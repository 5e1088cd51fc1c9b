//! A second look where another client may have moved mail between the first looks at two mailboxes.
//!
//! Mailboxes are looked at one after the other, so what moves meanwhile can be seen in both, or in neither. Taken at
//! its word that is a copy or a deletion, and the flags set in the tree would stay with the file that goes. So where it
//! looks like one of the two, the mailboxes in question are asked how they stand (STATUS), and those that have moved on
//! since they were seen are looked into again. An account in which it does not look so is asked nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::elsewhere::{self, new_messages};
use super::local::{Listed, LocalSide, Scanned};
use super::names::Directory;
use super::remote::{self, RemoteSide};
use super::this_side::ThisSide;
use crate::config::ImapAccount;
use crate::error::Result;
use crate::mail::{Base, BaseMailbox, Link, MailboxName, MessageIdHash, Presence, RemoteCheckpoint, Uid, UnixSeconds};
use crate::reconcile::Relatives;
use crate::reconcile::view::{Direction, Keywords, RemoteMailbox, RemoteView};
use crate::remote::imap::{MailboxStatus, Session};

/// Second looks at most: somebody who moves mail all the time is seen by the next run.
const MOST: usize = 3;

/// Looks again where there is doubt; gives the mailboxes that were looked into.
pub fn look(
    session: &mut Session,
    directory: &Directory<'_>,
    account: &ImapAccount,
    here: &mut ThisSide<'_>,
    seen: &mut RemoteSide,
) -> Result<BTreeSet<MailboxName>> {
    let mut looked = BTreeSet::new();
    // Nothing comes to the tree, and nothing is deleted in it.
    if account.direction == Direction::Push {
        return Ok(looked);
    }
    for _ in 0..MOST {
        if here.base.values().all(|mailbox| mailbox.link_count == 0) {
            break;
        }
        let relatives = elsewhere::relatives_there(here, &mut seen.view)?;
        elsewhere::identify(session, directory, &here.base, &relatives, &mut seen.view)?;
        let news = News::of(&here.base, &seen.view);
        let mut doubtful = seen_twice(&here.base, &relatives, &seen.view, &news);
        doubtful.extend(may_have_it(&here.base, &here.local, &seen.view, &news, account.keywords));
        let moved = moved_since(session, directory, &here.base, seen, &doubtful)?;
        if moved.is_empty() {
            break;
        }
        moved.iter().try_for_each(|name| here.read(name))?;
        remote::look_into(session, directory, &moved, here, account.direction, seen)?;
        looked.extend(moved);
    }
    Ok(looked)
}

/// Mailboxes that still held, when they were looked at, what is new elsewhere.
fn seen_twice(base: &Base, relatives: &Relatives, view: &RemoteView, news: &News<'_>) -> BTreeSet<MailboxName> {
    let twice = |(name, mailbox): &(&MailboxName, &BaseMailbox)| {
        let links = mailbox.links.iter().chain(relatives.get(*name)).flat_map(BTreeMap::values);
        let stands = |link: &Link| view.has(name, mailbox, link.uid) == Some(true);
        let mut both = links.filter(|link| link.presence == Presence::Both);
        both.any(|link| news.are_elsewhere(name, link) && stands(link))
    };
    base.iter().filter(twice).map(|(name, _)| name.clone()).collect()
}

/// Where new messages are, by what is known of them without their bodies; `None` for several mailboxes.
#[derive(Default)]
struct News<'a> {
    dated: BTreeMap<(u64, UnixSeconds, MessageIdHash), Option<&'a MailboxName>>,
    called: BTreeMap<&'a str, Option<&'a MailboxName>>,
}

impl<'a> News<'a> {
    fn of(base: &'a Base, view: &'a RemoteView) -> Self {
        let mut news = News::default();
        for (name, _, message) in new_messages(base, view) {
            if let (Some(size), Some(date), Some(id)) = (message.size, message.internal_date, message.message_id) {
                enter(&mut news.dated, (size, date, id), name);
            }
            if let Some(id) = message.email_id.as_deref() {
                enter(&mut news.called, id, name);
            }
        }
        news
    }

    /// Whether the message of a link of the mailbox `name` is new in another.
    fn are_elsewhere(&self, name: &MailboxName, link: &Link) -> bool {
        let dated = link.message_id.and_then(|id| self.dated.get(&(link.size, link.internal_date, id)));
        let called = link.email_id.as_deref().and_then(|id| self.called.get(id));
        dated.into_iter().chain(called).any(|place| *place != Some(name))
    }
}

fn enter<'a, K: Ord>(places: &mut BTreeMap<K, Option<&'a MailboxName>>, key: K, name: &'a MailboxName) {
    let place = places.entry(key).or_insert(Some(name));
    *place = place.filter(|place| *place == name);
}

/// Mailboxes that may have had, by the time it was gone from one and new in none, a message whose file has flags that
/// are not on the server yet: all others.
fn may_have_it(
    base: &Base,
    local: &LocalSide,
    view: &RemoteView,
    news: &News<'_>,
    keywords: Keywords,
) -> BTreeSet<MailboxName> {
    let went = |(name, mailbox): &(&MailboxName, &BaseMailbox)| {
        let Some(Scanned::Listed(Listed { listing, .. })) = local.scans.get(*name) else { return false };
        let is_pending = |link: &Link| {
            let file = listing.files.get(&link.file).filter(|_| link.presence == Presence::Both);
            file.is_some_and(|file| keywords.seen(&file.flags) != keywords.seen(&link.flags))
        };
        let is_gone = |uid: Uid| view.has(name, mailbox, uid) == Some(false);
        // What is gone is little, and quickly found; what is pending takes a look at each file.
        let is_lost = |link: &Link| is_gone(link.uid) && is_pending(link) && !news.are_elsewhere(name, link);
        mailbox.links.iter().flat_map(BTreeMap::values).any(is_lost)
    };
    let mut left = base.iter().filter(went).map(|(name, _)| name);
    let (first, second) = (left.next(), left.next());
    let others = view.mailboxes.keys().filter(|name| second.is_some() || Some(*name) != first);
    first.map(|_| others.cloned().collect()).unwrap_or_default()
}

/// Those of `names` that do not stand any more as they were seen.
fn moved_since(
    session: &mut Session,
    directory: &Directory<'_>,
    base: &Base,
    seen: &RemoteSide,
    names: &BTreeSet<MailboxName>,
) -> Result<Vec<MailboxName>> {
    let as_seen = |name: &MailboxName| match seen.view.mailboxes.get(name)? {
        RemoteMailbox::Observed(_) => seen.checkpoints.get(name),
        RemoteMailbox::Unchanged => base.get(name)?.remote.as_ref(),
        RemoteMailbox::Unknown => None,
    };
    // Of the one that is open nothing is asked (RFC 3501 §6.3.10); it was the last to be looked at.
    let asked = names.iter().filter_map(|name| {
        let wire = &directory.mailboxes.get(name)?.wire;
        Some((name, wire, as_seen(name)?)).filter(|(_, wire, _)| !session.has_open(wire))
    });
    let asked: Vec<_> = asked.collect();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let wires: Vec<_> = asked.iter().map(|(_, wire, _)| *wire).collect();
    let answers = session.status(&wires)?;
    // One that is not told of any more is for the next run.
    let moved = asked.into_iter().zip(answers).filter_map(|((name, _, then), now)| {
        let moved = now.is_ok_and(|now| has_moved(then, &now));
        moved.then(|| name.clone())
    });
    Ok(moved.collect())
}

/// Whether messages came or went, as far as both sides tell.
fn has_moved(then: &RemoteCheckpoint, now: &MailboxStatus) -> bool {
    let next = then.uid_next.zip(now.uid_next).is_some_and(|(then, now)| then != now);
    let modseq = then.highest_modseq.zip(now.highest_modseq).is_some_and(|(then, now)| then != now);
    then.uid_validity != now.uid_validity || then.messages != now.messages || next || modseq
}
