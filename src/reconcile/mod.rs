//! The specification: base + what was observed + policy → plan. Pure: no I/O, clock, randomness, threads, logging.
//!
//! Not seen is not deleted: absence counts only inside what was really observed. When unsure, the mail stays.
//! A plan never acts on what it cannot know, and after a plan was carried out the next one is empty; the few
//! exceptions are named below.
//!
//! # A link on both sides
//!
//! Each side is *here* (as agreed, or with other flags) or *gone*.
//!
//! | file | server copy | decision |
//! | --- | --- | --- |
//! | here | here | both sides' additions and removals apply to the agreed flags; what both did alike is only recorded |
//! | gone | here | deleted on the server, by the policy. Pull: downloaded again |
//! | here | gone | deleted in the tree, by the policy. Push: uploaded again |
//! | gone | gone | forgotten |
//!
//! * When the tree, or the state, is an older copy that was put back ([`view::TreeAge`]), a missing file is downloaded
//!   again (Push: its message stays), a missing mailbox is made again, and the flags are the server's.
//! * So it is in a single mailbox that is an older copy ([`view::LocalView::replaced`], [`BaseMailbox::is_older`]); and
//!   where the configuration left one out for a while ([`BaseMailbox::was_left_out`]), what is missing on either side comes
//!   from the other, and the flags of both count.
//! * A file that was moved into a mailbox which the run leaves out ([`view::Outside`]) was not deleted: the server's copy
//!   is kept, as under Never; where other runs have that mailbox, it waits for one of them. Moved to the Trash it was
//!   deleted. A message that moved on the server into a mailbox left out is gone, since nothing is asked of those.
//! * Of messages of one content and the same agreed flags, one whose file is gone and one whose server copy is are the
//!   same loss: what is left of the two is one message.
//! * A UID that is gone, and is not below the server's UIDNEXT, was never given out: the server was put back to an earlier
//!   state, or did not keep what it took. That is nobody's deletion: uploaded again (Pull: the file is kept).
//! * What left a mailbox for a place that cannot be looked into stays on the server until it can go, and of several alike
//!   in the tree as well, and with flags that the server does not know of ([`held`]). What came on the server out of a
//!   mailbox whose directory cannot be looked into waits.
//! * A deletion wins over a flag change. `T`/`\Deleted` is a flag like the others.
//! * A flag that the other side cannot keep (PERMANENTFLAGS; 26 keywords a directory) is neither planned nor agreed.
//!   Downloads take keyword letters first, then flag changes, each by rising UID.
//! * *Expunge* repeats the deletion. *Trash* moves to the Trash mailbox, expunges in it and below it, and where the
//!   file itself was moved to the local Trash (its content goes up there), and marks where no Trash is known; in the
//!   tree it repeats the deletion. *Mark* sets `\Deleted` and keeps the other copy; one that is
//!   marked already, or cannot be marked, is kept as it is. *Never* keeps it. A kept message's link says on which side,
//!   and has `T` only when the mark stands for the deletion.
//!
//! # A link on one side
//!
//! * The kept copy goes: forgotten.
//! * The server's copy is kept and its file is there again, by name or by content: linked again; the flags merge
//!   against those recorded, so a file without `T` takes our mark back.
//! * It was marked when recorded and is not any more: somebody undeleted it. Downloaded (not under Push), or uploaded
//!   (not under Pull).
//! * The server's copy is marked, and the policy is Expunge, or Trash with a Trash known: expunged, unless under Pull.
//!   Without UIDPLUS only when the mailbox was looked into and nothing else in it is marked.
//!
//! # What has no link
//!
//! A file and a UID are the same message, in this order of evidence, when
//! 1. the file's name says so and size or digest agree (also for a link whose file is gone and whose message is there: it
//!    was renamed);
//! 2. an upload of the file was begun, and the UID is new since, with its content, or with its size and Message-ID
//!    where no other content could be meant;
//! 3. the file has the content of a link whose file is gone: a rename, not a deletion;
//! 4. their contents are equal, or differ in nothing but the stamps of other synchronisers ([`crate::mail::stamp`]); N in, N
//!    out, those of equal flags first. Without a look at the server's body where Message-ID and size tell ([`alike`]);
//! 5. the file has the content of a link that is gone on both sides: it was renamed, and deleted on the server;
//! 6. the file has the content of a message kept on the server only.
//!
//! They start with the flags that both have; those of one side are then set on the other. What is left is downloaded
//! (not under Push) or uploaded (not under Pull). A file that was not or could not be read leads to nothing; it may
//! also be any link's renamed file, so none of its mailbox counts as gone; and while one was not looked at, nothing is
//! downloaded either. The message that a file came from which could not be read, as its name says, waits.
//!
//! # A mailbox
//!
//! *Known* means that a checkpoint or a link exists. A side that could not be looked at: nothing. So is a server that
//! lists no mailbox at all when some are known. On neither side: forgotten.
//!
//! | local | server | not known | known |
//! | --- | --- | --- | --- |
//! | there | there | messages only | messages only |
//! | – | there | created locally (not under Push) | its files are gone: the policy decides; what is new on the server is downloaded into a new directory; else removed on the server (Expunge, Trash), if nothing stays in it |
//! | there | – | created on the server (not under Pull) | mirrored |
//!
//! * One that was left out for a while and is missing on a side: made again there and filled (on the server not under Pull).
//! * INBOX missing locally, or anything under Pull: made again and filled. INBOX missing on the server: nothing. The
//!   Trash mailbox is never removed from the server.
//! * Under Push a mailbox missing on the server is made again and filled.
//! * Making a known mailbox again on the server gives it new UIDs, so its links are dropped and every file goes up. With
//!   deletions pending (new files in a directory whose mailbox went, under Expunge or Trash) they come first, alone:
//!   the next plan makes the mailbox.
//! * A mailbox that the server has by another name, which the tree cannot follow to, is missing; what the server has under
//!   its old name waits for the next plan, and so does a file whose message is there.
//! * While one side has a mailbox that could not be looked into, none missing there was removed: it may be that one.
//! * A mailbox that has the UIDs of another one, which cannot be looked into, may be that one: nothing.
//! * A changed UIDVALIDITY drops all links; then everything is new and matched by content. Nothing happens
//!   before all files of the mailbox were read. What was kept on one side comes back to the other.
//!
//! # What executing means
//!
//! The plan leans on facts that are recorded action by action:
//!
//! | action | facts |
//! | --- | --- |
//! | Link, Upload | `Linked` with its flags, and in the same transaction the file's other link, if any, is dropped; after an upload with those of the flags that the mailbox can keep: of one made in this run the plan does not know |
//! | Download | `Linked` with the flags that both sides have now |
//! | SetFlags | `FlagsAgreed(agreed.after(change))`, as far as the change took hold |
//! | Delete expunge, trash | `Unlinked`; `PresenceChanged(RemoteOnly, flags + T)` where it had to be left marked |
//! | Delete mark | `PresenceChanged(LocalOnly or RemoteOnly, flags + T)` |
//! | Forget | `Unlinked`; where a file stays, its directory is read in the next run though it may not have changed |
//! | Keep | `PresenceChanged(LocalOnly or RemoteOnly, flags as agreed)` |
//! | MovedOut | the same with RemoteOnly where the configuration leaves the mailbox out; else none, and no checkpoint |
//! | RemoveMailbox | `MailboxForgotten` once removed; a mailbox that still holds mail stays, which is no failure |
//!
//! A mailbox's checkpoints may be recorded only when both sides were looked at (or as agreed) and it is on both sides
//! at the end, every file without a link could be read, no upload's outcome is open, nothing of its plan failed or
//! was refused, and it is not among the plan's unfinished ones.
//!
//! And on these observations: a directory is listed, though unchanged, where the server started its UIDs anew or shows
//! a keyword that no link has (the letters left are to be known); a message on the server is read where a file without
//! a link, an open upload or, under Push, a linked file could be it; a file that an earlier run brought, and was cut off
//! before it could record that, has a link where its message has gone from the server since ([`arrived`]), and so has a
//! message that was sent whose file has gone ([`sent`]).

