//! Moves, copies and renames across mailboxes.

use super::scene::*;
use crate::mail::*;
use crate::reconcile::view::*;

/// A message without a link that the server knows by an EMAILID.
fn email(scene: &mut Scene, path: &str, n: u32, id: &str) {
    scene.remote(path).messages.get_mut(&uid(n)).unwrap().email_id = Some(id.into());
}

/// A and B known; A has a linked message of body 1.
fn linked(agreed: &str) -> Scene {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", link(1, Presence::Both, agreed));
    scene
}

#[test]
fn a_file_that_moved_is_moved_on_the_server() {
    let mut scene = linked("S");
    scene.message("A", 1, "S").new_file("B", "x", 1, "S");
    expect(&scene, &["B: move server A 1 as file x agreed \\Seen"]);
    // Whatever became of its flags on both sides on the way.
    let mut scene = linked("S");
    scene.message("A", 1, "SF").new_file("B", "x", 1, "R");
    expect(&scene, &["B: move server A 1 as file x agreed \\Seen local +\\Flagged server +\\Answered -\\Seen"]);
}

#[test]
fn without_uidplus_a_move_is_a_copy_and_a_deletion_and_the_guard_takes_it_for_none() {
    use crate::reconcile::guard::{Allowed, MaxDelete, approve};
    let mut scene = Scene::with(&["A", "B"]);
    scene.policy.expunge = Expunge::WholeMailbox;
    for n in 1..=30 {
        scene.link("A", link(n, Presence::Both, "S")).message("A", n.into(), "S");
        scene.new_file("B", &format!("x{n:02}"), n, "F");
    }
    let lines = scene.lines();
    assert!(lines.contains(&"A: expunge server 1:30".to_owned()), "{lines:?}");
    let copy = "B: copy server A 1 as file x01 agreed \\Seen server +\\Flagged -\\Seen";
    assert!(lines.contains(&copy.to_owned()), "{lines:?}");
    let allowed = Allowed::Mailboxes(Default::default());
    let (approved, refusals) =
        approve(scene.plan(), &scene.base, &scene.local, &scene.remote, MaxDelete::Percent(50), &allowed);
    assert_eq!((approved.plan(), refusals), (&scene.plan(), vec![]));
}

#[test]
fn without_uidplus_what_moved_leaves_no_copy_in_trash() {
    let mut scene = Scene::with(&["A", "B", "Trash"]);
    (scene.policy.expunge, scene.policy.deletions) = (Expunge::WholeMailbox, Deletions::Trash);
    scene.remote.trash = Some(name("Trash"));
    for n in 1..=2 {
        scene.link("A", link(n, Presence::Both, "S")).message("A", n.into(), "S");
    }
    scene.new_file("B", "x", 1, "S");
    expect(&scene, &["A: expunge server 1", "A: trash server 2", "B: copy server A 1 as file x agreed \\Seen"]);
}

#[test]
fn a_file_that_was_copied_is_copied_on_the_server_even_within_its_mailbox() {
    let mut scene = linked("S");
    scene.message("A", 1, "S").file("A", "f1", "S").new_file("B", "x", 1, "S").new_file("A", "y", 1, "S");
    expect(&scene, &["A: copy server A 1 as file y agreed \\Seen", "B: copy server A 1 as file x agreed \\Seen"]);
}

#[test]
fn of_several_places_one_gets_the_message_and_the_others_copies() {
    let mut scene = linked("");
    scene.message("A", 1, "").new_file("B", "x", 1, "").new_file("B", "y", 1, "");
    expect(&scene, &["B: move server A 1 as file x", "B: copy server A 1 as file y"]);
}

