//! What properties begin with, and what they promise.

use std::collections::BTreeSet;

use mailtide::mail::{Flags, MailboxName, PermanentFlags, SystemFlag};
use mailtide::reconcile::Side;
use mailtide::reconcile::view::{Deletions, Direction, Expunge, Keywords, Policy};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::edit::{Edit, Scope, all_mailboxes, edits};
use super::execute::{Ended, Faults, sync};
use super::observe::observe;
use super::server::Kind;
use super::state::State;
use super::world::{Body, Picture, World};

/// The same cases each time, so that a failure is of the change that is tested. `MAILTIDE_SOAK=20` runs twenty times as
/// many, others each time: that is the search for what nobody has thought of yet.
pub fn config(cases: u32) -> ProptestConfig {
    let soak: Option<u32> = std::env::var("MAILTIDE_SOAK").ok().and_then(|times| times.parse().ok());
    let rng_seed = if soak.is_some() { RngSeed::Random } else { RngSeed::Fixed(20_261_125) };
    ProptestConfig { cases: cases * soak.unwrap_or(1), rng_seed, max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

pub const MIRROR: Policy = Policy {
    direction: Direction::Both,
    deletions: Deletions::Expunge,
    keywords: Keywords::Synced,
    expunge: Expunge::Named,
};

/// A world in which all mailboxes exist on both sides, after its first run.
pub fn begun(kind: Kind, policy: Policy) -> (World, State) {
    let mut world = World::new(kind);
    for name in all_mailboxes() {
        world.make_directory(&name);
        world.server.make(&name);
    }
    let mut state = State::default();
    settle(&mut world, &mut state, policy);
    (world, state)
}

pub fn run(world: &mut World, state: &mut State, policy: Policy) -> Ended {
    let ended = sync(world, state, policy, &Faults::default(), |_, _| {});
    world.history.shaken.clear();
    ended
}

/// Runs until there is nothing to do; tells how many plans had something in them.
pub fn settle(world: &mut World, state: &mut State, policy: Policy) -> usize {
    for n in 0..8 {
        let ended = run(world, state, policy);
        assert!(!ended.crashed);
        if ended.plan.is_empty() {
            conclude(world);
            return n;
        }
    }
    panic!("plans never end\n{}", world.story());
}

/// What could have ended either way has ended now.
pub fn conclude(world: &mut World) {
    for (name, body) in std::mem::take(&mut world.history.open) {
        match [Side::Local, Side::Remote].map(|side| world.holds(side, &name, body)) {
            [false, false] => _ = world.history.deleted.insert((name, body)),
            [true, true] => {}
            [true, false] | [false, true] => _ = world.history.open.insert((name, body)),
        }
    }
}

/// Bodies and flags of mailboxes that hold anything.
pub fn mail(picture: Picture) -> Picture {
    picture.into_iter().filter(|(_, all)| !all.is_empty()).collect()
}

pub fn without_keywords(picture: Picture) -> Picture {
    let bare = |(body, flags): (Body, Flags)| (body, flags.without_keywords());
    let sorted = |all: Vec<(Body, Flags)>| {
        let mut all: Vec<_> = all.into_iter().map(bare).collect();
        all.sort();
        all
    };
    picture.into_iter().map(|(name, all)| (name, sorted(all))).collect()
}

pub fn assert_same(world: &World) {
    let (tree, server) = world.pictures();
    assert_eq!(mail(tree), mail(server), "the sides differ");
}

/// Nothing lost, nothing doubled, nothing back.
pub fn assert_kept_promises(world: &World) {
    let History { delivered, deleted, open } = history(world);
    for (name, body) in &delivered {
        let counts = [world.count(Side::Local, name, *body), world.count(Side::Remote, name, *body)];
        if deleted.contains(&(name.clone(), *body)) {
            assert_eq!(counts, [0, 0], "{body} came back in {name}");
        } else if open.contains(&(name.clone(), *body)) {
            assert!(counts == [0, 0] || counts == [1, 1], "{body} in {name}: {counts:?}");
        } else {
            assert_eq!(counts, [1, 1], "{body} in {name}");
        }
    }
}

pub struct History {
    pub delivered: BTreeSet<(MailboxName, Body)>,
    pub deleted: BTreeSet<(MailboxName, Body)>,
    pub open: BTreeSet<(MailboxName, Body)>,
}

pub fn history(world: &World) -> History {
    let super::world::History { delivered, deleted, open, .. } = world.history.clone();
    History { delivered, deleted, open }
}

/// Without changes a run costs nothing: both sides of every mailbox are as their checkpoints say.
pub fn assert_quiet(world: &World, state: &State, policy: Policy) {
    let seen = observe(world, state, policy, &Default::default(), &Default::default());
    assert!(seen.is_quiet() || !world.server.kind.modseq, "something still looks changed: {seen:#?}");
}

pub fn rounds(scope: Scope) -> impl Strategy<Value = Vec<Vec<Edit>>> {
    prop::collection::vec(edits(scope, 8), 1..4)
}

pub fn policies() -> impl Strategy<Value = Policy> {
    let direction = prop_oneof![Just(Direction::Both), Just(Direction::Pull), Just(Direction::Push)];
    let deletions =
        prop_oneof![Just(Deletions::Expunge), Just(Deletions::Trash), Just(Deletions::Mark), Just(Deletions::Never)];
    let keywords = prop_oneof![Just(Keywords::Synced), Just(Keywords::Ignored)];
    (direction, deletions, keywords, any::<bool>()).prop_map(|(direction, deletions, keywords, named)| Policy {
        direction,
        deletions,
        keywords,
        expunge: if named { Expunge::Named } else { Expunge::WholeMailbox },
    })
}

pub fn kinds() -> impl Strategy<Value = Kind> {
    let limited = || {
        let mut named = Flags::none();
        [SystemFlag::Seen, SystemFlag::Trashed].into_iter().for_each(|f| named.system.insert(f));
        PermanentFlags { named, any_keyword: false }
    };
    (any::<bool>(), prop_oneof![3 => Just(PermanentFlags::everything()), 1 => Just(limited())])
        .prop_map(|(modseq, permanent)| Kind { permanent, ..Kind::full(modseq) })
}

/// The server's side of a policy: what UIDPLUS is there, and the Trash mailbox.
pub fn suited(kind: &Kind, policy: Policy) -> Kind {
    let uidplus = policy.expunge == Expunge::Named;
    let trash = all_mailboxes().nth(1).filter(|_| policy.deletions == Deletions::Trash && uidplus);
    Kind { uidplus, trash, ..kind.clone() }
}

/// Deletions that are already planned may not be told from those of a user a moment later.
pub fn forgive(world: &mut World, state: &State, name: &MailboxName) {
    let pending: Vec<(MailboxName, Body)> = world
        .history
        .delivered
        .iter()
        .filter(|(at, body)| {
            let (here, there) = (world.holds(Side::Local, at, *body), world.holds(Side::Remote, at, *body));
            let digest = world.content(*body).digest;
            let links = state.base.get(at).and_then(|b| b.links.as_ref());
            at == name && here && there && !links.is_some_and(|all| all.values().any(|l| l.digest == digest))
        })
        .cloned()
        .collect();
    world.history.open.extend(pending);
}

/// Where the same mail may rightly be twice. One way, what only the other side has gets no link, nor is it looked at
/// again; what comes back stands beside the copy that was kept; and Trash is filled by deletions as well.
pub fn may_double(before: &World, world: &World, name: &MailboxName, body: Body, policy: Policy) -> bool {
    let apart = before.holds(Side::Local, name, body) != before.holds(Side::Remote, name, body);
    let returned = world.history.returned.contains(&(name.clone(), body));
    let one_way = policy.direction != Direction::Both;
    let keeps = !matches!(policy.deletions, Deletions::Expunge | Deletions::Trash);
    (one_way && (apart || returned)) || (keeps && returned) || world.server.kind.trash.as_ref() == Some(name)
}

pub fn assert_policy(before: &World, world: &World, policy: Policy) {
    let History { delivered, deleted, open } = history(world);
    let marks = world.server.kind.permanent.named.system.contains(SystemFlag::Trashed);
    if policy.deletions == Deletions::Mark && policy.direction == Direction::Both && marks {
        for (name, body) in &delivered {
            let [here, there] = [Side::Local, Side::Remote].map(|side| world.holds(side, name, *body));
            let marked = world.is_marked(name, *body);
            assert!(here == there || marked, "kept without a mark, or undeleted in vain: {body} in {name}");
        }
    }
    // Trash fills by deletions, too.
    let is_trash = |name: &MailboxName| world.server.kind.trash.as_ref() == Some(name);
    for (name, body) in delivered.iter().filter(|key| !open.contains(key) && !is_trash(&key.0)) {
        let [here, there] = [Side::Local, Side::Remote].map(|side| world.count(side, name, *body));
        let was = [Side::Local, Side::Remote].map(|side| before.count(side, name, *body));
        let context = format!("{body} in {name}: {was:?} {here} {there} {policy:?}");
        let may_double = may_double(before, world, name, *body, policy);
        assert!(may_double || (here <= 1 && there <= 1), "doubled: {context}");
        let gone = deleted.contains(&(name.clone(), *body));
        match policy.direction {
            Direction::Both if !gone => assert!(here >= 1 && there >= 1, "lost: {context}"),
            Direction::Pull if there == 1 => assert!(here >= 1, "not fetched: {context}"),
            Direction::Push if here == 1 => assert!(there >= 1, "not sent: {context}"),
            Direction::Both | Direction::Pull | Direction::Push => {}
        }
        if gone && policy.direction == Direction::Both {
            match policy.deletions {
                Deletions::Expunge | Deletions::Trash => assert_eq!(here, 0, "came back: {context}"),
                Deletions::Mark | Deletions::Never => {}
            }
            if policy.deletions == Deletions::Expunge && policy.expunge == Expunge::Named {
                assert_eq!(there, 0, "came back: {context}");
            }
        }
    }
}
