//! The promises when runs are cut off, fail in part, or have lost their state.

use mailtide::mail::Flags;
use mailtide::reconcile::view::Keywords;
use mailtide::reconcile::{Action, Side};
use proptest::prelude::*;
use proptest::sample::Index;

use super::edit::{Edit, Scope, all_mailboxes, edits};
use super::execute::{Faults, sync};
use super::promises::*;
use super::server::Kind;
use super::state::State;
use super::world::{Picture, World};

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
        let mut world = World::new(Kind { uidplus, headers_only, ..Kind::full(modseq) });
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
        let (mut world, mut state) = begun(Kind::full(modseq), MIRROR);
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
        let (mut world, mut state) = begun(Kind::full(modseq), MIRROR);
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