/// Which of them moved and which is the copy, nothing tells: what the other side changed meanwhile is at none lost.
#[test]
fn what_came_to_several_places_has_the_flags_of_both_sides_at_each() {
    let mut scene = linked("S");
    scene.message("A", 1, "SF").new_file("B", "x", 1, "S").new_file("B", "y", 1, "R");
    let moved = "B: move server A 1 as file x agreed \\Seen local +\\Flagged";
    let copied = "B: copy server A 1 as file y agreed \\Seen local +\\Flagged server +\\Answered -\\Seen";
    expect(&scene, &[moved, copied]);
    scene.policy.expunge = Expunge::WholeMailbox;
    expect(&scene, &["A: expunge server 1", &moved.replace("move", "copy"), copied]);

    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", Link { email_id: Some("e1".into()), ..link(1, Presence::Both, "S") });
    scene.file("A", "f1", "SF").new_message("B", 7, 1, "S").new_message("B", 8, 1, "R");
    email(&mut scene, "B", 7, "e1");
    email(&mut scene, "B", 8, "e1");
    let moved = "B: move local A 1 as UID 7 agreed \\Seen server +\\Flagged";
    expect(&scene, &[moved, "B: copy local A 1 as UID 8 agreed \\Seen local +\\Answered -\\Seen server +\\Flagged"]);
}

#[test]
fn a_message_that_moved_on_the_server_moves_in_the_tree() {
    let mut scene = linked("S");
    scene.file("A", "f1", "S").new_message("B", 7, 1, "S");
    expect(&scene, &["B: move local A 1 as UID 7 agreed \\Seen"]);
    // Flags of both sides.
    let mut scene = linked("S");
    scene.file("A", "f1", "SF").new_message("B", 7, 1, "");
    expect(&scene, &["B: move local A 1 as UID 7 agreed \\Seen local -\\Seen server +\\Flagged"]);
}

#[test]
fn a_file_renamed_in_its_mailbox_follows_its_message_all_the_same() {
    let mut scene = linked("");
    scene.file_from("A", "other", 1, "S", None).new_message("B", 7, 1, "");
    expect(&scene, &["A: rename 1 other", "B: move local A 1 as UID 7 server +\\Seen"]);
}

#[test]
fn a_message_that_was_copied_on_the_server_is_linked_in_the_tree() {
    let mut scene = linked("");
    scene.file("A", "f1", "").message("A", 1, "").new_message("B", 7, 1, "");
    expect(&scene, &["B: copy local A 1 as UID 7"]);
}

#[test]
fn only_an_unambiguous_message_is_known_by_its_message_id() {
    // Two UIDs that it may be: both are fetched.
    let mut scene = linked("");
    scene.file("A", "f1", "").new_message("B", 7, 1, "").new_message("B", 8, 1, "");
    expect(&scene, &["A: expunge local 1", "B: download 7:8 (202)"]);
    // Two contents that it may be.
    let mut scene = linked("");
    let other = Link { digest: Digest([9; 32]), uid: uid(2), file: file("f2"), ..link(1, Presence::Both, "") };
    scene.link("A", other).file("A", "f1", "").file("A", "f2", "").message("A", 2, "").new_message("B", 7, 1, "");
    expect(&scene, &["A: expunge local 1", "B: download 7 (101)"]);
    // Another date.
    let mut scene = linked("");
    scene.file("A", "f1", "").new_message("B", 7, 1, "");
    scene.remote("B").messages.get_mut(&uid(7)).unwrap().internal_date = Some(UnixSeconds(5));
    expect(&scene, &["A: expunge local 1", "B: download 7 (101)"]);
}

#[test]
fn an_emailid_decides_alone() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", Link { email_id: Some("e1".into()), ..link(1, Presence::Both, "") });
    scene.file("A", "f1", "").new_message("B", 7, 1, "").new_message("B", 8, 1, "");
    email(&mut scene, "B", 7, "e1");
    email(&mut scene, "B", 8, "e1");
    expect(&scene, &["B: move local A 1 as UID 7", "B: copy local A 1 as UID 8"]);
    // Alike in all but that.
    email(&mut scene, "B", 7, "e2");
    email(&mut scene, "B", 8, "e3");
    expect(&scene, &["A: expunge local 1", "B: download 7:8 (202)"]);
}

#[test]
fn what_has_several_places_is_downloaded_once() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.new_message("A", 1, 1, "S").new_message("B", 7, 1, "F").new_message("B", 8, 2, "");
    email(&mut scene, "A", 1, "e1");
    email(&mut scene, "B", 7, "e1");
    email(&mut scene, "B", 8, "e2");
    expect(
        &scene,
        &[
            "A: download 1 (101)",
            "B: copy local A 1 as UID 7 agreed \\Seen local +\\Flagged -\\Seen",
            "B: download 8 (102)",
        ],
    );
}

