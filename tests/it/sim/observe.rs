//! What a run would see of the world, at the cost the server's kind allows, in the engine's order: a look at both sides,
//! mailboxes that have another name, then files and messages.

use std::collections::{BTreeMap, BTreeSet};

use mailtide::mail::{
    Base, Flags, Intent, Link, LocalCheckpoint, MailboxId, MailboxName, ModSeq, Presence, RemoteCheckpoint, Uid,
    UidSet, UidValidity, UnixSeconds,
};
use mailtide::reconcile::arrived::{self, Arrived};
use mailtide::reconcile::sent;
use mailtide::reconcile::view::{
    Coverage, Direction, KeywordRoom, Keywords, LocalContent, LocalFile, LocalListing, LocalMailbox, LocalView,
    MailboxIds, Policy, RemoteListing, RemoteMailbox, RemoteMessage, RemoteView,
};
use mailtide::reconcile::{Input, Names, Plan, Relatives, Side, reconcile};

use super::rename;
use super::same;
use super::server::Mailbox;
use super::standing;
use super::state::State;
use super::twice::{self, Earlier};
use super::world::{ACCOUNT, Body, Directory, World};

/// Mailboxes of a side that cannot be looked into this time.
pub type Blind = BTreeSet<(Side, MailboxName)>;

#[derive(Debug, Clone)]
pub struct Observation {
    pub base: Base,
    pub local: LocalView,
    pub remote: RemoteView,
    pub ids: MailboxIds,
    pub intents: BTreeMap<MailboxName, Vec<Intent>>,
    pub arrived: Arrived,
    /// The messages that have a link now, since an earlier run sent them and could not record it.
    pub sent: BTreeMap<MailboxName, UidSet>,
    pub relatives: Relatives,
    pub names: Names,
    /// Mailboxes that were known and whose name another one has now.
    pub replaced: BTreeMap<MailboxName, MailboxId>,
    pub policy: Policy,
    /// What may be recorded once everything seen was processed.
    pub local_checks: BTreeMap<MailboxName, LocalCheckpoint>,
    pub remote_checks: BTreeMap<MailboxName, RemoteCheckpoint>,
    /// Bodies read to be compared.
    pub reads: Vec<Body>,
}

impl Observation {
    pub fn plan(&self) -> Plan {
        let plan = self.plan_of_all();
        standing::assert_not_needed(self, &plan);
        plan
    }

    /// The plan, out of whatever there is.
    pub fn plan_of_all(&self) -> Plan {
        reconcile(&Input {
            base: &self.base,
            local: &self.local,
            remote: &self.remote,
            ids: &self.ids,
            account: ACCOUNT,
            intents: &self.intents,
            relatives: &self.relatives,
            names: &self.names,
            policy: &self.policy,
        })
    }

    /// Whether nothing moved on either side since the checkpoints.
    pub fn is_quiet(&self) -> bool {
        self.local.mailboxes.values().all(|m| *m == LocalMailbox::Unchanged)
            && self.remote.mailboxes.values().all(|m| *m == RemoteMailbox::Unchanged)
    }

    /// The server's flags of a message when it was looked at.
    pub fn remote_flags(&self, name: &MailboxName, uid: Uid) -> Flags {
        let listed = match self.remote.mailboxes.get(name) {
            Some(RemoteMailbox::Observed(listing)) => listing.messages.get(&uid).map(|m| m.flags.clone()),
            _ => None,
        };
        let agreed = || self.base.get(name)?.links.as_ref()?.get(&uid).map(|l| l.flags.clone());
        listed.or_else(agreed).expect("only what was seen or agreed is fetched")
    }
}

/// A directory at first sight.
#[derive(Debug, Clone, Copy)]
pub enum Scan<'a> {
    Unchanged(&'a Directory),
    Listed(&'a Directory),
    Unknown,
}

/// A mailbox on the server at first sight.
#[derive(Debug, Clone, Copy)]
pub enum Look<'a> {
    Unchanged,
    /// All of it, or what changed `since` a mod-sequence.
    Observed {
        mailbox: &'a Mailbox,
        since: Option<u64>,
        has_object_id: bool,
    },
    Unknown,
}

