//! What random histories found, each as small as it could be made.

use super::scene::*;
use crate::mail::*;
use crate::reconcile::renames::{LocalTrace, RemoteTrace, Trace, Traces, find};
use crate::reconcile::view::*;

/// Two messages of one content in A, as UIDs 1 and 2.
fn alike(first: &str, second: &str) -> Scene {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", link(1, Presence::Both, first));
    scene.link("A", Link { uid: uid(2), file: file("f2"), ..link(1, Presence::Both, second) });
    scene
}

/// Each of two users takes one of two away, and not the same: both would be gone.
#[test]
fn of_two_that_are_alike_one_gone_here_and_one_there_leave_one() {
    let mut scene = alike("S", "S");
    scene.file("A", "f2", "S").message("A", 1, "S");
    expect(&scene, &["A: link 1 f2 \\Seen"]);
    // With what was done to the flags of either.
    let mut scene = alike("S", "S");
    scene.file("A", "f2", "F").message("A", 1, "SR");
    let (here, there) = ("A: flags local 1 +\\Answered", "A: flags server 1 +\\Flagged -\\Seen");
    expect(&scene, &["A: link 1 f2 \\Seen", here, there]);
    // Those that flags tell apart are two.
    let mut scene = alike("S", "F");
    scene.file("A", "f2", "F").message("A", 1, "S");
    expect(&scene, &["A: expunge local 2", "A: expunge server 1"]);
    // A file that got another name is not gone.
    let mut scene = alike("", "");
    scene.new_file("A", "x", 1, "").file("A", "f2", "").message("A", 1, "");
    expect(&scene, &["A: rename 1 x", "A: expunge local 2"]);
}

/// Both moved one of two alike to one place: it is there once, and the other stays.
#[test]
fn of_two_that_are_alike_one_moved_here_and_one_there_none_is_lost() {
    let mut scene = alike("", "");
    scene.file("A", "f2", "").message("A", 1, "").new_file("B", "x", 1, "").read_message("B", 7, 1, "");
    expect(&scene, &["A: link 1 f2 -", "B: link 7 x -"]);
}

/// The same out of two mailboxes: both came there.
#[test]
fn two_that_are_alike_and_come_to_one_place_from_two_stay_two() {
    let mut scene = Scene::with(&["A", "B", "C"]);
    scene.link("A", link(1, Presence::Both, "S"));
    scene.link("B", Link { uid: uid(2), file: file("f2"), ..link(1, Presence::Both, "") });
    scene.message("A", 1, "S").file("B", "f2", "").new_file("C", "x", 1, "S").new_message("C", 7, 1, "");
    scene.remote("C").messages.get_mut(&uid(7)).unwrap().content = Some(content(1));
    expect(&scene, &["C: move server A 1 as file x agreed \\Seen", "C: move local B 2 as UID 7"]);
    // Nor may one be taken for the other where the second mailbox could not be looked into: it waits.
    let mut dark = scene.clone();
    dark.local.mailboxes.insert(name("B"), LocalMailbox::Unknown);
    expect(&dark, &["C: move server A 1 as file x agreed \\Seen"]);
    // What a run that broke off had sent is the file's own message.
    scene.intent("C", "x", 1, 7);
    let lines = scene.lines();
    assert!(lines.contains(&"C: link 7 x -".to_owned()), "{lines:?}");
    // What was there before it began to send is not.
    scene.intents.clear();
    scene.intent("C", "x", 1, 8);
    let lines = scene.lines();
    assert!(!lines.contains(&"C: link 7 x -".to_owned()), "{lines:?}");
}

/// The same after a run that was cut off: of three, one has moved already, and tells nothing of the others.
#[test]
fn what_a_run_moved_before_it_was_cut_off_stands_for_no_other() {
    let mut scene = Scene::with(&["A", "B", "C"]);
    let alike = |n: u32| Link { uid: uid(n), file: file(&format!("f{n}")), ..link(1, Presence::Both, "") };
    scene.link("A", alike(1)).link("A", alike(2)).link("B", alike(3));
    scene.message("A", 1, "").file("B", "f3", "");
    scene.new_file("C", "x", 1, "").new_file("C", "y", 1, "S").intent_with("C", "y", 1, 8, "S");
    scene.read_message("C", 7, 1, "").read_message("C", 8, 1, "S");
    let moved = ["C: link 8 y \\Seen", "C: move server A 1 as file x", "C: move local B 3 as UID 7"];
    expect(&scene, &[&["A: forget 2"][..], &moved].concat());
}

