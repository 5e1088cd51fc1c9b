//! The specification case by case.

use std::time::Duration;

use super::super::*;
use super::world::{Account, Committed, DAY, Ran, Server, Trouble, Uidls};
use crate::mail::ServerCopy;

const NOW: i64 = 1_700_000_000;

struct Scene {
    server: Server,
    account: Account,
    now: i64,
}

impl Scene {
    /// Contents 1, 2, 3 of three sizes, 5 of 3's: all with headers that tell them apart.
    fn new(uidls: Uidls, keep: Keep) -> Scene {
        let mut server = Server::new(uidls, true);
        [1, 2, 3, 5].into_iter().for_each(|content| _ = server.receive(content));
        let policy = Policy { keep, ..Policy::default() };
        Scene { server, account: Account { policy, ..Account::default() }, now: NOW }
    }

    fn run(&mut self) -> Ran {
        self.account.run(&mut self.server, Trouble::default(), self.now).unwrap()
    }

    fn trouble(&mut self, trouble: Trouble) {
        assert!(self.account.run(&mut self.server, trouble, self.now).is_none());
    }

    fn told(&mut self) -> Vec<String> {
        self.run().plan.actions().iter().map(|action| serde_json::to_string(action).unwrap()).collect()
    }

    /// What a session would do now, without doing it.
    fn planned(&self) -> Vec<String> {
        let mut copy = Scene { server: self.server.clone(), account: self.account.clone(), now: self.now };
        copy.told()
    }
}

