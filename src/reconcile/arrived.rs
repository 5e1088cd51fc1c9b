//! Files that a run brought to the tree and was cut off before it could record them, and whose messages have gone from the
//! server since: deleted there, or moved on.
//!
//! Without a link they would seem to be new files of somebody here, and go up: deleted mail would be back, and mail that
//! moved on would be there twice. That a file's name says where it came from is not enough to tell it from those, since a
//! copy that somebody put back from a backup says so too. But what was about to come is on record before the first file
//! of it is in place (`Fact::Arriving`). A file of which both tell the same gets the link that the run would
//! have recorded, and all else follows as if it had: by the policy it is deleted here, or moves on as well.
//!
//! Which flags had been agreed on, the link tells that is gone from both sides where the file was before, with the same
//! content. Of what was downloaded nothing tells: it is as with what has no link, and those of both sides stay.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Action, Here, Plan};
use super::view::{Coverage, LocalContent, LocalListing, LocalMailbox, LocalView, RemoteMailbox, RemoteView};
use crate::mail::{
    AccountId, Base, BaseMailbox, Digest, FileId, Flags, Intent, Link, MailboxId, MailboxName, Origin, Presence, Uid,
    UidSet,
};

/// What earlier runs left that were cut off.
#[derive(Debug, Clone, Default)]
pub struct Arrived {
    /// What was about to come to each mailbox, without what has a link.
    pub open: Arriving,
    /// The messages that have a link now which is not recorded.
    pub links: BTreeMap<MailboxName, UidSet>,
}

/// What was observed, and the mailboxes to leave alone.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'s> {
    /// The account's id in file names.
    pub account: AccountId,
    /// The account.
    pub remote: &'s RemoteView,
    /// Uploads whose outcome is unknown.
    pub intents: &'s BTreeMap<MailboxName, Vec<Intent>>,
    /// Mailboxes that the server has by another name.
    pub left: &'s BTreeSet<MailboxName>,
    /// Mailboxes whose UIDs mean something else now: what was to come to them means nothing.
    pub reset: &'s BTreeSet<MailboxName>,
}

/// What was about to come to each mailbox, as it is on record.
pub type Arriving = BTreeMap<MailboxId, UidSet>;

/// Gives such files their link, in `base`; [`Arrived::links`] are to be recorded.
pub fn look(mut arriving: Arriving, seen: &Seen<'_>, base: &mut Base, local: &mut LocalView) -> Arrived {
    let mut found: BTreeMap<MailboxName, BTreeMap<Uid, FileId>> = BTreeMap::new();
    for (name, mailbox) in base.iter().filter(|(name, _)| !seen.left.contains(*name)) {
        if seen.reset.contains(name) {
            arriving.remove(&mailbox.id);
        }
        let Some(uids) = arriving.get_mut(&mailbox.id) else { continue };
        let Some(links) = &mailbox.links else { continue };
        // One that is linked and goes is on its way no more: a file that says it was this one is a copy that comes back.
        *uids = uids.without(&UidSet::union([&links.keys().copied().collect(), &mailbox.standing.uids()]));
        let Some(LocalMailbox::Listed(listing)) = local.mailboxes.get(name) else { continue };
        let files = files(seen, (name, mailbox, links), uids, listing);
        *uids = uids.without(&files.keys().copied().collect());
        if !files.is_empty() {
            found.insert(name.clone(), files);
        }
    }
    let mut lost = if found.is_empty() { BTreeMap::new() } else { lost(base, local, seen.remote) };
    let mut links: BTreeMap<MailboxName, UidSet> = BTreeMap::new();
    for (name, files) in found {
        let Some(LocalMailbox::Listed(listing)) = local.mailboxes.get_mut(&name) else { continue };
        let Some(known) = base.get_mut(&name).and_then(|mailbox| mailbox.links.as_mut()) else { continue };
        for (uid, file) in files {
            let Some(found) = listing.files.get_mut(&file) else { continue };
            let LocalContent::Known { content, modified, .. } = found.content else { continue };
            found.content = LocalContent::Unread;
            let link = Link {
                uid,
                file,
                presence: Presence::Both,
                flags: lost.get_mut(&content.digest).and_then(Vec::pop).unwrap_or_default(),
                size: content.wire_size,
                digest: content.digest,
                message_id: content.message_id,
                internal_date: modified,
                email_id: None,
            };
            known.insert(uid, link);
            links.entry(name.clone()).or_default().insert(uid);
        }
    }
    Arrived { open: arriving, links }
}

