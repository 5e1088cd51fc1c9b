//! The base: what both sides last agreed on, as the state keeps it.

use std::collections::BTreeMap;

use super::{
    Digest, FileId, Flags, Keyword, MailboxId, MailboxName, MessageIdHash, ModSeq, Uid, UidSet, UidValidity,
    UnixSeconds,
};

/// Which sides hold a linked message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Presence {
    /// Both.
    Both,
    /// Only the file: the server's copy went, and the deletion policy keeps ours.
    LocalOnly,
    /// Only the server's copy: the file went; the deletion policy left the copy there, marked `\Deleted` or not (the
    /// agreed flags tell), or an EXPUNGE would have hit mail of others.
    RemoteOnly,
}

/// One message known on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its UID under the mailbox's checkpointed UIDVALIDITY.
    pub uid: Uid,
    /// Its file, wherever in `new` or `cur` and with whatever flags.
    pub file: FileId,
    /// Which sides still hold it.
    pub presence: Presence,
    /// The flags both sides had when last in agreement.
    pub flags: Flags,
    /// Octets on the wire.
    pub size: u64,
    /// Digest of the file.
    pub digest: Digest,
    /// Message-ID, when it has one.
    pub message_id: Option<MessageIdHash>,
    /// INTERNALDATE.
    pub internal_date: UnixSeconds,
    /// EMAILID (RFC 8474 §5.1) or X-GM-MSGID, where the server has one.
    pub email_id: Option<Box<str>>,
}

/// Which flags a mailbox can keep (RFC 3501 §7.1 PERMANENTFLAGS).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermanentFlags {
    /// Those that are named.
    pub named: Flags,
    /// Whether new keywords can be made (`\*`).
    pub any_keyword: bool,
}

impl PermanentFlags {
    /// Everything: what is assumed until a server says otherwise.
    pub fn everything() -> PermanentFlags {
        let mut named = Flags::none();
        super::SystemFlag::ALL.into_iter().for_each(|f| named.system.insert(f));
        PermanentFlags { named, any_keyword: true }
    }

    /// The part of `flags` that the mailbox can keep. `$Forwarded` is a keyword on the wire.
    #[must_use]
    pub fn storable(&self, flags: &Flags) -> Flags {
        let mut out = Flags::none();
        for flag in flags.system.iter() {
            if self.named.system.contains(flag) || (flag == super::SystemFlag::Passed && self.any_keyword) {
                out.system.insert(flag);
            }
        }
        let fits = |k: &&Keyword| self.any_keyword || self.named.keywords.contains(k);
        out.keywords = flags.keywords.iter().filter(fits).cloned().collect();
        out
    }

    /// Whether there is a flag that these allow and `others` do not.
    pub fn allow_more_than(&self, others: &PermanentFlags) -> bool {
        self.any_keyword && !others.any_keyword || others.storable(&self.named) != self.named
    }
}

/// What was observed of a mailbox on the server when everything up to it had been processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteCheckpoint {
    /// The generation of its UIDs.
    pub uid_validity: UidValidity,
    /// The UID the next message gets at least; `None` when the server did not say.
    pub uid_next: Option<Uid>,
    /// HIGHESTMODSEQ; `None` without CONDSTORE and under NOMODSEQ.
    pub highest_modseq: Option<ModSeq>,
    /// How many messages it held.
    pub messages: u32,
    /// Which flags it can keep.
    pub permanent: PermanentFlags,
    /// MAILBOXID (RFC 8474 §4), where the server has one.
    pub object_id: Option<Box<str>>,
}

/// What was observed of a mailbox's directories when everything in them had been processed.
///
/// One of which the times are not to be trusted has such as no directory has ([`LocalCheckpoint::look_again`]): the next
/// scan reads the directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LocalCheckpoint {
    /// The later of mtime and ctime of `new`, nanoseconds since 1970.
    pub new_time: i64,
    /// The same of `cur`.
    pub cur_time: i64,
    /// Inode of `cur`: by it a renamed directory is recognised.
    pub inode: u64,
}

impl RemoteCheckpoint {
    /// Whether a mailbox that is seen now is the same, as far as it tells: its UIDs mean the same, and no MAILBOXID is
    /// another.
    pub fn is_of(&self, uid_validity: UidValidity, object_id: Option<&str>) -> bool {
        let other = self.object_id.as_deref().zip(object_id).is_some_and(|(then, now)| then != now);
        self.uid_validity == uid_validity && !other
    }

    /// Forgets that anything was processed; what UIDs and flags mean is still known.
    pub fn look_again(&mut self) {
        self.uid_next = None;
        self.highest_modseq = None;
    }
}

impl LocalCheckpoint {
    /// Of a mailbox whose directory is gone, and is being made again with its mail: no directory has this inode. Until all is
    /// back, what is missing in it was not deleted.
    pub const BEING_RESTORED: LocalCheckpoint =
        LocalCheckpoint { new_time: i64::MIN, cur_time: i64::MIN, inode: u64::MAX };

    /// Of a mailbox in a tree, or of a state, that is an older copy, until a run was done with it: what is missing in it was
    /// not deleted, and its flags are older.
    pub const OLDER: LocalCheckpoint = LocalCheckpoint { inode: u64::MAX - 1, ..LocalCheckpoint::BEING_RESTORED };

