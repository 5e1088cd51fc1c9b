//! Mailboxes that are missing on a side.

use super::scene::*;
use crate::mail::Presence;
use crate::reconcile::view::*;

/// A known mailbox with a linked message, missing on one side or both; `Z` stands beside it, in order.
fn known(path: &str, local: bool, remote: bool) -> Scene {
    let mut scene = Scene::with(&["Z", path]);
    scene.link(path, link(1, Presence::Both, "S"));
    if local {
        scene.file(path, "f1", "S");
    } else {
        scene.local.mailboxes.remove(&name(path));
    }
    if remote {
        scene.message(path, 1, "S");
    } else {
        scene.remote.mailboxes.remove(&name(path));
    }
    scene
}

#[track_caller]
fn by_policy(scene: &Scene, table: &[(Direction, Deletions, &[&str])]) {
    for (direction, deletions, want) in table {
        let mut scene = scene.clone();
        scene.policy = Policy { direction: *direction, deletions: *deletions, ..scene.policy };
        assert_eq!(scene.lines(), *want, "{direction:?} {deletions:?}");
    }
}

#[test]
fn a_mailbox_of_one_side_is_made_on_the_other() {
    let mut local = Scene::with(&["INBOX"]);
    local.new_file("New", "a", 1, "S");
    let made: &[&str] = &["New: create server", "New: upload a \\Seen (101)"];
    by_policy(
        &local,
        &[
            (Direction::Both, Deletions::Expunge, made),
            (Direction::Push, Deletions::Expunge, made),
            (Direction::Pull, Deletions::Expunge, &[]),
        ],
    );
    let mut remote = Scene::with(&["INBOX"]);
    remote.new_message("New", 1, 1, "");
    let made: &[&str] = &["New: create local", "New: download 1 (101)"];
    by_policy(
        &remote,
        &[
            (Direction::Both, Deletions::Expunge, made),
            (Direction::Pull, Deletions::Expunge, made),
            (Direction::Push, Deletions::Expunge, &[]),
        ],
    );
    let mut both = Scene::with(&["INBOX"]);
    both.new_file("New", "a", 1, "").read_message("New", 1, 1, "");
    expect(&both, &["New: link 1 a -"]);
    let mut empty = Scene::with(&["INBOX"]);
    empty.remote("New");
    empty.local("Mine");
    expect(&empty, &["Mine: create server", "New: create local"]);
}

#[test]
fn a_directory_removed_locally() {
    let gone: &[&str] = &["A: expunge server 1", "A: remove server"];
    by_policy(
        &known("A", false, true),
        &[
            (Direction::Both, Deletions::Expunge, gone),
            (Direction::Push, Deletions::Expunge, gone),
            (Direction::Pull, Deletions::Expunge, &["A: create local", "A: download 1 (101)"]),
            (Direction::Both, Deletions::Mark, &["A: mark server 1"]),
            (Direction::Both, Deletions::Never, &["A: keep server 1"]),
            (Direction::Both, Deletions::Trash, &["A: mark server 1"]),
        ],
    );
    let mut unchanged = known("A", false, true);
    unchanged.remote.mailboxes.insert(name("A"), RemoteMailbox::Unchanged);
    expect(&unchanged, gone);
    let mut new_mail = known("A", false, true);
    new_mail.new_message("A", 9, 9, "");
    expect(&new_mail, &["A: create local", "A: download 9 (109)", "A: expunge server 1"]);
    new_mail.policy.direction = Direction::Push;
    expect(&new_mail, &["A: expunge server 1"]);
}

#[test]
fn what_stays_on_the_server_keeps_its_mailbox() {
    let mut scene = known("A", false, true);
    scene.link("A", link(2, Presence::RemoteOnly, "")).message("A", 2, "");
    expect(&scene, &["A: expunge server 1"]);
    let mut trash = known("Trash", false, true);
    trash.remote.trash = Some(name("Trash"));
    trash.policy.deletions = Deletions::Trash;
    expect(&trash, &["Trash: expunge server 1"]);
}

