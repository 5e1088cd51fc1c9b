//! Carries plans out, one effect and one fact at a time, as the real executor must; can be cut off between any two.

use std::collections::BTreeSet;

use mailtide::mail::{
    Fact, FileId, FlagChange, Flags, Intent, Link, MailboxId, MailboxName, Origin, Presence, Uid, UidSet, UnixSeconds,
};
use mailtide::reconcile::guard::{Allowed, ApprovedPlan, MaxDelete, approve};
use mailtide::reconcile::view::{LocalContent, LocalMailbox, Policy, RemoteMailbox, RemoteMessage};
use mailtide::reconcile::{Action, Phase, Plan, Side};

use super::observe::{Blind, Observation, bare_checkpoint, observe};
use super::relocate::Way;
use super::state::State;
use super::world::{ACCOUNT, Body, File, World};

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The run is cut off before its n-th effect or fact.
    pub crash_at: Option<usize>,
    /// These messages fail, whatever is done to them.
    pub bad: BTreeSet<Body>,
    /// These mailboxes cannot be looked into.
    pub blind: Blind,
    /// Files of these messages cannot be read.
    pub dark: BTreeSet<Body>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub plan: Plan,
    pub steps: usize,
    pub crashed: bool,
    /// Mailboxes that could not be renamed as planned.
    pub failed_renames: usize,
}

/// One run: observe, plan, let `meanwhile` happen, execute.
pub fn sync(
    world: &mut World,
    state: &mut State,
    policy: Policy,
    faults: &Faults,
    meanwhile: impl FnOnce(&mut World, &State),
) -> Ended {
    state.check_under(policy);
    let seen = observe(world, state, policy, &faults.blind, &faults.dark);
    let plan = seen.plan();
    for (name, action) in plan.actions() {
        world.story.push(format!("  {name}: {action:?}"));
    }
    world.story.extend(seen.reads.iter().map(|body| format!("  {body} is read to be compared")));
    world.reads.extend(&seen.reads);
    meanwhile(world, state);
    let all = Allowed::All;
    let (approved, refusals) = approve(plan.clone(), &seen.base, &seen.local, &seen.remote, MaxDelete::Unlimited, &all);
    assert!(refusals.is_empty());
    let (server, tree) = (world.server.mailboxes.clone(), world.tree.clone());
    let mut run = Run {
        world,
        state,
        seen: &seen,
        faults,
        steps: 0,
        held: plan.unfinished.clone(),
        broken: BTreeSet::new(),
        failed_renames: 0,
        at_once: false,
    };
    let crashed = run.all(&approved).is_err();
    let (steps, failed_renames) = (run.steps, run.failed_renames);
    if crashed {
        world.story.push(format!("  cut off before step {steps}"));
    }
    match policy.direction {
        mailtide::reconcile::view::Direction::Both => {}
        mailtide::reconcile::view::Direction::Pull => {
            assert_eq!(format!("{server:?}"), format!("{:?}", world.server.mailboxes), "a pull changed the server");
        }
        mailtide::reconcile::view::Direction::Push => {
            assert_eq!(format!("{tree:?}"), format!("{:?}", world.tree), "a push changed the tree");
        }
    }
    Ended { plan, steps, crashed, failed_renames }
}

pub struct Crash;

pub type Step = Result<(), Crash>;

pub struct Run<'a> {
    pub world: &'a mut World,
    pub state: &'a mut State,
    pub seen: &'a Observation,
    pub faults: &'a Faults,
    steps: usize,
    held: BTreeSet<MailboxName>,
    broken: BTreeSet<MailboxName>,
    pub failed_renames: usize,
    /// What follows is of one transaction.
    at_once: bool,
}