/// The same with an older copy, where nothing is deleted there for a file that is missing here: to take them for one loses
/// none, and to part them doubles what was moved since that copy was made.
#[test]
fn with_an_older_copy_what_came_to_one_place_on_both_sides_is_one() {
    let mut scene = Scene::with(&["A", "B", "C"]);
    scene.link("A", link(1, Presence::Both, "")).message("A", 1, "");
    scene.link("B", Link { uid: uid(2), file: file("f2"), ..link(1, Presence::Both, "") }).file("B", "f2", "");
    scene.new_file("C", "x", 1, "").read_message("C", 7, 1, "");
    scene.local.mailboxes.insert(name("A"), LocalMailbox::Unknown);
    assert!(!scene.lines().contains(&"C: link 7 x -".to_owned()), "{:?}", scene.lines());
    scene.local.age = TreeAge::Older;
    // B's file has a twin, and waits until A can be looked into.
    expect(&scene, &["C: link 7 x -"]);
}

/// A file of A was copied to B by its name, B was removed here, and A got new UIDs: nothing has come to A.
#[test]
fn a_file_that_stayed_where_the_uids_are_new_has_not_come() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", link(1, Presence::Both, "")).new_file("A", "f1", 1, "").read_message("A", 9, 1, "");
    scene.remote("A").uid_validity = UidValidity(99);
    scene.link("B", Link { uid: uid(2), ..link(1, Presence::Both, "") }).message("B", 2, "");
    expect(&scene, &["A: reset", "A: link 9 f1 -", "B: expunge server 2"]);
}

/// What was deleted in A, and left marked on the server, is moved back to A from B by the same name.
#[test]
fn a_file_that_comes_back_to_the_message_that_was_left_marked_is_that_message() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", link(1, Presence::RemoteOnly, "T")).message("A", 1, "T").new_file("A", "f1", 1, "");
    scene.link("B", Link { uid: uid(2), ..link(1, Presence::Both, "") }).message("B", 2, "");
    expect(&scene, &["A: link 1 f1 \\Deleted", "A: flags server 1 -\\Deleted", "B: expunge server 2"]);
}

/// The message of an older state has left the server, and came to the same mailbox again; the file has still its name.
#[test]
fn a_file_is_not_that_of_a_message_gone_while_the_server_has_another() {
    let mut scene = Scene::with(&["A"]);
    scene.link("A", link(1, Presence::Both, "")).file_from("A", "x", 1, "", Some(1)).read_message("A", 5, 1, "");
    expect(&scene, &["A: link 5 x -", "A: forget 1"]);
    // Else it was renamed here and deleted there.
    scene.remote("A").messages.clear();
    expect(&scene, &["A: rename 1 x", "A: expunge local 1"]);
}

/// Two of one content in A, which cannot be looked into on the server: the file of one came to B, and a message there.
#[test]
fn what_may_be_two_out_of_a_dark_mailbox_waits() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", link(1, Presence::Both, ""));
    scene.link("A", Link { uid: uid(2), file: file("f2"), ..link(1, Presence::Both, "S") });
    scene.file("A", "f2", "S").new_file("B", "f1", 1, "").read_message("B", 7, 1, "S");
    scene.remote.mailboxes.insert(name("A"), RemoteMailbox::Unknown);
    expect(&scene, &[]);
    assert!(scene.plan().unfinished.contains(&name("B")));
    // What it is shows when it can be.
    scene.remote.mailboxes.remove(&name("A"));
    scene.message("A", 1, "");
    expect(&scene, &["B: move server A 1 as file f1", "B: move local A 2 as UID 7 agreed \\Seen"]);
    // Of a single one it is clear.
    scene.remote.mailboxes.insert(name("A"), RemoteMailbox::Unknown);
    scene.base.get_mut(&name("A")).unwrap().links.as_mut().unwrap().remove(&uid(2));
    assert!(scene.lines().contains(&"B: link 7 f1 -".to_owned()), "{:?}", scene.lines());
}

