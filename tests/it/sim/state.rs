//! The state as the real one keeps it: facts in, base out.

use std::collections::{BTreeMap, BTreeSet};

use mailtide::mail::{Base, BaseMailbox, Fact, Generation, Intent, LocalCheckpoint, MailboxId, MailboxName};
use mailtide::reconcile::arrived::Arriving;
use mailtide::reconcile::view::{Deletions, Direction, Keywords, Policy, TreeAge};

use super::world::World;

#[derive(Debug, Clone, Default)]
pub struct State {
    /// All links are in it.
    pub base: Base,
    pub intents: BTreeMap<MailboxName, Vec<Intent>>,
    /// What was about to come to the tree.
    pub arriving: Arriving,
    /// How many runs changed something.
    pub generation: Generation,
    /// Direction, deletions and keywords that the checkpoints were made under.
    policy: Option<(Direction, Deletions, Keywords)>,
}

impl State {
    /// What one policy left alone, another has to see.
    pub fn check_under(&mut self, policy: Policy) {
        let policy = Some((policy.direction, policy.deletions, policy.keywords));
        if std::mem::replace(&mut self.policy, policy) != policy {
            self.base.values_mut().for_each(BaseMailbox::look_again);
        }
    }

    /// Whether the tree is the one that this state knows, as the engine finds out; a new state knows none.
    pub fn age_of(&self, world: &World) -> TreeAge {
        let (Generation(tree), Generation(known)) = (world.generation, self.generation);
        match tree == known || tree == known + 1 {
            true => TreeAge::AsLeft,
            false => TreeAge::Older,
        }
    }

    /// What of an older copy is not done stays one by itself.
    pub fn leave_older(&mut self, held: &BTreeSet<MailboxName>) {
        for (_, mailbox) in self.base.iter_mut().filter(|(name, _)| held.contains(*name)) {
            mailbox.local = Some(LocalCheckpoint::OLDER);
        }
    }

    /// Counts a run that changed something; one over an older copy by two steps.
    pub fn count(&mut self, world: &mut World, age: TreeAge) {
        let last = self.generation.max(world.generation);
        self.generation = if age == TreeAge::Older { last.next().next() } else { last.next() };
        world.generation = self.generation;
    }

    /// The id of a mailbox: the recorded one, else the next free one from that of its name on.
    pub fn id_for(&self, name: &MailboxName, promised: &BTreeMap<MailboxName, MailboxId>) -> MailboxId {
        let mut id = self.base.get(name).map_or_else(|| MailboxId::of_path(name.path()), |known| known.id);
        // Its old name may be another's now, and not be recorded yet.
        let is_known = |id: MailboxId| self.base.iter().any(|(other, m)| m.id == id && other != name);
        while is_known(id) || promised.values().any(|taken| *taken == id) {
            id = MailboxId(id.0.wrapping_add(1));
        }
        id
    }

    /// Applies facts that stand in one transaction.
    pub fn record_together(&mut self, facts: Vec<Fact>) {
        let mut names: BTreeMap<MailboxId, MailboxName> = BTreeMap::new();
        for fact in facts {
            match fact {
                Fact::MailboxRenamed(id, name) => _ = names.insert(id, name),
                other => self.record(other),
            }
        }
        let old: Vec<(MailboxName, MailboxName)> = names.into_iter().map(|(id, name)| (self.name(id), name)).collect();
        let taken: Vec<_> = old.iter().map(|(from, to)| (to.clone(), self.base.remove(from))).collect();
        let intents: Vec<_> = old.iter().map(|(from, to)| (to.clone(), self.intents.remove(from))).collect();
        for (name, mailbox) in taken {
            let before = mailbox.and_then(|m| self.base.insert(name.clone(), m));
            assert!(before.is_none(), "two mailboxes are called {name}");
        }
        self.intents.extend(intents.into_iter().filter_map(|(name, open)| Some((name, open?))));
    }

    /// Applies one fact.
    pub fn record(&mut self, fact: Fact) {
        match fact {
            Fact::MailboxKnown { id, name } => {
                assert!(self.base.iter().all(|(n, m)| m.id != id || *n == name), "two mailboxes have the number {id}");
                let new = BaseMailbox { links: Some(BTreeMap::new()), ..BaseMailbox::new(id) };
                self.base.entry(name).or_insert(new);
            }
            Fact::MailboxRenamed(..) => self.record_together(vec![fact]),
            Fact::MailboxForgotten(id) => {
                let name = self.name(id);
                self.base.remove(&name);
                self.intents.remove(&name);
                self.arriving.remove(&id);
            }
            Fact::MailboxReset(id) => {
                let name = self.name(id);
                self.intents.remove(&name);
                self.arriving.remove(&id);
                let mailbox = self.mailbox(id);
                (mailbox.remote, mailbox.local) = (None, None);
                mailbox.links = Some(BTreeMap::new());
            }
            Fact::Linked(id, link) => _ = self.links(id).insert(link.uid, link),
            Fact::Renamed(id, uid, file) => {
                self.links(id).get_mut(&uid).into_iter().for_each(|link| link.file = file.clone());
            }
            Fact::FlagsAgreed(id, uid, flags) => {
                self.links(id).get_mut(&uid).into_iter().for_each(|link| link.flags = flags.clone());
            }
            Fact::PresenceChanged(id, uid, presence, flags) => {
                if let Some(link) = self.links(id).get_mut(&uid) {
                    (link.presence, link.flags) = (presence, flags.clone());
                }
            }
            Fact::Unlinked(id, uids) => self.links(id).retain(|uid, _| !uids.contains(*uid)),
            Fact::RemoteChecked(id, checkpoint) => self.mailbox(id).remote = Some(checkpoint),
            Fact::LocalChecked(id, checkpoint) => self.mailbox(id).local = Some(checkpoint),
            Fact::Intended(intent) => {
                let name = self.name(intent.mailbox);
                let open = self.intents.entry(name).or_default();
                open.retain(|i| i.file != intent.file);
                open.push(intent);
            }
            Fact::Arriving(_, uids) if uids.is_empty() => {}
            Fact::Arriving(id, uids) => self.arriving.entry(id).or_default().insert_all(&uids),
            Fact::Arrived(id) => _ = self.arriving.remove(&id),
            Fact::Settled(id, file) => {
                let name = self.name(id);
                self.intents.get_mut(&name).into_iter().for_each(|open| open.retain(|i| i.file != file));
            }
        }
        self.intents.retain(|_, open| !open.is_empty());
        for mailbox in self.base.values_mut() {
            mailbox.link_count = mailbox.links.as_ref().map_or(0, |links| links.len() as u64);
        }
    }

    fn name(&self, id: MailboxId) -> MailboxName {
        self.base.iter().find(|(_, m)| m.id == id).expect("the mailbox is known").0.clone()
    }

    fn mailbox(&mut self, id: MailboxId) -> &mut BaseMailbox {
        self.base.values_mut().find(|m| m.id == id).expect("the mailbox is known")
    }

    fn links(&mut self, id: MailboxId) -> &mut BTreeMap<mailtide::mail::Uid, mailtide::mail::Link> {
        self.mailbox(id).links.as_mut().expect("links are kept")
    }
}
