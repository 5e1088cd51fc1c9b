//! Mailboxes that have another name on a side.

use std::collections::BTreeSet;

use super::scene::*;
use crate::mail::*;
use crate::reconcile::Side::{Local, Remote};
use crate::reconcile::renames::{LocalTrace, RemoteTrace, Renamed, Trace, Traces, find, ring_of};
use crate::reconcile::view::*;

/// A base of mailboxes with the bodies they hold, and what is seen of each on a side.
fn known(mailboxes: &[(&str, &[u8])]) -> Base {
    let mut scene = Scene::with(&mailboxes.iter().map(|(path, _)| *path).collect::<Vec<_>>());
    for (number, (path, bodies)) in mailboxes.iter().enumerate() {
        bodies.iter().for_each(|n| _ = scene.link(path, link(*n, Presence::Both, "")));
        let mailbox = scene.base.get_mut(&name(path)).unwrap();
        let validity = UidValidity(10 + u32::try_from(number).unwrap());
        mailbox.remote = Some(RemoteCheckpoint { uid_validity: validity, ..checkpoint() });
        mailbox.local = Some(LocalCheckpoint { new_time: 1, cur_time: 1, inode: 100 + number as u64 });
    }
    scene.base
}

fn there(validity: u32, bodies: &[u8]) -> Trace<RemoteTrace<'static>> {
    let message = |n: &u8| (uid((*n).into()), (Some(content(*n).wire_size), Some(UnixSeconds(0))));
    let messages = bodies.iter().map(message).collect();
    Trace::Seen(RemoteTrace { uid_validity: UidValidity(validity), object_id: None, messages })
}

fn here(inode: u64, files: &[FileId]) -> Trace<LocalTrace<'_>> {
    Trace::Seen(LocalTrace { inode, files: files.iter().collect() })
}

fn renamed(from: &str, to: &str, follows: Option<crate::reconcile::Side>) -> Renamed {
    Renamed { known: name(from), from: name(from), to: name(to), follows }
}

#[test]
fn a_mailbox_is_known_by_its_messages_on_the_server_and_its_files_here() {
    let base = known(&[("A", &[1, 2]), ("A/x", &[3])]);
    let names = ["A", "A/x", "B", "B/x"].map(name);
    let [a, ax, b, bx] = &names;
    let mut traces = Traces::default();
    traces.local.extend([(a, Trace::Known), (ax, Trace::Known)]);
    traces.remote.extend([(b, there(10, &[1, 2])), (bx, there(11, &[3]))]);
    assert_eq!(
        find(&base, &traces, Direction::Both).renamed,
        [renamed("A", "B", Some(Local)), renamed("A/x", "B/x", Some(Local))]
    );
    // A size that does not fit: another mailbox, whatever its UIDVALIDITY.
    let mut other = traces.clone();
    let Some(Trace::Seen(trace)) = other.remote.get_mut(b) else { panic!() };
    trace.messages.get_mut(&uid(1)).unwrap().0 = Some(7);
    assert_eq!(find(&base, &other, Direction::Both).renamed, [renamed("A/x", "B/x", Some(Local))]);

    let files = [file("f1"), file("f2"), file("f3")];
    let mut traces = Traces::default();
    traces.remote.extend([(a, Trace::Known), (ax, Trace::Known)]);
    traces.local.extend([(b, here(0, &files[..2])), (bx, here(0, &files[2..]))]);
    assert_eq!(
        find(&base, &traces, Direction::Both).renamed,
        [renamed("A", "B", Some(Remote)), renamed("A/x", "B/x", Some(Remote))]
    );
    // Both sides alike; and each its own way.
    traces.remote = [(b, there(10, &[1, 2])), (ax, Trace::Known)].into();
    assert_eq!(
        find(&base, &traces, Direction::Both).renamed,
        [renamed("A", "B", None), renamed("A/x", "B/x", Some(Remote))]
    );
    let c = name("C");
    traces.remote = [(&c, there(10, &[1, 2])), (ax, Trace::Known)].into();
    assert_eq!(find(&base, &traces, Direction::Both).renamed, [renamed("A/x", "B/x", Some(Remote))]);
}

