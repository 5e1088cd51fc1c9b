//! The links of mailboxes in which something changed, and of these only what there may be something to decide about.
//!
//! Where the server tells what changed (CONDSTORE, RFC 7162), nearly every message of such a mailbox stands on both sides
//! as agreed. As soon as its directory was read, those are left out of the base, and their files out of the listing, so
//! that memory holds no more of them than UIDs ([`Standing`]). They come back where the plan may have to speak of them:
//!
//! * what the server names as changed or gone,
//! * what has the content of something that is new or missing, or is like it as far as that is known,
//! * all of a mailbox that the server does not have as it was: it has gone, started its UIDs anew, or cannot be looked into.
//!
//! A link stands when both sides have its message, the file is there with the flags agreed on, and no other link has that
//! file. One that came since the checkpoint does not, nor one that is marked `\Deleted`: what others do depends on it. In a
//! directory that may be another mailbox's, none does.

use std::collections::BTreeMap;

use super::local::{LocalSide, Scanned};
use crate::error::Result;
use crate::local::Listing;
use crate::mail::{
    Base, BaseMailbox, FileId, Flags, Intent, Link, MailboxId, MailboxName, Presence, Standing, Uid, UidSet,
};
use crate::reconcile::Relatives;
use crate::reconcile::renames::has_inode;
use crate::reconcile::view::{Coverage, Keywords, RemoteMailbox, RemoteView};
use crate::state::{State, Traits};

/// Reads links.
pub struct Links<'s> {
    /// Where they are; `None` when a dry run finds none.
    pub state: Option<&'s State>,
    keywords: Keywords,
    /// Uploads whose outcome is unknown, of mailboxes whose links were read.
    pub intents: BTreeMap<MailboxName, Vec<Intent>>,
}

impl<'s> Links<'s> {
    /// None read yet.
    pub fn new(state: Option<&'s State>, keywords: Keywords) -> Self {
        Links { state, keywords, intents: BTreeMap::new() }
    }

    /// Reads those of a mailbox, unless they were read.
    pub fn read(&mut self, base: &mut Base, local: &mut LocalSide, name: &MailboxName) -> Result<()> {
        let unread = base.get_mut(name).filter(|mailbox| mailbox.links.is_none());
        let Some((state, mailbox)) = self.state.zip(unread) else { return Ok(()) };
        match local.scans.get_mut(name).filter(|_| changes_are_told(mailbox)) {
            Some(Scanned::Listed(listed)) if has_inode(mailbox, listed.listing.checkpoint.inode) => {
                read_open(state, self.keywords, mailbox, Some(&mut listed.listing))?;
            }
            Some(Scanned::Unchanged) if mailbox.local.is_some() => read_open(state, self.keywords, mailbox, None)?,
            Some(Scanned::Unchanged | Scanned::Listed(_) | Scanned::Unknown) | None => {
                mailbox.links = Some(state.links(mailbox.id)?);
            }
        }
        let open = state.intents(mailbox.id)?;
        if !open.is_empty() {
            self.intents.insert(name.clone(), open);
        }
        Ok(())
    }

    /// Reads those again of which the server, as it was seen, does not let us think that they stand.
    pub fn recall(&self, base: &mut Base, local: &mut LocalSide, seen: &RemoteView) -> Result<()> {
        for (name, mailbox) in base.iter_mut().filter(|(_, mailbox)| !mailbox.standing.uids.is_empty()) {
            let uids = named(mailbox, seen.mailboxes.get(name));
            self.read_again(mailbox, &uids, &mut |link| local.relist(name, link))?;
        }
        Ok(())
    }

    /// Reads all of a mailbox again.
    pub fn recall_all(&self, base: &mut Base, local: &mut LocalSide, name: &MailboxName) -> Result<()> {
        let Some(mailbox) = base.get_mut(name) else { return Ok(()) };
        let uids = mailbox.standing.uids.clone();
        self.read_again(mailbox, &uids, &mut |link| local.relist(name, link))
    }

    /// Reads those with one of `traits`, as far as they were not read: what stands is put back, as `relist` does with the
    /// file; what is in mailboxes that did not move on is given.
    pub fn kin(
        &self,
        base: &mut Base,
        traits: &Traits,
        relist: &mut dyn FnMut(&MailboxName, &Link),
    ) -> Result<Relatives> {
        let is_partial = |mailbox: &BaseMailbox| match mailbox.links {
            None => mailbox.link_count > 0,
            Some(_) => !mailbox.standing.uids.is_empty(),
        };
        let partial = base.iter_mut().filter(|(_, mailbox)| is_partial(mailbox));
        let mut partial: BTreeMap<MailboxId, (&MailboxName, &mut BaseMailbox)> =
            partial.map(|(name, mailbox)| (mailbox.id, (name, mailbox))).collect();
        let mut relatives = Relatives::new();
        let Some(state) = self.state.filter(|_| !partial.is_empty()) else { return Ok(relatives) };
        for (id, link) in state.kin(traits)? {
            let Some((name, mailbox)) = partial.get_mut(&id) else { continue };
            match &mut mailbox.links {
                None => _ = relatives.entry((*name).clone()).or_default().insert(link.uid, link),
                Some(links) if mailbox.standing.uids.contains(link.uid) => {
                    mailbox.standing.uids = mailbox.standing.uids.without(&[link.uid].into_iter().collect());
                    relist(name, &link);
                    links.insert(link.uid, link);
                }
                Some(_) => {}
            }
        }
        Ok(relatives)
    }