impl Run<'_> {
    fn all(&mut self, approved: &ApprovedPlan) -> Step {
        self.rename_mailboxes(approved.plan())?;
        let mut actions: Vec<(Phase, &MailboxName, &Action)> =
            approved.plan().actions().map(|(name, action)| (action.phase(), name, action)).collect();
        let waits = |state: &State, action: &Action| match action {
            Action::Copy(r) => {
                state.base.get(&r.from).and_then(|b| b.links.as_ref()).is_none_or(|l| !l.contains_key(&r.uid))
            }
            _ => false,
        };
        for (phase, _, action) in &mut actions {
            // A copy of what is downloaded comes after it; others come before what they copy moves.
            if waits(self.state, action) {
                *phase = Phase::Flags;
            }
        }
        actions.sort_by_key(|(phase, name, action)| (*phase, matches!(action, Action::Move(_)), *name));
        let forgets = actions.iter().any(|(_, _, action)| matches!(action, Action::Forget { .. }));
        let mut before = None;
        for (phase, name, action) in actions {
            if forgets && phase == Phase::Identity && before != Some(phase) {
                // One transaction.
                self.step()?;
            }
            self.at_once = forgets && phase == Phase::Identity;
            before = Some(phase);
            if !self.broken.contains(name) {
                self.action(name, action)?;
            }
        }
        self.at_once = false;
        let names: Vec<MailboxName> = self.seen.ids.keys().cloned().collect();
        names.iter().try_for_each(|name| self.check(name))
    }

    /// Before every effect and every fact.
    pub fn step(&mut self) -> Step {
        if self.at_once {
            return Ok(());
        }
        if self.faults.crash_at == Some(self.steps) {
            return Err(Crash);
        }
        self.steps += 1;
        Ok(())
    }

    pub fn fact(&mut self, fact: Fact) -> Step {
        self.step()?;
        self.state.record(fact);
        Ok(())
    }

    pub fn hold(&mut self, name: &MailboxName) {
        self.held.insert(name.clone());
    }

    /// Does nothing more in a mailbox that failed as a whole.
    pub fn break_off(&mut self, name: &MailboxName) {
        self.hold(name);
        self.broken.insert(name.clone());
    }

    /// The number of a mailbox, recorded or about to be.
    pub fn id(&self, name: &MailboxName) -> MailboxId {
        self.state.base.get(name).map_or_else(|| self.seen.ids[name], |m| m.id)
    }

    /// Both sides were looked at, both sides have the mailbox now, and nothing is open.
    fn check(&mut self, name: &MailboxName) -> Step {
        let dark = matches!(self.seen.local.mailboxes.get(name), Some(LocalMailbox::Unknown))
            || matches!(self.seen.remote.mailboxes.get(name), Some(RemoteMailbox::Unknown));
        let on_both = self.world.tree.contains_key(name) && self.world.server.mailboxes.contains_key(name);
        let unread = match self.seen.local.mailboxes.get(name) {
            Some(LocalMailbox::Listed(listing)) => {
                listing.files.values().any(|f| f.content == LocalContent::Unreadable)
            }
            _ => false,
        };
        if dark || unread || !on_both || self.held.contains(name) {
            return Ok(());
        }
        let looked = self.seen.local_checks.contains_key(name) || self.seen.remote_checks.contains_key(name);
        if looked {
            self.know(name)?;
        }
        if let Some(checkpoint) = self.seen.remote_checks.get(name) {
            self.fact(Fact::RemoteChecked(self.id(name), checkpoint.clone()))?;
        }
        if let Some(checkpoint) = self.seen.local_checks.get(name) {
            self.fact(Fact::LocalChecked(self.id(name), *checkpoint))?;
        }
        Ok(())
    }

    fn know(&mut self, name: &MailboxName) -> Step {
        if !self.state.base.contains_key(name) {
            self.fact(Fact::MailboxKnown { id: self.id(name), name: name.clone() })?;
        }
        Ok(())
    }

    /// Links need to know which generation their UIDs are of.
    pub fn fix_validity(&mut self, name: &MailboxName) -> Step {
        self.know(name)?;
        if self.state.base[name].remote.is_none()
            && let Some(mailbox) = self.world.server.mailboxes.get(name)
        {
            let bare = bare_checkpoint(self.world, mailbox);
            self.fact(Fact::RemoteChecked(self.id(name), bare))?;
        }
        Ok(())
    }

    /// Whether UIDs still mean what they meant when they were seen.
    pub fn same_generation(&self, name: &MailboxName) -> bool {
        let now = self.world.server.mailboxes.get(name).map(|m| m.uid_validity);
        let then = match self.seen.remote.mailboxes.get(name) {
            Some(RemoteMailbox::Observed(listing)) => Some(listing.uid_validity),
            Some(_) => self.seen.base.get(name).and_then(|b| b.remote.as_ref()).map(|c| c.uid_validity),
            None => now,
        };
        now.is_some() && now == then
    }

    pub fn link(&self, name: &MailboxName, uid: Uid) -> Link {
        self.state.base[name].links.as_ref().expect("links are kept")[&uid].clone()
    }

    fn action(&mut self, name: &MailboxName, action: &Action) -> Step {
        let id = self.id(name);
        match action {
            Action::CreateMailbox { side } => {
                self.step()?;
                match side {
                    Side::Local => self.world.make_directory(name),
                    Side::Remote => self.world.server.make(name),
                }
                self.know(name)
            }
            Action::RenameMailbox { .. } => Ok(()),
            Action::Move(relocation) => self.relocate(name, relocation, Way::Move),
            Action::Copy(relocation) => self.relocate(name, relocation, Way::Copy),
            Action::ResetMailbox => self.fact(Fact::MailboxReset(id)),
            Action::Link { uid, file, flags } => {
                self.fix_validity(name)?;
                let link = self.found(name, *uid, file, flags);
                self.linked(name, link)
            }
            Action::Rename { uid, file } => self.fact(Fact::Renamed(id, *uid, file.clone())),
            Action::Agree { uids, flags } => {
                uids.iter().try_for_each(|uid| self.fact(Fact::FlagsAgreed(id, uid, flags.clone())))
            }
            Action::Download { uids, .. } => uids.iter().try_for_each(|uid| self.download(name, uid)),
            Action::Upload { file, flags, .. } => self.upload(name, file, flags),
            Action::SetFlags { side, uids, change } => {
                uids.iter().try_for_each(|uid| self.set_flags(name, *side, uid, change))
            }
            Action::Delete { side: Side::Local, uids, disposal } => {
                uids.iter().try_for_each(|uid| self.delete_file(name, uid, *disposal))
            }
            Action::Delete { side: Side::Remote, uids, disposal } => self.delete_messages(name, uids, *disposal),
            Action::Keep { side, uids } => uids.iter().try_for_each(|uid| {
                let flags = self.link(name, uid).flags;
                self.fact(Fact::PresenceChanged(id, uid, only(*side), flags))
            }),
            Action::Forget { uids } => self.fact(Fact::Unlinked(id, uids.clone())),
            Action::RemoveMailbox { side } => self.remove_mailbox(name, *side),
            // No directory is outside of this world.
            Action::MovedOut { .. } => Ok(()),
            Action::ForgetMailbox => self.fact(Fact::MailboxForgotten(id)),
        }
    }

    /// The link of what is the same message on both sides: its file may have gone meanwhile, its message too.
    fn found(&self, name: &MailboxName, uid: Uid, file: &FileId, flags: &Flags) -> Link {
        let there = self.world.tree.get(name).and_then(|d| d.files.get(file)).map(|f| f.body);
        let seen = self.seen_message(name, uid);
        let message = || self.world.server.mailboxes.get(name)?.messages.get(&uid).map(|m| m.body);
        // Neither: what it was does not matter any more.
        let body = there.or_else(message).unwrap_or(0);
        let modified = match self.seen.local.mailboxes.get(name) {
            Some(LocalMailbox::Listed(listing)) => listing.files.get(file).and_then(|f| match f.content {
                LocalContent::Known { modified, .. } => Some(modified),
                _ => None,
            }),
            _ => None,
        };
        let date = seen.and_then(|m| m.internal_date).or(modified).unwrap_or(UnixSeconds(0));
        let email_id = seen.and_then(|m| m.email_id.clone());
        Link { email_id, ..self.link_of(uid, file, body, flags, date) }
    }

    pub fn seen_message(&self, name: &MailboxName, uid: Uid) -> Option<&RemoteMessage> {
        match self.seen.remote.mailboxes.get(name) {
            Some(RemoteMailbox::Observed(listing)) => listing.messages.get(&uid),
            _ => None,
        }
    }

    pub fn link_of(&self, uid: Uid, file: &FileId, body: Body, flags: &Flags, date: UnixSeconds) -> Link {
        let content = self.world.content(body);
        Link {
            uid,
            file: file.clone(),
            presence: Presence::Both,
            flags: flags.clone(),
            size: content.wire_size,
            digest: content.digest,
            message_id: content.message_id,
            internal_date: date,
            email_id: None,
        }
    }

    pub fn linked(&mut self, name: &MailboxName, link: Link) -> Step {
        let (id, file, uid) = (self.id(name), link.file.clone(), link.uid);
        // One transaction.
        self.fact(Fact::Linked(id, link))?;
        let links = self.state.base[name].links.as_ref().expect("links are kept");
        let others: UidSet = links.values().filter(|l| l.file == file && l.uid != uid).map(|l| l.uid).collect();
        self.state.record(Fact::Unlinked(id, others));
        self.state.record(Fact::Settled(id, file));
        Ok(())
    }

    fn download(&mut self, name: &MailboxName, uid: Uid) -> Step {
        let found = self.world.server.mailboxes.get(name).filter(|_| self.same_generation(name));
        let found = found.and_then(|m| m.messages.get(&uid).map(|message| (message.clone(), m.uid_validity)));
        let Some((message, uid_validity)) = found.filter(|(m, _)| !self.faults.bad.contains(&m.body)) else {
            self.hold(name);
            return Ok(());
        };
        if !self.world.tree.contains_key(name) {
            self.hold(name);
            return Ok(());
        }
        self.fix_validity(name)?;
        self.step()?;
        let number = self.world.fresh();
        let file = FileId::new(format!("d{}-{uid_validity}-{uid}-{number}", self.id(name)));
        let origin = Some(Origin { account: ACCOUNT, mailbox: self.id(name), uid_validity, uid });
        let flags = self.seen.remote_flags(name, uid);
        let (body, date) = (message.body, message.date);
        self.world.transfers.push((Side::Local, body));
        let flags = self.world.put_file(name, file.clone(), File { body, flags, origin, date });
        let email_id = self.world.server.kind.object_ids.then(|| format!("e{}", message.email_id).into());
        self.linked(name, Link { email_id, ..self.link_of(uid, &file, body, &flags, UnixSeconds(date)) })
    }

    fn upload(&mut self, name: &MailboxName, file: &FileId, flags: &Flags) -> Step {
        let found = self.world.tree.get(name).and_then(|d| d.files.get(file)).map(|f| (f.body, f.date));
        let mailbox = self.world.server.mailboxes.get(name);
        let found = found.filter(|(body, _)| !self.faults.bad.contains(body));
        let (Some((body, date)), Some(uid_next)) = (found, mailbox.map(|m| m.uid_next)) else {
            self.hold(name);
            return Ok(());
        };
        self.fix_validity(name)?;
        let content = self.world.content(body);
        let (mailbox, uid_next) = (self.id(name), Some(uid_next));
        let intent = Intent { mailbox, file: file.clone(), content, uid_next, flags: flags.clone() };
        self.fact(Fact::Intended(intent))?;
        self.step()?;
        self.world.transfers.push((Side::Remote, body));
        let uid = self.world.server.append(name, body, flags, date).expect("the mailbox is there");
        if self.world.server.kind.uidplus {
            // What a mailbox can keep is known once it is there, which may be since a moment ago.
            let kept = self.world.server.kind.permanent.storable(flags);
            self.linked(name, self.link_of(uid, file, body, &kept, UnixSeconds(date)))
        } else {
            // Which UID it got, the next run finds out; until then the file must be looked at.
            self.hold(name);
            Ok(())
        }
    }

    pub fn set_flags(&mut self, name: &MailboxName, side: Side, uid: Uid, change: &FlagChange) -> Step {
        let link = self.link(name, uid);
        let mut achieved = change.clone();
        match side {
            Side::Local => {
                let letters = self.world.letters;
                let found = self.world.tree.get_mut(name);
                let body = found.as_ref().and_then(|d| d.files.get(&link.file)).map(|f| (f.body, f.flags.clone()));
                let Some((_, now)) = body.filter(|(body, _)| !self.faults.bad.contains(body)) else {
                    self.hold(name);
                    return Ok(());
                };
                self.step()?;
                let directory = self.world.tree.get_mut(name).expect("it was there");
                let after = directory.set_flags(&link.file, &now.after(change), letters).expect("it was there");
                achieved.add.keywords.retain(|k| after.keywords.contains(k));
            }
            Side::Remote => {
                if !self.same_generation(name) {
                    self.hold(name);
                    return Ok(());
                }
                let mailbox = self.world.server.mailboxes.get(name).expect("it is of the same generation");
                let found = mailbox.messages.get(&uid).map(|m| (m.body, m.flags.clone()));
                if found.as_ref().is_some_and(|(body, _)| self.faults.bad.contains(body)) {
                    self.hold(name);
                    return Ok(());
                }
                let permanent = &self.world.server.kind.permanent;
                assert_eq!(permanent.storable(&change.add), change.add, "the server cannot keep this");
                self.step()?;
                if let Some((_, now)) = found {
                    let mailbox = self.world.server.mailboxes.get_mut(name).expect("it was there");
                    mailbox.set_flags(uid, &now.after(change));
                }
            }
        }
        self.fact(Fact::FlagsAgreed(self.id(name), uid, link.flags.after(&achieved)))
    }

    fn remove_mailbox(&mut self, name: &MailboxName, side: Side) -> Step {
        let empty = match side {
            Side::Local => self.world.tree.get(name).is_none_or(|d| d.files.is_empty()),
            Side::Remote => self.world.server.mailboxes.get(name).is_none_or(|m| m.messages.is_empty()),
        };
        if !empty {
            self.hold(name);
            return Ok(());
        }
        self.step()?;
        match side {
            Side::Local => _ = self.world.tree.remove(name),
            Side::Remote => _ = self.world.server.mailboxes.remove(name),
        }
        self.fact(Fact::MailboxForgotten(self.id(name)))
    }
}

fn only(side: Side) -> Presence {
    match side {
        Side::Local => Presence::LocalOnly,
        Side::Remote => Presence::RemoteOnly,
    }
}
