//! Files and UIDs without a link: who is the same message.

use super::scene::*;
use crate::mail::{Presence, UidValidity};
use crate::reconcile::view::*;

#[test]
fn what_is_new_is_transferred() {
    let mut scene = Scene::with(&["A"]);
    scene.new_file("A", "new1", 1, "S work").new_file("A", "new2", 2, "").new_message("A", 8, 8, "");
    scene.new_message("A", 9, 9, "S");
    scene.remote("A").permanent.any_keyword = false;
    let down = "A: download 8:9 (217)";
    let up = ["A: upload new1 \\Seen (101)", "A: upload new2 - (102)"];
    expect(&scene, &[down, up[0], up[1]]);
    scene.policy.direction = Direction::Pull;
    expect(&scene, &[down]);
    scene.policy.direction = Direction::Push;
    expect(&scene, &up);
}

#[test]
fn a_file_whose_name_says_where_it_came_from_is_linked() {
    let mut scene = Scene::with(&["A"]);
    scene.file_from("A", "a", 1, "S", Some(4)).new_message("A", 4, 1, "F");
    let linked = ["A: link 4 a -", "A: flags local 4 +\\Flagged", "A: flags server 4 +\\Seen"];
    expect(&scene, &linked);
    scene.read_message("A", 4, 1, "F");
    expect(&scene, &linked);
    // Another content under that UID: the name lies.
    scene.read_message("A", 4, 2, "F");
    expect(&scene, &["A: download 4 (102)", "A: upload a \\Seen (101)"]);
    scene.new_message("A", 4, 2, "");
    expect(&scene, &["A: download 4 (102)", "A: upload a \\Seen (101)"]);
}

#[test]
fn a_name_from_elsewhere_is_no_evidence() {
    for spoil in 0..3 {
        let mut scene = Scene::with(&["A"]);
        scene.file_from("A", "a", 1, "", Some(4)).new_message("A", 4, 1, "");
        let found = scene.local("A").files.get_mut(&file("a")).unwrap();
        if let LocalContent::Known { origin: Some(origin), .. } = &mut found.content {
            match spoil {
                0 => origin.account.0 += 1,
                1 => origin.mailbox.0 ^= 1,
                _ => origin.uid_validity.0 += 1,
            }
        }
        expect(&scene, &["A: download 4 (101)", "A: upload a - (101)"]);
    }
}

#[test]
fn the_same_content_on_both_sides_is_linked_n_in_n_out() {
    let mut scene = Scene::with(&["A"]);
    scene.new_file("A", "a", 1, "").new_file("A", "b", 1, "").new_file("A", "c", 1, "S");
    scene.read_message("A", 4, 1, "").read_message("A", 6, 1, "");
    expect(&scene, &["A: link 4 a -", "A: link 6 b -", "A: upload c \\Seen (101)"]);
    scene.policy.direction = Direction::Push;
    scene.read_message("A", 7, 1, "").read_message("A", 8, 1, "");
    expect(&scene, &["A: link 4 a -", "A: link 6 b -", "A: link 7 c -", "A: flags server 7 +\\Seen"]);
    scene.policy.direction = Direction::Both;
    scene.local("A").files.remove(&file("c"));
    expect(&scene, &["A: link 4 a -", "A: link 6 b -", "A: download 7:8 (202)"]);
}

#[test]
fn a_message_id_alone_is_no_evidence() {
    let mut scene = Scene::with(&["A"]);
    scene.new_file("A", "a", 1, "").new_message("A", 4, 1, "");
    expect(&scene, &["A: download 4 (101)", "A: upload a - (101)"]);
}

#[test]
fn an_upload_that_may_have_arrived_is_linked() {
    let mut scene = Scene::with(&["A"]);
    scene.new_file("A", "a", 1, "S").new_message("A", 4, 1, "S").intent_with("A", "a", 1, 4, "S");
    expect(&scene, &["A: link 4 a \\Seen"]);
    // Older than the upload.
    scene.intents.clear();
    scene.intent("A", "a", 1, 5);
    expect(&scene, &["A: download 4 (101)", "A: upload a \\Seen (101)"]);
    // The file is another one now.
    scene.intents.clear();
    scene.intent("A", "a", 2, 4);
    expect(&scene, &["A: download 4 (101)", "A: upload a \\Seen (101)"]);
}

