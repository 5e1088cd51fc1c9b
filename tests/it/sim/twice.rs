//! Looks that are not all at once: another client works on the server between two of them, and where what was seen may
//! be half of a move, the engine looks once more.

use std::collections::{BTreeMap, BTreeSet};

use mailtide::mail::{Link, MailboxName, MessageIdHash, Presence, Uid, UnixSeconds};
use mailtide::reconcile::Side;
use mailtide::reconcile::view::Policy;
use proptest::prelude::*;

use super::edit::{Edit, Scope, edits};
use super::execute::{Faults, carry_out};
use super::moving::{crowded, servers};
use super::observe::{Look, Scan, observe_since};
use super::promises::{config, settle};
use super::server::Mailbox;
use super::state::State;
use super::world::World;

/// How the server stood when a run began to look, and how many of the mailboxes that had moved on it looked into then.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'a> {
    pub world: &'a World,
    pub looks: usize,
}

/// A message that has no link: what is known of it without its body.
struct New {
    mailbox: MailboxName,
    key: (u64, UnixSeconds, Option<MessageIdHash>),
    email_id: Option<String>,
}

impl New {
    fn may_be(&self, name: &MailboxName, link: &Link) -> bool {
        let called = self.email_id.is_some() && self.email_id.as_deref() == link.email_id.as_deref();
        let alike = link.message_id.is_some() && self.key == (link.size, link.internal_date, link.message_id);
        self.mailbox != *name && (called || alike)
    }
}

/// Looks again into those mailboxes that may hold the other half of a move, and have moved on since.
pub fn look<'a>(
    world: &'a World,
    state: &State,
    scans: &BTreeMap<MailboxName, Scan<'a>>,
    looks: &mut BTreeMap<MailboxName, Look<'a>>,
) {
    for _ in 0..3 {
        let doubtful = doubtful(world, state, scans, looks);
        let moved: Vec<_> = doubtful.into_iter().filter(|name| has_moved(world, state, looks, name)).collect();
        if moved.is_empty() {
            return;
        }
        for name in moved {
            let look = super::observe::look(world, state, &name);
            looks.insert(name, look);
        }
    }
}

fn has_moved(world: &World, state: &State, looks: &BTreeMap<MailboxName, Look<'_>>, name: &MailboxName) -> bool {
    let Some(now) = world.server.mailboxes.get(name) else { return false };
    match looks.get(name) {
        Some(Look::Observed { mailbox: then, .. }) => {
            let flags = world.server.kind.modseq && then.modseq != now.modseq;
            flags || (then.messages.len(), then.uid_next) != (now.messages.len(), now.uid_next)
        }
        Some(Look::Unchanged) => {
            let then = state.base.get(name).and_then(|known| known.remote.as_ref());
            then.and_then(|then| then.highest_modseq).is_some_and(|then| then.0 != now.modseq)
        }
        Some(Look::Unknown) | None => false,
    }
}

fn doubtful(
    world: &World,
    state: &State,
    scans: &BTreeMap<MailboxName, Scan<'_>>,
    looks: &BTreeMap<MailboxName, Look<'_>>,
) -> BTreeSet<MailboxName> {
    let news = news(world, state, looks);
    let is_new = |name: &MailboxName, link: &Link| news.iter().any(|new| new.may_be(name, link));
    let mut doubtful = BTreeSet::new();
    for (name, known) in &state.base {
        let (Some(look), Some(links)) = (looks.get(name), &known.links) else { continue };
        let has = |uid: Uid| match look {
            Look::Unchanged => Some(true),
            Look::Observed { mailbox, .. } => {
                let same = known.remote.as_ref().is_some_and(|then| then.uid_validity == mailbox.uid_validity);
                same.then(|| mailbox.messages.contains_key(&uid))
            }
            Look::Unknown => None,
        };
        let is_pending = |link: &Link| match scans.get(name) {
            Some(Scan::Listed(directory)) => directory.files.get(&link.file).is_some_and(|f| f.flags != link.flags),
            _ => false,
        };
        for link in links.values().filter(|link| link.presence == Presence::Both) {
            match (has(link.uid), is_new(name, link)) {
                (Some(true), true) => _ = doubtful.insert(name.clone()),
                (Some(false), false) if is_pending(link) => {
                    doubtful.extend(looks.keys().filter(|other| *other != name).cloned());
                }
                _ => {}
            }
        }
    }
    doubtful
}

