//! The promises for messages that move and are copied, and for mailboxes that get other names.
//!
//! In these worlds a mailbox may hold a message several times, so copies are counted: by mailbox where mailboxes keep
//! their names, by account where they do not.

use std::collections::{BTreeMap, BTreeSet};

use mailtide::mail::MailboxName;
use mailtide::reconcile::Side;
use mailtide::reconcile::view::{Expunge, Policy};
use proptest::prelude::*;

use super::edit::{Edit, Scope, TRASHED, edits};

use super::promises::*;
use super::server::Kind;
use super::state::State;
use super::world::{Body, Layout, World};

/// Servers of every kind as far as moves go, and both layouts.
pub fn servers() -> impl Strategy<Value = (Kind, Layout)> {
    let layout = prop_oneof![Just(Layout::Nested), Just(Layout::Flat)];
    (any::<[bool; 5]>(), layout).prop_map(|([modseq, uidplus, moves, tells_copies, object_ids], layout)| {
        // MOVE stands for its own COPYUID.
        let kind = Kind { uidplus, moves: moves && uidplus, tells_copies, object_ids, ..Kind::full(modseq) };
        (kind, layout)
    })
}

/// A world in which copies may meet, and the policy that keeps both sides the same on such a server.
pub fn crowded((kind, layout): (Kind, Layout)) -> (World, State, Policy) {
    let expunge = if kind.uidplus { Expunge::Named } else { Expunge::WholeMailbox };
    let policy = Policy { expunge, ..MIRROR };
    let (mut world, state) = begun(kind, policy);
    world.crowded = true;
    world.layout = layout;
    (world, state, policy)
}

type Copies = BTreeMap<(MailboxName, Body), BTreeSet<String>>;

/// Where each body is on a side, as a user knows it.
fn copies(world: &World, side: Side) -> Copies {
    let mut copies = Copies::new();
    for at in world.messages(side) {
        let (body, _) = world.at(&at);
        copies.entry((at.mailbox().clone(), body)).or_default().insert(at.to_string());
    }
    copies
}

/// How often a body went from a place, and came to it.
fn losses_and_gains(before: &Copies, after: &Copies, key: &(MailboxName, Body)) -> (usize, usize) {
    let none = BTreeSet::new();
    let (before, after) = (before.get(key).unwrap_or(&none), after.get(key).unwrap_or(&none));
    (before.difference(after).count(), after.difference(before).count())
}

/// What both sides hold is what came together out of their changes: nothing lost, nothing doubled, nothing back.
fn assert_counted(before: &World, edited: &World, world: &World) {
    let [here, there] = [Side::Local, Side::Remote].map(|side| (copies(before, side), copies(edited, side)));
    let all: BTreeSet<_> = [&here.0, &here.1, &there.0, &there.1].into_iter().flat_map(|c| c.keys()).collect();
    for key in all {
        let was = before.count(Side::Local, &key.0, key.1);
        let is = world.count(Side::Local, &key.0, key.1);
        let (lost_here, new_here) = losses_and_gains(&here.0, &here.1, key);
        let (lost_there, new_there) = losses_and_gains(&there.0, &there.1, key);
        // Losses are of the same copy or of two; gains are the same message or two.
        let least = (was + new_here.max(new_there)).saturating_sub(lost_here + lost_there);
        let most = was + new_here + new_there - lost_here.max(lost_there);
        assert!(
            (least..=most).contains(&is),
            "{} in {}: there were {was}, here -{lost_here} +{new_here}, there -{lost_there} +{new_there}, now {is}\n{}",
            key.1,
            key.0,
            world.story()
        );
    }
}

pub fn assert_same_told(world: &World) {
    let (tree, server) = world.pictures();
    let (tree, server) = (mail(tree), mail(server));
    assert!(tree == server, "the sides differ\n{}\nhere {tree:?}\nthere {server:?}", world.story());
}

/// Leaves the edits of one side.
pub fn of_side(edits: Vec<Edit>, only: Side) -> Vec<Edit> {
    let of_side = |edit: &Edit| match edit {
        Edit::Deliver { side, .. }
        | Edit::Delete { side, .. }
        | Edit::Flag { side, .. }
        | Edit::Move { side, .. }
        | Edit::Copy { side, .. }
        | Edit::CopyTo { side, .. }
        | Edit::MoveMany { side, .. }
        | Edit::MakeMailbox { side, .. }
        | Edit::RemoveMailbox { side, .. }
        | Edit::RenameMailbox { side, .. }
        | Edit::SwapMailboxes { side, .. } => *side == only,
        Edit::Rename { .. } | Edit::RenameDirectory { .. } => only == Side::Local,
        Edit::DeliverTwice { .. } | Edit::RenameTwice { .. } => false,
        Edit::Renumber { .. } => only == Side::Remote,
    };
    let edits: Vec<Edit> = edits.into_iter().filter(of_side).collect();
    // With new UIDs nothing is known of what was done meanwhile: they come alone.
    let renumber = |e: &Edit| matches!(e, Edit::Renumber { .. });
    match edits.iter().any(renumber) {
        true => edits.into_iter().filter(renumber).collect(),
        false => edits,
    }
}

/// Leaves out marks where others' marks keep ours from being expunged: then the sides differ, as they should.
pub fn without_marks(edits: Vec<Edit>, kind: &Kind) -> Vec<Edit> {
    let marks = |edit: &Edit| match edit {
        Edit::Flag { flag, .. } => *flag == TRASHED,
        Edit::Move { how, .. } | Edit::CopyTo { how, .. } | Edit::MoveMany { how, .. } => how.flag == Some(TRASHED),
        _ => false,
    };
    edits.into_iter().filter(|edit| kind.uidplus || !marks(edit)).collect()
}