use std::collections::{BTreeMap, BTreeSet};

use crate::mail::{AccountId, Base, BaseMailbox, Intent, Link, MailboxName, Uid};

pub mod alike;
pub mod arrived;
mod delta;
mod disposal;
mod draft;
pub mod guard;
mod held;
mod identity;
mod mailboxes;
mod merge;
mod messages;
pub mod plan;
mod relocate;
pub mod renames;
pub mod sent;
#[cfg(test)]
mod tests;
pub mod view;

use delta::RemoteSide;
pub use plan::{Action, Disposal, Here, Phase, Plan, Relocation, Side};
pub use renames::{Names, Renamed};
use view::{LocalMailbox, LocalView, MailboxIds, Policy, RemoteMailbox, RemoteView};

/// Everything a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What both sides last agreed on.
    pub base: &'a Base,
    /// The tree as observed.
    pub local: &'a LocalView,
    /// The account as observed.
    pub remote: &'a RemoteView,
    /// The number of each mailbox in file names.
    pub ids: &'a MailboxIds,
    /// The account's id in file names.
    pub account: AccountId,
    /// APPENDs whose outcome is unknown.
    pub intents: &'a BTreeMap<MailboxName, Vec<Intent>>,
    /// Links of mailboxes that did not move on, which were not read otherwise: those that what is new elsewhere may be
    /// the same message as.
    pub relatives: &'a Relatives,
    /// What became of names; base and views know renamed mailboxes by the new ones.
    pub names: &'a Names,
    /// What the account's settings allow.
    pub policy: &'a Policy,
}