/// Looks at both sides; some mailboxes and some files' contents may not be readable.
pub fn observe(world: &World, state: &State, policy: Policy, blind: &Blind, dark: &BTreeSet<Body>) -> Observation {
    observe_since(Earlier { world, looks: usize::MAX }, world, state, policy, (blind, dark))
}

/// The same, where some of the looks were `earlier` ones; the world is as it is now.
pub fn observe_since(
    earlier: Earlier<'_>,
    world: &World,
    state: &State,
    policy: Policy,
    (blind, dark): (&Blind, &BTreeSet<Body>),
) -> Observation {
    let mut scans = scans(world, state, blind);
    let mut looks = looks(earlier, world, state, blind);
    twice::look(world, state, &scans, &mut looks);
    let (mut base, mut intents) = (state.base.clone(), state.intents.clone());
    let names = rename::look(world, &base, &scans, &looks, policy.direction, state.age_of(world));
    let replaced = rename::rename(&mut base, &names.renamed, None).into_iter().map(|(name, m)| (name, m.id)).collect();
    rename::rename(&mut intents, &names.renamed, None);
    rename::rename(&mut scans, &names.renamed, Some(Side::Local));
    rename::rename(&mut looks, &names.renamed, Some(Side::Remote));

    let mut seen = Observation {
        base,
        local: LocalView { age: state.age_of(world), ..LocalView::default() },
        remote: RemoteView { mailboxes: BTreeMap::new(), trash: world.server.kind.trash.clone() },
        ids: MailboxIds::new(),
        intents,
        arrived: Arrived::default(),
        sent: BTreeMap::new(),
        relatives: Relatives::new(),
        names,
        replaced,
        policy,
        local_checks: BTreeMap::new(),
        remote_checks: BTreeMap::new(),
        reads: Vec::new(),
    };
    let all: BTreeSet<MailboxName> = seen.base.keys().chain(scans.keys()).chain(looks.keys()).cloned().collect();
    for name in &all {
        let has_left = seen.names.left.contains(name);
        let sight = Sight { world, base: &seen.base, policy, dark, name, has_left };
        let remote = looks.get(name).map(|look| (look, sight.remote(*look)));
        let anew = remote.as_ref().is_some_and(|(look, view)| sight.started_anew(look) || sight.has_new_keyword(view));
        let local = scans.get(name).map(|scan| match (*scan, anew) {
            (Scan::Unchanged(_), false) => LocalMailbox::Unchanged,
            (Scan::Unchanged(directory), true) | (Scan::Listed(directory), _) => {
                seen.local_checks.insert(name.clone(), checkpoint_of(directory));
                sight.local(directory, remote.as_ref().is_some_and(|(look, _)| sight.started_anew(look)))
            }
            (Scan::Unknown, _) => LocalMailbox::Unknown,
        });
        if let Some((Look::Observed { mailbox, .. }, _)) = remote {
            seen.remote_checks.insert(name.clone(), checkpoint(world, mailbox));
        }
        let remote = remote.map(|(_, view)| view);
        if (&local, &remote) == (&Some(LocalMailbox::Unchanged), &Some(RemoteMailbox::Unchanged)) {
            let known = seen.base.get_mut(name).and_then(|known| known.links.take());
            seen.relatives.extend(known.map(|links| (name.clone(), links)));
        }
        local.into_iter().for_each(|view| _ = seen.local.mailboxes.insert(name.clone(), view));
        remote.into_iter().for_each(|view| _ = seen.remote.mailboxes.insert(name.clone(), view));
    }
    // Numbers are given out to names known first, as the engine does.
    seen.ids = seen.base.iter().map(|(name, m)| (name.clone(), m.id)).collect();
    for name in all {
        if !seen.ids.contains_key(&name) {
            let id = state.id_for(&name, &seen.ids);
            seen.ids.insert(name, id);
        }
    }
    let reset = seen.remote.reset(&seen.base);
    if policy.direction != Direction::Push {
        let (remote, intents, left) = (&seen.remote, &seen.intents, &seen.names.left);
        let found = arrived::Seen { account: ACCOUNT, remote, intents, left, reset: &reset };
        seen.arrived = arrived::look(state.arriving.clone(), &found, &mut seen.base, &mut seen.local);
    }
    same::relatives(&mut seen);
    let bodies = |name: &MailboxName, uid: Uid| match looks.get(name) {
        Some(Look::Observed { mailbox, .. }) => mailbox.messages[&uid].body,
        _ => panic!("{name} was not looked into"),
    };
    same::identify(world, &mut seen, &bodies);
    same::look(world, &mut seen, &bodies);
    if policy.direction != Direction::Pull {
        let (remote, intents, left) = (&seen.remote, &seen.intents, &seen.names.left);
        let found = arrived::Seen { account: ACCOUNT, remote, intents, left, reset: &reset };
        seen.sent = sent::look(&found, &mut seen.base, &seen.local);
    }
    seen
}