#[test]
fn two_mailboxes_that_swapped_their_names_swap_here() {
    let base = known(&[("A", &[1, 2]), ("B", &[3])]);
    let (a, b) = (name("A"), name("B"));
    let mut traces = Traces::default();
    traces.local.extend([(&a, Trace::Known), (&b, Trace::Known)]);
    traces.remote.extend([(&a, there(11, &[3])), (&b, there(10, &[1, 2]))]);
    assert_eq!(
        find(&base, &traces, Direction::Both).renamed,
        [renamed("A", "B", Some(Local)), renamed("B", "A", Some(Local))]
    );
    // A place that is taken is not free.
    traces.remote = [(&b, there(10, &[1, 2]))].into();
    assert_eq!(find(&base, &traces, Direction::Both).renamed, []);
}

#[test]
fn names_that_were_passed_round_or_on_are_here_too() {
    let base = known(&[("A", &[1, 2]), ("A/x", &[8]), ("B", &[3]), ("C", &[4, 5])]);
    let [a, ax, b, bx, c, d] = ["A", "A/x", "B", "B/x", "C", "D"].map(name);
    let mut traces = Traces::default();
    traces.local.extend([&a, &ax, &b, &c].map(|name| (name, Trace::Known)));
    // Round: what is below a name goes with it.
    let all = [(&b, there(10, &[1, 2])), (&bx, there(11, &[8])), (&c, there(12, &[3])), (&a, there(13, &[4, 5]))];
    traces.remote.extend(all.clone());
    let found = find(&base, &traces, Direction::Both).renamed;
    let ring = [("A", "B"), ("B", "C"), ("C", "A")].map(|(from, to)| renamed(from, to, Some(Local)));
    assert_eq!(found, [&ring[..], &[renamed("A/x", "B/x", Some(Local))]].concat());
    assert_eq!(ring_of(&ring[1], &found), [&ring[1], &ring[2], &ring[0]]);
    // On: the last one first.
    let [ab, bc, _] = ring;
    traces.remote = all.into_iter().take(3).chain([(&d, there(13, &[4, 5]))]).collect();
    let found = find(&base, &traces, Direction::Both).renamed;
    let on = [renamed("C", "D", Some(Local)), bc, ab, renamed("A/x", "B/x", Some(Local))];
    assert_eq!(found, on);
    assert_eq!(ring_of(&on[1], &found), Vec::<&Renamed>::new());
    // One that cannot be looked into holds those that would take its place.
    traces.local.insert(&c, Trace::Unknown);
    let names = find(&base, &traces, Direction::Both);
    assert_eq!(names.renamed, on[3..]);
    let all = BTreeSet::from([&a, &b, &c, &d].map(MailboxName::clone));
    assert_eq!(names.waiting, all);
    assert_eq!(find(&base, &traces, Direction::Push).waiting, [].into());
    // The same the other way round.
    let files: Vec<_> = base.values().flat_map(|m| m.links.iter().flatten().map(|(_, l)| l.file.clone())).collect();
    traces.remote = [(&a, Trace::Known), (&ax, Trace::Known), (&b, Trace::Known), (&c, Trace::Unknown)].into();
    traces.local = [(&ax, Trace::Known), (&b, here(0, &files[..2])), (&c, here(0, &files[3..4]))].into();
    traces.local.insert(&d, here(0, &files[4..]));
    assert_eq!(find(&base, &traces, Direction::Both).waiting, all);
    assert_eq!(find(&base, &traces, Direction::Pull).waiting, [].into());
}

/// A run that passes names round in the tree was cut off after the first two changed places, before it recorded that.
#[test]
fn a_ring_is_gone_on_with_where_it_broke() {
    let base = known(&[("A", &[1, 2]), ("B", &[3]), ("C", &[4, 5])]);
    let files: Vec<_> = base.values().flat_map(|m| m.links.iter().flatten().map(|(_, l)| l.file.clone())).collect();
    let [a, b, c] = ["A", "B", "C"].map(name);
    let mut traces = Traces::default();
    traces.local.extend([(&b, here(0, &files[..2])), (&a, here(0, &files[2..3])), (&c, Trace::Known)]);
    traces.remote.extend([(&b, there(10, &[1, 2])), (&c, there(11, &[3])), (&a, there(12, &[4, 5]))]);
    let rest = Renamed { known: b.clone(), ..renamed("A", "C", Some(Local)) };
    assert_eq!(
        find(&base, &traces, Direction::Both).renamed,
        [renamed("A", "B", None), rest, renamed("C", "A", Some(Local))]
    );
    // Where the server has the name that the tree gave it, or none by that name, both keep theirs.
    traces.remote = [(&b, there(10, &[1, 2])), (&c, there(11, &[3]))].into();
    assert_eq!(find(&base, &traces, Direction::Both).renamed, [renamed("A", "B", None)]);
}

