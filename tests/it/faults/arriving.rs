//! Cut off when messages have come to one side and are not on record; before the next run they go from there: deleted, or
//! moved on. It ends as if the run had come to its end.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use super::scenarios::{PLAIN, Scenario, holds};
use super::world::{NONE, Sides, World};
use crate::world::compare::{Snapshot, assert_same};
use crate::world::server::Server;

/// Both sides in sync, and with this configuration.
fn begin(account: &'static str) -> World {
    let world = World::new(&Scenario { account, ..PLAIN });
    (PLAIN.before)(&world);
    world.sync(NONE, &[]).0.expect(0);
    world
}

/// A run that is killed when `files` more are in a mailbox of the tree, before that is recorded.
#[track_caller]
fn cut_off(world: &World, mailbox: &str, files: usize) {
    cut_off_where(world, files, &|| world.tree.messages(mailbox).len());
}

/// A run that is killed at a commit behind which there are so many `more` of what is counted.
#[track_caller]
fn cut_off_where(world: &World, more: usize, count: &dyn Fn() -> usize) {
    let wanted = count() + more;
    world.keep();
    let (whole, steps) = world.sync("kill@0", &[]);
    whole.expect(0);
    for (at, _) in steps.iter().enumerate().filter(|(_, step)| *step == "Commit") {
        world.put_back();
        let (outcome, _) = world.sync(&format!("kill@{}", at + 1), &[]);
        assert_eq!(outcome.status.signal(), Some(9), "{}{}", outcome.stdout, outcome.stderr);
        world.quiet();
        if count() == wanted {
            return;
        }
    }
    panic!("no run leaves {wanted}: {steps:#?}");
}

/// The next run, after which there is nothing to do.
#[track_caller]
fn next(world: &World) -> Sides {
    world.sync(NONE, &[]).0.expect(0);
    world.quiet();
    let planned = world.planned();
    assert!(planned.is_empty(), "something is left to do: {planned:#?}");
    world.sides()
}

/// The next run, after which both sides are the same.
#[track_caller]
fn ends_equal(world: &World) -> Snapshot {
    let end = next(world);
    assert_same(("local", &end.local), ("server", &end.remote), "the next run");
    end.local
}

fn deleted(world: &World, mailbox: &str, names: &[&str]) {
    world.dovecot.client().remove(mailbox, &world.uids(mailbox, names));
}

fn moved_on(world: &World, mailbox: &str, names: &[&str]) {
    let uids = world.uids(mailbox, names);
    let mut client = world.dovecot.client();
    client.create("C");
    client.move_to(mailbox, &uids, "C");
}

#[track_caller]
fn has_flags(side: &Snapshot, mailbox: &str, name: &str, flags: &[&str]) {
    let seen = side.0[mailbox].iter().find(|seen| seen.label == name).unwrap();
    assert_eq!(seen.flags.iter().map(String::as_str).collect::<Vec<_>>(), flags, "{name}");
}

/// New mail that comes to `A`.
fn downloaded(account: &'static str) -> World {
    let world = begin(account);
    world.sent_to("A", &["new one", "new two"], &["\\Seen"]);
    cut_off(&world, "A", 2);
    world
}

/// New mail that goes up to `A`.
fn sent() -> World {
    let world = begin("");
    world.put_into("A", &["new one", "new two"], Some("S"));
    cut_off_where(&world, 2, &|| world.sides().remote.0["A"].len());
    world
}

