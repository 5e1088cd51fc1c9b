//! Messages that a run sent and could not record, and whose files have gone since.

use super::scene::*;
use crate::mail::*;
use crate::reconcile::{arrived, sent};

/// Looks for them, and gives the UIDs that have a link now.
fn look(scene: &mut Scene) -> Vec<String> {
    let (left, reset) = (Default::default(), scene.remote.reset(&scene.base));
    let (remote, intents) = (&scene.remote, &scene.intents);
    let seen = arrived::Seen { account: ACCOUNT, remote, intents, left: &left, reset: &reset };
    let found = sent::look(&seen, &mut scene.base, &scene.local);
    found.into_iter().map(|(name, uids)| format!("{name} {uids}")).collect()
}

#[test]
fn what_was_sent_and_has_no_file_any_more_goes_as_the_file_did() {
    let mut scene = Scene::with(&["A", "B"]);
    scene.intent_with("A", "x", 1, 5, "S").new_message("A", 7, 1, "SF");
    expect(&scene, &["A: download 7 (101)"]);
    assert_eq!(look(&mut scene), ["A 7"]);
    expect(&scene, &["A: expunge server 7"]);
    assert_eq!(look(&mut scene), [""; 0], "it has a link");
    // Moved on, and flagged there.
    scene.new_file("B", "x", 1, "SR");
    expect(&scene, &["B: move server A 7 as file x agreed \\Seen local +\\Flagged server +\\Answered"]);
}

#[test]
fn what_is_not_it_stays() {
    for scene in [
        // There before; of another content; of a file that is there; of the same content as one that is there.
        Scene::with(&["A"]).intent("A", "x", 1, 8).new_message("A", 7, 1, ""),
        Scene::with(&["A"]).intent("A", "x", 1, 5).read_message("A", 7, 2, ""),
        Scene::with(&["A"]).intent("A", "x", 1, 5).new_message("A", 7, 1, "").new_file("A", "x", 1, ""),
        Scene::with(&["A"])
            .intent("A", "x", 1, 5)
            .intent("A", "y", 1, 5)
            .new_message("A", 7, 1, "")
            .new_file("A", "y", 1, ""),
    ] {
        assert_eq!(look(&mut scene.clone()), [""; 0], "{:?}", scene.lines());
    }
    let mut renumbered = Scene::with(&["A"]);
    renumbered.intent("A", "x", 1, 5).new_message("A", 7, 1, "").remote("A").uid_validity = UidValidity(77);
    assert_eq!(look(&mut renumbered), [""; 0]);
    // Of two, the one that is there is the first.
    let mut two = Scene::with(&["A"]);
    two.intent("A", "x", 1, 5).intent("A", "y", 1, 5).new_message("A", 7, 1, "").new_message("A", 8, 1, "");
    two.new_file("A", "y", 1, "");
    assert_eq!(look(&mut two), ["A 8"]);
}

#[test]
fn without_a_message_id_only_the_body_tells() {
    let mut scene = Scene::with(&["A"]);
    scene.intent("A", "x", 1, 5).new_message("A", 7, 1, "");
    let message = scene.remote("A").messages.get_mut(&uid(7)).unwrap();
    message.message_id = None;
    let intents: Vec<Intent> = scene.intents.values_mut().flatten().map(|i| i.clone()).collect();
    let nameless: Vec<Intent> =
        intents.into_iter().map(|i| Intent { content: Content { message_id: None, ..i.content }, ..i }).collect();
    let looks = |uid_: u32, gone: bool| {
        let message = &scene.clone().remote("A").messages[&uid(7)].clone();
        sent::needs_a_look(&nameless, uid(uid_), message, |_| gone)
    };
    assert_eq!([looks(7, true), looks(7, false), looks(4, true)], [true, false, false]);
    assert_eq!(look(&mut scene.clone()), [""; 0]);
}
