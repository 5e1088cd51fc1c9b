//! Carries plans out, one effect and one fact at a time, as the real executor must; can be cut off between any two.

use std::collections::BTreeSet;

use mailtide::mail::{
    Fact, FileId, FlagChange, Flags, Intent, Link, MailboxName, Origin, Presence, SystemFlag, Uid, UidSet, UnixSeconds,
};
use mailtide::reconcile::guard::{Allowed, ApprovedPlan, MaxDelete, approve};
use mailtide::reconcile::view::{LocalContent, LocalMailbox, Policy, RemoteMailbox};
use mailtide::reconcile::{Action, Disposal, Phase, Plan, Side};

use super::observe::{Blind, Observation, bare_checkpoint, observe};
use super::state::State;
use super::world::{ACCOUNT, Body, File, World, id_of};

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
    meanwhile(world, state);
    let all = Allowed::All;
    let (approved, refusals) = approve(plan.clone(), &seen.base, &seen.local, &seen.remote, MaxDelete::Unlimited, &all);
    assert!(refusals.is_empty());
    let (server, tree) = (world.server.mailboxes.clone(), world.tree.clone());
    let mut run = Run { world, state, seen: &seen, faults, steps: 0, held: BTreeSet::new() };
    let crashed = run.all(&approved).is_err();
    let steps = run.steps;
    match policy.direction {
        mailtide::reconcile::view::Direction::Both => {}
        mailtide::reconcile::view::Direction::Pull => {
            assert_eq!(format!("{server:?}"), format!("{:?}", world.server.mailboxes), "a pull changed the server");
        }
        mailtide::reconcile::view::Direction::Push => {
            assert_eq!(format!("{tree:?}"), format!("{:?}", world.tree), "a push changed the tree");
        }
    }
    Ended { plan, steps, crashed }
}

struct Crash;

type Step = Result<(), Crash>;

struct Run<'a> {
    world: &'a mut World,
    state: &'a mut State,
    seen: &'a Observation,
    faults: &'a Faults,
    steps: usize,
    held: BTreeSet<MailboxName>,
}

