//! The guard: what it takes out of a plan, and what it leaves.

use std::collections::{BTreeMap, BTreeSet};

use super::scene::*;
use crate::mail::{Link, MailboxName, Presence};
use crate::reconcile::guard::{Allowed, MaxDelete, Refusal, Rest, approve};
use crate::reconcile::view::*;
use crate::reconcile::{Action, Plan, Side};

const HALF: MaxDelete = MaxDelete::Percent(50);

/// Mailboxes of so many messages, of which the first so many lost their file.
fn losing(mailboxes: &[(&str, u8, u8)]) -> Scene {
    let paths: Vec<&str> = mailboxes.iter().map(|(path, ..)| *path).collect();
    let mut scene = Scene::with(&paths);
    for (path, all, gone) in mailboxes {
        for n in 1..=*all {
            scene.link(path, link(n, Presence::Both, "")).message(path, n.into(), "");
            if n > *gone {
                scene.file(path, &format!("f{n}"), "");
            }
        }
    }
    scene
}

fn guard(scene: &Scene, max: MaxDelete, allowed: &[&str]) -> (Plan, Vec<Refusal>) {
    let allowed = Allowed::Mailboxes(allowed.iter().map(|path| name(path)).collect());
    let (plan, refusals) = approve(scene.plan(), &scene.base, &scene.local, &scene.remote, max, &allowed);
    // What was spared is what was allowed.
    (plan.plan().clone(), refusals.into_iter().map(|refusal| Refusal { spared: BTreeSet::new(), ..refusal }).collect())
}

fn refused(side: Side, mailbox: Option<&str>, deletions: u64, of: u64) -> Refusal {
    Refusal { side, mailbox: mailbox.map(name), deletions, of, rest: Rest::Done, spared: BTreeSet::new() }
}

/// A refusal for which the rest of the plan waits.
fn halted(side: Side, mailbox: Option<&str>, deletions: u64, of: u64) -> Refusal {
    Refusal { rest: Rest::Waits, ..refused(side, mailbox, deletions, of) }
}

#[test]
fn limits_of_one_mailbox() {
    let table = [
        (40, 19, HALF, true),
        (39, 20, HALF, false),
        (40, 20, HALF, true),
        (40, 21, HALF, false),
        (40, 21, MaxDelete::Percent(60), true),
        (40, 3, MaxDelete::Count(3), true),
        (40, 4, MaxDelete::Count(3), false),
        (40, 40, MaxDelete::Unlimited, true),
    ];
    for (all, gone, max, passes) in table {
        // Enough other mail that the account as a whole is no question.
        let scene = losing(&[("A", all, gone), ("B", 200, 0)]);
        let (plan, refusals) = guard(&scene, max, &[]);
        if passes {
            assert_eq!((plan, refusals), (scene.plan(), vec![]), "{all} {gone} {max:?}");
        } else {
            assert_eq!(lines(&plan), [""; 0], "{all} {gone} {max:?}");
            assert_eq!(refusals, [refused(Remote, Some("A"), gone.into(), all.into())]);
        }
    }
}

#[test]
fn the_rest_of_the_plan_stays() {
    let mut scene = losing(&[("A", 40, 30), ("B", 200, 1)]);
    scene.new_message("A", 99, 250, "").message("A", 40, "S");
    let (plan, refusals) = guard(&scene, HALF, &[]);
    assert_eq!(lines(&plan), ["A: download 99 (350)", "A: flags local 40 +\\Seen", "B: expunge server 1"]);
    assert_eq!(refusals, [refused(Remote, Some("A"), 30, 40)]);
    let (plan, refusals) = guard(&scene, HALF, &["A"]);
    assert_eq!((plan, refusals), (scene.plan(), vec![]));
}

#[test]
fn new_mail_does_not_make_refused_deletions_few() {
    // The checkpoint stays where it was when they were refused first.
    let mut scene = losing(&[("A", 40, 30), ("B", 200, 0)]);
    for n in 100..=180 {
        scene.link("A", link(n, Presence::Both, "")).message("A", n.into(), "").file("A", &format!("f{n}"), "");
    }
    let (plan, refusals) = guard(&scene, HALF, &[]);
    assert_eq!((plan, refusals), (Plan::default(), vec![refused(Remote, Some("A"), 30, 40)]));
    // One of the new ones goes as well: it is stopped with them.
    scene.local("A").files.remove(&file("f100"));
    let (plan, refusals) = guard(&scene, HALF, &[]);
    assert_eq!((plan, refusals), (Plan::default(), vec![refused(Remote, Some("A"), 30, 40)]));
    assert_eq!(guard(&scene, HALF, &["A"]), (scene.plan(), vec![]));
    assert_eq!(guard(&scene, MaxDelete::Count(31), &[]), (scene.plan(), vec![]));
    // Nor in the account as a whole.
    let mut scene = losing(&[("A", 19, 19), ("B", 19, 2), ("C", 2, 2)]);
    for n in 100..=180 {
        scene.link("B", link(n, Presence::Both, "")).message("B", n.into(), "").file("B", &format!("f{n}"), "");
    }
    assert_eq!(guard(&scene, HALF, &[]), (Plan::default(), vec![refused(Remote, None, 23, 40)]));
    // What came last, as all does in a first run, is as good as any other.
    let mut first = losing(&[("A", 80, 30)]);
    first.base.get_mut(&name("A")).unwrap().remote.as_mut().unwrap().uid_next = Some(uid(1));
    assert_eq!(guard(&first, HALF, &[]), (first.plan(), vec![]));
}

