//! The decisions of one mailbox, message by message: links first, then what has no link, then flags.
//!
//! Works on a [`Scene`] in which both sides are known; the mailbox itself is decided in [`super::mailboxes`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::delta::{Delta, LocalSide, RemoteSide};
use super::disposal::{self, Bin, Fate, Marks};
use super::draft::Draft;
use super::identity::{Candidate, Match, Place, Search};
use super::merge::{Room, common, merge};
use super::plan::{Action, Disposal, Side};
use super::view::{Deletions, Direction, Expunge, Keywords, LocalContent, Policy, RemoteMessage};
use crate::mail::{
    Content, Digest, FileId, Flags, Intent, Link, MailboxName, PermanentFlags, Presence, SystemFlag, Uid,
};

/// One mailbox before it is decided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) name: &'a MailboxName,
    pub(super) place: Option<Place>,
    /// None at all when the server started its UIDs anew.
    pub(super) links: &'a BTreeMap<Uid, Link>,
    pub(super) local: LocalSide<'a>,
    pub(super) remote: RemoteSide<'a>,
    pub(super) intents: &'a [Intent],
    pub(super) policy: &'a Policy,
    pub(super) trash: Option<&'a MailboxName>,
    pub(super) missing_files: MissingFiles,
}

/// What it means that a link's file is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MissingFiles {
    /// It was deleted.
    Deleted,
    /// It is to come back.
    Restored,
}

/// The decisions, and what stands in the mailbox before them.
#[derive(Debug)]
pub(super) struct Decided<'a> {
    pub(super) draft: Draft<'a>,
    /// Files there are, as far as seen.
    pub(super) files: u64,
    /// Messages there are on the server, as far as seen.
    pub(super) messages: u64,
}

/// How often each content comes to Trash, or is there, without a deletion on the server.
pub(super) type Binned = BTreeMap<Digest, u64>;

/// Decides all messages of a mailbox.
pub(super) fn decide<'a>(scene: &Scene<'a>, binned: &mut Binned) -> Decided<'a> {
    let mut work = Work::new(scene, binned);
    work.links();
    let rest = work.unlinked();
    work.gone();
    work.kept();
    work.new_messages(rest);
    work.expunge_marked();
    work.flags();
    let (files, messages) = work.counts;
    Decided { draft: work.draft, files, messages }
}

/// A message on both sides whose flags differ somewhere.
struct Pair<'a> {
    uid: Uid,
    base: Cow<'a, Flags>,
    local: &'a Flags,
    remote: &'a Flags,
}

struct Work<'a, 's> {
    scene: &'s Scene<'a>,
    binned: &'s mut Binned,
    draft: Draft<'a>,
    counts: (u64, u64),
    permanent: PermanentFlags,
    /// Files that links stand for.
    linked: HashSet<&'a FileId>,
    /// Files that were not looked at, and files that could not be read.
    unread: bool,
    unreadable: bool,
    pairs: Vec<Pair<'a>>,
    /// Links of both sides whose file is gone, with the server's flags.
    gone: BTreeMap<Uid, (&'a Link, Option<&'a Flags>)>,
    /// Links kept on the server, with its flags.
    kept: BTreeMap<Uid, (&'a Link, &'a Flags)>,
    /// Files to go up, again or for the first time.
    candidates: Vec<Candidate<'a>>,
    /// Messages left marked on the server, by us.
    marked: BTreeSet<Uid>,
}

impl<'a, 's> Work<'a, 's> {
    fn new(scene: &'s Scene<'a>, binned: &'s mut Binned) -> Self {
        let linked = scene.links.values().filter(|l| l.presence != Presence::RemoteOnly).map(|l| &l.file);
        let mut work = Work {
            scene,
            binned,
            draft: Draft::default(),
            counts: (0, 0),
            permanent: scene.remote.permanent(),
            linked: HashSet::new(),
            unread: false,
            unreadable: false,
            pairs: Vec::new(),
            gone: BTreeMap::new(),
            kept: BTreeMap::new(),
            candidates: Vec::new(),
            marked: BTreeSet::new(),
        };
        if let LocalSide::Listed(listing) = scene.local {
            work.linked = linked.collect();
            work.counts.0 = listing.files.len() as u64;
            let kept: HashSet<&FileId> =
                scene.links.values().filter(|l| l.presence == Presence::RemoteOnly).map(|l| &l.file).collect();
            for (id, file) in listing.files.iter().filter(|(id, _)| !work.linked.contains(id)) {
                work.unread |= file.content == LocalContent::Unread && !kept.contains(id);
                work.unreadable |= file.content == LocalContent::Unreadable;
            }
        }
        work
    }

