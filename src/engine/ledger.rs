//! The run's book: facts on their way to the state, failures, counts, and which mailboxes may be checked off.
//!
//! A fact enters the book after its effect is durable, changes the base in memory at once and the state at the next
//! [`Ledger::flush`]. A mailbox with a failure is *held*: its checkpoints stay where they were, so that the next run
//! sees the same changes again.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Item, ItemFailure, Result};
use crate::mail::{Base, BaseMailbox, Fact, FileId, Flags, Link, MailboxId, MailboxName, Uid, UidSet};
use crate::reconcile::Action;
use crate::report::event::{Counts, Event, Report};
use crate::state::State;

/// How many facts wait at most before they are written.
const BATCH: usize = 250;

/// Whether the account has to be looked at again in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// It has not.
    Enough,
    /// Something was met that only another observation sorts out.
    Again,
}

/// See the module's page.
pub struct Ledger<'a> {
    account: &'a str,
    report: &'a dyn Report,
    state: &'a mut State,
    base: Base,
    pending: Vec<Fact>,
    /// How many facts wait at most.
    batch: usize,
    failures: Vec<ItemFailure>,
    held: BTreeSet<MailboxName>,
    broken: BTreeSet<MailboxName>,
    look: Look,
    counts: BTreeMap<MailboxName, Counts>,
}

impl<'a> Ledger<'a> {
    /// Opens the book on what both sides had agreed on.
    pub fn new(account: &'a str, report: &'a dyn Report, state: &'a mut State, base: Base) -> Self {
        Ledger {
            account,
            report,
            state,
            base,
            pending: Vec::new(),
            batch: BATCH,
            failures: Vec::new(),
            held: BTreeSet::new(),
            broken: BTreeSet::new(),
            look: Look::Enough,
            counts: BTreeMap::new(),
        }
    }

    /// The mailbox as agreed so far.
    pub fn mailbox(&self, name: &MailboxName) -> Option<&BaseMailbox> {
        self.base.get(name)
    }

    /// The link of a UID.
    pub fn link(&self, name: &MailboxName, uid: Uid) -> Option<&Link> {
        self.base.get(name)?.links.as_ref()?.get(&uid)
    }

    /// The UIDs of each linked file.
    pub fn files(&self, name: &MailboxName) -> BTreeMap<FileId, UidSet> {
        let mut files: BTreeMap<FileId, UidSet> = BTreeMap::new();
        for (uid, link) in self.mailbox(name).and_then(|m| m.links.as_ref()).into_iter().flatten() {
            files.entry(link.file.clone()).or_default().insert(*uid);
        }
        files
    }

    /// The number of a mailbox that is known.
    pub fn id(&self, name: &MailboxName) -> Option<MailboxId> {
        self.base.get(name).map(|m| m.id)
    }

    /// Enters a mailbox that exists on both sides from now on.
    pub fn know(&mut self, name: &MailboxName, id: MailboxId) -> Result<()> {
        if self.base.contains_key(name) {
            return Ok(());
        }
        let links = Some(BTreeMap::new());
        self.base.insert(name.clone(), BaseMailbox { links, ..BaseMailbox::new(id) });
        self.enter(name, Fact::MailboxKnown { id, name: name.clone() })
    }

    /// Enters a fact about `name`.
    pub fn enter(&mut self, name: &MailboxName, fact: Fact) -> Result<()> {
        self.enter_together([(name, fact)])
    }

