//! Carries plans out, one effect and one fact at a time, as the real executor must; can be cut off between any two.

use std::collections::{BTreeMap, BTreeSet};

use mailtide::mail::{
    Fact, FileId, FlagChange, Flags, Link, MailboxId, MailboxName, Presence, Uid, UidSet, UidValidity, UnixSeconds,
};
use mailtide::reconcile::arrived::brought;
use mailtide::reconcile::guard::{Allowed, ApprovedPlan, MaxDelete, approve};
use mailtide::reconcile::view::{Direction, LocalContent, LocalMailbox, Policy, RemoteMailbox, RemoteMessage, TreeAge};
use mailtide::reconcile::{Action, Phase, Plan, Side};

use super::edit::Edit;
use super::journal::Journal;
use super::observe::{Blind, Observation, observe};
use super::relocate::Way;
use super::state::State;
use super::world::{Body, World};

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The run is cut off before its n-th effect or fact.
    pub crash_at: Option<usize>,
    /// So many of the last facts were not yet written when it was; those that had to be, were.
    pub unwritten: usize,
    /// What others do before the n-th effect or fact.
    pub during: BTreeMap<usize, Vec<Edit>>,
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
    carry_out(world, state, faults, &seen, meanwhile)
}

/// Plans, lets `meanwhile` happen, executes.
pub fn carry_out(
    world: &mut World,
    state: &mut State,
    faults: &Faults,
    seen: &Observation,
    meanwhile: impl FnOnce(&mut World, &State),
) -> Ended {
    let (age, policy) = (seen.local.age, seen.policy);
    let plan = seen.plan();
    if !world.silent {
        world.story.extend((age == TreeAge::Older).then(|| "  the tree, or the state, is an older copy".to_owned()));
        world.story.extend(plan.actions().map(|(name, action)| format!("  {name}: {action:?}")));
        world.story.extend(seen.reads.iter().map(|body| format!("  {body} is read to be compared")));
    }
    world.reads.extend(&seen.reads);
    meanwhile(world, state);
    let all = Allowed::All;
    let (approved, refusals) = approve(plan.clone(), &seen.base, &seen.local, &seen.remote, MaxDelete::Unlimited, &all);
    assert!(refusals.is_empty());
    let before = OneWay::of(policy.direction, world);
    let journal = (faults.unwritten > 0).then(|| Journal::begun(state));
    let mut run = Run {
        world,
        state,
        seen,
        faults,
        steps: 0,
        held: plan.unfinished.clone(),
        broken: BTreeSet::new(),
        failed_renames: 0,
        at_once: false,
        journal,
    };
    let crashed = run.all(&approved).is_err();
    let (steps, failed_renames, journal) = (run.steps, run.failed_renames, run.journal.take());
    let held = std::mem::take(&mut run.held);
    if crashed {
        world.story.push(format!("  cut off before step {steps}"));
        journal.into_iter().for_each(|journal| *state = journal.without_last(faults.unwritten));
    }
    before.into_iter().for_each(|before| before.assert_kept(world));
    if !crashed && age == TreeAge::Older {
        state.leave_older(&held);
    }
    if !crashed && (age == TreeAge::Older || !plan.is_empty()) {
        state.count(world, age);
    }
    Ended { plan, steps, crashed, failed_renames }
}

/// The side that a run one way must not change.
struct OneWay(Direction, String);

impl OneWay {
    fn of(direction: Direction, world: &World) -> Option<OneWay> {
        match direction {
            Direction::Both => None,
            Direction::Pull => Some(OneWay(direction, format!("{:?}", world.server.mailboxes))),
            Direction::Push => Some(OneWay(direction, format!("{:?}", world.tree))),
        }
    }

    fn assert_kept(&self, world: &World) {
        let now = OneWay::of(self.0, world).expect("it is one way");
        assert_eq!(self.1, now.1, "{:?} changed its source", self.0);
    }
}

pub struct Crash;

pub type Step = Result<(), Crash>;

pub struct Run<'a> {
    pub world: &'a mut World,
    pub state: &'a mut State,
    pub seen: &'a Observation,
    pub faults: &'a Faults,
    steps: usize,
    pub held: BTreeSet<MailboxName>,
    broken: BTreeSet<MailboxName>,
    pub failed_renames: usize,
    /// What follows is of one transaction.
    at_once: bool,
    journal: Option<Journal>,
}