/// Mail of INBOX that was moved to `A` on the server.
fn followed() -> World {
    let world = begin("");
    world.dovecot.client().move_to("INBOX", &world.uids("INBOX", &["one", "two"]), "A");
    cut_off(&world, "A", 2);
    world
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn downloads_deleted_since() {
    let world = downloaded("");
    deleted(&world, "A", &["new one", "new two"]);
    let end = ends_equal(&world);
    holds(&end, "A", &["four", "five"]);
    holds(&end, "INBOX", &["one", "two", "three"]);
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn downloads_moved_on_since() {
    let world = downloaded("");
    world.file("A", "new one").toggle('F');
    moved_on(&world, "A", &["new one", "new two"]);
    world.dovecot.client().store("C", &world.uids("C", &["new two"]), "+FLAGS (\\Answered)");
    let end = ends_equal(&world);
    holds(&end, "A", &["four", "five"]);
    holds(&end, "C", &["new one", "new two"]);
    has_flags(&end, "C", "new one", &["\\Flagged", "\\Seen"]);
    has_flags(&end, "C", "new two", &["\\Answered", "\\Seen"]);
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn uploads_deleted_since() {
    let world = sent();
    ["new one", "new two"].iter().for_each(|name| world.file("A", name).delete());
    let end = ends_equal(&world);
    holds(&end, "A", &["four", "five"]);
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn uploads_moved_on_since() {
    let world = sent();
    for (name, to) in [("new one", "new one:2,FS"), ("new two", "another:2,S")] {
        let file = world.file("A", name);
        fs::rename(&file.path, world.tree.dir("INBOX").join("cur").join(format!("1700000000.{to}"))).unwrap();
    }
    let end = ends_equal(&world);
    holds(&end, "A", &["four", "five"]);
    holds(&end, "INBOX", &["one", "two", "three", "new one", "new two"]);
    has_flags(&end, "INBOX", "new one", &["\\Flagged", "\\Seen"]);
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn what_moved_there_and_was_moved_back_here_since() {
    let world = begin("");
    let path = |mailbox: &str, name: &str| world.tree.dir(mailbox).join("cur").join(name);
    let names: Vec<String> = ["one", "two"].iter().map(|name| world.file("INBOX", name).name()).collect();
    names.iter().for_each(|name| fs::rename(path("INBOX", name), path("A", name)).unwrap());
    cut_off_where(&world, 2, &|| world.sides().remote.0["A"].len());
    names.iter().for_each(|name| fs::rename(path("A", name), path("INBOX", name)).unwrap());
    let end = ends_equal(&world);
    holds(&end, "A", &["four", "five"]);
    holds(&end, "INBOX", &["one", "two", "three"]);
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn moves_deleted_since() {
    let world = followed();
    deleted(&world, "A", &["one", "two"]);
    let end = ends_equal(&world);
    holds(&end, "A", &["four", "five"]);
    holds(&end, "INBOX", &["three"]);
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn moves_moved_on_since() {
    let world = followed();
    // Flagged here, and not seen any more; answered there.
    world.file("A", "one").set_letters("F");
    moved_on(&world, "A", &["one", "two"]);
    world.dovecot.client().store("C", &world.uids("C", &["one", "two"]), "+FLAGS (\\Answered)");
    world.dovecot.client().store("C", &world.uids("C", &["two"]), "-FLAGS (\\Seen)");
    let end = ends_equal(&world);
    holds(&end, "A", &["four", "five"]);
    holds(&end, "INBOX", &["three"]);
    holds(&end, "C", &["one", "two"]);
    has_flags(&end, "C", "one", &["\\Answered", "\\Flagged"]);
    has_flags(&end, "C", "two", &["\\Answered"]);
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn a_mailbox_made_for_what_was_deleted_since() {
    let world = begin("");
    world.sent_to("B", &["six", "seven"], &[]);
    cut_off(&world, "B", 2);
    deleted(&world, "B", &["six"]);
    holds(&ends_equal(&world), "B", &["seven"]);
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn a_mailbox_made_that_was_deleted_since() {
    let world = begin("");
    world.sent_to("B", &["six", "seven"], &[]);
    cut_off(&world, "B", 2);
    world.dovecot.client().delete_mailbox("B");
    assert!(!ends_equal(&world).0.contains_key("B"));
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn deletions_that_are_not_repeated_are_remembered() {
    let world = downloaded("deletions = \"never\"");
    deleted(&world, "A", &["new one", "new two"]);
    let end = next(&world);
    holds(&end.local, "A", &["four", "five", "new one", "new two"]);
    holds(&end.remote, "A", &["four", "five"]);
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn a_pull_deletes_what_was_deleted_since() {
    let world = downloaded("direction = \"pull\"");
    deleted(&world, "A", &["new one", "new two"]);
    holds(&ends_equal(&world), "A", &["four", "five"]);
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn a_file_put_back_from_a_backup_goes_up() {
    let world = begin("");
    let four = world.file("A", "four");
    let bytes = four.bytes();
    deleted(&world, "A", &["four"]);
    world.sync(NONE, &[]).0.expect(0);
    world.sent_to("A", &["new one"], &[]);
    cut_off(&world, "A", 1);
    fs::write(&four.path, bytes).unwrap();
    deleted(&world, "A", &["new one"]);
    holds(&ends_equal(&world), "A", &["four", "five"]);
}
