//! Edits done to the world, and what they mean for how things must end.

use std::collections::{BTreeMap, BTreeSet};

use mailtide::mail::{FileId, Flags, MailboxName, Presence, Uid};
use mailtide::reconcile::Side;

use super::edit::{Edit, How, Name, Which, flag, mailbox};
use super::log::{Did, Upheaval};
use super::server::Message;
use super::state::State;
use super::world::{Body, File, Layout, World};

/// A message on a side.
#[derive(Debug, Clone)]
pub enum At {
    File(MailboxName, FileId),
    Message(MailboxName, Uid),
}

impl At {
    fn side(&self) -> Side {
        match self {
            At::File(..) => Side::Local,
            At::Message(..) => Side::Remote,
        }
    }

    pub fn mailbox(&self) -> &MailboxName {
        let (At::File(name, _) | At::Message(name, _)) = self;
        name
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            At::File(name, id) => write!(f, "{name}: file {id}"),
            At::Message(name, uid) => write!(f, "{name}: UID {uid}"),
        }
    }
}

impl World {
    pub fn edit_all(&mut self, state: &State, edits: &[Edit]) {
        edits.iter().for_each(|edit| self.edit(state, edit));
    }

    fn tell(&mut self, words: String) {
        self.story.push(words);
    }

    fn did(&mut self, side: Side, body: Body, did: Did) {
        self.log.did(side, body, did);
    }

    fn shook(&mut self, side: Side, upheaval: Upheaval) {
        self.log.shook(side, upheaval);
    }

    fn edit(&mut self, state: &State, edit: &Edit) {
        match edit {
            Edit::Deliver { side, mailbox: n, flags } => {
                let body = self.fresh();
                self.deliver(*side, &mailbox(*n), body, flags, World::date_of(body));
            }
            Edit::DeliverTwice { mailbox: n, local, remote } => {
                let body = self.fresh();
                let date = World::date_of(body);
                self.deliver(Side::Local, &mailbox(*n), body, local, date);
                self.deliver(Side::Remote, &mailbox(*n), body, remote, date + i64::from(body % 2));
            }
            Edit::Delete { side, which } => {
                if let Some(at) = self.pick(*side, *which) {
                    self.tell(format!("deletes {at}"));
                    self.did(at.side(), self.at(&at).0, Did::Deleted);
                    self.delete(state, &at);
                }
            }
            Edit::Flag { side, which, flag: n } => {
                if let Some(at) = self.pick(*side, *which) {
                    // What we could not let go, only marked, is deleted: its flags are no message's any more.
                    match is_left(state, &at) {
                        true => self.toggle(&at, &flag(*n)),
                        false => self.flag(&at, &flag(*n)),
                    }
                }
            }
            Edit::Rename { which } => {
                if let Some(at @ At::File(..)) = self.pick(Side::Local, *which) {
                    let name = at.mailbox().clone();
                    self.put_elsewhere(state, &at, &name, Name::New);
                }
            }
            Edit::Move { side, which, to, how } => {
                if let Some(at) = self.pick(*side, *which) {
                    self.move_to(state, &at, &mailbox(*to), *how);
                }
            }
            Edit::Copy { side, which } => {
                if let Some(at) = self.pick(*side, *which) {
                    let (name, how) = (at.mailbox().clone(), How { name: Name::New, flag: None });
                    self.copy_to(&at, &name, how);
                }
            }
            Edit::CopyTo { side, which, to, how } => {
                if let Some(at) = self.pick(*side, *which) {
                    self.copy_to(&at, &mailbox(*to), *how);
                }
            }
            Edit::MoveMany { side, from, to, every, how } => {
                let all: Vec<At> =
                    self.messages(*side).into_iter().filter(|at| *at.mailbox() == mailbox(*from)).collect();
                all.iter().step_by(*every).for_each(|at| self.move_to(state, at, &mailbox(*to), *how));
            }
            Edit::MakeMailbox { side, mailbox: n } => {
                let name = mailbox(*n);
                match side {
                    // Whoever makes INBOX again, and empty, has emptied it.
                    Side::Local if name.is_inbox() => {}
                    Side::Local => self.make_directory(&name),
                    Side::Remote if !self.server.mailboxes.contains_key(&name) => {
                        self.server.make(&name);
                        self.shake(&name);
                    }
                    Side::Remote => {}
                }
                self.shook(*side, Upheaval::Made);
                self.tell(format!("{side}: {name} is made"));
            }
            Edit::RemoveMailbox { side, mailbox: n } => self.remove_mailbox(state, *side, &mailbox(*n)),
            Edit::Renumber { mailbox: n } => {
                self.server.renumber(&mailbox(*n));
                self.shake(&mailbox(*n));
                self.shook(Side::Remote, Upheaval::Renumbered);
                self.tell(format!("{} has new UIDs", mailbox(*n)));
            }
            Edit::RenameMailbox { side, which, to } => {
                if let Some(from) = self.pick_mailbox(*side, *which) {
                    self.rename_mailbox(*side, &from, &mailbox(*to));
                }
            }
            Edit::RenameDirectory { which, to } => {
                if let Some(from) = self.pick_mailbox(Side::Local, *which).filter(|_| self.layout == Layout::Flat)
                    && !mailbox(*to).is_inbox()
                    && self.rename_directory(&from, &mailbox(*to))
                {
                    self.shook(Side::Local, Upheaval::Renamed);
                    self.tell(format!("local: the directory of {from} is renamed to {}", mailbox(*to)));
                }
            }
            Edit::RenameTwice { which, local, remote } => {
                if let Some(from) = self.pick_mailbox(Side::Remote, *which) {
                    self.rename_mailbox(Side::Local, &from, &mailbox(*local));
                    self.rename_mailbox(Side::Remote, &from, &mailbox(*remote));
                }
            }
            Edit::SwapMailboxes { side, one, other } => {
                let aside = MailboxName::parse("aside").expect("it is a name");
                let both = self.pick_mailbox(*side, *one).zip(self.pick_mailbox(*side, *other));
                if let Some((one, other)) = both.filter(|(a, b)| a != b && !a.is_below(b) && !b.is_below(a)) {
                    self.rename_mailbox(*side, &one, &aside);
                    self.rename_mailbox(*side, &other, &one);
                    self.rename_mailbox(*side, &aside, &other);
                }
            }
        }
    }

