//! The flags of what moves and is copied: those agreed on as it arrives, and what each side then lacks.

use super::super::Input;
use super::super::merge::merge;
use super::super::plan::{Here, Relocation};
use super::super::view::{Direction, RemoteMessage};
use super::{Source, Way};
use crate::mail::{FileId, FlagChange, Flags, MailboxName, PermanentFlags, Uid};

/// Merges the flags of what is relocated into one mailbox.
pub(super) struct Flagged<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) permanent: &'a PermanentFlags,
}

impl Flagged<'_> {
    pub(super) fn seen(&self, flags: &Flags) -> Flags {
        self.input.policy.keywords.seen(flags).into_owned()
    }

    pub(super) fn merged(&self, agreed: &Flags, local: &Flags, remote: &Flags) -> (Flags, FlagChange, FlagChange) {
        let mut merged = merge(&self.seen(agreed), &self.seen(local), &self.seen(remote));
        // What the mailbox it comes to cannot keep does not come along.
        let agreed = self.permanent.storable(&merged.agreed);
        let mut change = FlagChange { add: self.permanent.storable(&merged.remote.add), ..merged.remote };
        match self.input.policy.direction {
            Direction::Both => {}
            Direction::Pull => change = FlagChange::default(),
            Direction::Push => merged.local = FlagChange::default(),
        }
        (agreed, merged.local, change)
    }

    /// What each side lacks when `late` is done to the server's flags as well.
    pub(super) fn merged_with(
        &self,
        late: &FlagChange,
        agreed: &Flags,
        local: &Flags,
        remote: &Flags,
    ) -> (FlagChange, FlagChange) {
        let wanted = remote.after(late);
        let (_, here, there) = self.merged(agreed, local, &wanted);
        let there = self.seen(remote).change_to(&self.seen(&wanted).after(&there));
        (here, FlagChange { add: self.permanent.storable(&there.add), ..there })
    }

    pub(super) fn to_server(
        &self,
        way: Way,
        source: Source<'_>,
        file: &FileId,
        here: &Flags,
        octets: u64,
    ) -> Relocation {
        let (flags, local, remote) = match way {
            Way::Move | Way::Spread => self.merged(&source.link.flags, here, source.flags),
            Way::Copy => self.merged(source.flags, here, source.flags),
        };
        let (from, uid) = source.place();
        Relocation { from, uid, here: Here::File(file.clone()), flags, local, remote, octets }
    }

    pub(super) fn to_tree(&self, way: Way, source: Source<'_>, to: Uid, message: &RemoteMessage) -> Relocation {
        if way == Way::Copy {
            let (from, uid) = source.place();
            return self.arrived(&from, uid, source.flags, to, message);
        }
        let (flags, local, remote) = self.merged(&source.link.flags, source.flags, &message.flags);
        let (from, uid) = source.place();
        Relocation { from, uid, here: Here::Message(to), flags, local, remote, octets: source.link.size }
    }

    /// A second place of a message whose file has `flags`.
    pub(super) fn arrived(
        &self,
        from: &MailboxName,
        uid: Uid,
        flags: &Flags,
        to: Uid,
        message: &RemoteMessage,
    ) -> Relocation {
        let (first, second) = (self.seen(flags), self.seen(&message.flags));
        let local = first.change_to(&second);
        Relocation {
            from: from.clone(),
            uid,
            here: Here::Message(to),
            flags: first,
            local,
            remote: FlagChange::default(),
            octets: message.size.unwrap_or_default(),
        }
    }
}
