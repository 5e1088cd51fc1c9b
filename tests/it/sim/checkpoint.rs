//! What a run leaves for the next to begin with: checkpoints of mailboxes that are done, and none of those in doubt.

use mailtide::mail::{BaseMailbox, Fact, LocalCheckpoint, MailboxName};
use mailtide::reconcile::view::{LocalMailbox, RemoteMailbox};
use mailtide::reconcile::{Action, Plan, Side};

use super::execute::{Run, Step};
use super::observe::bare_checkpoint;

impl Run<'_> {
    /// What one side does not have any more is looked at anew, should it be back; and what is unfinished and renamed.
    pub fn distrust(&mut self, plan: &Plan) -> Step {
        let there = |name: &MailboxName| {
            self.seen.local.mailboxes.contains_key(name) && self.seen.remote.mailboxes.contains_key(name)
        };
        let renamed = |name: &MailboxName| self.seen.names.renamed.iter().any(|r| r.to == *name);
        let doubtful = |name: &&MailboxName| !there(name) || plan.unfinished.contains(*name) && renamed(name);
        let doubtful: Vec<_> = plan.mailboxes.keys().filter(doubtful).cloned().collect();
        for name in doubtful {
            let Some(mut mailbox) = self.state.base.get(&name).cloned() else { continue };
            mailbox.look_again();
            if let Some(check) = mailbox.remote {
                self.fact(Fact::RemoteChecked(mailbox.id, check))?;
            }
            if let Some(check) = mailbox.local {
                self.fact(Fact::LocalChecked(mailbox.id, check))?;
            }
        }
        Ok(())
    }

    /// Directories to which known mail comes back are on record before they are made.
    pub fn begin_restoring(&mut self, plan: &Plan) -> Step {
        let here = Action::CreateMailbox { side: Side::Local };
        for (name, actions) in plan.mailboxes.iter().filter(|(_, actions)| actions.contains(&here)) {
            let Some(known) = self.state.base.get(name) else { continue };
            let is_linked = |uid| known.links.as_ref().is_some_and(|links| links.contains_key(&uid));
            let comes_back = actions.iter().any(|action| match action {
                Action::Download { uids, .. } => uids.iter().any(is_linked),
                _ => false,
            });
            if comes_back {
                self.fact(Fact::LocalChecked(known.id, LocalCheckpoint::BEING_RESTORED))?;
                self.written();
            }
        }
        Ok(())
    }

    /// Whether something of the mailbox is open, failed, or could not be seen.
    pub fn is_held(&self, name: &MailboxName) -> bool {
        let dark = matches!(self.seen.local.mailboxes.get(name), Some(LocalMailbox::Unknown))
            || matches!(self.seen.remote.mailboxes.get(name), Some(RemoteMailbox::Unknown));
        let unread = match self.seen.local.mailboxes.get(name) {
            Some(LocalMailbox::Listed(listing)) => listing.files.values().any(|f| f.content.is_unreadable()),
            _ => false,
        };
        dark || unread || self.held.contains(name)
    }

    /// Both sides were looked at, both sides have the mailbox now, and nothing is open.
    pub fn check(&mut self, name: &MailboxName) -> Step {
        let on_both = self.world.tree.contains_key(name) && self.world.server.mailboxes.contains_key(name);
        if !on_both || self.is_held(name) {
            return Ok(());
        }
        self.settle_sent(name)?;
        let looked = self.seen.local_checks.contains_key(name) || self.seen.remote_checks.contains_key(name);
        if looked {
            self.know(name)?;
        }
        if let Some(checkpoint) = self.seen.remote_checks.get(name) {
            self.fact(Fact::RemoteChecked(self.id(name), checkpoint.clone()))?;
        }
        if let Some(checkpoint) = self.seen.local_checks.get(name) {
            self.fact(Fact::LocalChecked(self.id(name), *checkpoint))?;
        } else if self.state.base.get(name).is_some_and(BaseMailbox::is_being_restored) {
            self.fact(Fact::LocalChecked(self.id(name), LocalCheckpoint::RESTORED))?;
        }
        Ok(())
    }

    pub fn know(&mut self, name: &MailboxName) -> Step {
        if !self.state.base.contains_key(name) {
            self.fact(Fact::MailboxKnown { id: self.id(name), name: name.clone() })?;
        }
        Ok(())
    }

    /// Links need to know which generation their UIDs are of.
    pub fn fix_validity(&mut self, name: &MailboxName) -> Step {
        self.know(name)?;
        // As it was when it was looked at, where it was, and be it gone by now.
        let now = self.world.server.mailboxes.get(name).map(|m| m.uid_validity);
        if self.state.base[name].remote.is_none()
            && let Some(uid_validity) = self.seen_validity(name).or(now)
        {
            let bare = bare_checkpoint(self.world, uid_validity);
            self.fact(Fact::RemoteChecked(self.id(name), bare))?;
        }
        Ok(())
    }
}