    /// INBOX is removed here alone, and while nothing is new in it: what its removal leads to is no deletion.
    fn remove_mailbox(&mut self, state: &State, side: Side, name: &MailboxName) {
        if !self.has(side, name) {
            return;
        }
        if name.is_inbox() {
            if side == Side::Local && self.is_as_agreed(state, name) {
                self.tell(format!("{side}: {name} is removed"));
                self.shook(side, Upheaval::Removed);
                self.tree.remove(name);
            }
            return;
        }
        self.tell(format!("{side}: {name} is removed"));
        let all: Vec<At> = self.messages(side).into_iter().filter(|at| at.mailbox() == name).collect();
        self.shook(side, Upheaval::Removed);
        for at in &all {
            self.did(side, self.at(at).0, Did::Deleted);
            self.delete(state, at);
        }
        match side {
            Side::Local => _ = self.tree.remove(name),
            Side::Remote => _ = self.server.mailboxes.remove(name),
        }
    }

    /// Whether the files of a directory are those that both sides know, with their flags.
    fn is_as_agreed(&self, state: &State, name: &MailboxName) -> bool {
        let links = state.base.get(name).and_then(|known| known.links.as_ref());
        let both: BTreeMap<_, _> = links
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter(|link| link.presence == Presence::Both)
            .map(|link| (&link.file, &link.flags))
            .collect();
        self.tree.get(name).is_some_and(|d| {
            d.files.len() == both.len() && d.files.iter().all(|(id, file)| both.get(id) == Some(&&file.flags))
        })
    }

    /// With what is below it, if that is possible.
    pub fn rename_mailbox(&mut self, side: Side, from: &MailboxName, to: &MailboxName) {
        if from.is_inbox() || to.is_inbox() || to == from || to.is_below(from) {
            return;
        }
        let done = match side {
            Side::Remote => self.server.rename(from, to),
            Side::Local => super::rename::with_below(&mut self.tree, from, to),
        };
        if done {
            self.shook(side, Upheaval::Renamed);
            self.tell(format!("{side}: {from} is renamed to {to}"));
        }
    }

    /// The mailbox has new UIDs: what was deleted in it and is still somewhere may come back.
    fn shake(&mut self, name: &MailboxName) {
        self.history.shaken.insert(name.clone());
        let (lost, kept) = std::mem::take(&mut self.history.deleted).into_iter().partition(|(at, _)| at == name);
        self.history.deleted = kept;
        self.history.open.extend::<BTreeSet<_>>(lost);
    }