/// One of two moved on the server to where nobody can look, and the other in the tree: were the file of the first deleted,
/// they would become one there.
#[test]
fn a_file_with_a_twin_stays_while_its_message_may_be_where_nobody_can_look() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", link(1, Presence::Both, ""));
    scene.link("A", Link { uid: uid(2), file: file("f2"), ..link(1, Presence::Both, "S") });
    scene.file("A", "f2", "S").new_file("B", "x", 1, "").message("A", 1, "");
    let mut seen = scene.clone();
    scene.remote.mailboxes.insert(name("B"), RemoteMailbox::Unknown);
    expect(&scene, &[]);
    assert!(scene.plan().unfinished.contains(&name("A")));
    // Nor where it is the tree that cannot be looked into.
    let mut dark = scene.clone();
    dark.local.mailboxes.insert(name("B"), LocalMailbox::Unknown);
    dark.remote.mailboxes.remove(&name("B"));
    dark.read_message("B", 7, 1, "S");
    expect(&dark, &[]);
    // One that is alone comes down again.
    scene.base.get_mut(&name("A")).unwrap().links.as_mut().unwrap().remove(&uid(1));
    scene.remote("A").messages.clear();
    expect(&scene, &["A: expunge local 2"]);
    seen.read_message("B", 7, 1, "S");
    expect(&seen, &["B: move server A 1 as file x", "B: move local A 2 as UID 7 agreed \\Seen"]);
}

/// A's file moved to where nobody can look, its message elsewhere, and B's file to A: it was taken for A's own, and went.
#[test]
fn no_file_goes_for_another_whose_own_may_be_out_of_sight() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", link(1, Presence::Both, ""));
    scene.link("B", Link { uid: uid(3), file: file("f3"), ..link(1, Presence::Both, "S") });
    scene.new_file("A", "x", 1, "").message("B", 3, "S");
    let mut dark = scene.clone();
    dark.new_file("B", "y", 2, "").local("B").files.get_mut(&file("y")).unwrap().content =
        LocalContent::Unreadable(None);
    expect(&dark, &[]);
    assert!(dark.plan().unfinished.contains(&name("A")));
    // When all is in sight, the file is B's.
    expect(&scene, &["A: forget 1", "A: move server B 3 as file x agreed \\Seen server -\\Seen"]);
}

/// B went on the server, and A's file came there in the tree: B is made again once what was in it is gone. Until then A's
/// message stays, lest its file be taken for one of B's, and be the only copy.
#[test]
fn what_waits_for_its_mailbox_to_be_made_stays_on_the_server() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("B", link(1, Presence::Both, "")).file("B", "f1", "");
    scene.link("A", Link { uid: uid(2), file: file("f2"), ..link(1, Presence::Both, "") });
    scene.new_file("B", "x", 1, "").message("A", 2, "");
    scene.remote.mailboxes.remove(&name("B"));
    expect(&scene, &["B: expunge local 1"]);
    assert!(scene.plan().unfinished.contains(&name("A")));
    assert_eq!(scene.plan().held, 0);
    // Cut off before it is recorded that B's file is gone, or after.
    scene.local("B").files.remove(&file("f1"));
    let lines = scene.lines();
    assert!(!lines.contains(&"B: rename 1 x".to_owned()), "{lines:?}");
    scene.base.get_mut(&name("B")).unwrap().links.as_mut().unwrap().clear();
    expect(&scene, &["B: create server", "B: reset", "B: move server A 2 as file x"]);
}