impl Run<'_> {
    fn all(&mut self, approved: &ApprovedPlan) -> Step {
        let mut actions: Vec<(Phase, &MailboxName, &Action)> =
            approved.plan().actions().map(|(name, action)| (action.phase(), name, action)).collect();
        actions.sort_by_key(|(phase, name, _)| (*phase, *name));
        for (_, name, action) in actions {
            self.action(name, action)?;
        }
        let names: Vec<MailboxName> = self.seen.ids.keys().cloned().collect();
        names.iter().try_for_each(|name| self.check(name))
    }

    /// Before every effect and every fact.
    fn step(&mut self) -> Step {
        if self.faults.crash_at == Some(self.steps) {
            return Err(Crash);
        }
        self.steps += 1;
        Ok(())
    }

    fn fact(&mut self, fact: Fact) -> Step {
        self.step()?;
        self.state.record(fact);
        Ok(())
    }

    fn hold(&mut self, name: &MailboxName) {
        self.held.insert(name.clone());
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
            self.fact(Fact::RemoteChecked(id_of(name), checkpoint.clone()))?;
        }
        if let Some(checkpoint) = self.seen.local_checks.get(name) {
            self.fact(Fact::LocalChecked(id_of(name), *checkpoint))?;
        }
        Ok(())
    }

    fn know(&mut self, name: &MailboxName) -> Step {
        if !self.state.base.contains_key(name) {
            self.fact(Fact::MailboxKnown { id: id_of(name), name: name.clone() })?;
        }
        Ok(())
    }

    /// Links need to know which generation their UIDs are of.
    fn fix_validity(&mut self, name: &MailboxName) -> Step {
        self.know(name)?;
        if self.state.base[name].remote.is_none()
            && let Some(mailbox) = self.world.server.mailboxes.get(name)
        {
            let bare = bare_checkpoint(self.world, mailbox);
            self.fact(Fact::RemoteChecked(id_of(name), bare))?;
        }
        Ok(())
    }

    /// Whether UIDs still mean what they meant when they were seen.
    fn same_generation(&self, name: &MailboxName) -> bool {
        let now = self.world.server.mailboxes.get(name).map(|m| m.uid_validity);
        let then = match self.seen.remote.mailboxes.get(name) {
            Some(RemoteMailbox::Observed(listing)) => Some(listing.uid_validity),
            Some(_) => self.seen.base.get(name).and_then(|b| b.remote.as_ref()).map(|c| c.uid_validity),
            None => now,
        };
        now.is_some() && now == then
    }

    fn link(&self, name: &MailboxName, uid: Uid) -> Link {
        self.state.base[name].links.as_ref().expect("links are kept")[&uid].clone()
    }

    fn action(&mut self, name: &MailboxName, action: &Action) -> Step {
        let id = id_of(name);
        match action {
            Action::CreateMailbox { side } => {
                self.step()?;
                match side {
                    Side::Local => self.world.make_directory(name),
                    Side::Remote => self.world.server.make(name),
                }
                self.know(name)
            }
            Action::ResetMailbox => self.fact(Fact::MailboxReset(id)),
            Action::Link { uid, file, flags } => {
                self.fix_validity(name)?;
                let body = self.body_of(name, *uid, file);
                self.linked(name, *uid, file, body, flags)
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
            Action::ForgetMailbox => self.fact(Fact::MailboxForgotten(id)),
        }
    }

    /// The body behind a link that is being made: the file may have gone meanwhile, the message too.
    fn body_of(&self, name: &MailboxName, uid: Uid, file: &FileId) -> Body {
        let there = self.world.tree.get(name).and_then(|d| d.files.get(file)).map(|f| f.body);
        let message = || self.world.server.mailboxes.get(name)?.messages.get(&uid).map(|m| m.body);
        // Neither: what it was does not matter any more.
        there.or_else(message).unwrap_or(0)
    }

    fn linked(&mut self, name: &MailboxName, uid: Uid, file: &FileId, body: Body, flags: &Flags) -> Step {
        let (id, content) = (id_of(name), self.world.content(body));
        let link = Link {
            uid,
            file: file.clone(),
            presence: Presence::Both,
            flags: flags.clone(),
            size: content.wire_size,
            digest: content.digest,
            message_id: content.message_id,
            internal_date: UnixSeconds(0),
            email_id: None,
        };
        // One transaction.
        self.fact(Fact::Linked(id, link))?;
        let links = self.state.base[name].links.as_ref().expect("links are kept");
        let others: UidSet = links.values().filter(|l| l.file == *file && l.uid != uid).map(|l| l.uid).collect();
        self.state.record(Fact::Unlinked(id, others));
        self.state.record(Fact::Settled(id, file.clone()));
        Ok(())
    }

    fn download(&mut self, name: &MailboxName, uid: Uid) -> Step {
        let found = self.world.server.mailboxes.get(name).filter(|_| self.same_generation(name));
        let found = found.and_then(|m| m.messages.get(&uid).map(|message| (message.body, m.uid_validity)));
        let Some((body, uid_validity)) = found.filter(|(body, _)| !self.faults.bad.contains(body)) else {
            self.hold(name);
            return Ok(());
        };
        if !self.world.tree.contains_key(name) {
            self.hold(name);
            return Ok(());
        }
        self.fix_validity(name)?;
        self.step()?;
        let file = FileId::new(format!("d{}-{uid_validity}-{uid}", id_of(name)));
        let origin = Some(Origin { account: ACCOUNT, mailbox: id_of(name), uid_validity, uid });
        let flags = self.seen.remote_flags(name, uid);
        let flags = self.world.put_file(name, file.clone(), File { body, flags, origin });
        self.linked(name, uid, &file, body, &flags)
    }

    fn upload(&mut self, name: &MailboxName, file: &FileId, flags: &Flags) -> Step {
        let body = self.world.tree.get(name).and_then(|d| d.files.get(file)).map(|f| f.body);
        let mailbox = self.world.server.mailboxes.get(name);
        let (Some(body), Some(uid_next)) = (body.filter(|b| !self.faults.bad.contains(b)), mailbox.map(|m| m.uid_next))
        else {
            self.hold(name);
            return Ok(());
        };
        self.fix_validity(name)?;
        let content = self.world.content(body);
        let (mailbox, uid_next) = (id_of(name), Some(uid_next));
        self.fact(Fact::Intended(Intent { mailbox, file: file.clone(), content, uid_next }))?;
        self.step()?;
        let uid = self.world.server.append(name, body, flags).expect("the mailbox is there");
        if self.world.server.kind.uidplus {
            // What a mailbox can keep is known once it is there, which may be since a moment ago.
            let kept = self.world.server.kind.permanent.storable(flags);
            self.linked(name, uid, file, body, &kept)
        } else {
            // Which UID it got, the next run finds out; until then the file must be looked at.
            self.hold(name);
            Ok(())
        }
    }

    fn set_flags(&mut self, name: &MailboxName, side: Side, uid: Uid, change: &FlagChange) -> Step {
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
        self.fact(Fact::FlagsAgreed(id_of(name), uid, link.flags.after(&achieved)))
    }

    fn delete_file(&mut self, name: &MailboxName, uid: Uid, disposal: Disposal) -> Step {
        let (id, link) = (id_of(name), self.link(name, uid));
        let found = self.world.tree.get(name).and_then(|d| d.files.get(&link.file)).cloned();
        if found.as_ref().is_some_and(|f| self.faults.bad.contains(&f.body)) {
            self.hold(name);
            return Ok(());
        }
        let letters = self.world.letters;
        let directory = self.world.tree.get_mut(name);
        match (disposal, found, directory) {
            (Disposal::Expunge, _, directory) => {
                directory.into_iter().for_each(|d| _ = d.remove(&link.file));
                // The effect stands before the step: cut off here, it has happened.
                self.step()?;
                self.fact(Fact::Unlinked(id, [uid].into_iter().collect()))
            }
            (Disposal::Mark, Some(file), Some(directory)) => {
                directory.set_flags(&link.file, &marked(&file.flags), letters);
                self.step()?;
                self.fact(Fact::PresenceChanged(id, uid, Presence::LocalOnly, marked(&link.flags)))
            }
            (Disposal::Mark, ..) => {
                self.hold(name);
                Ok(())
            }
            (Disposal::Trash, ..) => panic!("the tree has no Trash"),
        }
    }

    fn delete_messages(&mut self, name: &MailboxName, uids: &UidSet, disposal: Disposal) -> Step {
        let trash = self.world.server.kind.trash.clone();
        if !self.same_generation(name) {
            self.hold(name);
            return Ok(());
        }
        if disposal == Disposal::Trash {
            trash.iter().for_each(|trash| self.world.server.make(trash));
        }
        let mut done = UidSet::new();
        for uid in uids.iter() {
            let message = self.world.server.mailboxes[name].messages.get(&uid).cloned();
            if message.as_ref().is_some_and(|m| self.faults.bad.contains(&m.body)) {
                self.hold(name);
                continue;
            }
            self.step()?;
            let mailbox = self.world.server.mailboxes.get_mut(name).expect("it is there");
            match disposal {
                Disposal::Mark => {
                    let permanent = &self.world.server.kind.permanent;
                    message.iter().for_each(|m| mailbox.set_flags(uid, &permanent.storable(&marked(&m.flags))));
                    let flags = marked(&self.link(name, uid).flags);
                    self.fact(Fact::PresenceChanged(id_of(name), uid, Presence::RemoteOnly, flags))?;
                    continue;
                }
                Disposal::Trash => {
                    let trash = trash.as_ref().expect("it is there");
                    message.iter().for_each(|m| _ = self.world.server.append(trash, m.body, &m.flags));
                }
                Disposal::Expunge => {}
            }
            let mailbox = self.world.server.mailboxes.get_mut(name).expect("it is there");
            if self.world.server.kind.uidplus {
                mailbox.remove(uid);
                self.fact(Fact::Unlinked(id_of(name), [uid].into_iter().collect()))?;
            } else {
                message.iter().for_each(|m| mailbox.set_flags(uid, &marked(&m.flags)));
                done.insert(uid);
            }
        }
        if done.is_empty() { Ok(()) } else { self.expunge_marked(name, &done) }
    }

    /// EXPUNGE alone hits everything that is marked: only when that is ours.
    fn expunge_marked(&mut self, name: &MailboxName, uids: &UidSet) -> Step {
        self.step()?;
        let mailbox = self.world.server.mailboxes.get_mut(name).expect("it is there");
        let foreign = mailbox.messages.iter().any(|(uid, m)| m.flags.is_trashed() && !uids.contains(*uid));
        for uid in uids.iter() {
            if foreign {
                let flags = marked(&self.link(name, uid).flags);
                self.fact(Fact::PresenceChanged(id_of(name), uid, Presence::RemoteOnly, flags))?;
            } else {
                let mailbox = self.world.server.mailboxes.get_mut(name).expect("it is there");
                mailbox.remove(uid);
                self.fact(Fact::Unlinked(id_of(name), [uid].into_iter().collect()))?;
            }
        }
        Ok(())
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
        self.fact(Fact::MailboxForgotten(id_of(name)))
    }
}

fn only(side: Side) -> Presence {
    match side {
        Side::Local => Presence::LocalOnly,
        Side::Remote => Presence::RemoteOnly,
    }
}

fn marked(flags: &Flags) -> Flags {
    let mut flags = flags.clone();
    flags.system.insert(SystemFlag::Trashed);
    flags
}
