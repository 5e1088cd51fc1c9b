//! Carries out an approved plan, phase by phase over all mailboxes, and enters each fact once its effect is durable.
//!
//! A failure concerns one message or one mailbox and is entered in the ledger; an error concerns the tree or the
//! connection as a whole and ends the run, with everything done so far recorded.

mod arriving;
mod checkpoint;
mod delete;
mod download;
mod flags;
mod found;
mod identity;
mod landing;
mod locate;
mod mailboxes;
mod meanwhile;
mod openings;
mod relocate;
mod rename;
mod transfer;
mod upload;

use std::collections::BTreeMap;

use super::ledger::Ledger;
use super::observe::Observation;
use super::pool::Pool;
use crate::config::ImapAccount;
use crate::error::{Error, Item, Kind, Result};
use crate::local::Store;
use crate::mail::{
    AccountId, Content, FileId, Flags, Link, MailboxName, Presence, Uid, UidSet, UidValidity, UnixSeconds,
};
use crate::reconcile::guard::{ApprovedPlan, Refusal, Rest};
use crate::reconcile::view::{LocalContent, LocalFile, LocalMailbox, RemoteMailbox, RemoteMessage, TreeAge};
use crate::reconcile::{Action, Phase};
use crate::remote::imap::WireName;
use crate::report::event::Report;
use crate::stop::Stop;

/// What the executor works in and never changes.
pub struct World<'a> {
    /// The account's settings.
    pub account: &'a ImapAccount,
    /// Its id.
    pub id: AccountId,
    /// The tree.
    pub store: &'a Store,
    /// The connections.
    pub pool: &'a Pool<'a>,
    /// When to stop.
    pub stop: &'a Stop,
    /// Who is told.
    pub report: &'a dyn Report,
    /// What was observed.
    pub seen: &'a Observation<'a>,
}

/// Executes `approved`; what the guard `refused` keeps its mailbox from being checked off.
pub fn execute(world: &World<'_>, ledger: &mut Ledger<'_>, approved: &ApprovedPlan, refused: &[Refusal]) -> Result<()> {
    let plan = approved.plan();
    let outcome = phases(world, ledger, approved);
    // What is durable is recorded, however the phases ended.
    ledger.flush()?;
    outcome?;
    for refusal in refused {
        match (&refusal.mailbox, refusal.rest) {
            (Some(name), Rest::Done) => ledger.hold(name),
            (None, _) | (_, Rest::Waits) => world.seen.ids.keys().for_each(|name| ledger.hold(name)),
        }
    }
    plan.unfinished.iter().for_each(|name| ledger.hold(name));
    // What was to come to a mailbox that failed as a whole is still where it was.
    for (name, action) in plan.actions() {
        if let Action::Move(relocation) | Action::Copy(relocation) = action
            && ledger.is_broken(name)
        {
            ledger.hold(&relocation.from);
        }
    }
    checkpoint::record(world, ledger, plan)?;
    if world.seen.local.age == TreeAge::Older {
        checkpoint::leave_older(world, ledger, plan, refused)?;
    }
    ledger.flush()
}

fn phases(world: &World<'_>, ledger: &mut Ledger<'_>, approved: &ApprovedPlan) -> Result<()> {
    arriving::remember(world, ledger)?;
    rename::run(world, ledger, approved)?;
    checkpoint::distrust(world, ledger, approved.plan())?;
    mailboxes::create(world, ledger, approved)?;
    found::flush(world, ledger, approved)?;
    identity::record(world, ledger, approved)?;
    arriving::expect(world, ledger, approved.plan())?;
    ledger.flush()?;
    let mut followups = relocate::run(world, ledger, approved)?;
    transfer::expect(ledger, approved);
    let no_room = but_for_room(download::run(world, ledger, approved))?;
    relocate::downloaded(world, ledger, approved, &mut followups)?;
    upload::run(world, ledger, approved)?;
    flags::run(world, ledger, approved, &followups.actions())?;
    delete::run(world, ledger, approved)?;
    mailboxes::remove(world, ledger, approved)?;
    no_room.map_or(Ok(()), Err)
}

/// Where there is no room for what comes, the rest of the plan may make some: then the error is for later.
fn but_for_room(outcome: Result<()>) -> Result<Option<Error>> {
    match outcome {
        Err(error) if error.is_want_of_room() => Ok(Some(error)),
        outcome => outcome.map(|()| None),
    }
}

/// The actions of one phase, mailbox by mailbox, without those of mailboxes that failed as a whole.
fn actions<'p>(plan: &'p ApprovedPlan, phase: Phase, ledger: &Ledger<'_>) -> Vec<(&'p MailboxName, &'p Action)> {
    let of_phase = plan.plan().actions().filter(|(_, action)| action.phase() == phase);
    of_phase.filter(|(name, _)| !ledger.is_broken(name)).collect()
}

/// Groups items by mailbox.
fn by_mailbox<'p, T>(items: impl IntoIterator<Item = (&'p MailboxName, T)>) -> BTreeMap<&'p MailboxName, Vec<T>> {
    let mut grouped: BTreeMap<&MailboxName, Vec<T>> = BTreeMap::new();
    for (name, item) in items {
        grouped.entry(name).or_default().push(item);
    }
    grouped
}