#[test]
fn relatives_in_mailboxes_that_did_not_move_are_sources_too() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.base.get_mut(&name("A")).unwrap().links = None;
    scene.base.get_mut(&name("A")).unwrap().link_count = 1;
    scene.local.mailboxes.insert(name("A"), LocalMailbox::Unchanged);
    scene.remote.mailboxes.insert(name("A"), RemoteMailbox::Unchanged);
    let known = link(1, Presence::Both, "S");
    scene.relatives.entry(name("A")).or_default().insert(known.uid, known);
    scene.new_file("B", "x", 1, "S");
    expect(&scene, &["B: copy server A 1 as file x agreed \\Seen"]);
    let mut scene = Scene { local: scene.local.clone(), ..scene };
    scene.local("B").files.clear();
    scene.new_message("B", 7, 1, "S");
    expect(&scene, &["B: copy local A 1 as UID 7 agreed \\Seen"]);
}

/// The server has A elsewhere, and another mailbox in its place.
#[test]
fn a_message_that_came_to_the_mailbox_of_its_old_name_keeps_its_file() {
    let mut scene = linked("S");
    scene.link("A", link(2, Presence::Both, "")).file("A", "f1", "S").file("A", "f2", "");
    scene.names.left.insert(name("A"));
    scene.remote("A").uid_validity = UidValidity(11);
    scene.new_message("A", 1, 1, "S");
    expect(&scene, &["A: forget 1", "A: expunge local 2"]);
    // The next plan.
    scene.names.left.clear();
    scene.base.get_mut(&name("A")).unwrap().links.as_mut().unwrap().clear();
    scene.local("A").files.clear();
    scene.new_file("A", "f1", 1, "S");
    expect(&scene, &["A: reset", "A: link 1 f1 \\Seen"]);
    // Another EMAILID is another message, the same one decides alone.
    let mut scene = Scene::with(&["A"]);
    scene.link("A", Link { email_id: Some("e1".into()), ..link(1, Presence::Both, "") }).file("A", "f1", "");
    scene.names.left.insert(name("A"));
    scene.remote("A").uid_validity = UidValidity(11);
    scene.new_message("A", 1, 1, "");
    email(&mut scene, "A", 1, "e2");
    expect(&scene, &["A: expunge local 1"]);
    email(&mut scene, "A", 1, "e1");
    scene.remote("A").messages.get_mut(&uid(1)).unwrap().message_id = None;
    expect(&scene, &["A: forget 1"]);
}

/// The server has A elsewhere, and another mailbox in its place; the plan before let `x` stay for the one message that came.
#[test]
fn a_file_that_stayed_for_a_message_leaves_none_for_another() {
    let mut scene = Scene::with(&["A"]);
    scene.link("A", link(1, Presence::Both, "")).file("A", "f1", "").new_file("A", "x", 1, "");
    scene.names.left.insert(name("A"));
    scene.remote("A").uid_validity = UidValidity(11);
    scene.new_message("A", 7, 1, "");
    expect(&scene, &["A: expunge local 1"]);
    scene.new_message("A", 8, 1, "");
    expect(&scene, &["A: forget 1"]);
    // Without a Message-ID in sight, its date tells.
    let message = scene.remote("A").messages.get_mut(&uid(8)).unwrap();
    (message.email_id, message.message_id) = (Some("e1".into()), None);
    scene.link("A", Link { email_id: Some("e1".into()), ..link(1, Presence::Both, "") });
    expect(&scene, &["A: forget 1"]);
    scene.remote("A").messages.remove(&uid(7));
    scene.remote("A").messages.get_mut(&uid(8)).unwrap().internal_date = Some(MODIFIED);
    expect(&scene, &["A: expunge local 1"]);
}

