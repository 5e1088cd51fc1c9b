//! One link against what its two sides became.

use super::scene::*;
use crate::mail::{Keyword, PermanentFlags, Presence, SystemFlag};
use crate::reconcile::view::*;

/// A mailbox `A` with one link, whose sides are `None` when gone.
fn one(presence: Presence, agreed: &str, local: Option<&str>, remote: Option<&str>) -> Scene {
    let mut scene = Scene::with(&["A"]);
    scene.link("A", link(1, presence, agreed));
    if let Some(now) = local {
        scene.file("A", "f1", now);
    }
    if let Some(now) = remote {
        scene.message("A", 1, now);
    }
    scene
}

fn both(agreed: &str, local: Option<&str>, remote: Option<&str>) -> Scene {
    one(Presence::Both, agreed, local, remote)
}

/// Policy, direction, flags of the side that stays, the Trash mailbox, plan.
type Row = (Deletions, Direction, &'static str, Option<&'static str>, &'static [&'static str]);

const DIRECTIONS: [Direction; 3] = [Direction::Both, Direction::Pull, Direction::Push];

#[test]
fn nothing_changed_is_an_empty_plan() {
    for direction in DIRECTIONS {
        let mut scene = both("S work", Some("S work"), Some("S WORK"));
        scene.policy.direction = direction;
        expect(&scene, &[]);
    }
}

#[test]
fn flags_merge_bit_by_bit() {
    let table: &[(&str, &str, &str, &[&str])] = &[
        ("", "S", "", &["A: flags server 1 +\\Seen"]),
        ("", "", "S", &["A: flags local 1 +\\Seen"]),
        ("S", "", "S", &["A: flags server 1 -\\Seen"]),
        ("S", "S", "", &["A: flags local 1 -\\Seen"]),
        ("", "S", "S", &["A: agree 1 \\Seen"]),
        ("S", "", "", &["A: agree 1 -"]),
        ("S", "SF", "R", &["A: flags local 1 +\\Answered -\\Seen", "A: flags server 1 +\\Flagged"]),
        ("", "SF", "SR", &["A: agree 1 \\Seen", "A: flags local 1 +\\Answered", "A: flags server 1 +\\Flagged"]),
        ("", " work", " home", &["A: flags local 1 +home", "A: flags server 1 +work"]),
        ("S", "S", "ST", &["A: flags local 1 +\\Deleted"]),
    ];
    for (agreed, local, remote, want) in table {
        assert_eq!(both(agreed, Some(local), Some(remote)).lines(), *want, "{agreed}|{local}|{remote}");
    }
}

#[test]
fn one_way_changes_one_side_only() {
    let mut scene = both("S", Some("F"), Some("SR"));
    scene.policy.direction = Direction::Pull;
    expect(&scene, &["A: flags local 1 +\\Answered"]);
    scene.policy.direction = Direction::Push;
    expect(&scene, &["A: flags server 1 +\\Flagged -\\Seen"]);
}

#[test]
fn messages_treated_alike_share_an_action() {
    let mut scene = Scene::with(&["A"]);
    for n in 1..=5 {
        scene.link("A", link(n, Presence::Both, ""));
        scene.file("A", &format!("f{n}"), if n == 3 { "F" } else { "S" });
        scene.message("A", n.into(), "");
    }
    expect(&scene, &["A: flags server 1:2,4:5 +\\Seen", "A: flags server 3 +\\Flagged"]);
}

#[test]
fn what_the_server_cannot_keep_is_never_planned() {
    let mut scene = both("", Some("SF work"), Some(""));
    let mut named = flags(" work");
    named.system.insert(SystemFlag::Seen);
    scene.remote("A").permanent = PermanentFlags { named, any_keyword: false };
    expect(&scene, &["A: flags server 1 +\\Seen +work"]);
    scene.remote("A").permanent.named.keywords.clear();
    scene.file("A", "f1", "F work");
    expect(&scene, &[]);
}

#[test]
fn keywords_take_letters_while_there_are_any() {
    let mut scene = Scene::with(&["A"]);
    for n in 1..=3u8 {
        scene.link("A", link(n, Presence::Both, "")).file("A", &format!("f{n}"), "");
        scene.message("A", n.into(), &format!("S k{n} old"));
    }
    scene.local("A").keywords = KeywordRoom { known: [Keyword::new("old").unwrap()].into(), free: 1 };
    expect(&scene, &["A: flags local 1 +\\Seen +k1 +old", "A: flags local 2:3 +\\Seen +old"]);
    scene.new_message("A", 9, 9, " other");
    expect(&scene, &["A: download 9 (109)", "A: flags local 1:3 +\\Seen +old"]);
}

