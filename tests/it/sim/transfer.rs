//! Downloads and uploads of the simulated world.

use std::collections::BTreeMap;

use mailtide::mail::{Fact, FileId, Flags, Intent, Link, MailboxName, Origin, Uid, UidSet, UnixSeconds};
use mailtide::reconcile::arrived::brought;
use mailtide::reconcile::guard::ApprovedPlan;
use mailtide::reconcile::sent::gone;
use mailtide::reconcile::{Action, Plan, Side};

use super::execute::{Run, Step};
use super::world::{ACCOUNT, File};

impl Run<'_> {
    pub fn download(&mut self, name: &MailboxName, uid: Uid) -> Step {
        let found = self.world.server.mailboxes.get(name).filter(|_| self.same_generation(name));
        let found = found.and_then(|m| m.messages.get(&uid).map(|message| (message.clone(), m.uid_validity)));
        let is_bad = found.as_ref().is_some_and(|(m, _)| self.faults.bad.contains(&m.body));
        let (Some((message, uid_validity)), false) = (found, is_bad) else {
            if is_bad {
                self.fail(name)
            } else {
                self.hold(name)
            }
            return Ok(());
        };
        self.fix_validity(name)?;
        self.step()?;
        if !self.world.tree.contains_key(name) {
            self.fail(name);
            return Ok(());
        }
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

    /// Records the links of what earlier runs brought, here or there, and could not record.
    pub fn remember(&mut self) -> Step {
        for (name, uids) in self.seen.arrived.links.iter().chain(&self.seen.sent) {
            let known = &self.seen.base[name];
            for uid in uids.iter() {
                let link = known.links.as_ref().expect("it was found among them")[&uid].clone();
                let settled = Fact::Settled(known.id, link.file.clone());
                self.fact(Fact::Linked(known.id, link))?;
                self.also(settled);
            }
        }
        Ok(())
    }

    /// Drops what was to be sent out of a mailbox that is done, and is neither here nor there.
    pub fn settle_sent(&mut self, name: &MailboxName) -> Step {
        let (Some(known), Some(intents)) = (self.seen.base.get(name), self.seen.intents.get(name)) else {
            return Ok(());
        };
        let gone: Vec<FileId> = gone(name, known, intents, &self.seen.local).map(|i| i.file.clone()).collect();
        gone.into_iter().try_for_each(|file| self.fact(Fact::Settled(known.id, file)))
    }

    /// Writes down what is about to come to the tree before any of it does.
    pub fn expect(&mut self, plan: &Plan) -> Step {
        for (name, uids) in brought(plan) {
            if !self.is_broken(name) {
                self.fact(Fact::Arriving(self.seen.ids[name], uids))?;
            }
        }
        self.written();
        Ok(())
    }

    /// Leaves on record of it what may be there without a link.
    pub fn settle_arrived(&mut self, name: &MailboxName, brought: Option<&UidSet>) -> Step {
        let id = self.seen.ids[name];
        let before = self.seen.arrived.open.get(&id);
        if before.is_none() && brought.is_none() {
            return Ok(());
        }
        self.fact(Fact::Arrived(id))?;
        if self.is_held(name) {
            let links = self.state.base.get(name).and_then(|known| known.links.as_ref());
            let linked: UidSet = links.into_iter().flat_map(BTreeMap::keys).copied().collect();
            let open = UidSet::union(before.into_iter().chain(brought)).without(&linked);
            // The same transaction.
            self.also(Fact::Arriving(id, open));
        }
        Ok(())
    }

    /// Writes down everything that is about to be sent before any of it is.
    pub fn intend(&mut self, plan: &ApprovedPlan) -> Step {
        let mut any = false;
        for (name, action) in plan.plan().actions() {
            let Action::Upload { file, flags, .. } = action else { continue };
            let found = self.world.tree.get(name).and_then(|d| d.files.get(file)).map(|f| f.body);
            let uid_next = self.world.server.mailboxes.get(name).map(|m| m.uid_next);
            let (Some(body), Some(_), false) = (found, uid_next, self.is_broken(name)) else { continue };
            self.fix_validity(name)?;
            let (mailbox, content) = (self.id(name), self.world.content(body));
            self.fact(Fact::Intended(Intent { mailbox, file: file.clone(), content, uid_next, flags: flags.clone() }))?;
            any = true;
        }
        if any {
            self.written();
        }
        Ok(())
    }

    pub fn upload(&mut self, name: &MailboxName, file: &FileId, flags: &Flags) -> Step {
        let intended = self.state.intents.get(name).is_some_and(|open| open.iter().any(|i| i.file == *file));
        if intended {
            self.step()?;
        }
        let found = self.world.tree.get(name).and_then(|d| d.files.get(file)).map(|f| (f.body, f.date));
        let Some((body, date)) = found.filter(|_| intended) else {
            self.hold(name);
            return if intended { self.fact(Fact::Settled(self.id(name), file.clone())) } else { Ok(()) };
        };
        let same = self.same_generation(name);
        if self.faults.bad.contains(&body) || !self.world.server.mailboxes.contains_key(name) {
            self.fail(name);
            return self.fact(Fact::Settled(self.id(name), file.clone()));
        }
        self.world.transfers.push((Side::Remote, body));
        let uid = self.world.server.append(name, body, flags, date).expect("the mailbox is there");
        if self.world.server.kind.uidplus && same {
            // What a mailbox can keep is known once it is there, which may be since a moment ago.
            let kept = self.world.server.kind.permanent.storable(flags);
            self.linked(name, self.link_of(uid, file, body, &kept, UnixSeconds(date)))
        } else {
            // Which UID it got, the next run finds out; until then the file must be looked at.
            self.hold(name);
            Ok(())
        }
    }
}