/// Two of its content went from A on the server; a run deleted both files and was cut off. Meanwhile `x` came from B.
#[test]
fn a_file_that_came_by_its_own_name_is_none_of_those_that_went() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.link("A", link(1, Presence::Both, "")).link("A", Link { uid: uid(2), ..link(1, Presence::Both, "") });
    scene.new_file("A", "x", 1, "");
    scene.link("B", Link { uid: uid(5), file: file("x"), ..link(1, Presence::Both, "") }).message("B", 5, "");
    expect(&scene, &["A: forget 1", "A: forget 2", "A: move server B 5 as file x"]);
}

#[test]
fn a_kept_copy_is_copied_and_stays() {
    let mut scene = linked("");
    scene.policy.deletions = Deletions::Never;
    scene.message("A", 1, "").new_file("B", "x", 1, "");
    expect(&scene, &["A: keep server 1", "B: copy server A 1 as file x"]);
    let mut scene = linked("");
    scene.policy.deletions = Deletions::Mark;
    scene.file("A", "f1", "").new_message("B", 7, 1, "");
    expect(&scene, &["A: mark local 1", "B: copy local A 1 as UID 7"]);
}

#[test]
fn a_move_wins_over_a_deletion_and_two_moves_both_happen() {
    // Moved here, deleted there.
    let mut scene = linked("");
    scene.new_file("B", "x", 1, "");
    expect(&scene, &["A: forget 1", "B: upload x - (101)"]);
    // Moved to B here and to C there.
    let mut scene = Scene::with(&["A", "B", "C"]);
    scene.link("A", link(1, Presence::Both, "")).new_file("B", "x", 1, "").new_message("C", 7, 1, "");
    expect(&scene, &["A: forget 1", "B: upload x - (101)", "C: download 7 (101)"]);
}

#[test]
fn what_was_cut_off_is_taken_up_with_the_flags_agreed_on() {
    // Moved on both sides, recorded on neither; one flag was taken away here, another there.
    let mut scene = linked("SF");
    scene.file_from("B", "x", 1, "F", Some(7)).new_message("B", 7, 1, "S");
    expect(
        &scene,
        &["A: forget 1", "B: link 7 x \\Flagged \\Seen", "B: flags local 7 -\\Flagged", "B: flags server 7 -\\Seen"],
    );
    // Sent there by us with these flags.
    let mut scene = linked("");
    scene.message("A", 1, "").file("A", "f1", "").new_file("B", "x", 1, "").read_message("B", 7, 1, "S");
    scene.intent_with("B", "x", 1, 7, "S");
    expect(&scene, &["B: link 7 x \\Seen", "B: flags server 7 -\\Seen"]);
}

#[test]
fn a_copy_has_the_flags_of_what_it_copies() {
    let mut scene = linked("S");
    scene.message("A", 1, "SF").file("A", "f1", "S").new_file("B", "x", 1, "R");
    let flags = "A: flags local 1 +\\Flagged";
    let copy = "B: copy server A 1 as file x agreed \\Flagged \\Seen server +\\Answered -\\Flagged -\\Seen";
    expect(&scene, &[flags, copy]);
}

#[test]
fn a_pull_moves_nothing_on_the_server_and_a_push_nothing_here() {
    let mut scene = linked("");
    scene.policy.direction = Direction::Push;
    scene.message("A", 1, "F").new_file("B", "x", 1, "S");
    expect(&scene, &["B: move server A 1 as file x server +\\Seen"]);
    let mut scene = linked("");
    scene.policy.direction = Direction::Pull;
    scene.file("A", "f1", "S").new_message("B", 7, 1, "F");
    expect(&scene, &["B: move local A 1 as UID 7 local +\\Flagged"]);
}

#[test]
fn a_mailbox_that_started_anew_is_nobodys_source() {
    let mut scene = linked("");
    scene.remote("A").uid_validity = UidValidity(11);
    scene.new_message("A", 1, 2, "").new_file("A", "f1", 1, "").new_file("B", "x", 1, "");
    let lines = scene.lines();
    assert!(lines.contains(&"B: upload x - (101)".to_owned()), "{lines:?}");
}

