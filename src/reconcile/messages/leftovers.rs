//! What no file turned out to be: messages whose file is gone, copies kept on one side, what is new on the server.

use std::collections::BTreeMap;

use super::super::delta::{Delta, RemoteSide};
use super::super::plan::{Disposal, Side};
use super::super::view::{Deletions, Direction, Expunge, RemoteMessage};
use super::{MissingFiles, Work};
use crate::mail::{Link, Presence, Uid};

impl<'a> Work<'a, '_> {
    /// Whether a file without a link was not or could not be read: it may be any link's renamed file.
    pub(super) fn unlooked(&self) -> bool {
        self.unread || self.unreadable
    }

    pub(super) fn gone(&mut self) {
        if self.unlooked() {
            return;
        }
        let restored = self.policy().direction == Direction::Pull || self.scene.missing_files == MissingFiles::Restored;
        for (uid, (link, there)) in std::mem::take(&mut self.gone) {
            match there {
                None => self.draft.forget(uid),
                // Nothing comes to the tree; what is on the server stays.
                Some(_) if restored && self.pushes() => self.draft.keep(Side::Remote, uid),
                Some(there) if restored => _ = self.draft.downloads.insert(uid, (there, Some(link.size))),
                Some(there) => match self.scene.outside.get(&link.digest) {
                    Some(outside) => self.draft.moved_out(outside, uid),
                    None => self.delete_message(link, there),
                },
            }
        }
    }

    pub(super) fn kept(&mut self) {
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

    pub(super) fn new_messages(&mut self, rest: BTreeMap<Uid, &'a RemoteMessage>) {
        if self.pushes() || self.unread {
            return;
        }
        // A file that came from there and could not be read would be there twice.
        let open = rest.into_iter().filter(|(uid, _)| !self.claimed.contains(uid));
        self.draft.downloads.extend(open.map(|(uid, m)| (uid, (&m.flags, m.size))));
    }

    /// Finishes what an earlier run had to leave marked, once it hits nothing but that.
    pub(super) fn expunge_marked(&mut self) {
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
}