impl World<'_> {
    fn wire(&self, name: &MailboxName) -> Result<WireName> {
        self.seen.directory.wire(name)
    }

    /// The UIDVALIDITY everything in this run rests on.
    fn uid_validity(&self, ledger: &Ledger<'_>, name: &MailboxName) -> Result<UidValidity> {
        let checked = ledger.mailbox(name).and_then(|m| m.remote.as_ref());
        checked.map(|c| c.uid_validity).ok_or_else(|| {
            Error::new(Kind::State, "The mailbox has no UIDVALIDITY on record")
                .at(name)
                .hint("Run `mailtide sync` again.")
        })
    }

    /// The file as observed.
    fn file(&self, name: &MailboxName, file: &FileId) -> Option<&LocalFile> {
        match self.seen.local.mailboxes.get(name)? {
            LocalMailbox::Listed(listing) => listing.files.get(file),
            LocalMailbox::Unchanged | LocalMailbox::Unknown => None,
        }
    }

    /// The message as observed.
    fn message(&self, name: &MailboxName, uid: Uid) -> Option<&RemoteMessage> {
        match self.seen.remote.mailboxes.get(name)? {
            RemoteMailbox::Observed(listing) => listing.messages.get(&uid),
            RemoteMailbox::Unchanged | RemoteMailbox::Unknown => None,
        }
    }

    /// Whether a UID is that of a message which was there before; then it is not the one of a message that just came.
    fn is_taken(&self, ledger: &Ledger<'_>, name: &MailboxName, uid: Uid) -> bool {
        ledger.link(name, uid).is_some() || self.message(name, uid).is_some()
    }

    /// The flags the server's copy has: those observed, else those agreed on.
    fn remote_flags(&self, ledger: &Ledger<'_>, name: &MailboxName, uid: Uid) -> Flags {
        let observed = self.message(name, uid).map(|m| &m.flags);
        let flags = observed.or_else(|| ledger.link(name, uid).map(|l| &l.flags)).cloned().unwrap_or_default();
        self.relevant(flags)
    }

    /// `flags` without keywords where those are not synchronised.
    fn relevant(&self, flags: Flags) -> Flags {
        self.account.keywords.seen(&flags).into_owned()
    }

    /// The part of `flags` that the mailbox can keep. Of one that the server listed, the plan saw to that.
    fn storable(&self, ledger: &Ledger<'_>, name: &MailboxName, flags: &Flags) -> Flags {
        let made_here = !self.seen.directory.mailboxes.contains_key(name);
        match ledger.mailbox(name).and_then(|m| m.remote.as_ref()).filter(|_| made_here) {
            Some(made) => made.permanent.storable(flags),
            None => flags.clone(),
        }
    }

    /// What the file holds and its date: as read in this run, or as one of the links it has says.
    fn content(
        &self,
        ledger: &Ledger<'_>,
        name: &MailboxName,
        file: &FileId,
        linked: &UidSet,
    ) -> Option<(Content, UnixSeconds)> {
        if let Some(LocalContent::Known { content, modified, .. }) = self.file(name, file).map(|f| &f.content) {
            return Some((*content, *modified));
        }
        let link = ledger.link(name, linked.first()?)?;
        let content = Content { digest: link.digest, wire_size: link.size, message_id: link.message_id };
        Some((content, link.internal_date))
    }

    /// A link of a file with this content and date, with a UID. Of one that is `known` already, nothing was asked again.
    fn link(
        &self,
        name: &MailboxName,
        uid: Uid,
        file: &FileId,
        flags: Flags,
        (content, date): (Content, UnixSeconds),
        known: Option<&Link>,
    ) -> Link {
        let observed = self.message(name, uid);
        Link {
            uid,
            file: file.clone(),
            presence: Presence::Both,
            flags,
            // Another synchroniser's stamp may make the two differ.
            size: observed.and_then(|m| m.size).unwrap_or(content.wire_size),
            digest: content.digest,
            message_id: content.message_id,
            internal_date: observed.and_then(|m| m.internal_date).or(known.map(|l| l.internal_date)).unwrap_or(date),
            email_id: self.email_id(name, uid).or_else(|| known?.email_id.clone()),
        }
    }

    fn email_id(&self, name: &MailboxName, uid: Uid) -> Option<Box<str>> {
        self.message(name, uid)?.email_id.clone()
    }

    /// INTERNALDATE as observed, or as agreed on.
    fn internal_date(&self, ledger: &Ledger<'_>, name: &MailboxName, uid: Uid) -> Option<UnixSeconds> {
        let observed = self.message(name, uid).and_then(|m| m.internal_date);
        observed.or_else(|| ledger.link(name, uid).map(|l| l.internal_date))
    }
}

/// Whether an error of the local store concerns the whole tree: then going on would only repeat it.
fn concerns_the_tree(error: &Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        if let Some(io) = source.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
            return matches!(io.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem);
        }
        cause = source.source();
    }
    false
}

/// Whether an error is more than a failure of one item.
fn ends_the_run(error: &Error) -> bool {
    concerns_the_tree(error) || error.kind() == Kind::Interrupted
}

/// Enters a failure of one item, or passes an error on that concerns more than that.
fn item_failed(ledger: &mut Ledger<'_>, name: &MailboxName, item: Item, error: Error) -> Result<()> {
    if ends_the_run(&error) {
        return Err(error.at(name));
    }
    ledger.fail_item(name, item, &error);
    Ok(())
}