/// A run moved A's message to B, where its file had gone, and could not record it. Now the file is back in A: were it taken
/// for what it was, it would go for the message, and the message for the file.
#[test]
fn a_file_that_returns_to_where_its_link_was_left_stays() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", link(1, Presence::Both, ""));
    scene.link("B", Link { uid: uid(7), ..link(1, Presence::Both, "") });
    scene.file("A", "f1", "").message("B", 7, "");
    expect(&scene, &["A: forget 1"]);
    assert!(["A", "B"].iter().all(|path| scene.plan().unfinished.contains(&name(path))));
    // Which the next plan takes up.
    let mut next = scene.clone();
    next.base.get_mut(&name("A")).unwrap().links.as_mut().unwrap().clear();
    next.new_file("A", "f1", 1, "");
    expect(&next, &["A: move server B 7 as file f1"]);
    // A file of another name is not the one, nor one of another content.
    let mut other = scene.clone();
    other.link("B", Link { uid: uid(7), file: file("f7"), ..link(1, Presence::Both, "") });
    expect(&other, &["A: expunge local 1", "B: expunge server 7"]);
    other.link("B", Link { uid: uid(7), file: file("f1"), ..link(7, Presence::Both, "") });
    expect(&other, &["A: expunge local 1", "B: expunge server 7"]);
    // Where nothing came, two deletions are two.
    scene.local.mailboxes.insert(name("A"), LocalMailbox::Unchanged);
    expect(&scene, &["A: expunge local 1", "B: expunge server 7"]);
}

/// A was renamed to B, which could not be read: to delete A there, and be cut off, would delete B here in the next run.
#[test]
fn while_a_directory_is_dark_none_that_is_missing_was_removed() {
    let mut scene = Scene::with(&["A"]);
    scene.link("A", link(1, Presence::Both, "")).message("A", 1, "");
    scene.local.mailboxes.remove(&name("A"));
    expect(&scene, &["A: expunge server 1", "A: remove server"]);
    scene.local.mailboxes.insert(name("B"), LocalMailbox::Unknown);
    expect(&scene, &[]);
    // The same with the sides exchanged.
    let mut scene = Scene::with(&["A"]);
    scene.link("A", link(1, Presence::Both, "")).file("A", "f1", "");
    scene.remote.mailboxes = [(name("C"), scene.remote.mailboxes[&name("A")].clone())].into();
    assert!(scene.lines().contains(&"A: expunge local 1".to_owned()));
    scene.remote.mailboxes.insert(name("B"), RemoteMailbox::Unknown);
    assert!(scene.lines().iter().all(|line| !line.starts_with("A:")), "{:?}", scene.lines());
}

/// A and B swapped their names on the server, and A there cannot be looked into.
#[test]
fn a_mailbox_with_the_uids_of_one_that_is_dark_waits() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", link(1, Presence::Both, "")).file("A", "f1", "");
    let other = UidValidity(99);
    scene.base.get_mut(&name("B")).unwrap().remote.as_mut().unwrap().uid_validity = other;
    scene.new_message("B", 1, 1, "");
    scene.remote.mailboxes.insert(name("A"), RemoteMailbox::Unknown);
    expect(&scene, &[]);
    assert!(scene.plan().unfinished.contains(&name("B")));
    // It is new where no dark one has its UIDs.
    scene.remote("B").uid_validity = UidValidity(98);
    assert!(scene.lines().contains(&"B: reset".to_owned()));
}

fn empty(path: &str, inode: u64, validity: u32) -> (MailboxName, BaseMailbox) {
    let remote = Some(RemoteCheckpoint { uid_validity: UidValidity(validity), ..checkpoint() });
    let local = Some(LocalCheckpoint { new_time: 1, cur_time: 1, inode });
    let links = Some(Default::default());
    (name(path), BaseMailbox { remote, local, links, ..BaseMailbox::new(MailboxId::of_path(path)) })
}

fn here(inode: u64) -> Trace<LocalTrace<'static>> {
    Trace::Seen(LocalTrace { inode, files: Default::default() })
}

fn there(validity: u32) -> Trace<RemoteTrace<'static>> {
    let uid_validity = UidValidity(validity);
    Trace::Seen(RemoteTrace { uid_validity, object_id: None, messages: Default::default() })
}

