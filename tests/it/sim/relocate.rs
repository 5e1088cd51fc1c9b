//! Moves and copies between mailboxes of the simulated world.

use mailtide::mail::{Fact, FileId, Flags, Intent, Link, MailboxName, Origin, Presence, SystemFlag, Uid, UidSet};
use mailtide::reconcile::{Here, Relocation, Side};

use super::execute::{Run, Step};
use super::world::{ACCOUNT, File, World};

/// Whether the message stays where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Move,
    Copy,
}

impl Run<'_> {
    pub fn relocate(&mut self, to: &MailboxName, relocation: &Relocation, way: Way) -> Step {
        let linked = self.state.base.get(&relocation.from).and_then(|b| b.links.as_ref());
        if linked.is_none_or(|links| !links.contains_key(&relocation.uid)) {
            // The download that it is a copy of failed.
            self.hold(to);
            return Ok(());
        }
        match &relocation.here {
            Here::File(file) => self.follow_there(to, relocation, file, way),
            Here::Message(uid) => self.follow_here(to, relocation, *uid, way),
        }
    }

    fn missed(&mut self, to: &MailboxName, from: &MailboxName) -> Step {
        self.fail(to);
        self.hold(from);
        Ok(())
    }

    fn follow_there(&mut self, to: &MailboxName, relocation: &Relocation, file: &FileId, way: Way) -> Step {
        let Relocation { from, uid, flags, local, remote, .. } = relocation;
        // Whoever is back where it was has not moved.
        let link = self.link(from, *uid);
        let is_back = self.world.tree.get(from).is_some_and(|d| d.files.contains_key(&link.file));
        if !self.same_generation(from) || !self.same_generation(to) || is_back && way == Way::Move {
            return self.missed(to, from);
        }
        self.fix_validity(to)?;
        let Some(uid_next) = self.world.server.mailboxes.get(to).map(|m| m.uid_next) else {
            return self.missed(to, from);
        };
        let (mailbox, uid_next) = (self.id(to), Some(uid_next));
        let (file, flags, content) = (file.clone(), flags.clone(), self.world.content(World::body_of(link.digest)));
        self.fact(Fact::Intended(Intent { mailbox, file: file.clone(), content, uid_next, flags: flags.clone() }))?;
        self.written();
        self.step()?;
        if !self.same_generation(from) || !self.same_generation(to) {
            return self.missed(to, from);
        }
        let Some(message) = self.world.server.mailboxes[from].messages.get(uid).cloned() else {
            return self.missed(to, from);
        };
        if self.faults.bad.contains(&message.body) {
            self.fact(Fact::Settled(self.id(to), file))?;
            return self.missed(to, from);
        }
        let new = self.world.server.place(to, message).expect("the mailbox is there");
        let kind = self.world.server.kind.clone();
        if way == Way::Move {
            if !kind.moves {
                // COPY, STORE and EXPUNGE: each may be the last.
                self.step()?;
            }
            let source = self.world.server.mailboxes.get_mut(from).filter(|m| m.messages.contains_key(uid));
            match source {
                Some(source) if kind.uidplus => _ = source.remove(*uid),
                Some(source) => {
                    let mut flags = source.messages[uid].flags.clone();
                    flags.system.insert(SystemFlag::Trashed);
                    source.set_flags(*uid, &flags);
                }
                None => {}
            }
        }
        if way == Way::Move && !kind.uidplus {
            self.expunge_marked(from, &one(*uid))?;
        }
        if !kind.tells_copies {
            // The next run looks for it by its content; the intent tells with which flags it came.
            return self.missed(to, from);
        }
        self.linked(to, Link { uid: new, file, flags, presence: Presence::Both, ..link })?;
        if way == Way::Move && kind.uidplus {
            // The same transaction.
            self.also(Fact::Unlinked(self.id(from), one(*uid)));
        }
        if !local.is_empty() {
            self.set_flags(to, Side::Local, new, local)?;
        }
        if remote.is_empty() { Ok(()) } else { self.set_flags(to, Side::Remote, new, remote) }
    }

    fn follow_here(&mut self, to: &MailboxName, relocation: &Relocation, new: Uid, way: Way) -> Step {
        let Relocation { from, uid, flags, local, remote, .. } = relocation;
        let link = self.link(from, *uid);
        let Some(uid_validity) = self.seen_validity(to).filter(|_| self.same_generation(to)) else {
            return self.missed(to, from);
        };
        self.fix_validity(to)?;
        self.step()?;
        let found = self.world.tree.get(from).and_then(|d| d.files.get(&link.file)).cloned();
        let found = found.filter(|f| !self.faults.bad.contains(&f.body));
        let (Some(found), true) = (found, self.world.tree.contains_key(to)) else {
            return self.missed(to, from);
        };
        let number = self.world.fresh();
        let file = FileId::new(format!("m{}-{uid_validity}-{new}-{number}", self.id(to)));
        let origin = Some(Origin { account: ACCOUNT, mailbox: self.id(to), uid_validity, uid: new });
        let wanted = found.flags.after(local);
        let kept = self.world.put_file(to, file.clone(), File { flags: wanted.clone(), origin, ..found });
        if way == Way::Move {
            self.world.tree.get_mut(from).into_iter().for_each(|d| _ = d.remove(&link.file));
        }
        let mut achieved = local.clone();
        achieved.add.keywords.retain(|k| kept.keywords.contains(k));
        let mut agreed: Flags = flags.after(&achieved);
        let left_out = wanted.minus(&kept).keywords;
        agreed.keywords.retain(|k| !left_out.contains(k));
        let seen = self.seen_message(to, new);
        let internal_date = seen.and_then(|m| m.internal_date).unwrap_or(link.internal_date);
        let email_id = seen.and_then(|m| m.email_id.clone()).or_else(|| link.email_id.clone());
        let presence = Presence::Both;
        self.linked(to, Link { uid: new, file, flags: agreed, presence, internal_date, email_id, ..link })?;
        if way == Way::Move {
            // The same transaction.
            self.also(Fact::Unlinked(self.id(from), one(*uid)));
        }
        if remote.is_empty() { Ok(()) } else { self.set_flags(to, Side::Remote, new, remote) }
    }
}

fn one(uid: Uid) -> UidSet {
    [uid].into_iter().collect()
}