    /// Enters facts, each about a mailbox, that are recorded in one transaction.
    pub fn enter_together<'n>(&mut self, facts: impl IntoIterator<Item = (&'n MailboxName, Fact)>) -> Result<()> {
        for (name, fact) in facts {
            if let Some(mailbox) = self.base.get_mut(name) {
                apply(mailbox, &fact);
            }
            if matches!(fact, Fact::MailboxForgotten(_)) {
                self.base.remove(name);
            }
            self.pending.push(fact);
        }
        if self.pending.len() >= self.batch { self.flush() } else { Ok(()) }
    }

    /// Records all that `work` enters in one transaction.
    pub fn at_once(&mut self, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.flush()?;
        self.batch = usize::MAX;
        let worked = work(self);
        self.batch = BATCH;
        worked?;
        self.flush()
    }

    /// Enters the names that mailboxes got, the base knows them by these already, and which they replaced: in one
    /// transaction, since two may have swapped theirs.
    pub fn enter_names(&mut self, facts: Vec<Fact>) -> Result<()> {
        self.flush()?;
        self.pending.extend(facts);
        self.flush()
    }

    /// Enters that a file is the message of `link`: what other links it had, `old`, and the intent to send it end in
    /// the same transaction, so that no crash leaves one file to two messages.
    pub fn link_file(&mut self, name: &MailboxName, link: Link, old: UidSet) -> Result<()> {
        let Some(id) = self.id(name) else { return Ok(()) };
        let old: UidSet = old.iter().filter(|uid| *uid != link.uid).collect();
        let dropped = (!old.is_empty()).then_some(Fact::Unlinked(id, old));
        let settled = Fact::Settled(id, link.file.clone());
        let facts = dropped.into_iter().chain([Fact::Linked(id, link), settled]);
        self.enter_together(facts.map(|fact| (name, fact)))
    }

    /// Enters a fact that names the mailbox by its number; nothing about a mailbox that is not known.
    pub fn enter_for(&mut self, name: &MailboxName, fact: impl FnOnce(MailboxId) -> Fact) -> Result<()> {
        match self.id(name) {
            Some(id) => self.enter(name, fact(id)),
            None => Ok(()),
        }
    }

    /// Enters that both sides agree on `flags` for `uid`.
    pub fn agree(&mut self, name: &MailboxName, uid: Uid, flags: Flags) -> Result<()> {
        self.enter_for(name, |id| Fact::FlagsAgreed(id, uid, flags))
    }

    /// Writes what has gathered, in one transaction.
    pub fn flush(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.state.record(&self.pending)?;
        self.pending.clear();
        Ok(())
    }

    /// The state, for what is no fact.
    pub fn state(&mut self) -> &mut State {
        self.state
    }

    /// Enters a failure and holds its mailbox.
    pub fn fail(&mut self, failure: ItemFailure) {
        self.held.insert(failure.mailbox.clone());
        if self.failures.contains(&failure) {
            return;
        }
        self.report.event(self.account, Event::Failed(&failure));
        self.counts.entry(failure.mailbox.clone()).or_default().failed += 1;
        self.failures.push(failure);
    }

    /// Enters that an error concerns one item only.
    pub fn fail_item(&mut self, name: &MailboxName, item: Item, error: &Error) {
        self.fail(ItemFailure::new(name, item, error));
    }

    /// Keeps a mailbox's checkpoints where they were, without a failure.
    pub fn hold(&mut self, name: &MailboxName) {
        self.held.insert(name.clone());
    }

    /// Whether the mailbox's checkpoints must stay.
    pub fn is_held(&self, name: &MailboxName) -> bool {
        self.held.contains(name)
    }

    /// Holds the mailbox and asks for another look in this run.
    pub fn look_again(&mut self, name: &MailboxName) {
        self.hold(name);
        self.look = Look::Again;
    }

    /// Whether another look was asked for.
    pub fn look(&self) -> Look {
        self.look
    }

    /// Does nothing more in a mailbox that failed as a whole.
    pub fn break_off(&mut self, name: &MailboxName) {
        self.hold(name);
        self.broken.insert(name.clone());
    }

    /// Whether the mailbox failed as a whole.
    pub fn is_broken(&self, name: &MailboxName) -> bool {
        self.broken.contains(name)
    }

    /// The failures so far.
    pub fn failures(&self) -> &[ItemFailure] {
        &self.failures
    }

    /// What was done, mailbox by mailbox.
    pub fn counts(&self) -> &BTreeMap<MailboxName, Counts> {
        &self.counts
    }

    /// How many messages are agreed on.
    pub fn messages(&self) -> u64 {
        self.base.values().map(BaseMailbox::messages).sum()
    }

    /// Tells that an action ended, and counts what it did.
    pub fn done(&mut self, name: &MailboxName, action: &Action, done: u64, octets: u64) {
        self.counts.entry(name.clone()).or_default().record(action, done, octets);
        self.report.event(self.account, Event::Done { mailbox: name, action, done, octets });
    }

    /// Tells something that is no failure.
    pub fn notice(&self, text: &str) {
        self.report.event(self.account, Event::Notice(text));
    }

    /// Hands a progress step on.
    pub fn event(&self, event: Event<'_>) {
        self.report.event(self.account, event);
    }
}

