//! What a run would see of the world, at the cost the server's kind allows.

use std::collections::{BTreeMap, BTreeSet};

use mailtide::mail::{
    Base, Flags, Intent, Link, LocalCheckpoint, MailboxName, ModSeq, Presence, RemoteCheckpoint, Uid, UidValidity,
    UnixSeconds,
};
use mailtide::reconcile::view::{
    Coverage, Direction, KeywordRoom, Keywords, LocalContent, LocalFile, LocalListing, LocalMailbox, LocalView,
    MailboxIds, Policy, RemoteListing, RemoteMailbox, RemoteMessage, RemoteView,
};
use mailtide::reconcile::{Input, Plan, Relatives, Side, reconcile};

use super::state::State;
use super::world::{ACCOUNT, Body, Directory, Mailbox, World, id_of};

/// Mailboxes of a side that cannot be looked into this time.
pub type Blind = BTreeSet<(Side, MailboxName)>;

#[derive(Debug, Clone)]
pub struct Observation {
    pub base: Base,
    pub local: LocalView,
    pub remote: RemoteView,
    pub ids: MailboxIds,
    pub intents: BTreeMap<MailboxName, Vec<Intent>>,
    pub relatives: Relatives,
    pub policy: Policy,
    /// What may be recorded once everything seen was processed.
    pub local_checks: BTreeMap<MailboxName, LocalCheckpoint>,
    pub remote_checks: BTreeMap<MailboxName, RemoteCheckpoint>,
}

