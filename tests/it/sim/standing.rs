//! What the engine leaves out of an observation because it stands as agreed on both sides: the plan must be the same
//! without it, and what the guard says of the plan.

use std::collections::{BTreeMap, BTreeSet};

use mailtide::mail::{BaseMailbox, Digest, FileId, Link, MailboxName, Presence};
use mailtide::reconcile::Plan;
use mailtide::reconcile::guard::{Allowed, MaxDelete, approve};
use mailtide::reconcile::view::{Coverage, Keywords, LocalListing, LocalMailbox, RemoteMailbox};

use super::observe::Observation;
use super::same;

/// Asserts it of the plan that was made with all of it.
pub fn assert_not_needed(seen: &Observation, plan: &Plan) {
    let open = leave_out(seen);
    if open.base.values().all(|mailbox| mailbox.standing.is_empty()) {
        return;
    }
    let messages = |seen: &Observation| seen.base.values().map(BaseMailbox::messages).sum::<u64>();
    assert_eq!(messages(&open), messages(seen), "what stands as agreed is counted");
    assert_eq!(open.plan_of_all(), *plan, "a plan needs nothing that stands as agreed");
    for max in [MaxDelete::Count(0), MaxDelete::Percent(50)].into_iter().filter(|_| !plan.is_empty()) {
        let none = Allowed::Mailboxes(BTreeSet::new());
        let approve = |seen: &Observation| approve(plan.clone(), &seen.base, &seen.local, &seen.remote, max, &none);
        assert_eq!(approve(&open), approve(seen), "the guard needs nothing that stands as agreed");
    }
}

fn leave_out(seen: &Observation) -> Observation {
    let mut open = seen.clone();
    for (name, mailbox) in &mut open.base {
        if !is_as_it_was(seen, name, mailbox) {
            continue;
        }
        let mut listing = match open.local.mailboxes.get_mut(name) {
            Some(LocalMailbox::Unchanged) if mailbox.local.is_some() => None,
            Some(LocalMailbox::Listed(listing)) if has_inode(seen, name, mailbox) => Some(listing),
            Some(_) | None => continue,
        };
        let links = mailbox.links.take().unwrap_or_default();
        let files = links.values().filter(|link| link.presence != Presence::RemoteOnly).map(|link| &link.file);
        let mut times: BTreeMap<FileId, usize> = BTreeMap::new();
        files.for_each(|file| *times.entry(file.clone()).or_default() += 1);
        let next = mailbox.remote.as_ref().and_then(|check| check.uid_next);
        let there = seen.remote.mailboxes.get(name);
        let (stand, stay): (Vec<_>, Vec<_>) = links.into_iter().partition(|(uid, link)| {
            link.presence == Presence::Both
                && !link.flags.is_trashed()
                && next.is_none_or(|next| *uid < next)
                && (seen.policy.keywords == Keywords::Synced || link.flags.keywords.is_empty())
                && stands_there(there, link, seen.policy.keywords)
                && listing.as_ref().is_none_or(|listing| times[&link.file] == 1 && agrees(listing, link))
        });
        mailbox.links = Some(stay.into_iter().collect());
        for (uid, link) in stand {
            mailbox.standing.insert(uid, &link.flags);
            listing.iter_mut().for_each(|listing| _ = listing.files.remove(&link.file));
            if let Some(RemoteMailbox::Observed(listing)) = open.remote.mailboxes.get_mut(name) {
                listing.messages.remove(&uid);
            }
        }
    }
    put_back(seen, &mut open);
    open
}

fn stands_there(there: Option<&RemoteMailbox>, link: &Link, keywords: Keywords) -> bool {
    let Some(RemoteMailbox::Observed(listing)) = there else { return true };
    match (listing.messages.get(&link.uid), &listing.coverage) {
        (Some(message), _) if keywords == Keywords::Ignored => message.flags.without_keywords() == link.flags,
        (Some(message), _) => message.flags == link.flags,
        (None, Coverage::Everything) => false,
        (None, Coverage::Changes { vanished }) => !vanished.contains(link.uid),
    }
}