/// What a fact does to the base in memory; the state does the same on disk.
fn apply(mailbox: &mut BaseMailbox, fact: &Fact) {
    match fact {
        Fact::RemoteChecked(_, checkpoint) => mailbox.remote = Some(checkpoint.clone()),
        Fact::LocalChecked(_, checkpoint) => mailbox.local = Some(*checkpoint),
        Fact::MailboxReset(_) => {
            let id = mailbox.id;
            *mailbox = BaseMailbox { links: Some(BTreeMap::new()), ..BaseMailbox::new(id) };
        }
        Fact::Linked(_, link) => {
            mailbox.links.get_or_insert_default().insert(link.uid, link.clone());
        }
        Fact::Unlinked(_, uids) => {
            mailbox.links.iter_mut().for_each(|links| remove(links, uids));
        }
        Fact::Renamed(_, uid, _) | Fact::FlagsAgreed(_, uid, _) | Fact::PresenceChanged(_, uid, ..) => {
            if let Some(link) = mailbox.links.as_mut().and_then(|links| links.get_mut(uid)) {
                change(link, fact);
            }
        }
        Fact::MailboxKnown { .. }
        | Fact::MailboxRenamed(..)
        | Fact::MailboxForgotten(_)
        | Fact::Intended(_)
        | Fact::Settled(..)
        | Fact::Arriving(..)
        | Fact::Arrived(_) => {}
    }
}

/// Removes links. A large mailbox loses its messages one by one, so a look at all of it for each would not do.
fn remove(links: &mut BTreeMap<Uid, Link>, uids: &UidSet) {
    if uids.len() < links.len() as u64 {
        uids.iter().for_each(|uid| _ = links.remove(&uid));
    } else {
        links.retain(|uid, _| !uids.contains(*uid));
    }
}

fn change(link: &mut Link, fact: &Fact) {
    match fact {
        Fact::Renamed(_, _, file) => link.file = file.clone(),
        Fact::FlagsAgreed(_, _, flags) => link.flags = flags.clone(),
        Fact::PresenceChanged(_, _, presence, flags) => {
            link.presence = *presence;
            link.flags = flags.clone();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{AccountId, Digest, Presence, UnixSeconds};

    struct Silent;

    impl Report for Silent {
        fn event(&self, _account: &str, _event: Event<'_>) {}
    }

    fn link(uid: u32) -> Link {
        Link {
            uid: Uid::new(uid).unwrap(),
            file: FileId::new("one"),
            presence: Presence::Both,
            flags: Flags::none(),
            size: 1,
            digest: Digest([1; 32]),
            message_id: None,
            internal_date: UnixSeconds(0),
            email_id: None,
        }
    }

    #[test]
    fn a_file_changes_its_link_in_one_transaction() {
        let (name, id) = (MailboxName::inbox(), MailboxId(1));
        for waiting in BATCH - 4..BATCH {
            let mut state = State::in_memory(AccountId(1)).unwrap();
            let mut ledger = Ledger::new("work", &Silent, &mut state, Base::new());
            ledger.know(&name, id).unwrap();
            ledger.link_file(&name, link(1), UidSet::new()).unwrap();
            ledger.flush().unwrap();
            (0..waiting).for_each(|_| ledger.agree(&name, link(1).uid, Flags::none()).unwrap());
            let old = ledger.files(&name).remove(&link(1).file).unwrap();
            ledger.link_file(&name, link(2), old).unwrap();
            let uids: Vec<Uid> = ledger.mailbox(&name).unwrap().links.iter().flatten().map(|(uid, _)| *uid).collect();
            assert_eq!(uids, [link(2).uid]);
            // Killed here: what was not written is lost.
            drop(ledger);
            assert_eq!(state.links(id).unwrap().len(), 1, "{waiting} facts waiting");
        }
    }
}
