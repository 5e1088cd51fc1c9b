//! The table: what both sides are before a run, and what it has to end in.

use std::fs;

use super::trial::every_step;
use super::world::{Sides, World};
use crate::world::server::Server;

/// A run that begins somewhere.
pub struct Scenario {
    pub name: &'static str,
    /// `imap` or `pop3`.
    pub protocol: &'static str,
    /// What the server shows instead of all that it can.
    pub capability: Option<&'static str>,
    /// Lines of the account.
    pub account: &'static str,
    /// Lines of its server.
    pub server: &'static str,
    /// Fills both sides.
    pub before: fn(&World),
    /// Whether there was a run since.
    pub synced_before: bool,
    /// What happened since.
    pub edits: fn(&World),
    /// Whether both sides are the same in the end.
    pub ends_equal: bool,
    /// More that has to be true then.
    pub end: fn(&Sides),
}

/// One connection: with more, which step comes first would be another one in every run.
const ALONE: &str = "connections = 1";

pub const PLAIN: Scenario = Scenario {
    name: "",
    protocol: "imap",
    capability: None,
    account: "",
    server: ALONE,
    before: stocked,
    synced_before: true,
    edits: |_| {},
    ends_equal: true,
    end: |_| {},
};

/// Neither UIDPLUS, MOVE nor LITERAL+.
const BARE: Option<&str> = Some("IMAP4rev1");

/// Three messages in INBOX, two in `A`.
fn stocked(world: &World) {
    world.sent_to("INBOX", &["one", "two", "three"], &["\\Seen"]);
    world.sent_to("A", &["four", "five"], &["\\Seen", "\\Flagged"]);
}

/// Moves a file as a MUA does, under a new name.
fn move_here(world: &World, from: &str, name: &str, to: &str, letters: &str) {
    let path = world.tree.dir(to).join("cur").join(format!("1700000001.{name}.moved:2,{letters}"));
    fs::rename(&world.file(from, name).path, path).unwrap();
}

fn copy_here(world: &World, from: &str, name: &str, to: &str) {
    let path = world.tree.dir(to).join("cur").join(format!("1700000001.{name}.copied:2,S"));
    fs::copy(&world.file(from, name).path, path).unwrap();
}