impl Run<'_> {
    fn all(&mut self, approved: &ApprovedPlan) -> Step {
        self.remember()?;
        self.rename_mailboxes(approved.plan())?;
        self.distrust(approved.plan())?;
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
                self.written();
            }
            if before != Some(phase) && phase == Phase::CreateMailboxes {
                self.begin_restoring(approved.plan())?;
            }
            if before != Some(phase) && phase == Phase::Transfer {
                self.intend(approved)?;
            }
            self.at_once = forgets && phase == Phase::Identity;
            if before != Some(phase) && before == Some(Phase::Identity) {
                self.written();
            }
            if phase > Phase::Identity && before.is_none_or(|before| before <= Phase::Identity) {
                self.expect(approved.plan())?;
            }
            before = Some(phase);
            if !self.broken.contains(name) {
                self.action(name, action)?;
            }
        }
        self.at_once = false;
        // What was to come to a mailbox that failed as a whole is still where it was.
        for (name, action) in approved.plan().actions() {
            if let Action::Move(relocation) | Action::Copy(relocation) = action
                && self.is_broken(name)
            {
                self.hold(&relocation.from);
            }
        }
        let names: Vec<MailboxName> = self.seen.ids.keys().cloned().collect();
        let brought = brought(approved.plan());
        names.iter().try_for_each(|name| {
            self.settle_arrived(name, brought.get(name))?;
            self.check(name)
        })
    }

    /// Before every effect and every fact.
    pub fn step(&mut self) -> Step {
        if self.at_once {
            return Ok(());
        }
        if self.faults.crash_at == Some(self.steps) {
            return Err(Crash);
        }
        if let Some(edits) = self.faults.during.get(&self.steps) {
            self.world.log.amidst = true;
            self.world.edit_all(self.state, edits);
            self.world.log.amidst = false;
        }
        self.steps += 1;
        Ok(())
    }

    pub fn fact(&mut self, fact: Fact) -> Step {
        self.step()?;
        match self.at_once {
            true => self.also(fact),
            false => self.record(vec![fact]),
        }
        Ok(())
    }

    /// Facts of one transaction.
    pub fn record(&mut self, facts: Vec<Fact>) {
        self.journal.iter_mut().for_each(|journal| journal.begin(facts.clone()));
        self.state.record_together(facts);
    }

    /// A fact of the same transaction as the last one.
    pub fn also(&mut self, fact: Fact) {
        self.journal.iter_mut().for_each(|journal| journal.also(fact.clone()));
        self.state.record(fact);
    }

    /// Everything so far is on disk.
    pub fn written(&mut self) {
        self.journal.iter_mut().for_each(|journal| *journal = Journal::begun(self.state));
    }

    pub fn fail(&mut self, name: &MailboxName) {
        self.hold(name);
    }

    pub fn hold(&mut self, name: &MailboxName) {
        self.held.insert(name.clone());
    }

    /// Does nothing more in a mailbox that failed as a whole.
    pub fn break_off(&mut self, name: &MailboxName) {
        self.fail(name);
        self.broken.insert(name.clone());
    }

    pub fn is_broken(&self, name: &MailboxName) -> bool {
        self.broken.contains(name)
    }

    /// The number of a mailbox, recorded or about to be.
    pub fn id(&self, name: &MailboxName) -> MailboxId {
        self.state.base.get(name).map_or_else(|| self.seen.ids[name], |m| m.id)
    }

    /// Whether UIDs still mean what they meant when they were seen.
    pub fn same_generation(&self, name: &MailboxName) -> bool {
        let now = self.world.server.mailboxes.get(name).map(|m| m.uid_validity);
        let then = match self.seen.remote.mailboxes.contains_key(name) {
            true => self.seen_validity(name),
            // It was made since.
            false => now,
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
            Action::Forget { uids } => {
                // A file that stays is a new one for the next run, which reads no directory that is as it was.
                let local = self.state.base.get(name).and_then(|b| b.local);
                if let Some(mut check) = local.filter(|_| uids.iter().any(|uid| self.has_file(name, uid))) {
                    check.look_again();
                    self.fact(Fact::LocalChecked(id, check))?;
                }
                self.fact(Fact::Unlinked(id, uids.clone()))
            }
            Action::RemoveMailbox { side } => self.remove_mailbox(name, *side),
            // No directory is outside of this world.
            Action::MovedOut { .. } => Ok(()),
            Action::ForgetMailbox => self.fact(Fact::MailboxForgotten(id)),
        }
    }

    fn has_file(&self, name: &MailboxName, uid: Uid) -> bool {
        let Some(LocalMailbox::Listed(listing)) = self.seen.local.mailboxes.get(name) else { return false };
        let links = self.state.base.get(name).and_then(|b| b.links.as_ref());
        links.and_then(|links| links.get(&uid)).is_some_and(|link| listing.files.contains_key(&link.file))
    }

    /// The link of what is the same message on both sides: its file may have gone meanwhile, its message too.
    fn found(&self, name: &MailboxName, uid: Uid, file: &FileId, flags: &Flags) -> Link {
        let known = match self.seen.local.mailboxes.get(name) {
            Some(LocalMailbox::Listed(listing)) => listing.files.get(file).and_then(|f| match f.content {
                LocalContent::Known { content, .. } => Some(content.digest),
                _ => None,
            }),
            _ => None,
        };
        let seen = self.seen_message(name, uid);
        // Of a message that has a link already, nothing is asked again.
        let links = self.state.base.get(name).and_then(|b| b.links.as_ref());
        let was = links.and_then(|links| links.get(&uid));
        // A file that was not read has a link already.
        let linked = || {
            let links = links?;
            let its = was.filter(|l| l.file == *file).or_else(|| links.values().find(|l| l.file == *file));
            its.map(|l| l.digest)
        };
        let body = known.or_else(linked).map(World::body_of).expect("what is linked was read, now or before");
        let modified = match self.seen.local.mailboxes.get(name) {
            Some(LocalMailbox::Listed(listing)) => listing.files.get(file).and_then(|f| match f.content {
                LocalContent::Known { modified, .. } => Some(modified),
                _ => None,
            }),
            _ => None,
        };
        let date = seen.and_then(|m| m.internal_date).or(was.map(|l| l.internal_date)).or(modified);
        let date = date.unwrap_or(UnixSeconds(0));
        let email_id = seen.and_then(|m| m.email_id.clone()).or_else(|| was?.email_id.clone());
        Link { email_id, ..self.link_of(uid, file, body, flags, date) }
    }

    /// The generation of a mailbox's UIDs when it was looked at.
    pub fn seen_validity(&self, name: &MailboxName) -> Option<UidValidity> {
        match self.seen.remote.mailboxes.get(name)? {
            RemoteMailbox::Observed(listing) => Some(listing.uid_validity),
            _ => self.seen.base.get(name).and_then(|b| b.remote.as_ref()).map(|c| c.uid_validity),
        }
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
        self.also(Fact::Unlinked(id, others));
        self.also(Fact::Settled(id, file));
        Ok(())
    }

    pub fn set_flags(&mut self, name: &MailboxName, side: Side, uid: Uid, change: &FlagChange) -> Step {
        let link = self.link(name, uid);
        let mut achieved = change.clone();
        match side {
            Side::Local => {
                let now = |run: &Self| {
                    let file = run.world.tree.get(name).and_then(|d| d.files.get(&link.file));
                    file.map(|f| (f.body, f.flags.clone()))
                };
                if now(self).is_some_and(|(body, _)| self.faults.bad.contains(&body)) {
                    self.fail(name);
                    return Ok(());
                }
                self.step()?;
                let letters = self.world.letters;
                let Some((_, flags)) = now(self) else {
                    self.hold(name);
                    return Ok(());
                };
                let directory = self.world.tree.get_mut(name).expect("the file is in it");
                let after = directory.set_flags(&link.file, &flags.after(change), letters).expect("it is there");
                achieved.add.keywords.retain(|k| after.keywords.contains(k));
            }
            Side::Remote => {
                let permanent = &self.world.server.kind.permanent;
                assert_eq!(permanent.storable(&change.add), change.add, "the server cannot keep this");
                let body = self.world.server.mailboxes.get(name).and_then(|m| m.messages.get(&uid)).map(|m| m.body);
                if body.is_some_and(|body| self.faults.bad.contains(&body)) {
                    self.fail(name);
                    return Ok(());
                }
                self.step()?;
                if !self.same_generation(name) {
                    self.fail(name);
                    return Ok(());
                }
                let mailbox = self.world.server.mailboxes.get_mut(name).expect("it is of the same generation");
                let Some(now) = mailbox.messages.get(&uid).map(|m| m.flags.clone()) else {
                    self.hold(name);
                    return Ok(());
                };
                mailbox.set_flags(uid, &now.after(change));
            }
        }
        self.fact(Fact::FlagsAgreed(self.id(name), uid, link.flags.after(&achieved)))
    }

    fn remove_mailbox(&mut self, name: &MailboxName, side: Side) -> Step {
        self.step()?;
        let empty = match side {
            Side::Local => self.world.tree.get(name).is_none_or(|d| d.files.is_empty()),
            Side::Remote => self.world.server.mailboxes.get(name).is_none_or(|m| m.messages.is_empty()),
        };
        if !empty {
            self.hold(name);
            return Ok(());
        }
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