#[test]
fn the_local_side_is_guarded_alike() {
    let mut scene = losing(&[("A", 40, 0), ("B", 200, 0)]);
    scene.remote.mailboxes.remove(&name("A"));
    let (plan, refusals) = guard(&scene, HALF, &[]);
    assert_eq!((plan, refusals), (Plan::default(), vec![refused(Local, Some("A"), 40, 40)]));
}

#[test]
fn an_account_that_loses_everything_is_an_accident() {
    let scene = losing(&[("A", 3, 3), ("B", 2, 2)]);
    assert_eq!(guard(&scene, HALF, &[]), (Plan::default(), vec![halted(Remote, None, 5, 5)]));
    assert_eq!(guard(&scene, MaxDelete::Count(9), &[]).1.len(), 1);
    assert_eq!(guard(&scene, MaxDelete::Unlimited, &[]).1, []);
    let (plan, refusals) = guard(&scene, HALF, &["B"]);
    assert_eq!(lines(&plan), ["B: expunge server 1:2"]);
    assert_eq!(refusals, [halted(Remote, Some("A"), 3, 3)], "what is left concerns one mailbox");
    assert_eq!(guard(&scene, HALF, &["A", "B"]), (scene.plan(), vec![]));
    // Four may go: that is how one empties a small mailbox. So may all but one.
    assert_eq!(guard(&losing(&[("A", 4, 4)]), HALF, &[]).1, []);
    assert_eq!(guard(&losing(&[("A", 6, 5)]), HALF, &[]).1, []);
    // Unchanged mailboxes count, though their links were not read.
    let mut beside = losing(&[("A", 5, 5), ("B", 0, 0)]);
    let unchanged = beside.base.get_mut(&name("B")).unwrap();
    (unchanged.links, unchanged.link_count) = (None, 1);
    beside.local.mailboxes.insert(name("B"), LocalMailbox::Unchanged);
    beside.remote.mailboxes.insert(name("B"), RemoteMailbox::Unchanged);
    assert_eq!(guard(&beside, HALF, &[]).1, []);
}

#[test]
fn per_cent_hold_for_the_account_as_well() {
    let scene = losing(&[("A", 19, 19), ("B", 19, 2), ("C", 2, 2)]);
    assert_eq!(guard(&scene, HALF, &[]), (Plan::default(), vec![refused(Remote, None, 23, 40)]));
    assert_eq!(guard(&scene, MaxDelete::Count(19), &[]).1, []);
}

#[test]
fn a_tree_without_any_mailbox_deletes_nothing() {
    for deletions in [Deletions::Expunge, Deletions::Mark] {
        let mut scene = losing(&[("A", 2, 2), ("B", 0, 0)]);
        scene.local.mailboxes = BTreeMap::new();
        scene.policy.deletions = deletions;
        let (plan, refusals) = guard(&scene, HALF, &[]);
        assert_eq!((plan, refusals), (Plan::default(), vec![halted(Remote, None, 2, 2)]));
        assert_eq!(guard(&scene, MaxDelete::Unlimited, &[]).0, scene.plan());
        let (all, none) = approve(scene.plan(), &scene.base, &scene.local, &scene.remote, HALF, &Allowed::All);
        assert_eq!((all.plan(), none), (&scene.plan(), vec![]));
    }
}

