//! What users and other programs do on either side, at random; and what that means for how things must end.

use mailtide::mail::{FileId, Flags, Keyword, MailboxName, Presence, SystemFlag, Uid};
use mailtide::reconcile::Side;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::Union;

use super::state::State;
use super::world::{Body, File, World};

#[derive(Debug, Clone)]
pub enum Edit {
    Deliver {
        side: Side,
        mailbox: u8,
        flags: Flags,
    },
    /// The same new message arrives on both sides by itself.
    DeliverTwice {
        mailbox: u8,
        local: Flags,
        remote: Flags,
    },
    Delete {
        side: Side,
        which: Index,
    },
    Flag {
        side: Side,
        which: Index,
        flag: u8,
    },
    Rename {
        which: Index,
    },
    Move {
        side: Side,
        which: Index,
        to: u8,
    },
    /// A copy in the same mailbox.
    Copy {
        side: Side,
        which: Index,
    },
    MakeMailbox {
        side: Side,
        mailbox: u8,
    },
    RemoveMailbox {
        side: Side,
        mailbox: u8,
    },
    /// UIDVALIDITY changes.
    Renumber {
        mailbox: u8,
    },
}

/// Which edits a property is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Messages in mailboxes that stay.
    Messages,
    /// Mailboxes come and go as well.
    Mailboxes,
    /// And UIDVALIDITY changes.
    Everything,
    /// Messages in mailboxes that stay, with copies of them.
    Copies,
    /// Deletions, and messages that are marked deleted and stay.
    Marks,
}

pub fn edits(scope: Scope, most: usize) -> impl Strategy<Value = Vec<Edit>> {
    prop::collection::vec(edit(scope), 0..=most)
}

fn edit(scope: Scope) -> impl Strategy<Value = Edit> {
    use Edit::*;
    let copies = u32::from(scope == Scope::Copies) * 3;
    let mailboxes = u32::from(matches!(scope, Scope::Mailboxes | Scope::Everything));
    let renumber = u32::from(scope == Scope::Everything);
    let marks = u32::from(scope == Scope::Marks) * 6;
    let side = || prop_oneof![Just(Side::Local), Just(Side::Remote)];
    let which = || any::<Index>();
    let (any_flags, mailbox) = (flags(), 0..MAILBOXES);
    let two = (flags(), flags());
    let all: [(u32, BoxedStrategy<Edit>); 11] = [
        (
            4,
            (side(), mailbox.clone(), any_flags)
                .prop_map(|(side, mailbox, flags)| Deliver { side, mailbox, flags })
                .boxed(),
        ),
        (
            1,
            (mailbox.clone(), two)
                .prop_map(|(mailbox, (local, remote))| DeliverTwice { mailbox, local, remote })
                .boxed(),
        ),
        (3, (side(), which()).prop_map(|(side, which)| Delete { side, which }).boxed()),
        (4, (side(), which(), 0..FLAGS).prop_map(|(side, which, flag)| Flag { side, which, flag }).boxed()),
        (marks, (side(), which()).prop_map(|(side, which)| Flag { side, which, flag: TRASHED }).boxed()),
        (1, which().prop_map(|which| Rename { which }).boxed()),
        (1, (side(), which(), mailbox.clone()).prop_map(|(side, which, to)| Move { side, which, to }).boxed()),
        (copies, (side(), which()).prop_map(|(side, which)| Copy { side, which }).boxed()),
        (mailboxes, (side(), mailbox.clone()).prop_map(|(side, mailbox)| MakeMailbox { side, mailbox }).boxed()),
        (mailboxes, (side(), mailbox.clone()).prop_map(|(side, mailbox)| RemoveMailbox { side, mailbox }).boxed()),
        (renumber, mailbox.prop_map(|mailbox| Renumber { mailbox }).boxed()),
    ];
    Union::new_weighted(all.into_iter().filter(|(weight, _)| *weight > 0).collect())
}

const MAILBOXES: u8 = 3;
const FLAGS: u8 = 7;
const TRASHED: u8 = 3;

pub fn mailbox(n: u8) -> MailboxName {
    let path = ["INBOX", "A", "A/B"][usize::from(n)];
    MailboxName::parse(path).expect("it is a name")
}

pub fn all_mailboxes() -> impl Iterator<Item = MailboxName> {
    (0..MAILBOXES).map(mailbox)
}

fn flag(n: u8) -> Flags {
    let mut flags = Flags::none();
    match n {
        0 => flags.system.insert(SystemFlag::Seen),
        1 => flags.system.insert(SystemFlag::Flagged),
        2 => flags.system.insert(SystemFlag::Passed),
        TRASHED => flags.system.insert(SystemFlag::Trashed),
        n => flags.keywords.extend(Keyword::new(&format!("k{n}"))),
    }
    flags
}

fn flags() -> impl Strategy<Value = Flags> {
    // Mostly few; `\Deleted` comes from later edits only.
    prop::collection::vec(prop_oneof![3 => Just(0), 1 => Just(1), 1 => 4..FLAGS], 0..3)
        .prop_map(|all| all.into_iter().fold(Flags::none(), |sum, n| sum.union(&flag(n))))
}

/// A message on a side.
#[derive(Debug, Clone)]
enum At {
    File(MailboxName, FileId),
    Message(MailboxName, Uid),
}

impl World {
    pub fn edit_all(&mut self, state: &State, edits: &[Edit]) {
        edits.iter().for_each(|edit| self.edit(state, edit));
    }