#[test]
fn a_mailbox_removed_on_the_server() {
    let gone: &[&str] = &["A: expunge local 1", "A: remove local"];
    let again: &[&str] = &["A: create server", "A: reset", "A: upload f1 \\Seen (101)"];
    by_policy(
        &known("A", true, false),
        &[
            (Direction::Both, Deletions::Expunge, gone),
            (Direction::Both, Deletions::Trash, gone),
            (Direction::Pull, Deletions::Expunge, gone),
            (Direction::Push, Deletions::Expunge, again),
            (Direction::Both, Deletions::Mark, &["A: mark local 1"]),
            (Direction::Both, Deletions::Never, &["A: keep local 1"]),
        ],
    );
    let mut unchanged = known("A", true, false);
    unchanged.local.mailboxes.insert(name("A"), LocalMailbox::Unchanged);
    expect(&unchanged, gone);
    unchanged.policy.direction = Direction::Push;
    expect(&unchanged, again);
}

#[test]
fn new_files_bring_a_removed_mailbox_back_after_its_deletions() {
    let mut scene = known("A", true, false);
    scene.new_file("A", "new", 9, "");
    let all: &[&str] = &["A: create server", "A: reset", "A: upload f1 \\Seen (101)", "A: upload new - (109)"];
    by_policy(
        &scene,
        &[
            (Direction::Both, Deletions::Expunge, &["A: expunge local 1"]),
            (Direction::Pull, Deletions::Expunge, &["A: expunge local 1"]),
            (Direction::Both, Deletions::Never, all),
            (Direction::Both, Deletions::Mark, all),
            (Direction::Push, Deletions::Expunge, all),
        ],
    );
    scene.base.get_mut(&name("A")).unwrap().links = Some(Default::default());
    scene.local("A").files.remove(&file("f1"));
    expect(&scene, &["A: create server", "A: reset", "A: upload new - (109)"]);
}

#[test]
fn the_inbox_is_never_removed() {
    let restored: &[&str] = &["INBOX: create local", "INBOX: download 1 (101)"];
    by_policy(
        &known("INBOX", false, true),
        &[
            (Direction::Both, Deletions::Expunge, restored),
            (Direction::Both, Deletions::Never, restored),
            (Direction::Pull, Deletions::Expunge, restored),
            (Direction::Push, Deletions::Expunge, &[]),
        ],
    );
    for direction in [Direction::Both, Direction::Pull, Direction::Push] {
        by_policy(&known("INBOX", true, false), &[(direction, Deletions::Expunge, &[])]);
    }
}

#[test]
fn a_mailbox_on_neither_side_is_forgotten() {
    expect(&known("A", false, false), &["A: forget mailbox"]);
}

#[test]
fn a_server_without_any_mailbox_is_not_believed() {
    let mut scene = known("A", true, false);
    scene.remote.mailboxes.clear();
    expect(&scene, &[]);
    scene.local.mailboxes.remove(&name("A"));
    expect(&scene, &[]);
    // A new account may be empty.
    let mut new = Scene::default();
    new.new_file("A", "a", 1, "");
    expect(&new, &["A: create server", "A: upload a - (101)"]);
}

#[test]
fn a_side_that_could_not_be_read_leaves_everything_as_it_is() {
    for (local, remote) in [(true, false), (false, true), (true, true)] {
        let mut scene = known("A", local, remote);
        scene.new_file("B", "b", 1, "");
        scene.remote.mailboxes.insert(name("B"), RemoteMailbox::Unknown);
        if local {
            scene.local.mailboxes.insert(name("A"), LocalMailbox::Unknown);
        } else {
            scene.remote.mailboxes.insert(name("A"), RemoteMailbox::Unknown);
        }
        expect(&scene, &[]);
    }
}