fn scans<'a>(world: &'a World, state: &State, blind: &Blind) -> BTreeMap<MailboxName, Scan<'a>> {
    let scan = |(name, directory): (&MailboxName, &'a Directory)| {
        let since = state.base.get(name).and_then(|b| b.local);
        let scan = match blind.contains(&(Side::Local, name.clone())) {
            true => Scan::Unknown,
            false if since == Some(checkpoint_of(directory)) => Scan::Unchanged(directory),
            false => Scan::Listed(directory),
        };
        (name.clone(), scan)
    };
    world.tree.iter().map(scan).collect()
}

/// Which mailboxes have moved on, the first look tells of all of them; they are then looked into one after the other.
fn looks<'a>(earlier: Earlier<'a>, world: &'a World, state: &State, blind: &Blind) -> BTreeMap<MailboxName, Look<'a>> {
    let mut left = earlier.looks;
    let mut looks = BTreeMap::new();
    for name in earlier.world.server.mailboxes.keys() {
        let first = look(earlier.world, state, name);
        let look = match first {
            _ if blind.contains(&(Side::Remote, name.clone())) => Look::Unknown,
            Look::Observed { .. } if left == 0 => look(world, state, name),
            Look::Observed { .. } => {
                left -= 1;
                first
            }
            Look::Unchanged | Look::Unknown => first,
        };
        looks.insert(name.clone(), look);
    }
    looks
}

/// What is seen of a mailbox that is there.
pub fn look<'a>(world: &'a World, state: &State, name: &MailboxName) -> Look<'a> {
    let (kind, mailbox) = (&world.server.kind, &world.server.mailboxes[name]);
    let since = state.base.get(name).and_then(|b| b.remote.as_ref());
    let since = since.filter(|c| c.uid_next.is_some() && c.uid_validity == mailbox.uid_validity);
    let since = since.and_then(|c| c.highest_modseq).map(|m| m.0).filter(|_| kind.modseq);
    match since == Some(mailbox.modseq) {
        true => Look::Unchanged,
        false => Look::Observed { mailbox, since, has_object_id: kind.object_ids },
    }
}

/// As far as the fixed UIDVALIDITY of a mailbox under way goes: nothing was processed under it.
pub fn bare_checkpoint(world: &World, uid_validity: UidValidity) -> RemoteCheckpoint {
    RemoteCheckpoint {
        uid_validity,
        uid_next: None,
        highest_modseq: None,
        messages: 0,
        permanent: world.server.kind.permanent.clone(),
        object_id: None,
    }
}

fn checkpoint(world: &World, mailbox: &Mailbox) -> RemoteCheckpoint {
    let kind = &world.server.kind;
    RemoteCheckpoint {
        uid_validity: mailbox.uid_validity,
        uid_next: Some(mailbox.uid_next),
        highest_modseq: kind.modseq.then_some(ModSeq(mailbox.modseq)),
        messages: mailbox.messages.len() as u32,
        permanent: kind.permanent.clone(),
        object_id: kind.object_ids.then(|| format!("m{}", mailbox.object_id).into()),
    }
}

fn checkpoint_of(directory: &Directory) -> LocalCheckpoint {
    LocalCheckpoint { new_time: 1, cur_time: directory.mtime, inode: directory.inode }
}

