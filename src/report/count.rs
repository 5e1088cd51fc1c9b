//! What an action adds to the counts, and what an account has come to so far.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::Run;
use super::event::{Counts, Event, SideCounts, Summary};
use crate::mail::MailboxName;
use crate::maildrop;
use crate::reconcile::guard::{Refusal, Rest};
use crate::reconcile::{Action, Side};

impl SideCounts {
    fn arrived(&mut self, messages: u64, octets: u64) {
        self.new += messages;
        self.octets += octets;
    }

    /// Adds what is in `other`.
    pub fn add(&mut self, other: &SideCounts) {
        self.new += other.new;
        self.moved += other.moved;
        self.flags += other.flags;
        self.deleted += other.deleted;
        self.mailboxes_created += other.mailboxes_created;
        self.mailboxes_renamed += other.mailboxes_renamed;
        self.mailboxes_removed += other.mailboxes_removed;
        self.octets += other.octets;
    }
}

impl Counts {
    fn of(&mut self, side: Side) -> &mut SideCounts {
        match side {
            Side::Local => &mut self.local,
            Side::Remote => &mut self.remote,
        }
    }

    /// Adds an action of which `done` messages (1 for an action on a mailbox) and `octets` are done, as
    /// [`Event::Done`] tells it. Actions that only record something count as links or not at all.
    pub fn record(&mut self, action: &Action, done: u64, octets: u64) {
        match action {
            Action::CreateMailbox { side } => self.of(*side).mailboxes_created += done,
            Action::RemoveMailbox { side } => self.of(*side).mailboxes_removed += done,
            Action::SetFlags { side, .. } => self.of(*side).flags += done,
            Action::Delete { side, .. } => self.of(*side).deleted += done,
            Action::Download { .. } => self.of(Side::Local).arrived(done, octets),
            Action::Upload { .. } => self.of(Side::Remote).arrived(done, octets),
            Action::Move(relocation) | Action::Copy(relocation) => self.of(relocation.side()).moved += done,
            Action::RenameMailbox { side: Some(side), .. } => self.of(*side).mailboxes_renamed += done,
            Action::Link { .. } => self.linked += done,
            Action::RenameMailbox { side: None, .. }
            | Action::ResetMailbox
            | Action::Rename { .. }
            | Action::Agree { .. }
            | Action::MovedOut { .. }
            | Action::Keep { .. }
            | Action::Forget { .. }
            | Action::ForgetMailbox => {}
        }
    }

    /// Adds an action as if all of it were done with the octets it expects.
    pub fn record_planned(&mut self, action: &Action) {
        let octets = match action {
            Action::Download { octets, .. } | Action::Upload { octets, .. } => *octets,
            _ => 0,
        };
        self.record(action, action.messages().max(1), octets);
    }

    /// Adds an action on a maildrop, of which `done` messages and `octets` are done.
    pub fn record_maildrop(&mut self, action: &maildrop::Action, done: u64, octets: u64) {
        match action {
            maildrop::Action::Download { .. } => self.local.arrived(done, octets),
            maildrop::Action::Delete { .. } => self.remote.deleted += done,
            maildrop::Action::Recognise { .. } => self.linked += done,
            // What was compared and turned out to be new is told as a download.
            maildrop::Action::Compare { .. } | maildrop::Action::Leave { .. } => {}
        }
    }

    /// Adds what is in `other`.
    pub fn add(&mut self, other: &Counts) {
        self.local.add(&other.local);
        self.remote.add(&other.remote);
        self.linked += other.linked;
        self.failed += other.failed;
    }
}

/// Whether the guard's `refusals` keep `action` from being done.
pub fn refuses(refusals: &[Refusal], mailbox: &MailboxName, action: &Action) -> bool {
    refusals.iter().any(|refusal| refusal.stops(mailbox, action))
}

/// How an account's run ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Both sides are the same.
    InSync,
    /// A dry run has found something to do.
    Planned,
    /// Some messages or mailboxes failed; the rest is in sync.
    SomeFailed,
    /// The guard refused deletions; the rest is in sync.
    Refused,
    /// The run could not end well.
    Aborted,
}

/// What an account has come to so far; in a dry run, what it would come to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// What was done, or would be.
    pub counts: Counts,
    /// Parts of the plan that the guard refused.
    pub refused: u64,
    /// What became of all that the guard did not refuse.
    pub rest: Rest,
    pub(super) planned: bool,
}