#[test]
fn after_new_uids_messages_are_matched_without_their_bodies() {
    let mut scene = linked("S");
    scene.remote("A").uid_validity = UidValidity(11);
    scene.new_message("A", 5, 1, "S").new_file("A", "f1", 1, "S");
    expect(&scene, &["A: reset", "A: link 5 f1 \\Seen"]);
    // Two of a kind are not told apart so: their contents are asked for, and here there are none.
    scene.new_message("A", 6, 1, "S");
    assert!(!scene.lines().iter().any(|line| line.starts_with("A: link")));
}

#[test]
fn a_known_mailbox_needs_the_date_and_a_new_one_does_not() {
    let mut scene = Scene::with(&["A"]);
    scene.new_file("A", "x", 1, "").new_message("A", 5, 1, "");
    scene.remote("A").messages.get_mut(&uid(5)).unwrap().internal_date = Some(MODIFIED);
    expect(&scene, &["A: link 5 x -"]);
    scene.remote("A").messages.get_mut(&uid(5)).unwrap().internal_date = Some(UnixSeconds(77));
    expect(&scene, &["A: download 5 (101)", "A: upload x - (101)"]);
    scene.base.clear();
    expect(&scene, &["A: link 5 x -"]);
}

/// A had a copy of INBOX's message under the same name, which moved to N; then the directory of INBOX went.
#[test]
fn what_went_from_elsewhere_under_the_same_name_is_not_what_inbox_had() {
    let mut scene = Scene::with(&["A", "INBOX"]);
    for mailbox in ["INBOX", "A"] {
        scene.link(mailbox, link(1, Presence::Both, "")).message(mailbox, 1, "");
    }
    scene.local.mailboxes.remove(&name("INBOX"));
    scene.new_file("N", "f1", 1, "");
    let restored = ["INBOX: create local", "INBOX: download 1 (101)"];
    expect(&scene, &[restored[0], restored[1], "N: create server", "N: move server A 1 as file f1"]);
    // With two of them, each is one.
    scene.new_file("O", "f1", 1, "");
    let both = ["N: move server A 1 as file f1", "O: create server", "O: move server INBOX 1 as file f1"];
    expect(&scene, &[restored[0], "N: create server", both[0], both[1], both[2]]);
}

/// Two messages of INBOX, whose directory is gone: the file of one is in N, and one of the other's content.
#[test]
fn what_went_with_the_directory_of_inbox_moves_and_the_rest_comes_back() {
    let mut scene = Scene::with(&["INBOX"]);
    for n in 1..=2 {
        scene.link("INBOX", link(n, Presence::Both, "")).message("INBOX", n.into(), "");
    }
    scene.local.mailboxes.clear();
    scene.new_file("N", "f1", 1, "F").new_file("N", "copy", 2, "");
    let moves = [
        "INBOX: create local",
        "INBOX: download 2 (102)",
        "N: create server",
        "N: move server INBOX 1 as file f1 server +\\Flagged",
        "N: copy server INBOX 2 as file copy",
    ];
    expect(&scene, &moves);
    let copies = [
        "INBOX: create local",
        "INBOX: download 1:2 (203)",
        "N: create server",
        "N: copy server INBOX 1 as file f1 server +\\Flagged",
        "N: copy server INBOX 2 as file copy",
    ];
    for unsure in [
        |scene: &mut Scene| scene.local.age = TreeAge::Older,
        |scene: &mut Scene| scene.policy.expunge = Expunge::WholeMailbox,
        |scene: &mut Scene| scene.policy.deletions = Deletions::Never,
    ] {
        let mut scene = scene.clone();
        unsure(&mut scene);
        expect(&scene, &copies);
    }
    // A run that was to do so made the directory, and was cut off.
    let mut again = scene.clone();
    again.local("INBOX");
    again.base.get_mut(&name("INBOX")).unwrap().local = Some(LocalCheckpoint::BEING_RESTORED);
    expect(&again, &[&moves[1..2], &moves[2..]].concat());
    // Its directory may be one that cannot be read.
    scene.local.mailboxes.insert(name("X"), LocalMailbox::Unknown);
    assert!(!scene.lines().iter().any(|line| line.contains("move server")), "{:?}", scene.lines());
}
