//! The promises, over random worlds: messages and mailboxes that come, go and change.

use mailtide::mail::{Link, MailboxName, Presence};
use mailtide::reconcile::Side;
use mailtide::reconcile::view::{Deletions, Direction, Expunge, Policy};
use proptest::prelude::*;

use super::edit::{Edit, Scope, all_mailboxes, edits};
use super::execute::{Faults, sync};
use super::promises::*;
use super::server::Kind;
use super::state::State;
use super::world::World;

proptest! {
    #![proptest_config(config(600))]

    /// Both sides become equal in one run, the second plan is empty, and then nothing looks changed.
    #[test]
    fn converges_in_one_run(rounds in rounds(Scope::Messages), modseq: bool) {
        let (mut world, mut state) = begun(Kind::full(modseq), MIRROR);
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
        let mut world = World::new(Kind::full(modseq));
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
        let (mut world, mut state) = begun(Kind::full(modseq), MIRROR);
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
        let (mut world, mut state) = begun(Kind::full(modseq), MIRROR);
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
            prop_assert!(plans <= 1 + 2 * more, "{plans} plans had something in them\n{}", world.story());
            assert_policy(&before, &world, policy);
        }
    }

    /// The same while mailboxes come and go; a mailbox made again drops what was kept on one side of it.
    #[test]
    fn every_policy_settles_over_mailboxes(rounds in rounds(Scope::Mailboxes), policy in policies(), modseq: bool) {
        let policy = Policy { expunge: Expunge::Named, ..policy };
        let (mut world, mut state) = begun(suited(&Kind::full(modseq), policy), policy);
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
        let (mut world, mut state) = begun(Kind::full(modseq), MIRROR);
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
        let (mut world, mut state) = begun(suited(&Kind::full(modseq), policy), policy);
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
        let (mut world, mut state) = begun(Kind::full(modseq), MIRROR);
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
