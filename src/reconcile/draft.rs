//! The actions of one mailbox while they are being decided; messages that are treated alike become one action.

use std::collections::BTreeMap;

use super::plan::{Action, Disposal, Side};
use super::view::Outside;
use crate::mail::{FileId, FlagChange, Flags, Uid, UidSet};

/// See the module's page. `'a` is the observation.
#[derive(Debug, Default)]
pub(super) struct Draft<'a> {
    /// Actions on the mailbox, links and renames.
    pub(super) single: Vec<Action>,
    /// Files to append, with the flags the server can keep and their octets on the wire.
    pub(super) uploads: BTreeMap<&'a FileId, (Flags, u64)>,
    /// Messages to fetch, with the flags they come with and their octets, as far as known.
    pub(super) downloads: BTreeMap<Uid, (&'a Flags, Option<u64>)>,
    agreed: BTreeMap<Flags, UidSet>,
    flags: BTreeMap<(Side, FlagChange), UidSet>,
    deletions: BTreeMap<(Side, Disposal), UidSet>,
    kept: BTreeMap<Side, UidSet>,
    moved_out: BTreeMap<&'a Outside, UidSet>,
    forgotten: UidSet,
}

impl<'a> Draft<'a> {
    pub(super) fn agree(&mut self, uid: Uid, flags: Flags) {
        self.agreed.entry(flags).or_default().insert(uid);
    }

    /// An empty change is no action.
    pub(super) fn set_flags(&mut self, side: Side, uid: Uid, change: FlagChange) {
        if !change.is_empty() {
            self.flags.entry((side, change)).or_default().insert(uid);
        }
    }

    pub(super) fn delete(&mut self, side: Side, uid: Uid, disposal: Disposal) {
        self.deletions.entry((side, disposal)).or_default().insert(uid);
    }

    pub(super) fn keep(&mut self, side: Side, uid: Uid) {
        self.kept.entry(side).or_default().insert(uid);
    }

    pub(super) fn moved_out(&mut self, to: &'a Outside, uid: Uid) {
        self.moved_out.entry(to).or_default().insert(uid);
    }

    pub(super) fn forget(&mut self, uid: Uid) {
        self.forgotten.insert(uid);
    }

    /// Whether the plan removes this message from `side` for good.
    pub(super) fn removes(&self, side: Side, uid: Uid) -> bool {
        [Disposal::Expunge, Disposal::Trash]
            .into_iter()
            .any(|d| self.deletions.get(&(side, d)).is_some_and(|uids| uids.contains(uid)))
    }

    /// How many messages the plan removes from `side`.
    pub(super) fn removals(&self, side: Side) -> u64 {
        let counts = |((s, d), uids): (&(Side, Disposal), &UidSet)| {
            if *s == side && *d != Disposal::Mark { uids.len() } else { 0 }
        };
        self.deletions.iter().map(counts).sum()
    }

    /// The actions, by phase and then in a stable order (the order of the variants of [`Action`]).
    pub(super) fn finish(self) -> Vec<Action> {
        let Draft { single, uploads, downloads, agreed, flags, deletions, kept, moved_out, forgotten } = self;
        let mut actions = single;
        actions.extend(agreed.into_iter().map(|(flags, uids)| Action::Agree { uids, flags }));
        if !downloads.is_empty() {
            let octets = downloads.values().filter_map(|(_, octets)| *octets).fold(0, u64::saturating_add);
            actions.push(Action::Download { uids: downloads.into_keys().collect(), octets });
        }
        let upload =
            |(file, (flags, octets)): (&FileId, (Flags, u64))| Action::Upload { file: file.clone(), flags, octets };
        actions.extend(uploads.into_iter().map(upload));
        actions.extend(flags.into_iter().map(|((side, change), uids)| Action::SetFlags { side, uids, change }));
        actions.extend(deletions.into_iter().map(|((side, disposal), uids)| Action::Delete { side, uids, disposal }));
        actions.extend(kept.into_iter().map(|(side, uids)| Action::Keep { side, uids }));
        let moved = |(to, uids): (&Outside, UidSet)| {
            let Outside { left_out, mailbox } = to;
            Action::MovedOut { uids, to: mailbox.clone(), left_out: *left_out }
        };
        actions.extend(moved_out.into_iter().map(moved));
        if !forgotten.is_empty() {
            actions.push(Action::Forget { uids: forgotten });
        }
        actions.sort_by(|a, b| a.phase().cmp(&b.phase()).then_with(|| a.cmp(b)));
        actions
    }
}