#[test]
fn uploads_that_may_have_arrived_are_paired_when_only_one_content_can_be_meant() {
    let mut scene = Scene::with(&["A"]);
    scene.new_file("A", "a", 1, "").intent("A", "a", 1, 4).new_file("A", "b", 1, "").intent("A", "b", 1, 4);
    scene.new_message("A", 4, 1, "");
    expect(&scene, &["A: link 4 a -", "A: upload b - (101)"]);
    scene.new_message("A", 5, 1, "");
    expect(&scene, &["A: link 4 a -", "A: link 5 b -"]);
    // One more than was sent: any of them may be foreign.
    scene.new_message("A", 6, 1, "");
    expect(&scene, &["A: download 4:6 (303)", "A: upload a - (101)", "A: upload b - (101)"]);
    // Once they were read, contents decide.
    scene.read_message("A", 4, 1, "").read_message("A", 6, 1, "");
    scene.read_message("A", 5, 2, "");
    expect(&scene, &["A: link 4 a -", "A: link 6 b -", "A: download 5 (102)"]);
}

#[test]
fn an_upload_that_was_begun_is_no_rename() {
    let mut scene = Scene::with(&["A"]);
    scene.link("A", link(1, Presence::Both, "")).message("A", 1, "").new_file("A", "copy", 1, "");
    scene.intent("A", "copy", 1, 4).read_message("A", 4, 1, "");
    expect(&scene, &["A: link 4 copy -", "A: expunge server 1"]);
    scene.intents.clear();
    expect(&scene, &["A: rename 1 copy", "A: copy local A 1 as UID 4"]);
}

#[test]
fn a_file_moved_to_trash_is_not_moved_there_twice() {
    let mut scene = Scene::with(&["A", "Trash"]);
    scene.policy.deletions = Deletions::Trash;
    scene.remote.trash = Some(name("Trash"));
    scene.link("A", link(1, Presence::Both, "")).message("A", 1, "");
    scene.link("A", link(2, Presence::Both, "")).message("A", 2, "").new_file("Trash", "moved", 1, "");
    let deletions = ["A: expunge server 1", "A: trash server 2"];
    expect(&scene, &[deletions[1], "Trash: move server A 1 as file moved"]);
    // Cut off after the upload, before or after it was recorded.
    scene.read_message("Trash", 5, 1, "");
    expect(&scene, &[deletions[0], deletions[1], "Trash: link 5 moved -"]);
    let mut uploaded = link(1, Presence::Both, "");
    (uploaded.uid, uploaded.file) = (uid(5), file("moved"));
    scene.link("Trash", uploaded);
    expect(&scene, &deletions);
}

#[test]
fn a_renamed_file_is_not_a_deletion() {
    let mut scene = Scene::with(&["A"]);
    scene.link("A", link(1, Presence::Both, "S")).message("A", 1, "S").new_file("A", "other", 1, "SF");
    expect(&scene, &["A: rename 1 other", "A: flags server 1 +\\Flagged"]);
    // Gone on the server: the deletion is repeated on the renamed file; under Push it goes up.
    scene.remote("A").messages.clear();
    expect(&scene, &["A: rename 1 other", "A: expunge local 1"]);
    scene.policy.direction = Direction::Push;
    expect(&scene, &["A: forget 1", "A: upload other \\Flagged \\Seen (101)"]);
}

#[test]
fn a_rename_takes_the_link_that_still_stands() {
    let mut scene = Scene::with(&["A"]);
    let mut twin = link(2, Presence::Both, "");
    twin.digest = link(1, Presence::Both, "").digest;
    scene.link("A", link(1, Presence::Both, "")).link("A", twin).message("A", 2, "").new_file("A", "other", 1, "");
    expect(&scene, &["A: rename 2 other", "A: forget 1"]);
}

#[test]
fn a_file_fetched_again_stands_for_its_own_link() {
    let mut scene = Scene::with(&["A"]);
    let mut twin = link(2, Presence::Both, "");
    twin.digest = link(1, Presence::Both, "").digest;
    scene.link("A", link(1, Presence::Both, "")).link("A", twin).message("A", 1, "").message("A", 2, "");
    scene.file_from("A", "fetched", 1, "", Some(2));
    scene.policy.direction = Direction::Pull;
    expect(&scene, &["A: rename 2 fetched", "A: download 1 (101)"]);
}