    /// Of a mailbox that the configuration left out, until a run was done with it: what is missing on a side may have been
    /// put away there while nobody kept the two the same.
    pub const LEFT_OUT: LocalCheckpoint = LocalCheckpoint { inode: u64::MAX - 2, ..LocalCheckpoint::BEING_RESTORED };

    /// Of a mailbox that was restored: its directory is yet to be looked at.
    pub const RESTORED: LocalCheckpoint = LocalCheckpoint { inode: 0, ..LocalCheckpoint::BEING_RESTORED };

    /// Whether it is one of these, and no directory's.
    pub fn is_a_mark(&self) -> bool {
        self.inode == LocalCheckpoint::RESTORED.inode || self.inode >= LocalCheckpoint::LEFT_OUT.inode
    }

    /// Forgets that anything was processed; no directory ever has these times.
    pub fn look_again(&mut self) {
        self.new_time = i64::MIN;
        self.cur_time = i64::MIN;
    }
}

/// What both sides agreed on of one mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseMailbox {
    /// Its number in file names and in the state.
    pub id: MailboxId,
    /// The remote checkpoint; `None` until a run has finished with the mailbox.
    pub remote: Option<RemoteCheckpoint>,
    /// The local checkpoint; `None` until a run has finished with the mailbox.
    pub local: Option<LocalCheckpoint>,
    /// How many links there are.
    pub link_count: u64,
    /// The links, but for those in `standing`; `None` when they were not read because neither side has changed.
    pub links: Option<BTreeMap<Uid, Link>>,
    /// Links that were read and not kept, since both sides stand as agreed.
    pub standing: Standing,
}

/// Messages that both sides have as agreed, in a mailbox in which others changed: of a million, memory holds no more than
/// their UIDs and flags. Nothing is to be decided about them, and they count. What was observed of them is left out as well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    by_flags: BTreeMap<Flags, UidSet>,
}

impl Standing {
    /// Leaves a message out that both sides have with `flags`.
    pub fn insert(&mut self, uid: Uid, flags: &Flags) {
        match self.by_flags.get_mut(flags) {
            Some(uids) => uids.insert(uid),
            None => _ = self.by_flags.insert(flags.clone(), [uid].into_iter().collect()),
        }
    }

    /// Takes messages back of which more is to be known.
    pub fn remove(&mut self, uids: &UidSet) {
        self.by_flags.values_mut().for_each(|standing| *standing = standing.without(uids));
        self.by_flags.retain(|_, standing| !standing.is_empty());
    }

    /// The messages by their flags.
    pub fn by_flags(&self) -> &BTreeMap<Flags, UidSet> {
        &self.by_flags
    }

    /// All of their UIDs.
    pub fn uids(&self) -> UidSet {
        UidSet::union(self.by_flags.values())
    }

    /// Whether it is one of them.
    pub fn contains(&self, uid: Uid) -> bool {
        self.by_flags.values().any(|uids| uids.contains(uid))
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.by_flags.values().map(UidSet::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_flags.is_empty()
    }

    /// The keywords that they have.
    pub fn keywords(&self) -> impl Iterator<Item = &Keyword> {
        self.by_flags.keys().flat_map(|flags| &flags.keywords)
    }
}

impl BaseMailbox {
    /// One of which nothing is agreed on yet.
    pub fn new(id: MailboxId) -> BaseMailbox {
        BaseMailbox { id, remote: None, local: None, link_count: 0, links: None, standing: Standing::default() }
    }

    /// How many messages are agreed on.
    pub fn messages(&self) -> u64 {
        self.links.as_ref().map_or(self.link_count, |links| links.len() as u64 + self.standing.len())
    }

    /// Whether a run that was to bring all its mail back into the tree is not done with that.
    pub fn is_being_restored(&self) -> bool {
        self.has_mark(LocalCheckpoint::BEING_RESTORED)
    }

    /// Whether it is an older copy, and no run was done with it since that was put back.
    pub fn is_older(&self) -> bool {
        self.has_mark(LocalCheckpoint::OLDER)
    }

    /// Whether the configuration left it out, and no run was done with it since.
    pub fn was_left_out(&self) -> bool {
        self.has_mark(LocalCheckpoint::LEFT_OUT)
    }

    /// Whether the server was put back to an earlier state since, so that its UIDs mean something else now.
    pub fn was_put_back(&self) -> bool {
        self.remote.as_ref().is_some_and(|check| check.uid_validity == UidValidity::PUT_BACK)
    }

    fn has_mark(&self, mark: LocalCheckpoint) -> bool {
        self.local.is_some_and(|check| check.inode == mark.inode)
    }

    /// Has the next observation look at all of the mailbox, as if neither side had been looked at before.
    pub fn look_again(&mut self) {
        self.remote.iter_mut().for_each(RemoteCheckpoint::look_again);
        self.local.iter_mut().for_each(LocalCheckpoint::look_again);
    }
}

/// What both sides last agreed on, all mailboxes.
pub type Base = BTreeMap<MailboxName, BaseMailbox>;