#[test]
fn ignored_keywords_are_not_compared() {
    let mut scene = both("S work", Some("S"), Some("SF home"));
    scene.policy.keywords = Keywords::Ignored;
    expect(&scene, &["A: flags local 1 +\\Flagged"]);
}

#[test]
fn a_file_gone_is_a_deletion_on_the_server() {
    let table: &[Row] = &[
        (Deletions::Expunge, Direction::Both, "F", None, &["A: expunge server 1"]),
        (Deletions::Expunge, Direction::Push, "", None, &["A: expunge server 1"]),
        (Deletions::Expunge, Direction::Pull, "", None, &["A: download 1 (101)"]),
        (Deletions::Never, Direction::Pull, "", None, &["A: download 1 (101)"]),
        (Deletions::Trash, Direction::Both, "", Some("Trash"), &["A: trash server 1"]),
        (Deletions::Trash, Direction::Both, "", Some("A"), &["A: expunge server 1"]),
        (Deletions::Trash, Direction::Both, "", None, &["A: mark server 1"]),
        (Deletions::Mark, Direction::Both, "", None, &["A: mark server 1"]),
        (Deletions::Mark, Direction::Both, "T", None, &["A: agree 1 \\Deleted", "A: keep server 1"]),
        (Deletions::Never, Direction::Both, "T", None, &["A: keep server 1"]),
    ];
    for (deletions, direction, remote, trash, want) in table {
        let mut scene = both("", None, Some(remote));
        scene.policy = Policy { deletions: *deletions, direction: *direction, ..scene.policy };
        scene.remote.trash = trash.map(name);
        assert_eq!(scene.lines(), *want, "{deletions:?} {direction:?} {trash:?}");
    }
    let mut below = Scene::with(&["Trash/old"]);
    below.link("Trash/old", link(1, Presence::Both, "")).message("Trash/old", 1, "");
    below.policy.deletions = Deletions::Trash;
    below.remote.trash = Some(name("Trash"));
    expect(&below, &["Trash/old: expunge server 1"]);
}

#[test]
fn what_is_kept_unmarked_is_recorded_unmarked() {
    // Otherwise a mark taken back in the same moment would look like an undeletion.
    for (local, remote) in [(None, Some("")), (None, Some("T")), (Some(""), None)] {
        let mut scene = both("ST", local, remote);
        scene.policy.deletions = Deletions::Never;
        let side = if local.is_some() { "local" } else { "server" };
        expect(&scene, &["A: agree 1 \\Seen", &format!("A: keep {side} 1")]);
    }
}

#[test]
fn what_cannot_be_marked_is_kept() {
    let mut scene = both("", None, Some(""));
    scene.policy.deletions = Deletions::Mark;
    scene.remote("A").permanent.named.system.remove(SystemFlag::Trashed);
    expect(&scene, &["A: keep server 1"]);
}

#[test]
fn a_message_gone_is_a_deletion_in_the_tree() {
    let table: &[(Deletions, Direction, &str, &[&str])] = &[
        (Deletions::Expunge, Direction::Both, "F", &["A: expunge local 1"]),
        (Deletions::Expunge, Direction::Pull, "", &["A: expunge local 1"]),
        (Deletions::Expunge, Direction::Push, "F", &["A: upload f1 \\Flagged (101)"]),
        (Deletions::Trash, Direction::Both, "", &["A: expunge local 1"]),
        (Deletions::Mark, Direction::Both, "", &["A: mark local 1"]),
        (Deletions::Mark, Direction::Both, "T", &["A: agree 1 \\Deleted", "A: keep local 1"]),
        (Deletions::Never, Direction::Both, "", &["A: keep local 1"]),
    ];
    for (deletions, direction, local, want) in table {
        let mut scene = both("", Some(local), None);
        scene.policy = Policy { deletions: *deletions, direction: *direction, ..scene.policy };
        assert_eq!(scene.lines(), *want, "{deletions:?} {direction:?}");
    }
}

#[test]
fn gone_on_both_sides_is_forgotten() {
    for direction in DIRECTIONS {
        let mut scene = both("", None, None);
        scene.policy.direction = direction;
        expect(&scene, &["A: forget 1"]);
    }
}

#[test]
fn absence_means_nothing_outside_the_coverage() {
    let mut scene = both("", Some("S"), None);
    scene.remote("A").coverage = Coverage::Changes { vanished: [uid(9)].into_iter().collect() };
    expect(&scene, &["A: flags server 1 +\\Seen"]);
    scene.remote("A").coverage = Coverage::Changes { vanished: [uid(1)].into_iter().collect() };
    expect(&scene, &["A: expunge local 1"]);
    let mut scene = both("", None, None);
    for unknown in [RemoteMailbox::Unknown, RemoteMailbox::Unchanged] {
        scene.base.get_mut(&name("A")).unwrap().remote = None;
        scene.remote.mailboxes.insert(name("A"), unknown);
        expect(&scene, &[]);
    }
    let mut scene = both("", None, None);
    scene.local.mailboxes.insert(name("A"), LocalMailbox::Unknown);
    expect(&scene, &[]);
    let mut scene = both("", None, None);
    scene.base.get_mut(&name("A")).unwrap().links = None;
    scene.base.get_mut(&name("A")).unwrap().link_count = 1;
    expect(&scene, &[]);
}