    pub fn has(&self, side: Side, name: &MailboxName) -> bool {
        match side {
            Side::Local => self.tree.contains_key(name),
            Side::Remote => self.server.mailboxes.contains_key(name),
        }
    }

    pub fn holds(&self, side: Side, name: &MailboxName, body: Body) -> bool {
        self.count(side, name, body) > 0
    }

    pub fn count(&self, side: Side, name: &MailboxName, body: Body) -> usize {
        match side {
            Side::Local => self.tree.get(name).map_or(0, |d| d.files.values().filter(|f| f.body == body).count()),
            Side::Remote => {
                self.server.mailboxes.get(name).map_or(0, |m| m.messages.values().filter(|m| m.body == body).count())
            }
        }
    }

    /// The names or UIDs of a content.
    pub fn copies(&self, side: Side, name: &MailboxName, body: Body) -> BTreeSet<String> {
        let is = |at: &&At| at.mailbox() == name && self.at(at).0 == body;
        self.messages(side).iter().filter(is).map(|at| format!("{at:?}")).collect()
    }

    fn deliver(&mut self, side: Side, name: &MailboxName, body: Body, flags: &Flags, date: i64) {
        if !self.has(side, name) {
            return;
        }
        self.tell(format!("{side}: {body} arrives in {name} {flags}"));
        self.did(side, body, Did::Arrived);
        self.arrives(name, body);
        match side {
            Side::Local => {
                let id = FileId::new(format!("u{}", self.fresh()));
                self.put_file(name, id, File { body, flags: flags.clone(), origin: None, date });
            }
            Side::Remote => _ = self.server.append(name, body, flags, date),
        }
    }

    fn arrives(&mut self, name: &MailboxName, body: Body) {
        let key = (name.clone(), body);
        if self.history.deleted.remove(&key) {
            self.history.open.insert(key.clone());
        }
        if !self.history.delivered.insert(key.clone()) {
            self.history.returned.insert(key);
        }
    }

    fn move_to(&mut self, state: &State, at: &At, to: &MailboxName, how: How) {
        let (body, _) = self.at(at);
        let side = at.side();
        if !self.has(side, to) || at.mailbox() == to || (!self.crowded && self.holds(side, to, body)) {
            return;
        }
        let new = self.put_elsewhere(state, at, to, how.name);
        how.flag.into_iter().for_each(|n| self.flag(&new, &flag(n)));
    }

    /// Takes a message away and puts it there.
    fn put_elsewhere(&mut self, state: &State, at: &At, to: &MailboxName, name: Name) -> At {
        let how = if at.mailbox() == to { Did::Renamed } else { Did::Moved };
        self.did(at.side(), self.at(at).0, how);
        match at {
            At::File(from, id) => {
                let file = self.tree[from].files[id].clone();
                if from != to {
                    self.delete(state, at);
                    self.arrives(to, file.body);
                } else if let Some(directory) = self.tree.get_mut(from) {
                    directory.remove(id);
                }
                let body = file.body;
                let new = self.put_named(to, id, file, name);
                if !matches!(&new, At::File(_, now) if now == id) {
                    self.log.disguised.insert(body);
                }
                self.tell(format!("{at} is moved: {new}"));
                new
            }
            At::Message(from, uid) => {
                let message = self.server.mailboxes[from].messages[uid].clone();
                self.delete(state, at);
                self.arrives(to, message.body);
                let new = self.put_message(to, message);
                self.tell(format!("{at} is moved: {new}"));
                new
            }
        }
    }

    fn copy_to(&mut self, at: &At, to: &MailboxName, how: How) {
        let (body, _) = self.at(at);
        if !self.has(at.side(), to) || (!self.crowded && at.mailbox() != to && self.holds(at.side(), to, body)) {
            return;
        }
        self.did(at.side(), body, Did::Copied);
        self.arrives(to, body);
        let new = match at {
            At::File(from, id) => {
                let file = self.tree[from].files[id].clone();
                // `cp` gives a new date, `cp -p` and mail programs keep it.
                let date = if how.name == Name::Kept { file.date } else { i64::from(self.fresh()) };
                self.put_named(to, id, File { date, ..file }, how.name)
            }
            At::Message(from, uid) => {
                let message = self.server.mailboxes[from].messages[uid].clone();
                self.put_message(to, message)
            }
        };
        self.tell(format!("{at} is copied: {new}"));
        how.flag.into_iter().for_each(|n| self.flag(&new, &flag(n)));
    }