impl Observation {
    pub fn plan(&self) -> Plan {
        reconcile(&Input {
            base: &self.base,
            local: &self.local,
            remote: &self.remote,
            ids: &self.ids,
            account: ACCOUNT,
            intents: &self.intents,
            relatives: &self.relatives,
            renamed: &[],
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

/// Looks at both sides; some mailboxes and some files' contents may not be readable.
pub fn observe(world: &World, state: &State, policy: Policy, blind: &Blind, dark: &BTreeSet<Body>) -> Observation {
    let names: BTreeSet<&MailboxName> =
        state.base.keys().chain(world.tree.keys()).chain(world.server.mailboxes.keys()).collect();
    let mut seen = Observation {
        base: state.base.clone(),
        local: LocalView::default(),
        remote: RemoteView { mailboxes: BTreeMap::new(), trash: world.server.kind.trash.clone() },
        ids: names.iter().map(|name| ((*name).clone(), id_of(name))).collect(),
        intents: state.intents.clone(),
        relatives: Relatives::new(),
        policy,
        local_checks: BTreeMap::new(),
        remote_checks: BTreeMap::new(),
    };
    for name in names {
        let sight = Sight { world, state, policy, dark, name };
        if let Some(directory) = world.tree.get(name) {
            let mailbox = match blind.contains(&(Side::Local, name.clone())) {
                true => LocalMailbox::Unknown,
                false => sight.local(directory, false),
            };
            if let LocalMailbox::Listed(_) = mailbox {
                seen.local_checks.insert(name.clone(), checkpoint_of(directory));
            }
            seen.local.mailboxes.insert(name.clone(), mailbox);
        }
        if let Some(mailbox) = world.server.mailboxes.get(name) {
            let view = match blind.contains(&(Side::Remote, name.clone())) {
                true => RemoteMailbox::Unknown,
                false => sight.remote(mailbox, seen.local.mailboxes.get(name)),
            };
            if let RemoteMailbox::Observed(_) = view {
                seen.remote_checks.insert(name.clone(), sight.checkpoint(mailbox));
            }
            if seen.local.mailboxes.get(name) == Some(&LocalMailbox::Unchanged) && sight.has_new_keyword(&view) {
                let listed = sight.local(&world.tree[name], true);
                seen.local.mailboxes.insert(name.clone(), listed);
            }
            seen.remote.mailboxes.insert(name.clone(), view);
        }
        let both_unchanged = seen.local.mailboxes.get(name) == Some(&LocalMailbox::Unchanged)
            && seen.remote.mailboxes.get(name) == Some(&RemoteMailbox::Unchanged);
        if both_unchanged {
            let known = seen.base.get_mut(name).and_then(|known| known.links.take());
            seen.relatives.extend(known.map(|links| (name.clone(), links)));
        }
    }
    seen
}

/// As far as the fixed UIDVALIDITY of a mailbox under way goes: nothing was processed under it.
pub fn bare_checkpoint(world: &World, mailbox: &Mailbox) -> RemoteCheckpoint {
    RemoteCheckpoint {
        uid_validity: mailbox.uid_validity,
        uid_next: None,
        highest_modseq: None,
        messages: 0,
        permanent: world.server.kind.permanent.clone(),
        object_id: None,
    }
}

fn checkpoint_of(directory: &Directory) -> LocalCheckpoint {
    LocalCheckpoint { new_mtime: 1, cur_mtime: directory.mtime, inode: directory.inode }
}

#[derive(Clone, Copy)]
struct Sight<'a> {
    world: &'a World,
    state: &'a State,
    policy: Policy,
    dark: &'a BTreeSet<Body>,
    name: &'a MailboxName,
}

impl<'a> Sight<'a> {
    fn links(self) -> impl Iterator<Item = &'a Link> {
        self.state.base.get(self.name).and_then(|b| b.links.as_ref()).into_iter().flat_map(|links| links.values())
    }

    fn since(self) -> Option<&'a RemoteCheckpoint> {
        self.state.base.get(self.name).and_then(|b| b.remote.as_ref())
    }

    fn uid_validity(self) -> Option<UidValidity> {
        self.world.server.mailboxes.get(self.name).map(|m| m.uid_validity)
    }

    fn started_anew(self) -> bool {
        self.since().is_some_and(|c| self.uid_validity().is_some_and(|now| now != c.uid_validity))
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

    fn local(self, directory: &Directory, anyway: bool) -> LocalMailbox {
        let since = self.state.base.get(self.name).and_then(|b| b.local);
        if since == Some(checkpoint_of(directory)) && !self.started_anew() && !anyway {
            return LocalMailbox::Unchanged;
        }
        let linked: BTreeSet<_> =
            self.links().filter(|l| l.presence != Presence::RemoteOnly).map(|l| l.file.clone()).collect();
        let mut files = BTreeMap::new();
        for (id, file) in &directory.files {
            let content = if linked.contains(id) && !self.started_anew() {
                LocalContent::Unread
            } else if self.dark.contains(&file.body) {
                LocalContent::Unreadable
            } else {
                let (content, origin) = (self.world.content(file.body), file.origin);
                LocalContent::Known { content, modified: UnixSeconds(0), origin }
            };
            files.insert(id.clone(), LocalFile { flags: self.flags(&file.flags), content });
        }
        let known = directory.keywords.clone();
        let free = self.world.letters - known.len();
        LocalMailbox::Listed(LocalListing { files, keywords: KeywordRoom { known, free } })
    }

    fn checkpoint(self, mailbox: &Mailbox) -> RemoteCheckpoint {
        RemoteCheckpoint {
            uid_validity: mailbox.uid_validity,
            uid_next: Some(mailbox.uid_next),
            highest_modseq: self.world.server.kind.modseq.then_some(ModSeq(mailbox.modseq)),
            messages: mailbox.messages.len() as u32,
            permanent: self.world.server.kind.permanent.clone(),
            object_id: None,
        }
    }

    fn remote(self, mailbox: &Mailbox, local: Option<&LocalMailbox>) -> RemoteMailbox {
        let now = self.checkpoint(mailbox);
        let since = self.since().filter(|c| c.uid_next.is_some() && c.uid_validity == now.uid_validity);
        let modseq = since.and_then(|c| c.highest_modseq).map(|m| m.0).filter(|_| self.world.server.kind.modseq);
        if modseq == Some(mailbox.modseq) {
            return RemoteMailbox::Unchanged;
        }
        let changed = mailbox.messages.iter().filter(|(_, m)| modseq.is_none_or(|since| m.modseq > since));
        let messages = changed.map(|(uid, m)| (*uid, self.message(*uid, m, local))).collect();
        let vanished = || {
            let since = modseq.unwrap_or(0);
            mailbox.vanished.iter().filter(|(_, at)| **at > since).map(|(uid, _)| *uid).collect()
        };
        let coverage = match modseq {
            None => Coverage::Everything,
            Some(_) => Coverage::Changes { vanished: vanished() },
        };
        RemoteMailbox::Observed(RemoteListing {
            uid_validity: mailbox.uid_validity,
            messages,
            coverage,
            permanent: self.world.server.kind.permanent.clone(),
        })
    }

    /// A body is read only where a file without a link, or one whose upload is open, might be the same message.
    fn message(self, uid: Uid, message: &super::world::Message, local: Option<&LocalMailbox>) -> RemoteMessage {
        let content = self.world.content(message.body);
        let mut named = false;
        let mut may_be = self.state.intents.get(self.name).into_iter().flatten().any(|intent| {
            intent.content.wire_size == content.wire_size && intent.uid_next.is_none_or(|next| uid >= next)
        });
        // A file goes up again when its message went, unless it is there under another UID.
        may_be |= self.policy.direction == Direction::Push && self.links().any(|l| l.size == content.wire_size);
        if let Some(LocalMailbox::Listed(listing)) = local {
            for file in listing.files.values() {
                if let LocalContent::Known { content: known, origin, .. } = &file.content
                    && known.wire_size == content.wire_size
                {
                    may_be = true;
                    let here = (id_of(self.name), Some(uid), self.uid_validity());
                    named |= origin.is_some_and(|o| (o.mailbox, Some(o.uid), Some(o.uid_validity)) == here);
                }
            }
        }
        let elsewhere = self.state.base.values().flat_map(|m| m.links.iter().flatten());
        let is_known = elsewhere.into_iter().any(|(_, l)| l.size == content.wire_size);
        let linked = self.links().any(|l| l.uid == uid && l.presence == Presence::Both) && !self.started_anew();
        let reads = may_be && !named && !linked && !self.world.server.kind.headers_only;
        RemoteMessage {
            flags: self.flags(&message.flags),
            size: (!linked).then_some(content.wire_size),
            internal_date: (!linked).then_some(UnixSeconds(0)),
            message_id: content.message_id.filter(|_| may_be || is_known),
            content: reads.then_some(content),
            email_id: None,
        }
    }
}