#[test]
fn a_server_renames_only_to_names_that_become_free() {
    let base = known(&[("A", &[1, 2]), ("B", &[3]), ("C", &[4, 5])]);
    let [a, b, c, d] = ["A", "B", "C", "D"].map(name);
    let files: Vec<_> = base.values().flat_map(|m| m.links.iter().flatten().map(|(_, l)| l.file.clone())).collect();
    let mut traces = Traces::default();
    traces.remote.extend([&a, &b, &c].map(|name| (name, Trace::Known)));
    traces.local.extend([(&b, here(0, &files[..2])), (&c, here(0, &files[2..3])), (&d, here(0, &files[3..]))]);
    assert_eq!(
        find(&base, &traces, Direction::Both).renamed,
        [("C", "D"), ("B", "C"), ("A", "B")].map(|(from, to)| renamed(from, to, Some(Remote)))
    );
    // Round, which a run is cut off with: the first one stands aside.
    traces.local.remove(&d);
    traces.local.insert(&a, here(0, &files[3..]));
    let ring = [("A", "B"), ("B", "C"), ("C", "A")].map(|(from, to)| renamed(from, to, Some(Remote)));
    assert_eq!(find(&base, &traces, Direction::Both).renamed, ring);
    let aside = MailboxName::aside(|_| false);
    traces.remote = [(&aside, there(10, &[1, 2])), (&b, Trace::Known), (&a, there(12, &[4, 5]))].into();
    let rest = Renamed { from: aside.clone(), ..ring[0].clone() };
    let [_, bc, ca] = ring;
    assert_eq!(find(&base, &traces, Direction::Both).renamed, [Renamed { follows: None, ..ca }, bc, rest]);
    // Somebody has taken the names back in the tree meanwhile.
    traces.local = [&a, &b, &c].map(|name| (name, Trace::Known)).into();
    traces.remote = [(&aside, there(10, &[1, 2])), (&b, Trace::Known), (&c, Trace::Known)].into();
    let back = Renamed { from: aside.clone(), ..renamed("A", "A", Some(Remote)) };
    assert_eq!(find(&base, &traces, Direction::Both).renamed, [back]);
    // Or removed its directory, and another one has its name.
    traces.local = [(&a, here(0, &files[3..])), (&c, here(0, &files[2..3]))].into();
    traces.remote = [(&aside, there(10, &[1, 2])), (&b, Trace::Known), (&a, there(12, &[4, 5]))].into();
    let gone = renamed("A", aside.path(), None);
    assert_eq!(
        find(&base, &traces, Direction::Both).renamed,
        [gone, renamed("C", "A", None), renamed("B", "C", Some(Remote))]
    );
}

/// A is gone there for B's name, and B, which cannot be B/x here, has left it: A's files wait for the plan after B's.
#[test]
fn files_wait_while_another_mailbox_has_to_leave_their_new_name_first() {
    let base = known(&[("A", &[1, 2]), ("B", &[3]), ("INBOX", &[4, 5])]);
    let [a, b, bx, inbox, n] = ["A", "B", "B/x", "INBOX", "N"].map(name);
    let mut traces = Traces::default();
    traces.local.extend([&a, &b, &inbox].map(|name| (name, Trace::Known)));
    traces.remote.extend([(&b, there(10, &[1, 2])), (&bx, there(11, &[3])), (&inbox, Trace::Known)]);
    let names = find(&base, &traces, Direction::Both);
    assert_eq!((names.renamed, names.left, names.waiting), (vec![], [b.clone()].into(), [a.clone()].into()));
    // What INBOX had goes where RENAME brought it, and INBOX stays.
    traces.remote = [(&inbox, there(13, &[])), (&n, there(12, &[4, 5]))].into();
    let names = find(&base, &traces, Direction::Both);
    assert_eq!((names.renamed, names.left), (vec![], [inbox.clone()].into()));
}