#[test]
fn a_first_run_fetches_all_and_a_second_nothing() {
    let mut scene = Scene::new(Uidls::Proper, Keep::Always);
    assert_eq!(scene.told(), [r#"{"action":"download","numbers":"1:4","octets":900}"#]);
    let again = scene.run().plan;
    assert_eq!((again.actions(), again.learned, again.missed.len(), again.held.len()), (vec![], vec![], 0, 4));
}

#[test]
fn what_is_not_kept_goes_with_the_session_that_brought_it() {
    let mut scene = Scene::new(Uidls::Proper, Keep::Never);
    let told = scene.told();
    assert_eq!(told[1], r#"{"action":"delete","numbers":"1:4"}"#);
    assert_eq!((scene.server.messages.len(), scene.account.files.len()), (0, 4));
}

#[test]
fn fourteen_days_count_from_the_first_sight_to_the_second() {
    let mut scene = Scene::new(Uidls::Proper, Keep::For(Duration::from_secs(14 * 24 * 3600)));
    scene.account.policy.max_messages = Some(3);
    scene.run();
    scene.account.policy.max_messages = None;
    scene.now = NOW + 5 * DAY;
    assert_eq!(scene.run().fetched, 1);
    scene.server.receive(6);
    scene.run();
    scene.now = NOW + 14 * DAY - 1;
    assert_eq!(scene.planned(), [""; 0]);
    scene.now += 1;
    assert_eq!(scene.told(), [r#"{"action":"delete","numbers":"1:4"}"#], "the fourth was seen with the others");
    scene.now = NOW + 19 * DAY;
    assert_eq!(scene.told(), [r#"{"action":"delete","numbers":"1"}"#]);
}

#[test]
fn a_lost_quit_leads_to_the_same_end_whether_the_server_deleted_or_not() {
    for committed in [Committed::Yes, Committed::No] {
        let mut scene = Scene::new(Uidls::Proper, Keep::Never);
        scene.trouble(Trouble { quit_lost: Some(committed), ..Trouble::default() });
        let unknown = |scene: &Scene| scene.account.known.values().filter(|k| k.copy == ServerCopy::Unknown).count();
        assert_eq!(unknown(&scene), 4);
        let again = scene.run();
        assert_eq!((again.fetched, again.plan.delete.len()), (0, if committed == Committed::Yes { 0 } else { 4 }));
        assert_eq!((unknown(&scene), scene.server.messages.len(), scene.account.files.len()), (0, 0, 4));
    }
}

#[test]
fn a_server_without_uidls_or_with_all_of_them_changed_costs_headers_and_no_body() {
    for uidls in [Uidls::None, Uidls::Proper] {
        let mut scene = Scene::new(uidls, Keep::Always);
        scene.run();
        scene.server.epoch += 1;
        scene.server.receive(2);
        let again = scene.run();
        // A copy of what is known cannot be told from it by its header, so both are looked at.
        assert_eq!((again.fetched, scene.account.files.len()), (2, 5));
        assert_eq!(again.plan.recognised.len(), if uidls == Uidls::Proper { 3 } else { 0 });
        scene.server.can_top = false;
        scene.server.epoch += 1;
        let blind = scene.run();
        assert_eq!((blind.fetched, scene.account.files.len()), (5, 5), "without TOP bodies are compared");
    }
}

#[test]
fn a_repeated_uidl_counts_as_none() {
    let mut scene = Scene::new(Uidls::Pairs, Keep::Always);
    assert_eq!(scene.run().fetched, 4);
    scene.server.receive(9);
    assert_eq!(scene.run().fetched, 1);
    assert_eq!(scene.told(), [""; 0]);
    assert_eq!(scene.account.known.values().filter(|k| k.uidl.is_none()).count(), 4);
}

#[test]
fn a_partial_listing_makes_no_doubles() {
    let mut scene = Scene::new(Uidls::Proper, Keep::Always);
    scene.run();
    let partial = Trouble { hidden: [0, 2, 3].into(), ..Trouble::default() };
    scene.account.run(&mut scene.server, partial, NOW + DAY).unwrap();
    assert_eq!(
        scene.account.known.values().filter(|k| k.copy == ServerCopy::Absent(UnixSeconds(NOW + DAY))).count(),
        3
    );
    scene.now = NOW + 2 * DAY;
    assert_eq!(scene.told(), [""; 0]);
    assert!(scene.account.known.values().all(|k| k.copy == ServerCopy::Listed));
}

#[test]
fn what_is_gone_is_remembered_for_thirty_days_to_the_second() {
    for keep in [Keep::Never, Keep::Always] {
        let mut scene = Scene::new(Uidls::Proper, keep);
        scene.run();
        scene.server.messages.clear();
        scene.run();
        scene.now = NOW + 30 * DAY - 1;
        scene.run();
        assert_eq!(scene.account.known.len(), 4);
        scene.now += 1;
        scene.run();
        assert_eq!(scene.account.known.len(), 0);
    }
}

#[test]
fn what_we_deleted_and_is_back_is_deleted_again_but_a_copy_of_it_is_new_mail() {
    let mut scene = Scene::new(Uidls::Proper, Keep::Never);
    let before = scene.server.messages.clone();
    scene.run();
    scene.server.messages = before;
    assert_eq!(scene.told(), [r#"{"action":"delete","numbers":"1:4"}"#]);
    assert_eq!(scene.account.files.len(), 4);
    scene.server.receive(1);
    assert_eq!(scene.run().fetched, 1);
    assert_eq!(scene.account.files.len(), 5);
}

#[test]
fn uidls_that_turn_out_to_name_other_messages_are_believed_no_more() {
    let mut scene = Scene::new(Uidls::Numbers, Keep::Always);
    scene.run();
    scene.server.messages.remove(0);
    scene.server.receive(0);
    assert_eq!(scene.run().fetched, 2, "the new one, and one without a header to tell by");
    scene.run();
    assert_eq!(scene.account.files.len(), 5);
}

#[test]
fn limits_leave_mail_where_it_is_and_say_so_once() {
    let mut scene = Scene::new(Uidls::Proper, Keep::Never);
    scene.account.policy.max_size = Some(200);
    scene.account.policy.max_messages = Some(1);
    scene.account.policy.order = Order::Newest;
    assert_eq!(
        scene.told(),
        [
            r#"{"action":"download","numbers":"3","octets":100}"#,
            r#"{"action":"leave","numbers":"2,4","octets":600,"why":"too-large"}"#,
            r#"{"action":"leave","numbers":"1","octets":200,"why":"later"}"#,
            r#"{"action":"delete","numbers":"3"}"#,
        ]
    );
    assert_eq!(
        scene.told(),
        [r#"{"action":"download","numbers":"1","octets":200}"#, r#"{"action":"delete","numbers":"1"}"#]
    );
    assert_eq!((scene.told(), scene.server.messages.len()), (vec![], 2));
    scene.account.policy.max_size = None;
    assert_eq!(scene.run().fetched, 1);
}

#[test]
fn a_file_deleted_here_takes_the_servers_copy_along_where_that_is_wanted() {
    let mut scene = Scene::new(Uidls::Proper, Keep::Always);
    scene.run();
    scene.account.deleted_here = [Serial(2)].into();
    assert_eq!(scene.told(), [r#"{"action":"delete","numbers":"2"}"#]);
    assert_eq!(scene.server.messages.len(), 3);
}

#[test]
fn a_refused_message_keeps_its_age_and_comes_later() {
    let mut scene = Scene::new(Uidls::Proper, Keep::For(Duration::from_secs(3600)));
    let refused = Trouble { refused: [1].into(), ..Trouble::default() };
    assert_eq!(scene.account.run(&mut scene.server, refused, NOW).unwrap().fetched, 3);
    scene.now = NOW + 3600;
    assert_eq!(
        scene.told(),
        [r#"{"action":"download","numbers":"2","octets":300}"#, r#"{"action":"delete","numbers":"1:4"}"#]
    );
}