#[test]
fn a_kept_message_takes_a_copy_back() {
    let mut scene = Scene::with(&["A"]);
    scene.link("A", link(1, Presence::RemoteOnly, "T")).message("A", 1, "T").new_file("A", "copy", 1, "");
    expect(&scene, &["A: link 1 copy \\Deleted", "A: flags server 1 -\\Deleted"]);
    // A file of that name with another content is another message.
    let mut scene = Scene::with(&["A"]);
    scene.link("A", link(1, Presence::RemoteOnly, "")).message("A", 1, "").new_file("A", "f1", 2, "");
    expect(&scene, &["A: upload f1 - (102)"]);
}

#[test]
fn an_unread_file_stops_what_it_could_double_or_lose() {
    for content in [LocalContent::Unread, LocalContent::Unreadable(None)] {
        let mut scene = Scene::with(&["A"]);
        scene.link("A", link(1, Presence::Both, "")).message("A", 1, "");
        scene.link("A", link(2, Presence::Both, "")).message("A", 2, "S").file("A", "f2", "");
        scene.file("A", "dark", "").new_message("A", 9, 9, "");
        scene.local("A").files.get_mut(&file("dark")).unwrap().content = content.clone();
        match content {
            LocalContent::Unread => expect(&scene, &["A: flags local 2 +\\Seen"]),
            _ => expect(&scene, &["A: download 9 (109)", "A: flags local 2 +\\Seen"]),
        }
    }
}

#[test]
fn what_an_unreadable_file_came_from_waits() {
    let mut scene = Scene::with(&["A"]);
    scene.new_message("A", 8, 8, "").new_message("A", 9, 9, "").file_from("A", "dark", 9, "", Some(9));
    let content = &mut scene.local("A").files.get_mut(&file("dark")).unwrap().content;
    let LocalContent::Known { origin, .. } = *content else { panic!("it was read") };
    *content = LocalContent::Unreadable(origin);
    expect(&scene, &["A: download 8 (108)"]);
}

#[test]
fn push_links_what_went_up_already() {
    let mut scene = Scene::with(&["A"]);
    scene.policy.direction = Direction::Push;
    scene.link("A", link(1, Presence::Both, "")).file("A", "f1", "S").read_message("A", 9, 1, "S");
    expect(&scene, &["A: link 9 f1 \\Seen", "A: forget 1"]);
    scene.new_message("A", 9, 1, "").intent("A", "f1", 1, 9);
    expect(&scene, &["A: link 9 f1 -", "A: forget 1", "A: flags server 9 +\\Seen"]);
}

#[test]
fn a_new_uidvalidity_drops_links_and_matches_contents() {
    let mut scene = Scene::with(&["A"]);
    scene.link("A", link(1, Presence::Both, "S")).link("A", link(2, Presence::Both, ""));
    scene.new_file("A", "f1", 1, "S").new_file("A", "f2", 2, "").new_file("A", "f3", 3, "");
    scene.read_message("A", 1, 2, "").read_message("A", 2, 1, "S").new_message("A", 3, 9, "");
    scene.remote("A").uid_validity = UidValidity(11);
    let plan = ["A: reset", "A: link 1 f2 -", "A: link 2 f1 \\Seen", "A: download 3 (109)", "A: upload f3 - (103)"];
    expect(&scene, &plan);
    let mut unread = scene.clone();
    unread.file("A", "f1", "S");
    expect(&unread, &[]);
    unread.local.mailboxes.insert(name("A"), LocalMailbox::Unchanged);
    expect(&unread, &[]);
    assert!(unread.plan().waiting.is_empty());
    let mut dark = scene.clone();
    dark.local("A").files.get_mut(&file("f1")).unwrap().content = LocalContent::Unreadable(None);
    expect(&dark, &[]);
    assert!(dark.plan().waiting.contains(&name("A")));
    scene.remote("A").coverage = Coverage::Changes { vanished: Default::default() };
    expect(&scene, &[]);
}