impl Tally {
    fn take(&mut self, run: Run, event: &Event<'_>) {
        match event {
            Event::Planned { plan, refusals } if run == Run::Dry => {
                for (_, action) in plan.actions().filter(|(mailbox, action)| !refuses(refusals, mailbox, action)) {
                    self.counts.record_planned(action);
                    self.planned = true;
                }
                refusals.iter().for_each(|refusal| self.refuse(refusal));
            }
            Event::MaildropPlanned { plan, refusals, .. } if run == Run::Dry => {
                let actions = plan.actions();
                actions.iter().for_each(|a| self.counts.record_maildrop(a, a.numbers().len(), a.octets()));
                refusals.iter().for_each(|refusal| self.refuse(refusal));
                self.planned = !actions.is_empty();
            }
            Event::MaildropDone { action, done, octets, .. } => self.counts.record_maildrop(action, *done, *octets),
            // A run that lost its connection looks again, and tells again what cannot be done.
            Event::Observed { .. } => (self.counts.failed, self.refused, self.rest) = (0, 0, Rest::Done),
            Event::Done { action, done, octets, .. } => self.counts.record(action, *done, *octets),
            Event::Failed(_) => self.counts.failed += 1,
            Event::Refused(refusal) => self.refuse(refusal),
            // What a run says of itself at its end is better than what was overheard.
            Event::Finished(Summary { counts, .. }) if run == Run::Real => self.counts = *counts,
            _ => {}
        }
    }

    fn refuse(&mut self, refusal: &Refusal) {
        self.refused += 1;
        if refusal.rest == Rest::Waits {
            self.rest = Rest::Waits;
        }
    }

    /// How a run that was not aborted ended.
    pub fn outcome(&self) -> Outcome {
        match self {
            Tally { refused: 1.., .. } => Outcome::Refused,
            Tally { counts: Counts { failed: 1.., .. }, .. } => Outcome::SomeFailed,
            Tally { planned: true, .. } => Outcome::Planned,
            _ => Outcome::InSync,
        }
    }
}

/// The tallies of all accounts whose runs have not ended.
#[derive(Debug, Default)]
pub struct Tallies(Mutex<BTreeMap<String, Tally>>);

impl Tallies {
    /// Takes an event into the account's tally and gives the tally; it is dropped when the account's run has ended.
    pub fn take(&self, account: &str, run: Run, event: &Event<'_>) -> Tally {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = all.entry(account.to_owned()).or_default();
        tally.take(run, event);
        let now = *tally;
        if matches!(event, Event::Finished(_) | Event::Aborted(_)) {
            all.remove(account);
        }
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{FileId, Flags, Uid, UidSet};
    use crate::reconcile::{Disposal, Plan};

    #[test]
    fn an_action_counts_on_the_side_it_changes() {
        let uids = UidSet::range(Uid::MIN, Uid::new(3).unwrap());
        let mut counts = Counts::default();
        counts.record(&Action::Download { uids: uids.clone(), octets: 30 }, 2, 20);
        counts.record(&Action::Upload { file: FileId::new("a"), flags: Flags::none(), octets: 7 }, 1, 7);
        counts.record(&Action::Delete { side: Side::Remote, uids: uids.clone(), disposal: Disposal::Mark }, 3, 0);
        counts.record(&Action::Agree { uids, flags: Flags::none() }, 3, 0);
        counts.record_planned(&Action::CreateMailbox { side: Side::Local });
        let local = SideCounts { new: 2, octets: 20, mailboxes_created: 1, ..SideCounts::default() };
        let remote = SideCounts { new: 1, octets: 7, deleted: 3, ..SideCounts::default() };
        assert_eq!(counts, Counts { local, remote, linked: 0, failed: 0 });
        let mut twice = counts;
        twice.add(&counts);
        assert_eq!((twice.local.new, twice.remote.deleted, twice.local.mailboxes_created), (4, 6, 2));
    }

    #[test]
    fn a_tally_ends_with_its_run() {
        let tallies = Tallies::default();
        let plan = Plan { mailboxes: [(MailboxName::inbox(), vec![Action::ForgetMailbox])].into(), ..Plan::default() };
        let planned = tallies.take("a", Run::Dry, &Event::Planned { plan: &plan, refusals: &[] });
        assert_eq!(planned.outcome(), Outcome::Planned);
        let end = Event::Finished(Summary::default());
        assert_eq!(tallies.take("a", Run::Dry, &end).outcome(), Outcome::Planned);
        assert_eq!(tallies.take("a", Run::Dry, &end).outcome(), Outcome::InSync);
    }
}