pub fn sides() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Local), Just(Side::Remote)]
}

/// Bodies that came to a side in a way in which nothing cheap tells which is which: more than one new copy.
pub fn ambiguous(before: &World, edited: &World, side: Side) -> BTreeSet<Body> {
    let (before, after) = (copies(before, side), copies(edited, side));
    let mut gains: BTreeMap<Body, usize> = BTreeMap::new();
    for key in after.keys() {
        *gains.entry(key.1).or_default() += losses_and_gains(&before, &after, key).1;
    }
    gains.into_iter().filter(|(_, gained)| *gained > 1).map(|(body, _)| body).collect()
}

fn bodies(world: &World, side: Side) -> BTreeSet<Body> {
    world.messages(side).iter().map(|at| world.at(at).0).collect()
}

fn rounds(scope: Scope, most: usize) -> impl Strategy<Value = Vec<Vec<Edit>>> {
    prop::collection::vec(edits(scope, most), 1..4)
}

proptest! {
    #![proptest_config(config(400))]

    /// Moves and copies on both sides at once, on every kind of server.
    #[test]
    fn moves_and_copies_converge(rounds in rounds(Scope::Moves, 8), servers in servers()) {
        let (mut world, mut state, policy) = crowded(servers);
        for edits in rounds {
            let before = world.clone();
            world.edit_all(&state, &without_marks(edits, &before.server.kind));
            let edited = world.clone();
            let plans = settle(&mut world, &mut state, policy);
            // What the server does not tell, the next run finds out; of what it did not tell then, the one after it.
            let kind = &world.server.kind;
            let most = if kind.uidplus && kind.tells_copies { 1 } else { 3 };
            prop_assert!(plans <= most, "{plans} plans had something in them\n{}", world.story());
            assert_same_told(&world);
            assert_counted(&before, &edited, &world);
            assert_quiet(&world, &state, policy);
        }
    }

    /// What happens on one side only is mirrored on the other, exactly, and no body goes over the wire that the other
    /// side has.
    #[test]
    fn one_sided_changes_are_mirrored_without_known_bodies(
        rounds in prop::collection::vec((edits(Scope::All, 8), sides()), 1..4),
        servers in servers(),
    ) {
        let (mut world, mut state, policy) = crowded(servers);
        world.named = true;
        for (edits, side) in rounds {
            let other = if side == Side::Local { Side::Remote } else { Side::Local };
            let before = world.clone();
            world.edit_all(&state, &without_marks(of_side(edits, side), &before.server.kind));
            let (wanted, known) = (world.clone(), bodies(&before, other));
            let excused = match (side, world.server.kind.object_ids) {
                (Side::Remote, false) => ambiguous(&before, &world, side),
                (Side::Remote, true) | (Side::Local, _) => BTreeSet::new(),
            };
            world.transfers.clear();
            let ended = run(&mut world, &mut state, policy);
            prop_assert_eq!(ended.failed_renames, 0, "{}", world.story());
            settle(&mut world, &mut state, policy);
            let pictures = |w: &World| {
                let (tree, server) = w.pictures();
                if side == Side::Local { tree } else { server }
            };
            prop_assert_eq!(mail(pictures(&world)), mail(pictures(&wanted)), "{}", world.story());
            assert_same_told(&world);
            let needless: Vec<_> =
                world.transfers.iter().filter(|(_, b)| known.contains(b) && !excused.contains(b)).collect();
            prop_assert!(needless.is_empty(), "{needless:?} went over the wire\n{}", world.story());
        }
    }

    /// Mailboxes get other names on both sides, come and go, get new UIDs, and messages move meanwhile.
    #[test]
    fn renames_converge_and_lose_nothing(rounds in rounds(Scope::All, 8), servers in servers()) {
        let (mut world, mut state, policy) = crowded(servers);
        for edits in rounds {
            let before = world.clone();
            world.edit_all(&state, &without_marks(edits, &before.server.kind));
            let edited = world.clone();
            let plans = settle(&mut world, &mut state, policy);
            prop_assert!(plans <= 4, "{plans} plans had something in them\n{}", world.story());
            assert_same_told(&world);
            assert_none_lost(&before, &edited, &world);
            assert_quiet(&world, &state, policy);
        }
    }
}

/// Over the account as a whole, whatever mailboxes are called.
pub fn assert_none_lost(before: &World, edited: &World, world: &World) {
    let total = |world: &World, side| -> BTreeMap<Body, usize> {
        let mut total = BTreeMap::new();
        world.messages(side).iter().for_each(|at| *total.entry(world.at(at).0).or_default() += 1);
        total
    };
    let of = |totals: &BTreeMap<Body, usize>, body: Body| totals.get(&body).copied().unwrap_or(0);
    let (was, is) = (total(before, Side::Local), total(world, Side::Local));
    let (here, there) = (total(edited, Side::Local), total(edited, Side::Remote));
    for body in here.keys().chain(there.keys()).copied().collect::<BTreeSet<_>>() {
        let (was, is, here, there) = (of(&was, body), of(&is, body), of(&here, body), of(&there, body));
        // What both sides gained may be the same; what they lost may be two. Where one side deleted all there was and the
        // run was cut off, a copy the other made may be taken for the renamed file of what was deleted.
        let is_held = here + there > was && (was == 0 || here.min(there) > 0);
        let range = usize::from(is_held)..=here + there;
        assert!(range.contains(&is), "{body}: was {was}, {here} here, {there} there, now {is}\n{}", world.story());
    }
}
