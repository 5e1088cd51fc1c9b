//! The promises for moves, copies and renames when runs are cut off, and when the state is lost or an older one is back.

use std::collections::BTreeSet;

use mailtide::mail::Flags;
use mailtide::reconcile::Side;
use mailtide::reconcile::view::Policy;
use proptest::prelude::*;

use super::edit::{Edit, Scope, edits};
use super::execute::{Faults, sync};
use super::moving::{assert_none_lost, assert_same_told, crowded, of_side, servers, sides, without_marks};
use super::promises::*;
use super::state::State;
use super::world::{Body, Picture, World};

/// Contents that a side holds, or held, more than once.
fn several<'w>(worlds: impl IntoIterator<Item = &'w World>) -> BTreeSet<Body> {
    let mut several = BTreeSet::new();
    for world in worlds {
        for side in [Side::Local, Side::Remote] {
            let mut seen = BTreeSet::new();
            several.extend(world.messages(side).iter().map(|at| world.at(at).0).filter(|body| !seen.insert(*body)));
        }
    }
    several
}

/// Of messages that are alike, each has flags that one of them had, and those that all of them had.
fn assert_flags_of_alike(before: &World, edited: &World, end: &World, told: &dyn Fn() -> String) {
    let flags_of = |world: &World, body: Body| -> Vec<Flags> {
        let all = [Side::Local, Side::Remote].map(|side| world.messages(side)).concat();
        all.iter().map(|at| world.at(at)).filter(|(b, _)| *b == body).map(|(_, flags)| flags).collect()
    };
    for body in several([edited, end]) {
        let had = [flags_of(before, body), flags_of(edited, body)].concat();
        let any = had.iter().fold(Flags::none(), |sum, flags| sum.union(flags));
        let all = had.iter().fold(any.clone(), |rest, flags| rest.minus(&rest.minus(flags)));
        for flags in flags_of(end, body) {
            assert!(flags.minus(&any).is_empty() && all.minus(&flags).is_empty(), "{body} has {flags}, {}", told());
        }
    }
}

fn without_flags_of(picture: Picture, bodies: &BTreeSet<Body>) -> Picture {
    let bare = |(body, flags): (Body, Flags)| (body, if bodies.contains(&body) { Flags::none() } else { flags });
    mail(picture).into_iter().map(|(name, all)| (name, all.into_iter().map(bare).collect())).collect()
}

fn histories(scope: Scope) -> impl Strategy<Value = (Vec<Edit>, Vec<Edit>)> {
    (edits(scope, 8), edits(scope, 8))
}

/// Cuts a run off before every effect and every fact; each time, what follows must end as if it had not been.
///
/// But for the flags of messages that are alike. What came to two places did so as a whole while its old place is there
/// to tell from where; once a run was cut off, one of the places may be linked, and which of the two the flags are of that
/// were changed here meanwhile, nothing tells any more. Then each has flags that one of them had, and those that all had.
fn cut_anywhere(before: &World, world: &World, state: &State, policy: Policy) {
    let doubtful = several([before, world]);
    let (mut whole, mut whole_state) = (world.clone(), state.clone());
    let steps = run(&mut whole, &mut whole_state, policy).steps;
    settle(&mut whole, &mut whole_state, policy);
    for at in 0..steps {
        let (mut cut, mut cut_state) = (world.clone(), state.clone());
        let faults = Faults { crash_at: Some(at), ..Faults::default() };
        let ended = sync(&mut cut, &mut cut_state, policy, &faults, |_, _| {});
        assert!(ended.crashed);
        settle(&mut cut, &mut cut_state, policy);
        let shown = |picture| without_flags_of(picture, &doubtful);
        let told = || format!("cut at {at}\n{}\n--- whole\n{}", cut.story(), whole.story());
        assert_flags_of_alike(before, world, &cut, &told);
        assert_eq!(shown(cut.pictures().0), shown(whole.pictures().0), "the tree, {}", told());
        assert_eq!(shown(cut.pictures().1), shown(whole.pictures().1), "the server, {}", told());
    }
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn moves_cut_off_anywhere_end_the_same((first, second) in histories(Scope::Moves), servers in servers()) {
        let (mut world, mut state, policy) = crowded(servers);
        let kind = world.server.kind.clone();
        world.edit_all(&state, &without_marks(first, &kind));
        settle(&mut world, &mut state, policy);
        let before = world.clone();
        world.edit_all(&state, &without_marks(second, &kind));
        cut_anywhere(&before, &world, &state, policy);
    }

    /// Renamed on one side, the end is the same.
    #[test]
    fn renames_cut_off_anywhere_end_the_same(
        (first, second) in histories(Scope::Renames),
        side in sides(),
        servers in servers(),
    ) {
        let (mut world, mut state, policy) = crowded(servers);
        let kind = world.server.kind.clone();
        world.edit_all(&state, &without_marks(first, &kind));
        settle(&mut world, &mut state, policy);
        let before = world.clone();
        world.edit_all(&state, &without_marks(of_side(second, side), &kind));
        cut_anywhere(&before, &world, &state, policy);
    }

    /// Renamed on both sides, each its own way, which names are left may differ; no message is lost or doubled.
    #[test]
    fn renames_on_both_sides_cut_off_anywhere_lose_nothing(
        (first, second) in histories(Scope::All),
        servers in servers(),
    ) {
        let (mut world, mut state, policy) = crowded(servers);
        let kind = world.server.kind.clone();
        world.edit_all(&state, &without_marks(first, &kind));
        settle(&mut world, &mut state, policy);
        let before = world.clone();
        world.edit_all(&state, &without_marks(second, &kind));
        let steps = run(&mut world.clone(), &mut state.clone(), policy).steps;
        for at in 0..steps {
            let (mut cut, mut cut_state) = (world.clone(), state.clone());
            let faults = Faults { crash_at: Some(at), ..Faults::default() };
            sync(&mut cut, &mut cut_state, policy, &faults, |_, _| {});
            settle(&mut cut, &mut cut_state, policy);
            assert_same_told(&cut);
            assert_none_lost(&before, &world, &cut);
        }
    }

    /// Both sides are the same and the state is gone, or as it was some runs ago: nothing changes, nothing is transferred.
    #[test]
    fn a_lost_or_old_state_changes_nothing(
        rounds in prop::collection::vec(edits(Scope::All, 8), 1..4),
        servers in servers(),
        back in 0usize..4,
    ) {
        let (mut world, mut state, policy) = crowded(servers);
        world.named = true;
        let mut states = vec![State::default()];
        for edits in rounds {
            let edits = without_marks(edits, &world.server.kind.clone());
            world.edit_all(&state, &edits);
            settle(&mut world, &mut state, policy);
            states.push(state.clone());
        }
        let mut old = states[back.min(states.len() - 1)].clone();
        let before = world.pictures();
        world.transfers.clear();
        world.story.push(format!("the state of {back} runs after the first is back"));
        settle(&mut world, &mut old, policy);
        prop_assert_eq!(mail(world.pictures().0), mail(before.0), "{}", world.story());
        prop_assert_eq!(mail(world.pictures().1), mail(before.1), "{}", world.story());
        prop_assert!(world.transfers.is_empty(), "{:?} went over the wire\n{}", world.transfers, world.story());
    }
}