#[test]
fn unchanged_sides_stand_as_agreed() {
    let mut scene = both("S", None, Some("SF"));
    scene.local.mailboxes.insert(name("A"), LocalMailbox::Unchanged);
    expect(&scene, &["A: flags local 1 +\\Flagged"]);
    let mut scene = both("S", Some("F"), None);
    scene.remote.mailboxes.insert(name("A"), RemoteMailbox::Unchanged);
    expect(&scene, &["A: flags server 1 +\\Flagged -\\Seen"]);
    let mut none = Scene::with(&["A"]);
    none.base.get_mut(&name("A")).unwrap().links = None;
    none.base.get_mut(&name("A")).unwrap().link_count = 3;
    none.local.mailboxes.insert(name("A"), LocalMailbox::Unchanged);
    none.remote.mailboxes.insert(name("A"), RemoteMailbox::Unchanged);
    expect(&none, &[]);
}

#[test]
fn a_message_kept_on_the_server() {
    let kept =
        |agreed: &str, local: Option<&str>, remote: Option<&str>| one(Presence::RemoteOnly, agreed, local, remote);
    expect(&kept("", None, None), &["A: forget 1"]);
    expect(&kept("", None, Some("S")), &[]);
    expect(&kept("ST", None, Some("S")), &["A: download 1 (101)"]);
    expect(&kept("T", None, Some("T")), &["A: expunge server 1"]);
    expect(&kept("", None, Some("T")), &[]);
    expect(&kept("ST", Some("S"), Some("ST")), &["A: link 1 f1 \\Seen \\Deleted", "A: flags server 1 -\\Deleted"]);
    expect(&kept("S", Some("S"), Some("SF")), &["A: link 1 f1 \\Seen", "A: flags local 1 +\\Flagged"]);
    let table: &[(Deletions, Direction, &str, &[&str])] = &[
        (Deletions::Expunge, Direction::Pull, "T", &[]),
        (Deletions::Expunge, Direction::Push, "T", &["A: expunge server 1"]),
        (Deletions::Trash, Direction::Both, "T", &[]),
        (Deletions::Mark, Direction::Both, "T", &[]),
        (Deletions::Never, Direction::Both, "T", &[]),
        (Deletions::Mark, Direction::Push, "", &[]),
        (Deletions::Mark, Direction::Pull, "", &["A: download 1 (101)"]),
    ];
    for (deletions, direction, remote, want) in table {
        let mut scene = kept("T", None, Some(remote));
        scene.policy = Policy { deletions: *deletions, direction: *direction, ..scene.policy };
        assert_eq!(scene.lines(), *want, "{deletions:?} {direction:?} {remote}");
    }
}

#[test]
fn without_uidplus_only_our_own_marks_are_expunged() {
    let marked = || {
        let mut scene = one(Presence::RemoteOnly, "T", None, Some("T"));
        scene.policy.expunge = Expunge::WholeMailbox;
        scene
    };
    expect(&marked(), &["A: expunge server 1"]);
    let mut foreign = marked();
    foreign.link("A", link(2, Presence::Both, "T")).file("A", "f2", "T").message("A", 2, "T");
    expect(&foreign, &[]);
    foreign.remote("A").messages.remove(&uid(2));
    foreign.remote("A").coverage = Coverage::Changes { vanished: Default::default() };
    expect(&foreign, &[]);
    let mut unlinked = marked();
    unlinked.policy.direction = Direction::Push;
    unlinked.new_message("A", 5, 5, "T");
    expect(&unlinked, &[]);
    unlinked.remote("A").messages.remove(&uid(5));
    expect(&unlinked, &["A: expunge server 1"]);
    unlinked.remote("A").coverage = Coverage::Changes { vanished: Default::default() };
    expect(&unlinked, &[]);
    let mut unseen = marked();
    unseen.remote.mailboxes.insert(name("A"), RemoteMailbox::Unchanged);
    expect(&unseen, &[]);
    unseen.policy.expunge = Expunge::Named;
    expect(&unseen, &["A: expunge server 1"]);
    let mut together = marked();
    together.link("A", link(2, Presence::Both, "T")).message("A", 2, "T");
    expect(&together, &["A: expunge server 1:2"]);
}