fn agrees(listing: &LocalListing, link: &Link) -> bool {
    listing.files.get(&link.file).is_some_and(|file| file.flags == link.flags)
}

/// Whether a run was done with the mailbox before, and the server has it still.
fn is_as_it_was(seen: &Observation, name: &MailboxName, mailbox: &BaseMailbox) -> bool {
    let is_renamed = seen.names.renamed.iter().any(|r| r.to == *name || r.known == *name);
    let check = mailbox.remote.as_ref().filter(|check| check.uid_next.is_some());
    let Some(check) = check.filter(|_| !is_renamed && mailbox.links.is_some() && !seen.names.left.contains(name))
    else {
        return false;
    };
    match seen.remote.mailboxes.get(name) {
        Some(RemoteMailbox::Unchanged) => true,
        Some(RemoteMailbox::Observed(_)) => {
            seen.remote_checks.get(name).is_some_and(|now| check.is_of(now.uid_validity, now.object_id.as_deref()))
        }
        Some(RemoteMailbox::Unknown) | None => false,
    }
}

fn has_inode(seen: &Observation, name: &MailboxName, mailbox: &BaseMailbox) -> bool {
    let agreed = mailbox.local.map(|check| check.inode).filter(|inode| *inode != 0);
    agreed.is_some() && agreed == seen.local_checks.get(name).map(|check| check.inode)
}

/// Puts back what is like something new, or has the content of something missing or of what is called like something new.
fn put_back(seen: &Observation, open: &mut Observation) {
    let (digests, dates) = same::traits(seen);
    relist(seen, open, &|link| digests.contains(&link.digest) || dates.contains(&(link.internal_date, link.size)));
    let called: BTreeSet<_> = same::new_messages(seen).into_iter().filter_map(|(.., new)| new.email_id).collect();
    let is_called = |link: &Link| link.email_id.as_ref().is_some_and(|id| called.contains(id));
    let elsewhere = seen.relatives.values().flat_map(BTreeMap::values).filter(|link| is_called(link));
    let mut digests: BTreeSet<Digest> = elsewhere.map(|link| link.digest).collect();
    for (name, mailbox) in &open.base {
        for link in mailbox.links.iter().flat_map(BTreeMap::values) {
            let is_gone = seen.local.lacks(name, &link.file) || seen.remote.lacks(name, mailbox, link.uid);
            if link.presence == Presence::Both && is_gone || is_called(link) {
                digests.insert(link.digest);
            }
        }
    }
    relist(seen, open, &|link| digests.contains(&link.digest));
}

fn relist(seen: &Observation, open: &mut Observation, is_like: &dyn Fn(&Link) -> bool) {
    for (name, mailbox) in &mut open.base {
        let all = seen.base[name].links.iter().flat_map(BTreeMap::values);
        let back: Vec<&Link> = all.filter(|l| mailbox.standing.contains(l.uid) && is_like(l)).collect();
        mailbox.standing.remove(&back.iter().map(|link| link.uid).collect());
        for link in back {
            if let (Some(LocalMailbox::Listed(listing)), Some(LocalMailbox::Listed(all))) =
                (open.local.mailboxes.get_mut(name), seen.local.mailboxes.get(name))
            {
                listing.files.insert(link.file.clone(), all.files[&link.file].clone());
            }
            if let (Some(RemoteMailbox::Observed(listing)), Some(RemoteMailbox::Observed(all))) =
                (open.remote.mailboxes.get_mut(name), seen.remote.mailboxes.get(name))
            {
                listing.messages.extend(all.messages.get(&link.uid).map(|message| (link.uid, message.clone())));
            }
            mailbox.links.get_or_insert_default().insert(link.uid, link.clone());
        }
    }
}