    fn edit(&mut self, state: &State, edit: &Edit) {
        match edit {
            Edit::Deliver { side, mailbox: n, flags } => {
                let body = self.fresh();
                self.add(*side, &mailbox(*n), body, flags);
            }
            Edit::DeliverTwice { mailbox: n, local, remote } => {
                let body = self.fresh();
                self.add(Side::Local, &mailbox(*n), body, local);
                self.add(Side::Remote, &mailbox(*n), body, remote);
            }
            Edit::Delete { side, which } => {
                if let Some(at) = self.pick(*side, which) {
                    self.delete(state, &at);
                }
            }
            Edit::Flag { side, which, flag: n } => {
                if let Some(at) = self.pick(*side, which) {
                    self.flag(&at, &flag(*n));
                }
            }
            Edit::Rename { which } => {
                if let Some(At::File(name, id)) = self.pick(Side::Local, which) {
                    let new = FileId::new(format!("r{}", self.fresh()));
                    let file = self.tree.get_mut(&name).and_then(|d| d.remove(&id)).expect("it was picked");
                    self.put_file(&name, new, File { origin: None, ..file });
                }
            }
            Edit::Move { side, which, to } => {
                if let Some(at) = self.pick(*side, which) {
                    let (body, flags) = self.at(&at);
                    // Bodies stay unique in a mailbox: elsewhere copies are the subject.
                    if self.has(*side, &mailbox(*to)) && !self.holds(*side, &mailbox(*to), body) {
                        self.delete(state, &at);
                        self.add(*side, &mailbox(*to), body, &flags);
                    }
                }
            }
            Edit::Copy { side, which } => {
                if let Some(at) = self.pick(*side, which) {
                    let (body, flags) = self.at(&at);
                    let (At::File(name, _) | At::Message(name, _)) = at;
                    self.add(*side, &name, body, &flags);
                }
            }
            Edit::MakeMailbox { side, mailbox: n } => {
                let name = mailbox(*n);
                match side {
                    Side::Local => self.make_directory(&name),
                    Side::Remote if !self.server.mailboxes.contains_key(&name) => {
                        self.server.make(&name);
                        self.shake(&name);
                    }
                    Side::Remote => {}
                }
            }
            Edit::RemoveMailbox { side, mailbox: n } => self.remove_mailbox(state, *side, &mailbox(*n)),
            Edit::Renumber { mailbox: n } => {
                self.server.renumber(&mailbox(*n));
                self.shake(&mailbox(*n));
            }
        }
    }

    /// INBOX is never removed here; what its removal leads to is no deletion.
    fn remove_mailbox(&mut self, state: &State, side: Side, name: &MailboxName) {
        if name.is_inbox() || !self.has(side, name) {
            return;
        }
        let all: Vec<At> = self.messages(side).into_iter().filter(|at| at.mailbox() == name).collect();
        all.iter().for_each(|at| self.delete(state, at));
        match side {
            Side::Local => _ = self.tree.remove(name),
            Side::Remote => _ = self.server.mailboxes.remove(name),
        }
    }

    /// The mailbox has new UIDs: what was deleted in it and is still somewhere may come back.
    fn shake(&mut self, name: &MailboxName) {
        self.history.shaken.insert(name.clone());
        let (lost, kept) = std::mem::take(&mut self.history.deleted).into_iter().partition(|(at, _)| at == name);
        self.history.deleted = kept;
        self.history.open.extend::<std::collections::BTreeSet<_>>(lost);
    }

    fn has(&self, side: Side, name: &MailboxName) -> bool {
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
    pub fn copies(&self, side: Side, name: &MailboxName, body: Body) -> std::collections::BTreeSet<String> {
        let is = |at: &&At| at.mailbox() == name && self.at(at).0 == body;
        self.messages(side).iter().filter(is).map(|at| format!("{at:?}")).collect()
    }

    fn add(&mut self, side: Side, name: &MailboxName, body: Body, flags: &Flags) {
        if !self.has(side, name) {
            return;
        }
        let key = (name.clone(), body);
        if self.history.deleted.remove(&key) {
            self.history.open.insert(key.clone());
        }
        if !self.history.delivered.insert(key.clone()) {
            self.history.returned.insert(key);
        }
        match side {
            Side::Local => {
                let id = FileId::new(format!("u{}", self.fresh()));
                self.put_file(name, id, File { body, flags: flags.clone(), origin: None });
            }
            Side::Remote => _ = self.server.append(name, body, flags),
        }
    }

    fn messages(&self, side: Side) -> Vec<At> {
        match side {
            Side::Local => {
                let of = |(name, d): (&MailboxName, &super::world::Directory)| {
                    d.files.keys().map(|id| At::File(name.clone(), id.clone())).collect::<Vec<_>>()
                };
                self.tree.iter().flat_map(of).collect()
            }
            Side::Remote => {
                let of = |(name, m): (&MailboxName, &super::world::Mailbox)| {
                    m.messages.keys().map(|uid| At::Message(name.clone(), *uid)).collect::<Vec<_>>()
                };
                self.server.mailboxes.iter().flat_map(of).collect()
            }
        }
    }

    fn pick(&self, side: Side, which: &Index) -> Option<At> {
        let all = self.messages(side);
        (!all.is_empty()).then(|| which.get(&all).clone())
    }

    fn at(&self, at: &At) -> (Body, Flags) {
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
        let (body, now) = self.at(at);
        let to = if now.minus(change) == now { now.union(change) } else { now.minus(change) };
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

impl At {
    fn mailbox(&self) -> &MailboxName {
        let (At::File(name, _) | At::Message(name, _)) = self;
        name
    }
}