/// A was removed here, A and B swapped their names there; the run that followed was cut off once it had renamed B.
#[test]
fn a_mailbox_that_has_anothers_name_already_does_not_follow_for_it() {
    let base: Base = [empty("A", 100, 10), empty("B", 101, 11)].into();
    let (a, b) = (name("A"), name("B"));
    let mut traces = Traces::default();
    traces.local.insert(&a, here(101));
    traces.remote.extend([(&a, there(11)), (&b, there(10))]);
    let renamed = find(&base, &traces, Direction::Both).renamed;
    assert_eq!(
        renamed,
        [crate::reconcile::Renamed { known: b.clone(), from: b.clone(), to: a.clone(), follows: None }]
    );
    // The same with the sides exchanged.
    let mut traces = Traces::default();
    traces.remote.insert(&a, there(11));
    traces.local.extend([(&a, here(101)), (&b, here(100))]);
    let renamed = find(&base, &traces, Direction::Both).renamed;
    assert_eq!(renamed, [crate::reconcile::Renamed { known: b.clone(), from: b, to: a, follows: None }]);
}

/// What an older state takes for a swap, both sides may have done long ago, and undone again.
#[test]
fn with_an_older_state_no_names_are_swapped() {
    let base: Base = [empty("A", 100, 10), empty("B", 101, 11)].into();
    let (a, b) = (name("A"), name("B"));
    let mut traces = Traces::default();
    traces.local.extend([(&a, here(100)), (&b, here(101))]);
    traces.remote.extend([(&a, there(11)), (&b, there(10))]);
    assert_eq!(find(&base, &traces, Direction::Both).renamed.len(), 2);
    traces.age = TreeAge::Older;
    assert_eq!(find(&base, &traces, Direction::Both), Default::default());
    // Nor is a half of it done, where B was removed on one side since.
    let mut removed = traces.clone();
    removed.local.remove(&b);
    assert_eq!(find(&base, &removed, Direction::Both).renamed, []);
    let mut removed = Traces { age: TreeAge::Older, ..Traces::default() };
    removed.local.extend([(&a, here(101)), (&b, here(100))]);
    removed.remote.insert(&a, there(10));
    assert_eq!(find(&base, &removed, Direction::Both).renamed, []);
    removed.local.remove(&a);
    assert_eq!(find(&base, &removed, Direction::Both).renamed.len(), 1);
}

/// The server has A as X, which the tree cannot follow to before B is out of the way.
#[test]
fn files_whose_mailbox_has_anothers_name_stay_while_directories_get_other_names() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", link(1, Presence::Both, "")).file("A", "f1", "");
    scene.remote("A").uid_validity = UidValidity(99);
    scene.new_message("X", 1, 1, "");
    scene.names.left.insert(name("A"));
    expect(&scene, &["X: create local", "X: move local A 1 as UID 1"]);
    let mut renamed = scene.clone();
    let from = name("C");
    renamed.names.renamed.push(crate::reconcile::Renamed {
        known: from.clone(),
        from,
        to: name("B"),
        follows: Some(Local),
    });
    expect(&renamed, &["B: rename local C"]);
    assert!([name("A"), name("X")].iter().all(|name| renamed.plan().unfinished.contains(name)));
    // Nor while one cannot be looked into: the tree may follow when it can.
    let mut dark = scene.clone();
    dark.local.mailboxes.insert(name("B"), LocalMailbox::Unknown);
    expect(&dark, &[]);
    // Nor does a directory go before.
    scene.remote.mailboxes.remove(&name("B"));
    assert!(!scene.lines().contains(&"B: remove local".to_owned()), "{:?}", scene.lines());
    scene.names.left.clear();
    assert!(scene.lines().contains(&"B: remove local".to_owned()), "{:?}", scene.lines());
}

/// A message went from A to B here and was flagged in A there; a file of A cannot be read, so that A deletes nothing.
#[test]
fn what_moved_out_of_a_mailbox_that_is_not_decided_has_the_flags_of_both() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", link(1, Presence::Both, "")).message("A", 1, "S").new_file("B", "f1", 1, "F");
    scene.local("A").files.insert(file("x"), LocalFile { flags: flags(""), content: LocalContent::Unreadable(None) });
    expect(&scene, &["B: copy server A 1 as file f1 local +\\Seen server +\\Flagged"]);
    // A copy of what stays has its own.
    scene.file("A", "f1", "");
    expect(
        &scene,
        &["A: flags local 1 +\\Seen", "B: copy server A 1 as file f1 agreed \\Seen server +\\Flagged -\\Seen"],
    );
}

