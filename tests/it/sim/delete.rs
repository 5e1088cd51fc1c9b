//! Deletions, as far as the server allows them.

use mailtide::mail::{Fact, Flags, MailboxName, Presence, SystemFlag, Uid, UidSet};
use mailtide::reconcile::Disposal;

use super::execute::{Run, Step};

impl Run<'_> {
    pub fn delete_file(&mut self, name: &MailboxName, uid: Uid, disposal: Disposal) -> Step {
        let (id, link) = (self.id(name), self.link(name, uid));
        let found = self.world.tree.get(name).and_then(|d| d.files.get(&link.file)).cloned();
        if found.as_ref().is_some_and(|f| self.faults.bad.contains(&f.body)) {
            self.fail(name);
            return Ok(());
        }
        let letters = self.world.letters;
        let Some(directory) = self.world.tree.get_mut(name) else {
            // It has another name since, and the file may be in it.
            self.fail(name);
            return Ok(());
        };
        match (disposal, found) {
            (Disposal::Expunge, _) => {
                directory.remove(&link.file);
                // The effect stands before the step: cut off here, it has happened.
                self.step()?;
                self.fact(Fact::Unlinked(id, [uid].into_iter().collect()))
            }
            (Disposal::Mark, Some(file)) => {
                directory.set_flags(&link.file, &marked(&file.flags), letters);
                self.step()?;
                self.fact(Fact::PresenceChanged(id, uid, Presence::LocalOnly, marked(&link.flags)))
            }
            (Disposal::Mark, None) => {
                self.hold(name);
                Ok(())
            }
            (Disposal::Trash, _) => panic!("the tree has no Trash"),
        }
    }

    pub fn delete_messages(&mut self, name: &MailboxName, uids: &UidSet, disposal: Disposal) -> Step {
        let trash = self.world.server.kind.trash.clone();
        if !self.same_generation(name) {
            self.fail(name);
            return Ok(());
        }
        let uids = &self.really_gone(name, uids);
        if disposal == Disposal::Trash {
            trash.iter().for_each(|trash| self.world.server.make(trash));
        }
        let mut done = UidSet::new();
        for uid in uids.iter() {
            let body = self.world.server.mailboxes.get(name).and_then(|m| m.messages.get(&uid)).map(|m| m.body);
            if body.is_some_and(|body| self.faults.bad.contains(&body)) {
                self.fail(name);
                continue;
            }
            self.step()?;
            if !self.same_generation(name) {
                self.fail(name);
                return Ok(());
            }
            let mailbox = self.world.server.mailboxes.get_mut(name).expect("it is of the same generation");
            let message = mailbox.messages.get(&uid).cloned();
            match disposal {
                Disposal::Mark => {
                    let permanent = &self.world.server.kind.permanent;
                    message.iter().for_each(|m| mailbox.set_flags(uid, &permanent.storable(&marked(&m.flags))));
                    let flags = marked(&self.link(name, uid).flags);
                    self.fact(Fact::PresenceChanged(self.id(name), uid, Presence::RemoteOnly, flags))?;
                    continue;
                }
                Disposal::Trash => {
                    let trash = trash.as_ref().expect("it is there");
                    message.iter().for_each(|m| _ = self.world.server.place(trash, m.clone()));
                }
                Disposal::Expunge => {}
            }
            let mailbox = self.world.server.mailboxes.get_mut(name).expect("it was there a moment ago");
            if self.world.server.kind.uidplus {
                mailbox.remove(uid);
                self.fact(Fact::Unlinked(self.id(name), [uid].into_iter().collect()))?;
            } else {
                message.iter().for_each(|m| mailbox.set_flags(uid, &marked(&m.flags)));
                done.insert(uid);
            }
        }
        if done.is_empty() { Ok(()) } else { self.expunge_marked(name, &done) }
    }

    /// EXPUNGE alone hits everything that is marked: only when that is ours.
    pub fn expunge_marked(&mut self, name: &MailboxName, uids: &UidSet) -> Step {
        self.step()?;
        if !self.same_generation(name) {
            self.fail(name);
            return Ok(());
        }
        let mailbox = &self.world.server.mailboxes[name];
        let foreign = mailbox.messages.iter().any(|(uid, m)| m.flags.is_trashed() && !uids.contains(*uid));
        for uid in uids.iter() {
            if foreign {
                let flags = marked(&self.link(name, uid).flags);
                self.fact(Fact::PresenceChanged(self.id(name), uid, Presence::RemoteOnly, flags))?;
            } else {
                self.world.server.mailboxes.get_mut(name).into_iter().for_each(|m| _ = m.remove(uid));
                self.fact(Fact::Unlinked(self.id(name), [uid].into_iter().collect()))?;
            }
        }
        Ok(())
    }

    /// Those whose file is still not there: a mail program may have been renaming it just when it was looked for.
    fn really_gone(&mut self, name: &MailboxName, uids: &UidSet) -> UidSet {
        let is_back = |uid: Uid| {
            let file = self.state.base[name].links.as_ref().and_then(|links| links.get(&uid)).map(|l| &l.file);
            let directory = self.world.tree.get(name).filter(|_| self.seen.local.mailboxes.contains_key(name));
            directory.zip(file).is_some_and(|(directory, file)| directory.files.contains_key(file))
        };
        let gone: UidSet = uids.iter().filter(|uid| !is_back(*uid)).collect();
        if gone.len() < uids.len() {
            self.hold(name);
        }
        gone
    }
}

fn marked(flags: &Flags) -> Flags {
    let mut flags = flags.clone();
    flags.system.insert(SystemFlag::Trashed);
    flags
}
