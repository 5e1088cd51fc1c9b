//! Messages with a link: what became of each side, and what that means.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use super::super::delta::{Delta, LocalSide};
use super::super::disposal::{self, Bin, Fate, Marks};
use super::super::identity::{Candidate, Match};
use super::super::merge::merge;
use super::super::plan::{Action, Side};
use super::super::view::{Direction, LocalContent, TreeAge};
use super::{Pair, Work};
use crate::mail::{Content, Digest, FileId, Flags, Link, Presence, SystemFlag, Uid};

impl<'a> Work<'a, '_> {
    /// Settles every link whose two sides leave no question open, and sorts the others out.
    pub(super) fn links(&mut self) {
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
                        match self.scene.age {
                            TreeAge::AsLeft => self.pair(link.uid, Cow::Borrowed(&link.flags), here, there),
                            TreeAge::Older => self.older_pair(link, here, there),
                        }
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
    pub(super) fn is_back(&self, link: &Link) -> bool {
        let LocalSide::Listed(listing) = self.scene.local else { return false };
        match listing.files.get(&link.file).map(|f| &f.content) {
            Some(LocalContent::Unread) => !self.linked.contains(&link.file),
            Some(LocalContent::Known { content, .. }) => {
                content.digest == link.digest && !self.linked.contains(&link.file)
            }
            Some(LocalContent::Unreadable(_)) | None => false,
        }
    }

    /// Of messages of one content and the same agreed flags, one gone here and one gone there are the same loss: which of
    /// them a deletion hit, or went elsewhere, is nobody's wish. Else two users who each take one of two away take both.
    ///
    /// Works on what no file turned out to be.
    pub(super) fn alike(&mut self) {
        let is_open =
            self.policy().direction == Direction::Both && self.scene.age == TreeAge::AsLeft && !self.unlooked();
        let vanished = std::mem::take(&mut self.vanished);
        let mut alike: BTreeMap<(Digest, &Flags), Vec<(&Link, &Flags)>> = BTreeMap::new();
        if is_open && !vanished.is_empty() {
            for (gone, there) in self.gone.values().rev().filter_map(|(gone, there)| Some((*gone, (*there)?))) {
                alike.entry((gone.digest, &gone.flags)).or_default().push((gone, there));
            }
        }
        for (link, here) in vanished {
            let twin = alike.get_mut(&(link.digest, &link.flags)).and_then(Vec::pop);
            match twin {
                Some((gone, there)) => {
                    self.gone.remove(&gone.uid);
                    self.relink(gone, &link.file, here, there);
                }
                None => self.delete_file(link.uid, &link.flags, here),
            }
        }
    }

    /// Messages gone from the server whose file is here.
    pub(super) fn vanished(&mut self, vanished: Vec<(&'a Link, &'a Flags)>) {
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
            } else if self.scene.remote.never_had(link.uid) || self.scene.was_left_out {
                match self.policy().direction {
                    Direction::Both | Direction::Push => self.again(link, here),
                    Direction::Pull => self.carry_out(Fate::Kept, Side::Local, link.uid, &link.flags),
                }
            } else {
                self.vanished.push((link, here));
            }
        }
    }

    pub(super) fn again(&mut self, link: &'a Link, flags: &'a Flags) {
        let content = Content { digest: link.digest, wire_size: link.size, message_id: link.message_id };
        let (file, was, is) = (&link.file, Some(link.uid), Match::Nothing);
        self.candidates.push(Candidate { file, flags, content, plain: content, origin: None, modified: None, was, is });
    }

    pub(super) fn delete_file(&mut self, uid: Uid, agreed: &Flags, here: &Flags) {
        let fate = disposal::of_file(self.policy().deletions, here);
        self.carry_out(fate, Side::Local, uid, agreed);
    }

    pub(super) fn delete_message(&mut self, link: &Link, there: &Flags) {
        let marks = match self.permanent.named.system.contains(SystemFlag::Trashed) {
            true => Marks::Kept,
            false => Marks::Lost,
        };
        let bin = self.bin(link);
        let fate = disposal::of_message(self.policy().deletions, there, bin, marks);
        self.carry_out(fate, Side::Remote, link.uid, &link.flags);
    }

    pub(super) fn bin(&mut self, link: &Link) -> Bin {
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
    pub(super) fn carry_out(&mut self, fate: Fate, side: Side, uid: Uid, agreed: &Flags) {
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

    /// A message has a file again: as if it had never been away.
    pub(super) fn relink(&mut self, link: &'a Link, file: &'a FileId, here: &'a Flags, there: &'a Flags) {
        let flags = merge(&self.seen(&link.flags), &self.seen(here), &self.seen(there)).agreed;
        self.draft.single.push(Action::Link { uid: link.uid, file: file.clone(), flags: flags.clone() });
        self.pair(link.uid, Cow::Owned(flags), here, there);
    }

    pub(super) fn pair(&mut self, uid: Uid, base: Cow<'a, Flags>, local: &'a Flags, remote: &'a Flags) {
        if *base != *local || *base != *remote {
            self.pairs.push(Pair { uid, base, recorded: None, local, remote });
        }
    }

    /// A message in a tree, or of a state, that was put back: its file's flags are nobody's wish, and the record may lag.
    /// Where it does not, it stays until the file has the flags: a run that is cut off must not forget those of the server.
    fn older_pair(&mut self, link: &'a Link, local: &'a Flags, remote: &'a Flags) {
        let recorded = Some(&link.flags).filter(|recorded| *recorded != remote);
        let (uid, base) = (link.uid, Cow::Borrowed(local));
        self.pairs.push(Pair { uid, base, recorded, local, remote });
    }
}
