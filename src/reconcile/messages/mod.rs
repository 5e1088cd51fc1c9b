//! The decisions of one mailbox, message by message: links first, then what has no link, then flags.
//!
//! Works on a [`Scene`] in which both sides are known; the mailbox itself is decided in [`super::mailboxes`].
//!
//! | file | decides |
//! | --- | --- |
//! | `links` | messages with a link, as far as their two sides leave no question open |
//! | `unlinked` | files without a link: who they are |
//! | `leftovers` | what no file turned out to be: deletions, downloads, copies kept on one side |
//! | `flags` | flags of messages on both sides |

mod flags;
mod leftovers;
mod links;
mod unlinked;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::alike::Dates;
use super::delta::{LocalSide, RemoteSide};
use super::draft::Draft;
use super::identity::{Candidate, Place};
use super::view::{Direction, LocalContent, Outside, Policy, TreeAge};
use crate::mail::{Digest, FileId, Flags, Intent, Link, MailboxName, PermanentFlags, Presence, Standing, Uid};

/// One mailbox before it is decided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) name: &'a MailboxName,
    pub(super) place: Option<Place>,
    /// None at all when the server started its UIDs anew.
    pub(super) links: &'a BTreeMap<Uid, Link>,
    /// Those of which nothing has to be decided.
    pub(super) standing: &'a Standing,
    pub(super) local: LocalSide<'a>,
    pub(super) remote: RemoteSide<'a>,
    pub(super) intents: &'a [Intent],
    pub(super) policy: &'a Policy,
    pub(super) trash: Option<&'a MailboxName>,
    pub(super) missing_files: MissingFiles,
    /// Nobody kept the two sides the same for a while.
    pub(super) was_left_out: bool,
    pub(super) age: TreeAge,
    /// Where missing files may be that the run does not look after.
    pub(super) outside: &'a BTreeMap<Digest, Outside>,
    pub(super) dates: Dates,
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
    work.alike();
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
    /// What is recorded as agreed, where that is not `base`.
    recorded: Option<&'a Flags>,
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
    /// What files that could not be read are, as their names say.
    claimed: BTreeSet<Uid>,
    pairs: Vec<Pair<'a>>,
    /// Links of both sides whose file is gone, with the server's flags.
    gone: BTreeMap<Uid, (&'a Link, Option<&'a Flags>)>,
    /// Links of both sides whose message is gone, with the flags of the file, which is to follow.
    vanished: Vec<(&'a Link, &'a Flags)>,
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
            counts: (scene.standing.len(), scene.standing.len()),
            permanent: scene.remote.permanent(),
            linked: HashSet::new(),
            unread: false,
            unreadable: false,
            claimed: BTreeSet::new(),
            pairs: Vec::new(),
            gone: BTreeMap::new(),
            vanished: Vec::new(),
            kept: BTreeMap::new(),
            candidates: Vec::new(),
            marked: BTreeSet::new(),
        };
        if let LocalSide::Listed(listing) = scene.local {
            work.linked = linked.collect();
            work.counts.0 += listing.files.len() as u64;
            let kept: HashSet<&FileId> =
                scene.links.values().filter(|l| l.presence == Presence::RemoteOnly).map(|l| &l.file).collect();
            for (id, file) in listing.files.iter().filter(|(id, _)| !work.linked.contains(id)) {
                work.unread |= file.content == LocalContent::Unread && !kept.contains(id);
                if let LocalContent::Unreadable(origin) = file.content {
                    work.unreadable = true;
                    let ours = origin.filter(|origin| scene.place.is_some_and(|place| place.is_of(origin)));
                    work.claimed.extend(ours.map(|origin| origin.uid));
                }
            }
        }
        work
    }

    fn policy(&self) -> &'a Policy {
        self.scene.policy
    }

    /// Flags as far as the policy compares them.
    fn seen<'f>(&self, flags: &'f Flags) -> Cow<'f, Flags> {
        self.policy().keywords.seen(flags)
    }

    fn pushes(&self) -> bool {
        self.policy().direction == Direction::Push
    }
}