#[test]
fn a_message_kept_in_the_tree() {
    let kept = |agreed: &str, local: Option<&str>| one(Presence::LocalOnly, agreed, local, None);
    expect(&kept("", None), &["A: forget 1"]);
    expect(&kept("", Some("SF")), &[]);
    expect(&kept("T", Some("T")), &[]);
    expect(&kept("ST", Some("S")), &["A: upload f1 \\Seen (101)"]);
    let mut pull = kept("T", Some(""));
    pull.policy.direction = Direction::Pull;
    expect(&pull, &[]);
}

#[test]
fn an_old_link_of_a_file_that_has_a_new_one_is_forgotten() {
    for direction in DIRECTIONS {
        let mut scene = both("", Some(""), None);
        let mut second = link(2, Presence::Both, "");
        second.file = file("f1");
        scene.link("A", second).message("A", 2, "");
        scene.policy.direction = direction;
        expect(&scene, &["A: forget 1"]);
    }
}

#[test]
fn an_older_tree_deletes_nothing_and_takes_the_flags_of_the_server() {
    let mut scene = Scene::with(&["A"]);
    scene.local.age = TreeAge::Older;
    scene.link("A", link(1, Presence::Both, "")).message("A", 1, "");
    scene.link("A", link(2, Presence::Both, "SF")).message("A", 2, "SF").file("A", "f2", "R");
    expect(&scene, &["A: download 1 (101)", "A: flags local 2 +\\Flagged +\\Seen -\\Answered"]);
    scene.policy.direction = Direction::Push;
    let lines = scene.lines();
    assert!(lines.contains(&"A: keep server 1".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|l| l.contains("expunge") || l.contains("download")), "{lines:?}");
    // A directory that is missing altogether.
    scene.policy.direction = Direction::Both;
    scene.local.mailboxes.clear();
    assert_eq!(scene.lines()[0], "A: create local");
}

#[test]
fn a_file_moved_where_the_run_does_not_look_was_not_deleted() {
    for (left_out, want) in [(LeftOut::Always, "Always"), (LeftOut::ThisTime, "ThisTime")] {
        for deletions in [Deletions::Expunge, Deletions::Trash, Deletions::Mark] {
            let mut scene = both("S", None, Some("SF"));
            scene.policy.deletions = deletions;
            let outside = Outside { left_out, mailbox: name("Spam") };
            scene.local.outside.insert(content(1).digest, outside.clone());
            expect(&scene, &[&format!("A: moved out 1 to Spam ({want})")]);
            // Its own mailbox stays with it.
            scene.local.mailboxes.clear();
            expect(&scene, &[&format!("A: moved out 1 to Spam ({want})")]);
            // It is here, too: a move all the same.
            let mut scene = Scene::with(&["A", "B"]);
            scene.local.outside.insert(content(1).digest, outside);
            scene.link("A", link(1, Presence::Both, "S")).message("A", 1, "S").new_file("B", "x", 1, "S");
            expect(&scene, &["B: move server A 1 as file x agreed \\Seen"]);
        }
    }
    // A pull brings it again.
    let mut scene = both("S", None, Some("S"));
    scene.policy.direction = Direction::Pull;
    scene.local.outside.insert(content(1).digest, Outside { left_out: LeftOut::Always, mailbox: name("Spam") });
    expect(&scene, &["A: download 1 (101)"]);
}

#[test]
fn in_an_older_tree_the_flags_are_the_servers_and_so_is_the_record() {
    let table: &[(&str, &str, &str, &[&str])] = &[
        ("S", "S", "S", &[]),
        ("S", "SF", "SF", &["A: agree 1 \\Flagged \\Seen"]),
        ("S", "", "S", &["A: flags local 1 +\\Seen"]),
        ("SR", "S", "SF", &["A: agree 1 \\Seen", "A: flags local 1 +\\Flagged"]),
        ("S", "SR", "S", &["A: flags local 1 -\\Answered"]),
    ];
    for (agreed, local, remote, want) in table {
        let mut scene = both(agreed, Some(local), Some(remote));
        scene.local.age = TreeAge::Older;
        assert_eq!(scene.lines(), *want, "{agreed}|{local}|{remote}");
    }
}

#[test]
fn what_the_server_has_never_given_a_uid_is_nobodys_deletion() {
    let lines = |next: u32, direction| {
        let mut scene = both("S", Some("S"), None);
        scene.remote("A").uid_next = crate::mail::Uid::new(next);
        scene.policy.direction = direction;
        scene.lines().join("; ")
    };
    // The link's UID is 1.
    assert!(lines(2, Direction::Both).contains("expunge"));
    for direction in DIRECTIONS {
        assert!(!lines(1, direction).contains("expunge"), "{direction:?}");
    }
    assert!(lines(1, Direction::Both).contains("upload"), "{}", lines(1, Direction::Both));
    assert!(!lines(1, Direction::Pull).contains("upload"));
}