#[derive(Clone, Copy)]
struct Sight<'a> {
    world: &'a World,
    base: &'a Base,
    policy: Policy,
    dark: &'a BTreeSet<Body>,
    name: &'a MailboxName,
    has_left: bool,
}

impl<'a> Sight<'a> {
    fn links(self) -> impl Iterator<Item = &'a Link> {
        self.base.get(self.name).and_then(|b| b.links.as_ref()).into_iter().flat_map(|links| links.values())
    }

    fn started_anew(self, look: &Look<'_>) -> bool {
        !self.has_left && self.has_other_uids(look)
    }

    /// Whether no UID is of the generation that the links speak of.
    fn has_other_uids(self, look: &Look<'_>) -> bool {
        let Look::Observed { mailbox, .. } = look else { return false };
        let since = self.base.get(self.name).and_then(|b| b.remote.as_ref());
        since.is_some_and(|c| mailbox.uid_validity != c.uid_validity)
    }

    /// Whether the server has a keyword that no link has: then the directory's letters must be known.
    fn has_new_keyword(self, remote: &RemoteMailbox) -> bool {
        let RemoteMailbox::Observed(listing) = remote else { return false };
        let known: BTreeSet<_> = self.links().flat_map(|l| &l.flags.keywords).collect();
        listing.messages.values().flat_map(|m| &m.flags.keywords).any(|k| !known.contains(k))
    }

    fn flags(self, flags: &Flags) -> Flags {
        match self.policy.keywords {
            Keywords::Synced => flags.clone(),
            Keywords::Ignored => flags.without_keywords(),
        }
    }

    fn local(self, directory: &Directory, started_anew: bool) -> LocalMailbox {
        let linked: BTreeSet<_> =
            self.links().filter(|l| l.presence != Presence::RemoteOnly).map(|l| l.file.clone()).collect();
        let mut files = BTreeMap::new();
        for (id, file) in &directory.files {
            let content = if linked.contains(id) && !started_anew {
                LocalContent::Unread
            } else if self.dark.contains(&file.body) {
                LocalContent::Unreadable(file.origin)
            } else {
                let (content, origin) = (self.world.content(file.body), file.origin);
                LocalContent::Known { content, unstamped: None, modified: UnixSeconds(file.date), origin }
            };
            files.insert(id.clone(), LocalFile { flags: self.flags(&file.flags), content });
        }
        let known = directory.keywords.clone();
        let free = self.world.letters - known.len();
        LocalMailbox::Listed(LocalListing { files, keywords: KeywordRoom { known, free } })
    }

    fn remote(self, look: Look<'_>) -> RemoteMailbox {
        let (mailbox, since) = match look {
            Look::Unchanged => return RemoteMailbox::Unchanged,
            Look::Unknown => return RemoteMailbox::Unknown,
            Look::Observed { mailbox, since, .. } => (mailbox, since),
        };
        let anew = self.has_other_uids(&look);
        let message = |uid: &Uid, message: &super::server::Message| {
            let linked = !anew && self.links().any(|l| l.uid == *uid && l.presence == Presence::Both);
            let (size, internal_date) = self.world.size_and_date(message);
            let email_id = self.world.server.kind.object_ids.then(|| format!("e{}", message.email_id).into());
            RemoteMessage {
                flags: self.flags(&message.flags),
                size: size.filter(|_| !linked),
                internal_date: internal_date.filter(|_| !linked),
                email_id: email_id.filter(|_| !linked),
                ..RemoteMessage::default()
            }
        };
        let changed = mailbox.messages.iter().filter(|(_, m)| since.is_none_or(|since| m.modseq > since));
        let messages = changed.map(|(uid, m)| (*uid, message(uid, m))).collect();
        let coverage = match since {
            None => Coverage::Everything,
            Some(since) => {
                let vanished = mailbox.vanished.iter().filter(|(_, at)| **at > since).map(|(uid, _)| *uid).collect();
                Coverage::Changes { vanished }
            }
        };
        let permanent = self.world.server.kind.permanent.clone();
        let (uid_validity, uid_next) = (mailbox.uid_validity, Some(mailbox.uid_next));
        RemoteMailbox::Observed(RemoteListing { uid_validity, uid_next, messages, coverage, permanent })
    }
}
