//! The promises, over random worlds.

use std::collections::BTreeSet;

use mailtide::mail::{Flags, Link, MailboxName, PermanentFlags, Presence, SystemFlag};
use mailtide::reconcile::view::{Deletions, Direction, Expunge, Keywords, Policy};
use mailtide::reconcile::{Action, Side};
use proptest::prelude::*;
use proptest::sample::Index;

use super::edit::{Edit, Scope, all_mailboxes, edits};
use super::execute::{Ended, Faults, sync};
use super::observe::observe;
use super::state::State;
use super::world::{Body, Kind, Picture, World, id_of};

/// `MAILTIDE_SOAK=20` runs twenty times as many cases.
fn config(cases: u32) -> ProptestConfig {
    let soak = std::env::var("MAILTIDE_SOAK").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    ProptestConfig { cases: cases * soak, max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

const MIRROR: Policy = Policy {
    direction: Direction::Both,
    deletions: Deletions::Expunge,
    keywords: Keywords::Synced,
    expunge: Expunge::Named,
};

fn full(modseq: bool) -> Kind {
    Kind { modseq, uidplus: true, permanent: PermanentFlags::everything(), trash: None, headers_only: false }
}

/// A world in which all mailboxes exist on both sides, after its first run.
fn begun(kind: Kind, policy: Policy) -> (World, State) {
    let mut world = World::new(kind);
    for name in all_mailboxes() {
        world.make_directory(&name);
        world.server.make(&name);
    }
    let mut state = State::default();
    settle(&mut world, &mut state, policy);
    (world, state)
}

fn run(world: &mut World, state: &mut State, policy: Policy) -> Ended {
    let ended = sync(world, state, policy, &Faults::default(), |_, _| {});
    world.history.shaken.clear();
    ended
}

/// Runs until there is nothing to do; tells how many plans had something in them.
fn settle(world: &mut World, state: &mut State, policy: Policy) -> usize {
    for n in 0..8 {
        let ended = run(world, state, policy);
        assert!(!ended.crashed);
        if ended.plan.is_empty() {
            conclude(world);
            return n;
        }
    }
    panic!("plans never end: {:#?}", run(world, state, policy).plan);
}

/// What could have ended either way has ended now.
fn conclude(world: &mut World) {
    for (name, body) in std::mem::take(&mut world.history.open) {
        match [Side::Local, Side::Remote].map(|side| world.holds(side, &name, body)) {
            [false, false] => _ = world.history.deleted.insert((name, body)),
            [true, true] => {}
            [true, false] | [false, true] => _ = world.history.open.insert((name, body)),
        }
    }
}

/// Bodies and flags of mailboxes that hold anything.
fn mail(picture: Picture) -> Picture {
    picture.into_iter().filter(|(_, all)| !all.is_empty()).collect()
}

fn without_keywords(picture: Picture) -> Picture {
    let bare = |(body, flags): (Body, Flags)| (body, flags.without_keywords());
    let sorted = |all: Vec<(Body, Flags)>| {
        let mut all: Vec<_> = all.into_iter().map(bare).collect();
        all.sort();
        all
    };
    picture.into_iter().map(|(name, all)| (name, sorted(all))).collect()
}

fn assert_same(world: &World) {
    let (tree, server) = world.pictures();
    assert_eq!(mail(tree), mail(server), "the sides differ");
}

/// Nothing lost, nothing doubled, nothing back.
fn assert_kept_promises(world: &World) {
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

struct History {
    delivered: BTreeSet<(MailboxName, Body)>,
    deleted: BTreeSet<(MailboxName, Body)>,
    open: BTreeSet<(MailboxName, Body)>,
}

fn history(world: &World) -> History {
    let super::world::History { delivered, deleted, open, .. } = world.history.clone();
    History { delivered, deleted, open }
}

/// Without changes a run costs nothing: both sides of every mailbox are as their checkpoints say.
fn assert_quiet(world: &World, state: &State, policy: Policy) {
    let seen = observe(world, state, policy, &Default::default(), &Default::default());
    assert!(seen.is_quiet() || !world.server.kind.modseq, "something still looks changed: {seen:#?}");
}

fn rounds(scope: Scope) -> impl Strategy<Value = Vec<Vec<Edit>>> {
    prop::collection::vec(edits(scope, 8), 1..4)
}

fn policies() -> impl Strategy<Value = Policy> {
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

fn kinds() -> impl Strategy<Value = Kind> {
    let limited = || {
        let mut named = Flags::none();
        [SystemFlag::Seen, SystemFlag::Trashed].into_iter().for_each(|f| named.system.insert(f));
        PermanentFlags { named, any_keyword: false }
    };
    (any::<bool>(), prop_oneof![3 => Just(PermanentFlags::everything()), 1 => Just(limited())])
        .prop_map(|(modseq, permanent)| Kind { modseq, uidplus: true, permanent, trash: None, headers_only: false })
}

/// The server's side of a policy: what UIDPLUS is there, and the Trash mailbox.
fn suited(kind: &Kind, policy: Policy) -> Kind {
    let uidplus = policy.expunge == Expunge::Named;
    let trash = all_mailboxes().nth(1).filter(|_| policy.deletions == Deletions::Trash && uidplus);
    Kind { uidplus, trash, ..kind.clone() }
}

proptest! {
    #![proptest_config(config(600))]

    /// Both sides become equal in one run, the second plan is empty, and then nothing looks changed.
    #[test]
    fn converges_in_one_run(rounds in rounds(Scope::Messages), modseq: bool) {
        let (mut world, mut state) = begun(full(modseq), MIRROR);
        for edits in rounds {
            world.edit_all(&state, &edits);
            let plans = settle(&mut world, &mut state, MIRROR);
            prop_assert!(plans <= 1, "{plans} plans had something in them");
            assert_same(&world);
            assert_kept_promises(&world);
            assert_quiet(&world, &state, MIRROR);
        }
    }

    /// Mailboxes come and go, UIDs change their meaning.
    #[test]
    fn mailboxes_converge(rounds in rounds(Scope::Everything), modseq: bool) {
        let mut world = World::new(full(modseq));
        world.make_directory(&MailboxName::inbox());
        world.server.make(&MailboxName::inbox());
        let mut state = State::default();
        for edits in rounds {
            world.edit_all(&state, &edits);
            let plans = settle(&mut world, &mut state, MIRROR);
            // A mailbox that is removed there and filled here needs a run to empty it and one to make it again.
            prop_assert!(plans <= 2, "{plans} plans had something in them");
            assert_same(&world);
            let (tree, server) = world.pictures();
            prop_assert!(tree.keys().eq(server.keys()), "{tree:?} {server:?}");
            assert_kept_promises(&world);
            assert_quiet(&world, &state, MIRROR);
        }
    }

    /// What happens between observation and execution is neither lost nor doubled.
    #[test]
    fn edits_meanwhile_are_not_lost(
        rounds in prop::collection::vec((edits(Scope::Mailboxes, 6), edits(Scope::Mailboxes, 4)), 1..4),
        modseq: bool,
    ) {
        let (mut world, mut state) = begun(full(modseq), MIRROR);
        for (before, meanwhile) in rounds {
            world.edit_all(&state, &before);
            // A file renamed while its deletion is carried out looks new, and the mail stays; a move that is just
            // being carried out, made by a user on the other side as well, is made twice.
            let is_told_apart = |e: &Edit| !matches!(e, Edit::Rename { .. } | Edit::Move { .. });
            let meanwhile: Vec<Edit> = meanwhile.into_iter().filter(is_told_apart).collect();
            sync(&mut world, &mut state, MIRROR, &Faults::default(), |world, state| {
                for name in all_mailboxes() {
                    forgive(world, state, &name);
                }
                world.edit_all(state, &meanwhile);
            });
            settle(&mut world, &mut state, MIRROR);
            assert_same(&world);
            assert_kept_promises(&world);
        }
    }

    /// Copies of the same content: N in, N out.
    #[test]
    fn copies_are_counted(rounds in rounds(Scope::Copies), modseq: bool) {
        let (mut world, mut state) = begun(full(modseq), MIRROR);
        for edits in rounds {
            let before = world.clone();
            world.edit_all(&state, &edits);
            let edited = world.clone();
            prop_assert!(settle(&mut world, &mut state, MIRROR) <= 1);
            assert_same(&world);
            for (name, body) in &world.history.delivered {
                let (was, is) = (before.count(Side::Local, name, *body), world.count(Side::Local, name, *body));
                let [here, there] = [Side::Local, Side::Remote].map(|side| {
                    let [before, edited] = [&before, &edited].map(|world| world.copies(side, name, *body));
                    (before.difference(&edited).count(), edited.difference(&before).count())
                });
                // Losses are of the same copy or of two; gains are the same message or two.
                let least = (was + here.1.max(there.1)).saturating_sub(here.0 + there.0);
                let most = was + here.1 + there.1 - here.0.max(there.0);
                prop_assert!((least..=most).contains(&is), "{body} in {name}: {was} {here:?} {there:?} {is}");
            }
        }
    }

    /// Whatever the policy and the server: plans end, no side changes that must not, and what nobody deleted is kept.
    #[test]
    fn every_policy_settles(rounds in rounds(Scope::Marks), policy in policies(), kind in kinds(), letters in 1usize..4) {
        let (mut world, mut state) = begun(suited(&kind, policy), policy);
        world.letters = letters;
        for edits in rounds {
            let before = world.clone();
            world.edit_all(&state, &edits);
            let plans = settle(&mut world, &mut state, policy);
            // Trash is filled by the run before; without UIDPLUS the next run finds out which UIDs uploads got.
            let more = usize::from(policy.deletions == Deletions::Trash) + usize::from(policy.expunge != Expunge::Named);
            prop_assert!(plans <= 1 + 2 * more, "{plans} plans had something in them");
            assert_policy(&before, &world, policy);
        }
    }

    /// The same while mailboxes come and go; a mailbox made again drops what was kept on one side of it.
    #[test]
    fn every_policy_settles_over_mailboxes(rounds in rounds(Scope::Mailboxes), policy in policies(), modseq: bool) {
        let policy = Policy { expunge: Expunge::Named, ..policy };
        let (mut world, mut state) = begun(suited(&full(modseq), policy), policy);
        for edits in rounds {
            let before = world.clone();
            world.edit_all(&state, &edits);
            let plans = settle(&mut world, &mut state, policy);
            prop_assert!(plans <= 2 + 2 * usize::from(policy.deletions == Deletions::Trash), "{plans} plans");
            for (name, body) in &world.history.delivered {
                let [here, there] = [Side::Local, Side::Remote].map(|side| world.count(side, name, *body));
                let key = (name.clone(), *body);
                let may_double = may_double(&before, &world, name, *body, policy);
                prop_assert!(may_double || (here <= 1 && there <= 1), "doubled: {body} in {name}: {here} {there}");
                let kept = !world.history.deleted.contains(&key) && !world.history.open.contains(&key);
                prop_assert!(!kept || policy.direction != Direction::Both || (here > 0 && there > 0), "lost: {body} in {name}");
            }
        }
    }

    /// What one policy left alone is seen to under the next.
    #[test]
    fn another_policy_leaves_nothing_behind(
        rounds in prop::collection::vec((edits(Scope::Messages, 6), policies()), 1..4),
        modseq: bool,
    ) {
        let (mut world, mut state) = begun(full(modseq), MIRROR);
        for (edits, policy) in rounds {
            // What is kept or marked on one side stays there under any policy.
            let policy = Policy { deletions: Deletions::Expunge, expunge: Expunge::Named, ..policy };
            world.edit_all(&state, &edits);
            settle(&mut world, &mut state, policy);
        }
        settle(&mut world, &mut state, MIRROR);
        assert_same(&world);
        assert_quiet(&world, &state, MIRROR);
    }

    /// Without UIDPLUS nothing goes that others marked, and what we marked goes once it is alone.
    #[test]
    fn foreign_marks_stay(rounds in rounds(Scope::Marks), modseq: bool) {
        let policy = Policy { expunge: Expunge::WholeMailbox, ..MIRROR };
        let (mut world, mut state) = begun(suited(&full(modseq), policy), policy);
        for edits in rounds {
            let before = world.clone();
            world.edit_all(&state, &edits);
            prop_assert!(settle(&mut world, &mut state, policy) <= 3);
            assert_policy(&before, &world, policy);
            for (name, mailbox) in &world.server.mailboxes {
                let links = state.base[name].links.as_ref().expect("links are kept");
                let left = |uid| links.get(uid).is_some_and(|l: &Link| l.presence == Presence::RemoteOnly);
                let (ours, foreign): (Vec<_>, Vec<_>) =
                    mailbox.messages.iter().filter(|(_, m)| m.flags.is_trashed()).partition(|(uid, _)| left(uid));
                prop_assert!(ours.is_empty() || !foreign.is_empty(), "{ours:?} could have gone");
            }
        }
    }

    /// A file that cannot be read is no reason to lose anything, nor to bring anything back.
    #[test]
    fn unreadable_files_lose_nothing(
        rounds in rounds(Scope::Messages),
        dark in prop::collection::btree_set(0u32..60, 0..20),
        modseq: bool,
    ) {
        let (mut world, mut state) = begun(full(modseq), MIRROR);
        for edits in rounds {
            // Whatever it may be on the server comes down beside it; so nothing here is new on both sides at once.
            let is_one_sided = |e: &Edit| !matches!(e, Edit::DeliverTwice { .. } | Edit::Move { .. });
            let edits: Vec<Edit> = edits.into_iter().filter(is_one_sided).collect();
            world.edit_all(&state, &edits);
            let faults = Faults { dark: dark.clone(), ..Faults::default() };
            sync(&mut world, &mut state, MIRROR, &faults, |_, _| {});
            settle(&mut world, &mut state, MIRROR);
            assert_same(&world);
            for (name, body) in &world.history.delivered {
                let key = (name.clone(), *body);
                let count = world.count(Side::Local, name, *body);
                let deleted = world.history.deleted.contains(&key);
                prop_assert!(!deleted || count == 0, "{body} came back in {name}");
                prop_assert!(deleted || world.history.open.contains(&key) || count > 0, "{body} was lost in {name}");
            }
        }
    }
}

/// Deletions that are already planned may not be told from those of a user a moment later.
fn forgive(world: &mut World, state: &State, name: &MailboxName) {
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
fn may_double(before: &World, world: &World, name: &MailboxName, body: Body, policy: Policy) -> bool {
    let apart = before.holds(Side::Local, name, body) != before.holds(Side::Remote, name, body);
    let returned = world.history.returned.contains(&(name.clone(), body));
    let one_way = policy.direction != Direction::Both;
    let keeps = !matches!(policy.deletions, Deletions::Expunge | Deletions::Trash);
    (one_way && (apart || returned)) || (keeps && returned) || world.server.kind.trash.as_ref() == Some(name)
}

fn assert_policy(before: &World, world: &World, policy: Policy) {
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

proptest! {
    #![proptest_config(config(150))]

    /// Cut off before any effect or fact, whatever follows ends like a run that was not cut off.
    #[test]
    fn a_crash_anywhere_changes_nothing(
        first in prop::collection::vec(edits(Scope::Marks, 6), 1..3),
        second in prop_oneof![edits(Scope::Mailboxes, 8), edits(Scope::Marks, 8)],
        policy in policies(),
        kind in kinds(),
    ) {
        let (mut world, mut state) = begun(suited(&kind, policy), policy);
        for edits in first {
            world.edit_all(&state, &edits);
            settle(&mut world, &mut state, policy);
        }
        world.edit_all(&state, &second);
        let (mut whole, mut whole_state) = (world.clone(), state.clone());
        let steps = run(&mut whole, &mut whole_state, policy).steps;
        settle(&mut whole, &mut whole_state, policy);
        for at in 0..steps {
            let (mut cut, mut cut_state) = (world.clone(), state.clone());
            let faults = Faults { crash_at: Some(at), ..Faults::default() };
            let ended = sync(&mut cut, &mut cut_state, policy, &faults, |_, _| {});
            prop_assert!(ended.crashed);
            settle(&mut cut, &mut cut_state, policy);
            // A COPY takes keywords along that nobody looks at; an APPEND has none.
            let seen = |picture: Picture| match policy.keywords {
                Keywords::Synced => mail(picture),
                Keywords::Ignored => without_keywords(mail(picture)),
            };
            prop_assert_eq!(seen(cut.pictures().0), seen(whole.pictures().0), "the tree, cut at {}", at);
            prop_assert_eq!(seen(cut.pictures().1), seen(whole.pictures().1), "the server, cut at {}", at);
        }
    }

    /// A first run over two full sides, cut off again and again.
    #[test]
    fn a_first_run_cut_off_again_and_again(
        edits in edits(Scope::Copies, 12),
        cuts in prop::collection::vec(any::<Index>(), 1..4),
        modseq: bool,
        uidplus: bool,
        headers_only: bool,
    ) {
        let mut world = World::new(Kind { uidplus, headers_only, ..full(modseq) });
        for name in all_mailboxes() {
            world.make_directory(&name);
            world.server.make(&name);
        }
        let mut state = State::default();
        let twice = |e: &Edit| matches!(e, Edit::DeliverTwice { .. });
        let edits: Vec<Edit> = edits.into_iter().filter(|e| !(headers_only && twice(e))).collect();
        world.edit_all(&state, &edits);
        let (mut whole, mut whole_state) = (world.clone(), State::default());
        let steps = run(&mut whole, &mut whole_state, MIRROR).steps;
        settle(&mut whole, &mut whole_state, MIRROR);
        for cut in cuts {
            let faults = Faults { crash_at: (steps > 0).then(|| cut.index(steps)), ..Faults::default() };
            sync(&mut world, &mut state, MIRROR, &faults, |_, _| {});
        }
        settle(&mut world, &mut state, MIRROR);
        assert_same(&world);
        prop_assert_eq!(mail(world.pictures().0), mail(whole.pictures().0));
    }

    /// Messages that fail are tried again; mailboxes that could not be looked into are as if nothing had happened.
    #[test]
    fn failures_are_retried(
        rounds in rounds(Scope::Mailboxes),
        bad in prop::collection::btree_set(0u32..60, 0..12),
        blind in prop::collection::btree_set((any::<bool>(), 0u8..3), 0..3),
        modseq: bool,
    ) {
        let (mut world, mut state) = begun(full(modseq), MIRROR);
        for edits in rounds {
            world.edit_all(&state, &edits);
            let (mut whole, mut whole_state) = (world.clone(), state.clone());
            settle(&mut whole, &mut whole_state, MIRROR);
            let side = |local: &bool| if *local { Side::Local } else { Side::Remote };
            let blind = blind.iter().map(|(local, n)| (side(local), super::edit::mailbox(*n))).collect();
            let faults = Faults { bad: bad.clone(), blind, ..Faults::default() };
            for _ in 0..2 {
                sync(&mut world, &mut state, MIRROR, &faults, |_, _| {});
            }
            settle(&mut world, &mut state, MIRROR);
            assert_same(&world);
            let (mut found, mut wanted) = (mail(world.pictures().0), mail(whole.pictures().0));
            if !faults.blind.is_empty() {
                // What moved from a mailbox that was seen to one that was not is no move: its flags start anew.
                for (_, flags) in found.values_mut().chain(wanted.values_mut()).flatten() {
                    *flags = Flags::none();
                }
            }
            prop_assert_eq!(found, wanted);
            assert_kept_promises(&world);
        }
    }

    /// Without the state, everything is found again by name and content; nothing is transferred.
    #[test]
    fn a_lost_state_costs_no_body(rounds in rounds(Scope::Messages), modseq: bool) {
        let (mut world, mut state) = begun(full(modseq), MIRROR);
        for edits in rounds {
            world.edit_all(&state, &edits);
            settle(&mut world, &mut state, MIRROR);
        }
        let before = world.pictures();
        let plan = run(&mut world, &mut State::default(), MIRROR).plan;
        let is_link = |action: &Action| matches!(action, Action::Link { .. });
        prop_assert!(plan.actions().all(|(_, action)| is_link(action)), "{plan:#?}");
        prop_assert_eq!(world.pictures(), before);
    }
}

#[test]
fn ids_of_the_mailboxes_differ() {
    let ids: BTreeSet<_> = all_mailboxes().map(|name| id_of(&name)).collect();
    assert_eq!(ids.len(), all_mailboxes().count());
}