    fn put_named(&mut self, to: &MailboxName, id: &FileId, file: File, name: Name) -> At {
        let is_free = !self.tree[to].files.contains_key(id);
        let (id, origin) = match name {
            Name::Kept if is_free => (id.clone(), file.origin),
            Name::Kept | Name::New => (FileId::new(format!("r{}", self.fresh())), None),
        };
        self.put_file(to, id.clone(), File { origin, ..file });
        At::File(to.clone(), id)
    }

    fn put_message(&mut self, to: &MailboxName, message: Message) -> At {
        let uid = self.server.place(to, message).expect("the mailbox is there");
        At::Message(to.clone(), uid)
    }

    pub fn messages(&self, side: Side) -> Vec<At> {
        match side {
            Side::Local => {
                let of = |(name, d): (&MailboxName, &super::world::Directory)| {
                    d.files.keys().map(|id| At::File(name.clone(), id.clone())).collect::<Vec<_>>()
                };
                self.tree.iter().flat_map(of).collect()
            }
            Side::Remote => {
                let of = |(name, m): (&MailboxName, &super::server::Mailbox)| {
                    m.messages.keys().map(|uid| At::Message(name.clone(), *uid)).collect::<Vec<_>>()
                };
                self.server.mailboxes.iter().flat_map(of).collect()
            }
        }
    }

    fn pick(&self, side: Side, which: Which) -> Option<At> {
        which.get(&self.messages(side)).cloned()
    }

    fn pick_mailbox(&self, side: Side, which: Which) -> Option<MailboxName> {
        let all: Vec<&MailboxName> = match side {
            Side::Local => self.tree.keys().filter(|name| !name.is_inbox()).collect(),
            Side::Remote => self.server.mailboxes.keys().filter(|name| !name.is_inbox()).collect(),
        };
        which.get(&all).map(|name| (*name).clone())
    }

    pub fn at(&self, at: &At) -> (Body, Flags) {
        match at {
            At::File(name, id) => {
                let file = &self.tree[name].files[id];
                (file.body, file.flags.clone())
            }
            At::Message(name, uid) => {
                let message = &self.server.mailboxes[name].messages[uid];
                (message.body, message.flags.clone())
            }
        }
    }

    fn delete(&mut self, state: &State, at: &At) {
        let (body, _) = self.at(at);
        let (name, other) = match at {
            At::File(name, id) => {
                self.tree.get_mut(name).map(|d| d.remove(id));
                (name, Side::Remote)
            }
            At::Message(name, uid) => {
                self.server.mailboxes.get_mut(name).map(|m| m.remove(*uid));
                (name, Side::Local)
            }
        };
        let digest = self.content(body).digest;
        let links = state.base.get(name).and_then(|b| b.links.as_ref());
        let agreed =
            links.is_some_and(|links| links.values().any(|l| l.digest == digest && l.presence == Presence::Both));
        let open = self.history.shaken.contains(name)
            || self.history.open.contains(&(name.clone(), body))
            || (self.holds(other, name, body) && !agreed)
            || state.intents.get(name).into_iter().flatten().any(|i| i.content.digest == digest);
        let key = (name.clone(), body);
        if open {
            self.history.open.insert(key);
        } else {
            self.history.deleted.insert(key);
        }
    }

    fn flag(&mut self, at: &At, change: &Flags) {
        self.did(at.side(), self.at(at).0, Did::Flagged(change.clone()));
        self.toggle(at, change);
    }

    fn toggle(&mut self, at: &At, change: &Flags) {
        let (body, now) = self.at(at);
        let to = if now.minus(change) == now { now.union(change) } else { now.minus(change) };
        self.tell(format!("{at} gets {to}"));
        let key = (at.mailbox().clone(), body);
        if now.is_trashed() && !to.is_trashed() && self.history.deleted.remove(&key) {
            // Undeleted.
            self.history.open.insert(key);
        }
        let letters = self.letters;
        match at {
            At::File(name, id) => _ = self.tree.get_mut(name).and_then(|d| d.set_flags(id, &to, letters)),
            At::Message(name, uid) => {
                let to = self.server.kind.permanent.storable(&to);
                self.server.mailboxes.get_mut(name).into_iter().for_each(|m| m.set_flags(*uid, &to));
            }
        }
    }
}

/// Whether a message has no file any more, and was left on the server.
fn is_left(state: &State, at: &At) -> bool {
    let At::Message(name, uid) = at else { return false };
    let link = state.base.get(name).and_then(|b| b.links.as_ref()?.get(uid));
    link.is_some_and(|link| link.presence == Presence::RemoteOnly)
}
