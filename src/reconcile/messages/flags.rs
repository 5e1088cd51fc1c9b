//! Flags of messages that both sides have.

use super::super::delta::LocalSide;
use super::super::merge::{Room, merge};
use super::super::plan::Side;
use super::super::view::{Direction, Keywords};
use super::{Pair, Work};

impl<'a> Work<'a, '_> {
    /// Merges flags, with the keyword letters that downloads leave.
    pub(super) fn flags(&mut self) {
        let mut room = match self.scene.local {
            LocalSide::Listed(listing) => Room::listed(&listing.keywords),
            LocalSide::Unchanged | LocalSide::Absent | LocalSide::Unknown => {
                let linked = self.scene.links.values().flat_map(|link| &link.flags.keywords);
                Room::guessed(linked.chain(self.scene.standing.keywords()))
            }
        };
        for (flags, _) in self.draft.downloads.values() {
            self.seen(flags).keywords.iter().for_each(|k| _ = room.take(k));
        }
        let mut pairs = std::mem::take(&mut self.pairs);
        pairs.sort_by_key(|p| p.uid);
        for Pair { uid, base, recorded, local, remote } in pairs {
            let mut merged = merge(&self.seen(&base), &self.seen(local), &self.seen(remote));
            let recorded = recorded.unwrap_or(&base);
            if merged.agreed != *self.seen(recorded) {
                if self.policy().keywords == Keywords::Ignored {
                    merged.agreed.keywords.clone_from(&recorded.keywords);
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
}