#[test]
fn what_lost_everything_is_not_filled_while_its_deletions_are_refused() {
    // Filled again, the tree would be missing less than half of its mail at the next run.
    let mut inbox = losing(&[("INBOX", 40, 0), ("A", 9, 9), ("B", 0, 0)]);
    inbox.local.mailboxes = BTreeMap::new();
    let plan = inbox.plan();
    assert!(lines(&plan).contains(&"INBOX: create local".to_owned()), "{:?}", lines(&plan));
    assert_eq!(guard(&inbox, HALF, &[]), (Plan::default(), vec![halted(Remote, None, 9, 49)]));
    // With what a person allowed by name goes nothing else.
    let (allowed, refusals) = guard(&inbox, HALF, &["A"]);
    assert_eq!(lines(&allowed), ["A: expunge server 1:9", "A: remove server"]);
    assert_eq!(refusals, [halted(Remote, None, 0, 49)]);
    assert_eq!(guard(&inbox, HALF, &["A", "B"]), (plan, vec![]));
    // Nor does new mail go into a tree whose mailboxes are all empty.
    let mut emptied = losing(&[("A", 5, 5), ("B", 5, 5)]);
    emptied.new_message("A", 99, 250, "");
    assert_eq!(guard(&emptied, HALF, &[]), (Plan::default(), vec![halted(Remote, None, 10, 10)]));
}

#[test]
fn a_refusal_tells_exactly_what_it_stops() {
    let mut scene = losing(&[("A", 40, 30), ("B", 40, 39), ("C", 2, 1)]);
    scene.new_message("A", 99, 250, "");
    for named in [vec![], vec!["B"], vec!["A", "B", "C"]] {
        let allowed = Allowed::Mailboxes(named.iter().map(|path| name(path)).collect());
        let whole = scene.plan();
        let (approved, refusals) = approve(whole.clone(), &scene.base, &scene.local, &scene.remote, HALF, &allowed);
        let stopped = |(mailbox, action): &(&MailboxName, &Action)| refusals.iter().any(|r| r.stops(mailbox, action));
        let rest: Vec<_> = whole.actions().filter(|a| !stopped(a)).collect();
        assert_eq!(rest, approved.plan().actions().collect::<Vec<_>>(), "{named:?}");
    }
}

#[test]
fn marks_are_no_deletions() {
    let mut scene = losing(&[("A", 40, 40)]);
    scene.policy.deletions = Deletions::Mark;
    assert_eq!(guard(&scene, HALF, &[]), (scene.plan(), vec![]));
}

#[test]
fn what_was_left_marked_goes_without_a_second_question() {
    let mut scene = losing(&[("A", 40, 0), ("B", 1, 0)]);
    for link in scene.base.get_mut(&name("A")).unwrap().links.as_mut().unwrap().values_mut().take(20) {
        (link.presence, link.flags) = (Presence::RemoteOnly, flags("T"));
    }
    for n in 1..=20 {
        scene.message("A", n, "T").local("A").files.remove(&file(&format!("f{n}")));
    }
    assert_eq!(lines(&scene.plan()), ["A: expunge server 1:20"]);
    assert_eq!(guard(&scene, HALF, &[]).1, []);
}

#[test]
fn the_rest_of_a_move_that_broke_off_is_no_deletion() {
    // Copied to B and recorded there; what is left is the deletion in A, where nothing else is.
    let mut begun = losing(&[("A", 30, 30), ("B", 0, 0)]);
    for n in 1..=30 {
        let link = Link { uid: uid(100 + u32::from(n)), file: file(&format!("b{n}")), ..link(n, Presence::Both, "") };
        begun.link("B", link).message("B", 100 + u32::from(n), "").file("B", &format!("b{n}"), "");
    }
    let (all, refusals) = guard(&begun, HALF, &[]);
    assert_eq!((&all, refusals), (&begun.plan(), vec![]));
    assert!(all.actions().any(|(_, action)| matches!(action, Action::Delete { .. })));
    // What was in B when that was last in order is another copy, and no arrival.
    begun.base.get_mut(&name("B")).unwrap().remote.as_mut().unwrap().uid_next = Some(uid(131));
    assert_eq!(guard(&begun, HALF, &[]).1, [refused(Remote, Some("A"), 30, 30)]);
}

#[test]
fn moves_are_no_deletions() {
    // Archived in the tree, and archived on the server.
    let mut here = losing(&[("A", 30, 25), ("B", 0, 0)]);
    let mut there = losing(&[("A", 30, 0), ("B", 0, 0)]);
    for n in 1..=25 {
        here.new_file("B", &format!("b{n}"), n, "");
        there.remote("A").messages.remove(&uid(n.into()));
        there.new_message("B", n.into(), n, "");
    }
    for scene in [&mut here, &mut there] {
        assert_eq!(guard(scene, HALF, &[]), (scene.plan(), vec![]));
    }
    // Most of them did not arrive.
    here.local("B").files.retain(|id, _| *id == file("b1"));
    there.remote("B").messages.retain(|n, _| *n == uid(1));
    assert_eq!(guard(&here, HALF, &[]).1, [refused(Remote, Some("A"), 24, 30)]);
    assert_eq!(guard(&there, HALF, &[]).1, [refused(Local, Some("A"), 24, 30)]);
}