/// What a side's mailbox holds, by subject.
#[track_caller]
pub fn holds(side: &crate::world::compare::Snapshot, mailbox: &str, subjects: &[&str]) {
    let mut found: Vec<&str> = side.0[mailbox].iter().map(|seen| seen.label.as_str()).collect();
    let mut wanted = subjects.to_vec();
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted, "{mailbox}");
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn a_first_run() {
    every_step(&Scenario {
        name: "a first run",
        before: |world| {
            stocked(world);
            // One of them is on both sides already.
            world.put_into("INBOX", &["one", "six"], Some("S"));
            world.put_into("B", &["seven"], None);
        },
        synced_before: false,
        end: |end| {
            holds(&end.local, "INBOX", &["one", "two", "three", "six"]);
            holds(&end.remote, "B", &["seven"]);
        },
        ..PLAIN
    });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn new_mail() {
    every_step(&Scenario {
        name: "new mail",
        edits: |world| {
            world.sent_to("INBOX", &["new one"], &[]);
            world.sent_to("A", &["new two"], &["\\Answered", "Work"]);
            world.put_into("INBOX", &["new three", "new four"], None);
            world.put_into("A", &["new five"], Some("FS"));
        },
        end: |end| {
            holds(&end.local, "INBOX", &["one", "two", "three", "new one", "new three", "new four"]);
            holds(&end.remote, "A", &["four", "five", "new two", "new five"]);
        },
        ..PLAIN
    });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn flags() {
    every_step(&Scenario {
        name: "flags",
        edits: |world| {
            let mut client = world.dovecot.client();
            client.store("INBOX", &world.uids("INBOX", &["one"]), "+FLAGS (\\Answered Work)");
            client.store("A", &world.uids("A", &["four"]), "-FLAGS (\\Seen)");
            world.file("INBOX", "one").set_letters("FS");
            world.file("INBOX", "two").set_letters("");
            let letter = world.tree.keyword_letter("A", "Play");
            world.file("A", "four").set_letters(&format!("FPS{letter}"));
        },
        end: |end| {
            let one = end.local.0["INBOX"].iter().find(|seen| seen.label == "one").unwrap();
            let flags: Vec<&str> = one.flags.iter().map(String::as_str).collect();
            assert_eq!(flags, ["\\Answered", "\\Flagged", "\\Seen", "work"]);
        },
        ..PLAIN
    });
}

fn deletions(world: &World) {
    world.dovecot.client().remove("INBOX", &world.uids("INBOX", &["one"]));
    world.file("INBOX", "two").delete();
    world.file("A", "five").delete();
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn deletions_expunge() {
    every_step(&Scenario {
        name: "deletions, expunged",
        edits: deletions,
        end: |end| {
            holds(&end.local, "INBOX", &["three"]);
            holds(&end.local, "A", &["four"]);
        },
        ..PLAIN
    });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn deletions_to_the_trash() {
    every_step(&Scenario {
        name: "deletions, to the trash",
        account: "deletions = \"trash\"",
        edits: deletions,
        end: |end| holds(&end.remote, "Trash", &["two", "five"]),
        ..PLAIN
    });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn deletions_marked() {
    every_step(&Scenario {
        name: "deletions, marked",
        account: "deletions = \"mark\"",
        edits: deletions,
        ends_equal: false,
        end: |end| {
            holds(&end.local, "INBOX", &["one", "three"]);
            holds(&end.remote, "INBOX", &["two", "three"]);
        },
        ..PLAIN
    });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn deletions_never() {
    every_step(&Scenario {
        name: "deletions, never",
        account: "deletions = \"never\"",
        edits: deletions,
        ends_equal: false,
        end: |end| {
            holds(&end.local, "INBOX", &["one", "three"]);
            holds(&end.remote, "INBOX", &["two", "three"]);
        },
        ..PLAIN
    });
}

fn moves(world: &World) {
    let mut client = world.dovecot.client();
    let uids = world.uids("INBOX", &["one"]);
    client.store("INBOX", &uids, "+FLAGS (\\Answered)");
    client.move_to("INBOX", &uids, "A");
    move_here(world, "INBOX", "two", "A", "FS");
    move_here(world, "A", "four", "INBOX", "S");
}

fn moved(end: &Sides) {
    holds(&end.local, "INBOX", &["three", "four"]);
    holds(&end.local, "A", &["one", "two", "five"]);
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn moves_by_move() {
    every_step(&Scenario { name: "moves", edits: moves, end: moved, ..PLAIN });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn moves_by_copy_and_expunge() {
    every_step(&Scenario { name: "moves without MOVE", capability: BARE, edits: moves, end: moved, ..PLAIN });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn copies() {
    every_step(&Scenario {
        name: "copies",
        edits: |world| {
            world.dovecot.client().copy_to("INBOX", &world.uids("INBOX", &["one"]), "A");
            copy_here(world, "INBOX", "two", "A");
            copy_here(world, "A", "four", "INBOX");
        },
        end: |end| {
            holds(&end.local, "INBOX", &["one", "two", "three", "four"]);
            holds(&end.local, "A", &["one", "two", "four", "five"]);
        },
        ..PLAIN
    });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn mailboxes_made() {
    every_step(&Scenario {
        name: "mailboxes made",
        edits: |world| {
            world.sent_to("C", &["six"], &[]);
            world.dovecot.client().create("Empty");
            world.put_into("D", &["seven"], Some("S"));
            world.put_into("D/E", &["eight"], None);
        },
        end: |end| {
            holds(&end.local, "C", &["six"]);
            holds(&end.local, "Empty", &[]);
            holds(&end.remote, "D/E", &["eight"]);
        },
        ..PLAIN
    });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn mailboxes_renamed_on_the_server() {
    every_step(&Scenario {
        name: "mailboxes renamed on the server",
        edits: |world| {
            world.dovecot.client().rename("A", "B");
            world.sent_to("B", &["six"], &[]);
        },
        end: |end| {
            holds(&end.local, "B", &["four", "five", "six"]);
            assert!(!end.local.0.contains_key("A"));
        },
        ..PLAIN
    });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn names_passed_round_on_the_server() {
    every_step(&Scenario {
        name: "names passed round on the server",
        before: |world| {
            stocked(world);
            world.sent_to("B", &["six"], &["\\Seen"]);
            world.sent_to("C", &["seven", "eight"], &[]);
        },
        edits: |world| {
            let mut client = world.dovecot.client();
            for (from, to) in [("A", "Aside"), ("C", "A"), ("B", "C"), ("Aside", "B")] {
                client.rename(from, to);
            }
            world.sent_to("B", &["nine"], &[]);
        },
        end: |end| {
            for side in [&end.local, &end.remote] {
                holds(side, "A", &["seven", "eight"]);
                holds(side, "B", &["four", "five", "nine"]);
                holds(side, "C", &["six"]);
            }
        },
        ..PLAIN
    });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn mailboxes_renamed_here() {
    every_step(&Scenario {
        name: "mailboxes renamed here",
        edits: |world| {
            fs::rename(world.tree.dir("A"), world.tree.dir("B")).unwrap();
            world.put_into("B", &["six"], Some("S"));
        },
        end: |end| {
            holds(&end.remote, "B", &["four", "five", "six"]);
            assert!(!end.remote.0.contains_key("A"));
        },
        ..PLAIN
    });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn names_swapped_here() {
    every_step(&Scenario {
        name: "names swapped here",
        before: |world| {
            stocked(world);
            world.sent_to("B", &["six"], &["\\Seen"]);
            world.sent_to("B/C", &["seven"], &[]);
        },
        edits: |world| {
            for (from, to) in [("A", "Aside"), ("B", "A"), ("Aside", "B")] {
                fs::rename(world.tree.dir(from), world.tree.dir(to)).unwrap();
            }
            world.sent_to("A", &["eight"], &[]);
        },
        end: |end| {
            for side in [&end.local, &end.remote] {
                holds(side, "A", &["six"]);
                holds(side, "A/C", &["seven"]);
                holds(side, "B", &["four", "five", "eight"]);
            }
        },
        ..PLAIN
    });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn mailboxes_removed() {
    every_step(&Scenario {
        name: "mailboxes removed",
        before: |world| {
            stocked(world);
            world.sent_to("B", &["six"], &["\\Seen"]);
        },
        edits: |world| {
            world.dovecot.client().delete_mailbox("A");
            world.tree.delete_mailbox("B");
        },
        end: |end| assert!(!end.local.0.contains_key("A") && !end.remote.0.contains_key("B")),
        ..PLAIN
    });
}

/// Lets the server number the messages of `A` anew.
fn number_anew(world: &World) {
    world.quiet();
    for entry in fs::read_dir(world.dovecot.maildir("A")).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("dovecot.index") || name == "dovecot-uidlist" {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// INBOX is never removed: it comes back, however often that breaks off.
#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn inbox_removed_here() {
    every_step(&Scenario {
        name: "INBOX removed here",
        edits: |world| fs::remove_dir_all(world.tree.dir("INBOX")).unwrap(),
        end: |end| holds(&end.local, "INBOX", &["one", "two", "three"]),
        ..PLAIN
    });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn new_uidvalidity() {
    every_step(&Scenario {
        name: "a new UIDVALIDITY",
        edits: |world| {
            let before = world.dovecot.client().uid_validity("A");
            number_anew(world);
            assert_ne!(world.dovecot.client().uid_validity("A"), before);
            world.file("A", "four").set_letters("S");
            world.sent_to("A", &["six"], &[]);
        },
        end: |end| holds(&end.local, "A", &["four", "five", "six"]),
        ..PLAIN
    });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn a_lost_state() {
    every_step(&Scenario {
        name: "a lost state",
        edits: |world| {
            fs::remove_dir_all(world.state()).unwrap();
            world.sent_to("INBOX", &["six"], &[]);
            world.put_into("INBOX", &["seven"], None);
        },
        end: |end| holds(&end.local, "INBOX", &["one", "two", "three", "six", "seven"]),
        ..PLAIN
    });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn a_server_without_extensions() {
    every_step(&Scenario {
        name: "a server without extensions",
        capability: BARE,
        edits: |world| {
            world.put_into("INBOX", &["six", "seven"], Some("S"));
            world.sent_to("INBOX", &["eight"], &[]);
            world.file("INBOX", "one").set_letters("FS");
            world.file("INBOX", "two").delete();
        },
        end: |end| holds(&end.remote, "INBOX", &["one", "three", "six", "seven", "eight"]),
        ..PLAIN
    });
}

fn push_and_pull(world: &World) {
    world.sent_to("INBOX", &["there"], &[]);
    world.put_into("INBOX", &["here"], Some("S"));
    world.file("INBOX", "one").set_letters("FS");
    world.dovecot.client().store("INBOX", &world.uids("INBOX", &["two"]), "+FLAGS (\\Answered)");
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn a_pull() {
    every_step(&Scenario {
        name: "a pull",
        account: "direction = \"pull\"",
        edits: push_and_pull,
        ends_equal: false,
        end: |end| holds(&end.remote, "INBOX", &["one", "two", "three", "there"]),
        ..PLAIN
    });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn a_push() {
    every_step(&Scenario {
        name: "a push",
        account: "direction = \"push\"",
        before: |world| world.put_into("INBOX", &["one", "two", "three"], Some("S")),
        edits: push_and_pull,
        ends_equal: false,
        end: |end| holds(&end.local, "INBOX", &["one", "two", "three", "here"]),
        ..PLAIN
    });
}

const MAILDROP: Scenario = Scenario {
    protocol: "pop3",
    server: "",
    before: |world| world.sent_to("INBOX", &["one", "two", "three"], &[]),
    ends_equal: false,
    end: |end| holds(&end.local, "INBOX", &["one", "two", "three", "four", "five"]),
    ..PLAIN
};

fn more_arrived(world: &World) {
    world.sent_to("INBOX", &["four", "five"], &[]);
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn a_maildrop_that_keeps() {
    every_step(&Scenario { name: "a maildrop that keeps", server: "keep = true", edits: more_arrived, ..MAILDROP });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn a_maildrop_that_deletes() {
    every_step(&Scenario {
        name: "a maildrop that deletes",
        server: "keep = false",
        edits: more_arrived,
        end: |end| {
            (MAILDROP.end)(end);
            holds(&end.remote, "INBOX", &[]);
        },
        ..MAILDROP
    });
}

#[test]
#[cfg_attr(not(feature = "faults"), ignore = "needs `--features faults`, which tests/run has")]
fn a_first_run_of_a_maildrop() {
    every_step(&Scenario {
        name: "a first run of a maildrop",
        server: "keep = false",
        synced_before: false,
        edits: more_arrived,
        ..MAILDROP
    });
}