/// Where they wait for each other, the one goes first whose directory has gone elsewhere.
#[test]
fn files_wait_while_the_mailbox_of_their_new_name_has_left_it_too() {
    let base = known(&[("A", &[1, 2]), ("B", &[3]), ("C", &[4, 5]), ("D", &[6])]);
    let [a, b, c, d, bx] = ["A", "B", "C", "D", "B/x"].map(name);
    let files: Vec<_> = base.values().flat_map(|m| m.links.iter().flatten().map(|(_, l)| l.file.clone())).collect();
    let mut traces = Traces::default();
    // A and B changed names there, B and D here.
    traces.remote.extend([(&a, there(11, &[3])), (&b, there(10, &[1, 2])), (&c, Trace::Known), (&d, Trace::Known)]);
    traces.local.extend([
        (&a, Trace::Known),
        (&b, here(0, &files[5..])),
        (&c, Trace::Known),
        (&d, here(0, &files[2..3])),
    ]);
    let names = find(&base, &traces, Direction::Both);
    assert_eq!((names.renamed, names.left, names.waiting), (vec![], [a.clone(), b.clone()].into(), [a.clone()].into()));
    // C is gone there for B's name, A has C's, and B is below its own.
    traces.local = [&a, &b, &c, &d].map(|name| (name, Trace::Known)).into();
    traces.remote =
        [(&b, there(12, &[4, 5])), (&c, there(10, &[1, 2])), (&bx, there(11, &[3])), (&d, Trace::Known)].into();
    let names = find(&base, &traces, Direction::Both);
    assert_eq!((names.left, names.waiting), ([b.clone(), c.clone()].into(), [a.clone(), c.clone()].into()));
}

#[test]
fn an_empty_mailbox_is_known_by_its_uidvalidity_its_mailboxid_and_its_inode() {
    let mut base = known(&[("A", &[]), ("C", &[])]);
    let (a, b, c) = (name("A"), name("B"), name("C"));
    let mut traces = Traces::default();
    traces.local.extend([(&a, Trace::Known), (&c, Trace::Known)]);
    traces.remote.extend([(&b, there(10, &[])), (&c, Trace::Known)]);
    assert_eq!(find(&base, &traces, Direction::Both).renamed, [renamed("A", "B", Some(Local))]);
    base.get_mut(&c).unwrap().remote.as_mut().unwrap().uid_validity = UidValidity(10);
    assert_eq!(find(&base, &traces, Direction::Both).renamed, [], "a UIDVALIDITY that two have tells nothing");
    base.get_mut(&a).unwrap().remote.as_mut().unwrap().object_id = Some("m1".into());
    let Some(Trace::Seen(trace)) = traces.remote.get_mut(&b) else { panic!() };
    trace.object_id = Some("m1");
    assert_eq!(find(&base, &traces, Direction::Both).renamed, [renamed("A", "B", Some(Local))]);

    let mut traces = Traces::default();
    traces.remote.extend([(&a, Trace::Known), (&c, Trace::Known)]);
    traces.local.insert(&c, Trace::Known);
    traces.local.insert(&b, Trace::Seen(LocalTrace { inode: 100, files: Default::default() }));
    assert_eq!(find(&base, &traces, Direction::Both).renamed, [renamed("A", "B", Some(Remote))]);
}

#[test]
fn inbox_is_never_renamed() {
    let base = known(&[("INBOX", &[1, 2])]);
    let (inbox, b) = (MailboxName::inbox(), name("B"));
    let mut traces = Traces::default();
    traces.local.insert(&inbox, Trace::Known);
    traces.remote.extend([(&b, there(10, &[1, 2]))]);
    assert_eq!(find(&base, &traces, Direction::Both).renamed, []);
}

#[test]
fn a_rename_stands_before_everything_else_in_the_plan() {
    let mut scene = Scene::with(&["B"]);
    scene.link("B", link(1, Presence::Both, "")).file("B", "f1", "").message("B", 1, "S");
    scene.names.renamed = vec![renamed("A", "B", Some(Local))];
    expect(&scene, &["B: rename local A", "B: flags local 1 +\\Seen"]);
}

/// B has its message under a name that is not followed to yet, and A's has moved there.
#[test]
fn what_moved_to_a_mailbox_that_waits_stays_until_it_can_go() {
    let mut scene = Scene::with(&["A"]);
    scene.link("A", link(1, Presence::Both, "")).file("A", "f1", "");
    scene.new_message("N", 1, 1, "");
    expect(&scene, &["N: create local", "N: move local A 1 as UID 1"]);
    scene.names.waiting = [name("N"), name("B")].into();
    expect(&scene, &[]);
    assert_eq!(scene.plan().unfinished, [name("A"), name("B"), name("N")].into());
}