/// The files without a link of a mailbox that are each one of `uids`, which has gone.
fn files(
    seen: &Seen<'_>,
    (name, mailbox, links): (&MailboxName, &BaseMailbox, &BTreeMap<Uid, Link>),
    uids: &UidSet,
    listing: &LocalListing,
) -> BTreeMap<Uid, FileId> {
    let linked: BTreeSet<&FileId> = links.values().map(|link| &link.file).collect();
    let sent: BTreeSet<&FileId> = seen.intents.get(name).into_iter().flatten().map(|intent| &intent.file).collect();
    let generation = mailbox.remote.as_ref().map(|then| then.uid_validity);
    let is_ours = |origin: &Origin| generation.is_some_and(|then| origin.is_of(seen.account, mailbox.id, then));
    let mut files: BTreeMap<Uid, Vec<&FileId>> = BTreeMap::new();
    for (id, file) in &listing.files {
        if let LocalContent::Known { origin: Some(origin), .. } = file.content
            && is_ours(&origin)
            && uids.contains(origin.uid)
        {
            files.entry(origin.uid).or_default().push(id);
        }
    }
    // Of several that say the same, one was made by somebody here.
    let only = files.into_iter().filter_map(|(uid, files)| match files.as_slice() {
        [file] => Some((uid, *file)),
        _ => None,
    });
    let open = only.filter(|(_, file)| !linked.contains(file) && !sent.contains(file));
    open.filter(|(uid, _)| has_gone(seen.remote, name, mailbox, *uid)).map(|(uid, file)| (uid, file.clone())).collect()
}

/// Whether the server had a message that has no link, and has it no more.
fn has_gone(remote: &RemoteView, name: &MailboxName, mailbox: &BaseMailbox, uid: Uid) -> bool {
    let Some(then) = &mailbox.remote else { return false };
    match remote.mailboxes.get(name) {
        // With all that was in it.
        None => true,
        Some(RemoteMailbox::Observed(now)) if now.uid_validity == then.uid_validity => {
            let is_told = match &now.coverage {
                Coverage::Everything => true,
                Coverage::Changes { vanished } => {
                    vanished.contains(uid) || then.uid_next.is_some_and(|next| uid >= next)
                }
            };
            // One that it never gave out was not deleted there.
            is_told && !now.messages.contains_key(&uid) && now.uid_next.is_none_or(|next| uid < next)
        }
        Some(RemoteMailbox::Observed(_) | RemoteMailbox::Unchanged | RemoteMailbox::Unknown) => false,
    }
}

/// The flags agreed on of messages that are gone from both sides, by content.
fn lost(base: &Base, local: &LocalView, remote: &RemoteView) -> BTreeMap<Digest, Vec<Flags>> {
    let mut lost: BTreeMap<Digest, Vec<Flags>> = BTreeMap::new();
    for (name, mailbox) in base {
        let is_lost = |link: &&Link| {
            link.presence == Presence::Both && local.lacks(name, &link.file) && remote.lacks(name, mailbox, link.uid)
        };
        for link in mailbox.links.iter().flat_map(BTreeMap::values).filter(is_lost) {
            lost.entry(link.digest).or_default().push(link.flags.clone());
        }
    }
    lost
}