    fn policy(&self) -> &'a Policy {
        self.scene.policy
    }

    /// Settles every link whose two sides leave no question open, and sorts the others out.
    fn links(&mut self) {
        let mut vanished = Vec::new();
        for link in self.scene.links.values() {
            let (local, remote) = (self.scene.local.delta(link), self.scene.remote.delta(link));
            let (here, there) = (local.now(link), remote.now(link));
            self.counts.1 += u64::from(there.is_some() && link.presence != Presence::LocalOnly);
            if let LocalSide::Unchanged = self.scene.local {
                self.counts.0 += u64::from(here.is_some());
            }
            match (link.presence, here, there) {
                (Presence::Both, Some(here), Some(there)) => {
                    if (local, remote) != (Delta::Unchanged, Delta::Unchanged) {
                        self.pair(link.uid, Cow::Borrowed(&link.flags), here, there);
                    }
                }
                (Presence::Both, None, there) => _ = self.gone.insert(link.uid, (link, there)),
                (Presence::Both, Some(here), None) => vanished.push((link, here)),
                (Presence::LocalOnly, None, _) if self.unlooked() => {}
                (Presence::LocalOnly, None, _) | (Presence::RemoteOnly, _, None) => self.draft.forget(link.uid),
                (Presence::LocalOnly, Some(here), _) => {
                    let undeleted = link.flags.is_trashed() && !here.is_trashed();
                    if undeleted && self.policy().direction != Direction::Pull {
                        self.again(link, here);
                    }
                }
                (Presence::RemoteOnly, here, Some(there)) => match here.filter(|_| self.is_back(link)) {
                    Some(here) => {
                        self.linked.insert(&link.file);
                        self.relink(link, &link.file, here, there);
                    }
                    None => _ = self.kept.insert(link.uid, (link, there)),
                },
            }
        }
        self.vanished(vanished);
    }

    /// A file kept aside by name: it must not have become another message's, nor have another content.
    fn is_back(&self, link: &Link) -> bool {
        let LocalSide::Listed(listing) = self.scene.local else { return false };
        match listing.files.get(&link.file).map(|f| &f.content) {
            Some(LocalContent::Unread) => !self.linked.contains(&link.file),
            Some(LocalContent::Known { content, .. }) => {
                content.digest == link.digest && !self.linked.contains(&link.file)
            }
            Some(LocalContent::Unreadable) | None => false,
        }
    }

    /// Messages gone from the server whose file is here.
    fn vanished(&mut self, vanished: Vec<(&'a Link, &'a Flags)>) {
        if vanished.is_empty() {
            return;
        }
        // A file that went up again may still have its old link when the run was cut off: that one is not its fate.
        let files: HashSet<&FileId> = vanished.iter().map(|(link, _)| &link.file).collect();
        let stands = |l: &&Link| {
            l.presence == Presence::Both && files.contains(&l.file) && self.scene.remote.delta(l) != Delta::Gone
        };
        let claimed: HashSet<&FileId> = self.scene.links.values().filter(stands).map(|l| &l.file).collect();
        for (link, here) in vanished {
            if claimed.contains(&link.file) {
                self.draft.forget(link.uid);
            } else if self.policy().direction == Direction::Push {
                self.again(link, here);
            } else {
                self.delete_file(link.uid, &link.flags, here);
            }
        }
    }

    fn again(&mut self, link: &'a Link, flags: &'a Flags) {
        let content = Content { digest: link.digest, wire_size: link.size, message_id: link.message_id };
        let (file, was, is) = (&link.file, Some(link.uid), Match::Nothing);
        self.candidates.push(Candidate { file, flags, content, origin: None, was, is });
    }

    fn delete_file(&mut self, uid: Uid, agreed: &Flags, here: &Flags) {
        let fate = disposal::of_file(self.policy().deletions, here);
        self.carry_out(fate, Side::Local, uid, agreed);
    }

    fn delete_message(&mut self, link: &Link, there: &Flags) {
        let marks = match self.permanent.named.system.contains(SystemFlag::Trashed) {
            true => Marks::Kept,
            false => Marks::Lost,
        };
        let bin = self.bin(link);
        let fate = disposal::of_message(self.policy().deletions, there, bin, marks);
        self.carry_out(fate, Side::Remote, link.uid, &link.flags);
    }

    fn bin(&mut self, link: &Link) -> Bin {
        let name = self.scene.name;
        match (self.scene.trash, self.binned.get_mut(&link.digest)) {
            (None, _) => Bin::Unknown,
            (Some(trash), _) if name == trash || name.is_below(trash) => Bin::Reached,
            (Some(_), Some(left @ 1..)) => {
                *left -= 1;
                Bin::Reached
            }
            (Some(_), Some(0) | None) => Bin::Elsewhere,
        }
    }

    /// A copy that is kept is recorded as marked or not, so that it shows when somebody undeletes it.
    fn carry_out(&mut self, fate: Fate, side: Side, uid: Uid, agreed: &Flags) {
        if let Fate::Disposed(disposal) = fate {
            return self.draft.delete(side, uid, disposal);
        }
        let mut flags = agreed.clone();
        match fate {
            Fate::KeptMarked => flags.system.insert(SystemFlag::Trashed),
            Fate::Kept | Fate::Disposed(_) => flags.system.remove(SystemFlag::Trashed),
        }
        if flags != *agreed {
            self.draft.agree(uid, flags);
        }
        self.draft.keep(side, uid);
    }

    /// A kept message has its file again: as if it had never been away.
    fn relink(&mut self, link: &'a Link, file: &'a FileId, here: &'a Flags, there: &'a Flags) {
        let flags = merge(&self.seen(&link.flags), &self.seen(here), &self.seen(there)).agreed;
        self.draft.single.push(Action::Link { uid: link.uid, file: file.clone(), flags: flags.clone() });
        self.pair(link.uid, Cow::Owned(flags), here, there);
    }

    fn pair(&mut self, uid: Uid, base: Cow<'a, Flags>, local: &'a Flags, remote: &'a Flags) {
        if *base != *local || *base != *remote {
            self.pairs.push(Pair { uid, base, local, remote });
        }
    }

    /// Matches files without a link; what stays unmatched goes up. Gives the server's messages that stay unmatched.
    fn unlinked(&mut self) -> BTreeMap<Uid, &'a RemoteMessage> {
        if let LocalSide::Listed(listing) = self.scene.local {
            for (file, found) in listing.files.iter().filter(|(id, _)| !self.linked.contains(id)) {
                if let LocalContent::Known { content, origin, .. } = found.content {
                    let (flags, was, is) = (&found.flags, None, Match::Nothing);
                    self.candidates.push(Candidate { file, flags, content, origin, was, is });
                }
            }
        }
        let mut uids = BTreeMap::new();
        if let RemoteSide::Observed(listing) = self.scene.remote {
            let stands = |uid: &Uid| self.scene.links.get(uid).is_some_and(|l| l.presence != Presence::LocalOnly);
            uids.extend(listing.messages.iter().filter(|(uid, _)| !stands(uid)).map(|(uid, m)| (*uid, m)));
        }
        self.counts.1 += uids.len() as u64;
        let gone = self.gone.iter().filter(|(_, (_, there))| there.is_some() || !self.pushes());
        let mut search = Search {
            place: self.scene.place,
            uids,
            gone: gone.map(|(uid, (link, _))| (*uid, *link)).collect(),
            lost: self.gone.iter().filter(|(_, (_, there))| there.is_none()).map(|(uid, _)| *uid).collect(),
            kept: self.kept.iter().map(|(uid, (link, _))| (*uid, *link)).collect(),
            intents: self.scene.intents.iter().map(|i| (&i.file, i)).collect(),
        };
        let mut candidates = std::mem::take(&mut self.candidates);
        let all = search.uids.clone();
        search.run(&mut candidates);
        for candidate in candidates {
            self.identified(candidate, &all);
        }
        search.uids
    }

    fn pushes(&self) -> bool {
        self.policy().direction == Direction::Push
    }

    fn identified(&mut self, candidate: Candidate<'a>, uids: &BTreeMap<Uid, &'a RemoteMessage>) {
        let Candidate { file, flags: here, content, was, is, .. } = candidate;
        match is {
            Match::Message(uid) => {
                let Some(message) = uids.get(&uid) else { return };
                let flags = common(&self.seen(here), &self.seen(&message.flags));
                self.draft.single.push(Action::Link { uid, file: file.clone(), flags: flags.clone() });
                was.into_iter().for_each(|old| self.draft.forget(old));
                self.pair(uid, Cow::Owned(flags), here, &message.flags);
            }
            Match::Renamed(uid) => {
                let Some((link, there)) = self.gone.remove(&uid) else { return };
                self.draft.single.push(Action::Rename { uid, file: file.clone() });
                match there {
                    Some(there) => self.pair(uid, Cow::Borrowed(&link.flags), here, there),
                    None => self.delete_file(uid, &link.flags, here),
                }
            }
            Match::Kept(uid) => {
                let Some((link, there)) = self.kept.remove(&uid) else { return };
                self.relink(link, file, here, there);
            }
            Match::Nothing if self.policy().direction != Direction::Pull => {
                let flags = self.permanent.storable(&self.seen(here));
                self.draft.uploads.insert(file, (flags, content.wire_size));
            }
            Match::Nothing => {}
        }
    }

    /// Whether a file without a link was not or could not be read: it may be any link's renamed file.
    fn unlooked(&self) -> bool {
        self.unread || self.unreadable
    }

    fn gone(&mut self) {
        if self.unlooked() {
            return;
        }
        let restored = self.policy().direction == Direction::Pull || self.scene.missing_files == MissingFiles::Restored;
        for (uid, (link, there)) in std::mem::take(&mut self.gone) {
            match there {
                None => self.draft.forget(uid),
                Some(there) if restored => _ = self.draft.downloads.insert(uid, (there, Some(link.size))),
                Some(there) => self.delete_message(link, there),
            }
        }
    }

    fn kept(&mut self) {
        for (uid, (link, there)) in std::mem::take(&mut self.kept) {
            match (link.flags.is_trashed(), there.is_trashed()) {
                (true, false) if !self.pushes() && !self.unlooked() => {
                    self.draft.downloads.insert(uid, (there, Some(link.size)));
                }
                (true, true) => _ = self.marked.insert(uid),
                (true | false, false) | (false, true) => {}
            }
        }
    }

    fn new_messages(&mut self, rest: BTreeMap<Uid, &'a RemoteMessage>) {
        if self.pushes() || self.unread {
            return;
        }
        self.draft.downloads.extend(rest.into_iter().map(|(uid, m)| (uid, (&m.flags, m.size))));
    }

    /// Finishes what an earlier run had to leave marked, once it hits nothing but that.
    fn expunge_marked(&mut self) {
        let policy = self.policy();
        let wanted = match policy.deletions {
            Deletions::Expunge => true,
            Deletions::Trash => self.scene.trash.is_some(),
            Deletions::Mark | Deletions::Never => false,
        };
        if !wanted || policy.direction == Direction::Pull || self.marked.is_empty() {
            return;
        }
        let safe = match (policy.expunge, self.scene.remote) {
            (Expunge::Named, _) => true,
            (Expunge::WholeMailbox, RemoteSide::Observed(listing)) => {
                let ours = |uid: &Uid| self.marked.contains(uid) || self.draft.removes(Side::Remote, *uid);
                let seen = listing.messages.iter().all(|(uid, m)| !m.flags.is_trashed() || ours(uid));
                let unseen = |l: &Link| self.scene.remote.delta(l) == Delta::Unchanged && l.flags.is_trashed();
                let links = self.scene.links.values().filter(|l| l.presence != Presence::LocalOnly);
                // Under Push, messages without a link may stand where a listing of changes does not show them.
                let all_seen = !self.pushes() || self.scene.remote.is_complete();
                all_seen && seen && links.filter(|l| unseen(l)).all(|l| ours(&l.uid))
            }
            (Expunge::WholeMailbox, RemoteSide::Unchanged(_) | RemoteSide::Absent | RemoteSide::Unknown) => false,
        };
        if safe {
            let marked = std::mem::take(&mut self.marked);
            marked.into_iter().for_each(|uid| self.draft.delete(Side::Remote, uid, Disposal::Expunge));
        }
    }

    /// Merges flags, with the keyword letters that downloads leave.
    fn flags(&mut self) {
        let mut room = match self.scene.local {
            LocalSide::Listed(listing) => Room::listed(&listing.keywords),
            LocalSide::Unchanged | LocalSide::Absent | LocalSide::Unknown => Room::guessed(self.scene.links.values()),
        };
        for (flags, _) in self.draft.downloads.values() {
            self.seen(flags).keywords.iter().for_each(|k| _ = room.take(k));
        }
        let mut pairs = std::mem::take(&mut self.pairs);
        pairs.sort_by_key(|p| p.uid);
        for Pair { uid, base, local, remote } in pairs {
            let mut merged = merge(&self.seen(&base), &self.seen(local), &self.seen(remote));
            if merged.agreed != *self.seen(&base) {
                if self.policy().keywords == Keywords::Ignored {
                    merged.agreed.keywords.clone_from(&base.keywords);
                }
                self.draft.agree(uid, merged.agreed);
            }
            if self.policy().direction != Direction::Push {
                merged.local.add.keywords.retain(|k| room.take(k));
                self.draft.set_flags(Side::Local, uid, merged.local);
            }
            if self.policy().direction != Direction::Pull {
                merged.remote.add = self.permanent.storable(&merged.remote.add);
                merged.remote.remove = self.permanent.storable(&merged.remote.remove);
                self.draft.set_flags(Side::Remote, uid, merged.remote);
            }
        }
    }

    /// Flags as far as the policy compares them.
    fn seen<'f>(&self, flags: &'f Flags) -> Cow<'f, Flags> {
        match self.policy().keywords {
            Keywords::Ignored if !flags.keywords.is_empty() => Cow::Owned(flags.without_keywords()),
            Keywords::Ignored | Keywords::Synced => Cow::Borrowed(flags),
        }
    }
}