impl<'a> Input<'a> {
    /// The mailbox on the server that the base knows by this name.
    fn remote_side(&self, name: &MailboxName) -> RemoteSide<'a> {
        match self.names.left.contains(name) {
            true => RemoteSide::Absent,
            false if self.may_be_another(name) => RemoteSide::Unknown,
            false => RemoteSide::of(self.remote, name, self.base.get(name)),
        }
    }

    /// The link of a UID.
    fn link(&self, name: &MailboxName, uid: Uid) -> Option<&'a Link> {
        self.base.get(name)?.links.as_ref()?.get(&uid)
    }

    /// Whether a directory could not be looked into.
    fn has_dark_directories(&self) -> bool {
        self.local.mailboxes.values().any(|mailbox| *mailbox == LocalMailbox::Unknown)
    }

    /// Whether a mailbox on the server could not be looked into.
    fn has_dark_mailboxes(&self) -> bool {
        self.remote.mailboxes.values().any(|mailbox| *mailbox == RemoteMailbox::Unknown)
    }
}

impl Input<'_> {
    /// Whether the server may have given this name to a known mailbox that cannot be looked into under its own: its UIDs
    /// are of that one's generation.
    fn may_be_another(&self, name: &MailboxName) -> bool {
        let Some(RemoteMailbox::Observed(listing)) = self.remote.mailboxes.get(name) else { return false };
        let has_its_uids = |known: &BaseMailbox| {
            known.remote.as_ref().is_some_and(|checkpoint| checkpoint.uid_validity == listing.uid_validity)
        };
        let dark = |other: &MailboxName| matches!(self.remote.mailboxes.get(other), Some(RemoteMailbox::Unknown));
        let is_other = self.base.get(name).is_some_and(|known| known.remote.is_some() && !has_its_uids(known));
        is_other && self.base.iter().any(|(other, known)| has_its_uids(known) && dark(other))
    }
}

/// Links by mailbox, in mailboxes of which not all were read.
pub type Relatives = BTreeMap<MailboxName, BTreeMap<Uid, Link>>;

/// Decides what a run has to do.
#[must_use]
pub fn reconcile(input: &Input<'_>) -> Plan {
    let names = input.base.keys().chain(input.local.mailboxes.keys()).chain(input.remote.mailboxes.keys());
    let names: BTreeSet<&MailboxName> = names.collect();
    let mut plan = Plan::default();
    let mut binned = BTreeMap::new();
    let decide = |name: &MailboxName, plan: &mut Plan, binned: &mut _| match mailboxes::decide(input, name, binned) {
        Some(actions) => _ = plan.mailboxes.insert(name.clone(), actions),
        // What was seen of it was not processed.
        None => _ = plan.unfinished.insert(name.clone()),
    };
    let trash = input.remote.trash.as_ref().filter(|trash| names.contains(trash));
    if let Some(trash) = trash {
        decide(trash, &mut plan, &mut binned);
        binned = mailboxes::binned(input, trash, plan.mailboxes.get(trash).map_or(&[], Vec::as_slice));
    }
    for name in names.into_iter().filter(|name| Some(*name) != trash) {
        decide(name, &mut plan, &mut binned);
    }
    relocate::relocate(input, &mut plan);
    for Renamed { from, to, follows, .. } in &input.names.renamed {
        let action = Action::RenameMailbox { side: *follows, from: from.clone() };
        plan.mailboxes.entry(to.clone()).or_default().insert(0, action);
    }
    plan.waiting.extend(input.base.keys().filter(|name| mailboxes::waits_for_files(input, name)).cloned());
    plan.unfinished.extend(input.names.left.iter().cloned());
    let unsure = input.base.keys().filter(|name| input.may_be_another(name)).cloned();
    plan.unfinished.extend(unsure);
    held::hold_back(input, &mut plan);
    relocate::take_along(input, &mut plan);
    plan.mailboxes.retain(|_, actions| !actions.is_empty());
    plan
}