/// A run took a message from A to B on the server and was cut off, or saw no UID; then it was flagged in A.
#[test]
fn what_was_flagged_at_its_old_place_after_it_was_copied_has_the_flag_at_its_new_one() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", link(1, Presence::Both, "F")).message("A", 1, "FSR");
    scene.new_file("B", "f1", 1, "F").read_message("B", 7, 1, "FR").intent_with("B", "f1", 1, 7, "F");
    let both = ["B: flags local 7 +\\Answered +\\Seen", "B: flags server 7 +\\Seen"];
    expect(&scene, &["A: expunge server 1", "B: link 7 f1 \\Flagged", both[0], both[1]]);
    // A mark is that of the move.
    scene.message("A", 1, "FRT");
    expect(&scene, &["A: expunge server 1", "B: link 7 f1 \\Flagged", "B: flags local 7 +\\Answered"]);
    // What lost a flag there loses it here.
    scene.message("A", 1, "R");
    let both = ["B: flags local 7 +\\Answered -\\Flagged", "B: flags server 7 -\\Flagged"];
    expect(&scene, &["A: expunge server 1", "B: link 7 f1 \\Flagged", both[0], both[1]]);
    // Of two that left, nothing tells which it is.
    scene.link("A", Link { uid: uid(2), file: file("f2"), ..link(1, Presence::Both, "F") }).message("A", 2, "F");
    expect(&scene, &["A: expunge server 1:2", "B: link 7 f1 \\Flagged", "B: flags local 7 +\\Answered"]);
}

/// The same, where the run recorded the copy before it was cut off: only the file's name tells.
#[test]
fn what_was_flagged_at_its_old_place_before_it_is_deleted_there_has_the_flag_at_its_new_one() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", link(1, Presence::Both, "F")).message("A", 1, "ST");
    scene.link("B", Link { uid: uid(7), ..link(1, Presence::Both, "F") }).file("B", "f1", "F").message("B", 7, "FR");
    let both = ["B: flags local 7 +\\Answered +\\Seen -\\Flagged", "B: flags server 7 +\\Seen -\\Flagged"];
    expect(&scene, &["A: expunge server 1", both[0], both[1]]);
    // Not twice: what stays in A, because nothing that is missing counts as deleted now, is left for another time.
    let mut held = scene.clone();
    held.local("B").files.insert(file("x"), LocalFile { flags: flags(""), content: LocalContent::Unreadable(None) });
    expect(&held, &["B: flags local 7 +\\Answered"]);
    // Another file of the same content is another message.
    let other = Link { uid: uid(7), file: file("f2"), ..link(1, Presence::Both, "F") };
    scene.link("B", other).local("B").files.clear();
    scene.file("B", "f2", "F");
    expect(&scene, &["A: expunge server 1", "B: flags local 7 +\\Answered"]);
}

/// It went elsewhere on the server and came back between two runs: it is the same, and what was set here is not lost.
#[test]
fn what_went_from_a_mailbox_and_came_back_has_the_flags_of_both_sides() {
    let mut scene = Scene::with(&["A"]);
    scene.link("A", link(1, Presence::Both, "S")).file("A", "f1", "SR").read_message("A", 5, 1, "SF");
    let there = "A: copy local A 1 as UID 5 agreed \\Seen local +\\Flagged server +\\Answered";
    expect(&scene, &[there, "A: expunge local 1"]);
}

/// Of two files of a message that the server has not any more, one got its name and the other was sent: it is the one left.
#[test]
fn what_a_run_sent_to_a_mailbox_is_not_what_left_it() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", link(1, Presence::Both, "")).new_file("A", "x", 1, "");
    scene.new_file("A", "y", 1, "").read_message("A", 5, 1, "").intent("A", "y", 1, 5);
    expect(&scene, &["A: link 5 y -", "A: rename 1 x", "A: expunge local 1"]);
    // What it brought elsewhere may have been moved there, and then `x` is a copy.
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", link(1, Presence::Both, "")).new_file("A", "x", 1, "");
    scene.new_file("B", "y", 1, "").read_message("B", 5, 1, "").intent("B", "y", 1, 5);
    expect(&scene, &["A: forget 1", "A: upload x - (101)", "B: link 5 y -"]);
}