    /// Reads those of `uids` again; each is given to `relist`, whose file is to be listed.
    fn read_again(&self, mailbox: &mut BaseMailbox, uids: &UidSet, relist: &mut dyn FnMut(&Link)) -> Result<()> {
        let Some(state) = self.state.filter(|_| !uids.is_empty()) else { return Ok(()) };
        for link in state.links_of(mailbox.id, uids)? {
            relist(&link);
            mailbox.links.get_or_insert_default().insert(link.uid, link);
        }
        mailbox.standing.uids = mailbox.standing.uids.without(uids);
        Ok(())
    }
}

/// Whether the server can tell what changed since the checkpoint.
fn changes_are_told(mailbox: &BaseMailbox) -> bool {
    mailbox.remote.as_ref().is_some_and(|check| check.uid_next.is_some() && check.highest_modseq.is_some())
}

/// The UIDs, of those that stand in a mailbox, that it has to be read for.
fn named(mailbox: &BaseMailbox, seen: Option<&RemoteMailbox>) -> UidSet {
    let standing = &mailbox.standing.uids;
    match seen {
        Some(RemoteMailbox::Unchanged) => UidSet::new(),
        Some(RemoteMailbox::Observed(listing)) => match &listing.coverage {
            Coverage::Changes { vanished } => {
                let mut named: UidSet = listing.messages.keys().copied().collect();
                named.insert_all(vanished);
                standing.and(&named)
            }
            Coverage::Everything => standing.clone(),
        },
        Some(RemoteMailbox::Unknown) | None => standing.clone(),
    }
}

/// Reads the links of a mailbox but for those that stand, whose files go from `listing`; without one, the directory is as
/// agreed.
fn read_open(
    state: &State,
    keywords: Keywords,
    mailbox: &mut BaseMailbox,
    listing: Option<&mut Listing>,
) -> Result<()> {
    let next = mailbox.remote.as_ref().and_then(|check| check.uid_next);
    let may_stand = |link: &Link| {
        let is_older = next.is_none_or(|next| link.uid < next);
        let is_compared = keywords == Keywords::Synced || link.flags.keywords.is_empty();
        link.presence == Presence::Both && is_older && is_compared && !link.flags.is_trashed()
    };
    let (mut open, mut standing) = (Vec::new(), Standing::default());
    let mut files = listing.as_deref().map(Files::of);
    state.each_link(mailbox.id, |link| {
        for keyword in &link.flags.keywords {
            if !standing.keywords.contains(keyword) {
                standing.keywords.insert(keyword.clone());
            }
        }
        let may_stand = may_stand(&link);
        match files.as_mut().map_or(may_stand, |files| files.stands(&link, may_stand)) {
            true => standing.uids.insert(link.uid),
            false => open.push((link.uid, link)),
        }
    })?;
    let files = files.map(Files::finish);
    if let Some((listing, (stay, shared))) = listing.zip(files) {
        let files = std::mem::take(&mut listing.files).into_iter().zip(stay);
        listing.files = files.filter_map(|(file, stays)| stays.then_some(file)).collect();
        standing.uids = standing.uids.without(&shared);
        open.extend(state.links_of(mailbox.id, &shared)?.into_iter().map(|link| (link.uid, link)));
    }
    mailbox.links = Some(open.into_iter().collect());
    mailbox.standing = standing;
    Ok(())
}

/// The files of a listing, with their flags and what links there are to them.
struct Files<'l> {
    files: Vec<(&'l FileId, &'l Flags, Linked)>,
    /// Links that seemed to stand until another came that has the same file.
    shared: UidSet,
}

/// What links there are to a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Linked {
    Not,
    ByStanding(Uid),
    Otherwise,
}

impl<'l> Files<'l> {
    fn of(listing: &'l Listing) -> Self {
        let files = listing.files.iter().map(|(id, file)| (id, &file.flags, Linked::Not));
        Files { files: files.collect(), shared: UidSet::new() }
    }

    /// Whether a link stands, which it may as far as the state tells.
    fn stands(&mut self, link: &Link, may_stand: bool) -> bool {
        let found = self.files.binary_search_by(|(id, ..)| (*id).cmp(&link.file));
        let file = found.ok().filter(|_| link.presence != Presence::RemoteOnly).and_then(|at| self.files.get_mut(at));
        let Some((_, flags, linked)) = file else { return false };
        let stands = may_stand && *linked == Linked::Not && **flags == link.flags;
        if let Linked::ByStanding(other) = *linked {
            self.shared.insert(other);
        }
        *linked = if stands { Linked::ByStanding(link.uid) } else { Linked::Otherwise };
        stands
    }

    /// Which of the files stay in the listing, and the links that do not stand after all.
    fn finish(self) -> (Vec<bool>, UidSet) {
        let stay = self.files.iter().map(|(.., linked)| !matches!(linked, Linked::ByStanding(_)));
        (stay.collect(), self.shared)
    }
}

#[cfg(test)]
mod tests;