fn news(world: &World, state: &State, looks: &BTreeMap<MailboxName, Look<'_>>) -> Vec<New> {
    let mut news = Vec::new();
    for (name, look) in looks {
        let Look::Observed { mailbox, since, .. } = look else { continue };
        let known = state.base.get(name);
        let known = known.filter(|k| k.remote.as_ref().is_some_and(|c| c.uid_validity == mailbox.uid_validity));
        let is_linked = |uid: &Uid| known.and_then(|k| k.links.as_ref()).is_some_and(|links| links.contains_key(uid));
        for (_, message) in seen(mailbox, *since).filter(|(uid, _)| !is_linked(uid)) {
            let (Some(size), Some(date)) = world.size_and_date(message) else { continue };
            let key = (size, date, world.content(message.body).message_id);
            let email_id = world.server.kind.object_ids.then(|| format!("e{}", message.email_id));
            news.push(New { mailbox: name.clone(), key, email_id });
        }
    }
    news
}

fn seen(mailbox: &Mailbox, since: Option<u64>) -> impl Iterator<Item = (&Uid, &super::server::Message)> {
    mailbox.messages.iter().filter(move |(_, message)| since.is_none_or(|since| message.modseq > since))
}

/// One run, with what others do `between` its looks at the server: so many it has had by then.
fn sync_between(
    world: &mut World,
    state: &mut State,
    policy: Policy,
    looks: usize,
    between: impl FnOnce(&mut World, &State),
) {
    state.check_under(policy);
    let faults = Faults::default();
    let earlier = world.clone();
    between(world, state);
    let earlier = Earlier { world: &earlier, looks };
    let seen = observe_since(earlier, world, state, policy, (&faults.blind, &faults.dark));
    carry_out(world, state, &faults, &seen, |_, _| {});
}

/// What another client does in the midst of a look: it moves mail. What it flags to and fro is seen, or not, as such.
fn there() -> impl Strategy<Value = Vec<Edit>> {
    let moves = |edit: &Edit| {
        let (Edit::Move { side, how, .. } | Edit::MoveMany { side, how, .. }) = edit else { return false };
        *side == Side::Remote && how.flag.is_none()
    };
    edits(Scope::Moves, 8).prop_map(move |all| all.into_iter().filter(moves).collect())
}

/// What a user does in the tree before, and another client on the server.
fn before() -> impl Strategy<Value = Vec<Edit>> {
    let flags = |edit: &Edit| matches!(edit, Edit::Flag { .. } | Edit::Deliver { side: Side::Remote, .. });
    edits(Scope::Messages, 12).prop_map(move |all| all.into_iter().filter(flags).collect())
}

proptest! {
    #![proptest_config(config(600))]

    /// What moves on the server between two looks ends where, and as, it would if it had moved before the first.
    #[test]
    fn a_move_between_two_looks_is_a_move(
        server in servers(),
        days in prop::collection::vec((edits(Scope::Messages, 8), before(), there(), 0usize..4), 1..3),
    ) {
        let (mut world, mut state, policy) = crowded(server);
        for (mail, before, there, looks) in days {
            world.edit_all(&state, &mail);
            settle(&mut world, &mut state, policy);
            world.edit_all(&state, &before);
            let (mut other, mut of_other) = (world.clone(), state.clone());
            other.edit_all(&of_other, &there);
            settle(&mut other, &mut of_other, policy);
            sync_between(&mut world, &mut state, policy, looks, |world, state| world.edit_all(state, &there));
            settle(&mut world, &mut state, policy);
            prop_assert_eq!(world.pictures(), other.pictures(), "{}", world.story());
        }
    }
}