/// The messages that the plan brings to each mailbox of the tree.
pub fn brought(plan: &Plan) -> BTreeMap<&MailboxName, UidSet> {
    let mut brought: BTreeMap<&MailboxName, UidSet> = BTreeMap::new();
    for (name, action) in plan.actions() {
        match action {
            Action::Download { uids, .. } => brought.entry(name).or_default().insert_all(uids),
            Action::Move(relocation) | Action::Copy(relocation) => {
                if let Here::Message(uid) = relocation.here {
                    brought.entry(name).or_default().insert(uid);
                }
            }
            _ => {}
        }
    }
    brought
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{Content, PermanentFlags, RemoteCheckpoint, UidValidity, UnixSeconds};
    use crate::reconcile::view::{KeywordRoom, LocalFile, RemoteListing, RemoteMessage};

    const ID: MailboxId = MailboxId(7);
    const ACCOUNT: AccountId = AccountId(1);
    const NOW: UidValidity = UidValidity(3);

    fn uid(n: u32) -> Uid {
        Uid::new(n).unwrap()
    }

    fn flags(name: &str) -> Flags {
        let mut flags = Flags::none();
        flags.insert_imap(name);
        flags
    }

    fn name(name: &str) -> MailboxName {
        MailboxName::parse(name).unwrap()
    }

    /// A file of this content, which says that it was this message.
    fn file(content: u8, n: u32) -> LocalFile {
        let content = Content { digest: Digest([content; 32]), wire_size: 100, message_id: None };
        let origin = Some(Origin { account: ACCOUNT, mailbox: ID, uid_validity: NOW, uid: uid(n) });
        let content = LocalContent::Known { content, unstamped: None, modified: UnixSeconds(5), origin };
        LocalFile { flags: flags("\\Flagged"), content }
    }

    /// The mailbox A, in which the last run saw all below UID 10, and UIDs 10 to 13 were about to come; the next is 13.
    struct Scene {
        arriving: Arriving,
        base: Base,
        local: LocalView,
        remote: RemoteView,
    }

    impl Scene {
        fn new(files: &[(&str, LocalFile)], there: &[u32], coverage: Coverage) -> Scene {
            let arriving = [(ID, UidSet::range(uid(10), uid(13)))].into();
            let permanent = PermanentFlags::everything();
            let checkpoint = RemoteCheckpoint {
                uid_validity: NOW,
                uid_next: Some(uid(10)),
                highest_modseq: None,
                messages: 0,
                permanent: permanent.clone(),
                object_id: None,
            };
            let mailbox =
                BaseMailbox { remote: Some(checkpoint), links: Some(BTreeMap::new()), ..BaseMailbox::new(ID) };
            let files = files.iter().map(|(id, file)| (FileId::new(*id), file.clone())).collect();
            let listing = LocalListing { files, keywords: KeywordRoom::default() };
            let messages = there.iter().map(|n| (uid(*n), RemoteMessage::default())).collect();
            let seen = RemoteListing { uid_validity: NOW, uid_next: Some(uid(13)), messages, coverage, permanent };
            let (mut local, mut remote) = (LocalView::default(), RemoteView::default());
            local.mailboxes.insert(name("A"), LocalMailbox::Listed(listing));
            remote.mailboxes.insert(name("A"), RemoteMailbox::Observed(seen));
            Scene { arriving, base: [(name("A"), mailbox)].into(), local, remote }
        }

        fn arrived(&mut self) -> Arrived {
            let (intents, left) = (BTreeMap::new(), BTreeSet::new());
            let reset = self.remote.reset(&self.base);
            let seen = Seen { account: ACCOUNT, remote: &self.remote, intents: &intents, left: &left, reset: &reset };
            look(self.arriving.clone(), &seen, &mut self.base, &mut self.local)
        }

        fn look(&mut self) -> UidSet {
            self.arrived().links.get(&name("A")).cloned().unwrap_or_default()
        }

        fn links(&self) -> &BTreeMap<Uid, Link> {
            self.base[&name("A")].links.as_ref().unwrap()
        }
    }

    fn set(text: &str) -> UidSet {
        UidSet::parse(text).unwrap()
    }

    #[test]
    fn only_what_was_to_come_and_has_gone_gets_a_link() {
        let files = [
            ("put back", file(1, 9)),
            ("one", file(2, 10)),
            ("there", file(3, 11)),
            ("two", file(4, 12)),
            ("never given out", file(5, 13)),
        ];
        let mut scene = Scene::new(&files, &[11], Coverage::Everything);
        assert_eq!(scene.look(), set("10,12"));
        let link = &scene.links()[&uid(10)];
        assert_eq!(
            (&link.file, link.internal_date, &link.flags),
            (&FileId::new("one"), UnixSeconds(5), &Flags::none())
        );
        let Some(LocalMailbox::Listed(listing)) = scene.local.mailboxes.get(&name("A")) else { panic!("listed") };
        let unread: Vec<_> = listing.files.iter().filter(|(_, file)| file.content == LocalContent::Unread).collect();
        assert_eq!(unread.len(), 2);
        let again = scene.arrived();
        assert!(again.links.is_empty(), "they have a link now");
        assert_eq!(again.open[&ID], set("11,13"));

        let vanished = Coverage::Changes { vanished: set("12") };
        assert_eq!(Scene::new(&files, &[11], vanished).look(), set("10,12"));
    }

    #[test]
    fn of_two_files_that_say_the_same_none_is_taken() {
        let files = [("one", file(2, 10)), ("its copy", file(2, 10)), ("two", file(3, 11))];
        assert_eq!(Scene::new(&files, &[], Coverage::Everything).look(), set("11"));
    }

    #[test]
    fn what_is_not_known_of_the_server_or_means_something_else_is_left_alone() {
        let files = [("one", file(2, 10))];
        for other in [RemoteMailbox::Unknown, RemoteMailbox::Unchanged] {
            let mut scene = Scene::new(&files, &[], Coverage::Everything);
            scene.remote.mailboxes.insert(name("A"), other);
            assert_eq!(scene.look(), UidSet::new());
        }
        let mut scene = Scene::new(&files, &[], Coverage::Everything);
        scene.base.get_mut(&name("A")).unwrap().remote.as_mut().unwrap().uid_validity = UidValidity(4);
        let arrived = scene.arrived();
        assert!(arrived.links.is_empty() && arrived.open.is_empty());
        let mut scene = Scene::new(&files, &[], Coverage::Everything);
        scene.remote.mailboxes.clear();
        assert_eq!(scene.look(), set("10"), "it went with its mailbox");
    }

    #[test]
    fn a_link_that_is_gone_from_both_sides_tells_the_flags() {
        let mut scene = Scene::new(&[("one", file(2, 10))], &[], Coverage::Everything);
        let lost = Link {
            uid: uid(4),
            file: FileId::new("before"),
            presence: Presence::Both,
            flags: flags("\\Seen"),
            size: 100,
            digest: Digest([2; 32]),
            message_id: None,
            internal_date: UnixSeconds(5),
            email_id: None,
        };
        let links = Some([(lost.uid, lost)].into());
        scene.base.insert(name("B"), BaseMailbox { links, ..BaseMailbox::new(MailboxId(8)) });
        assert_eq!(scene.look(), set("10"));
        assert_eq!(scene.links()[&uid(10)].flags, flags("\\Seen"));
    }
}
