//! `kill -9` at ten seeded moments: the next run ends as if nothing had happened, nothing lost, nothing doubled.

use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::world::dovecot::Dovecot;
use crate::world::mail::{Generator, with_lf};
use crate::world::maildir::{Layout, Tree};
use crate::world::pair::{Pair, Setting};
use crate::world::process::{As, Mailtide};
use crate::world::proxy::{Manner, Proxy, Trouble};
use crate::world::scratch::Scratch;
use crate::world::server::Server;
use crate::world::small::{Small, Ways};

const MOMENTS: usize = 10;
const PUSHED: usize = 500;

/// Starts a sync and kills it after `share` of `whole`; tells whether it was still running.
///
/// What was on its way when it died still reaches the server, and nobody waits for that.
pub fn kill_at(pair: &Pair<'_>, whole: Duration, share: f64) -> bool {
    let moment = Instant::now() + whole.mul_f64(share);
    let mut run = pair.start_sync();
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
    run.kill()
}

/// Does `trial` until it has killed a running program at ten moments, spread over the time a whole run takes.
///
/// A moment that came too late is tried again earlier.
pub fn at_ten_moments(seed: u64, mut whole: Duration, mut trial: impl FnMut(Duration, f64) -> bool) {
    let mut rng = Rng::with_seed(seed);
    for n in 0..MOMENTS {
        let share = (n as f64 + rng.f64()) / MOMENTS as f64;
        let mut tries = 0;
        while !trial(whole, share) {
            whole = whole.mul_f64(0.8);
            tries += 1;
            assert!(tries < 20, "the program ends before it can be killed");
        }
    }
}

#[test]
fn a_first_sync_killed_ten_times_ends_equal() {
    let dovecot = Dovecot::start();
    let mut client = dovecot.client();
    let mut generator = Generator::new(7);
    for mailbox in ["Archive", "Lists"] {
        client.create(mailbox);
    }
    for n in 0..400 {
        let bytes = if n % 4 == 0 { generator.sized(60_000) } else { generator.any() };
        client.append(["INBOX", "Archive", "Lists"][n % 3], &bytes, if n % 5 == 0 { &["\\Seen"] } else { &[] });
    }
    drop(client);
    let whole = Pair::new(&dovecot).sync().took;
    at_ten_moments(7, whole, |whole, share| {
        let pair = Pair::new(&dovecot);
        let hit = kill_at(&pair, whole, share);
        pair.sync();
        pair.assert_equal(&format!("killed at {share:.3}"));
        pair.assert_settled(&format!("killed at {share:.3}"));
        hit
    });
}

fn push_of_500(start: impl Fn() -> Dovecot, seed: u64) {
    let fill = |pair: &Pair<'_>| {
        let mut generator = Generator::new(seed);
        pair.tree.create_mailbox("INBOX");
        for n in 0..PUSHED {
            let letters = ["", "S", "FS"][n % 3];
            pair.tree.deliver("INBOX", &format!("17000{n:05}.P1.mua"), &with_lf(&generator.any()), Some(letters));
        }
    };
    let whole = {
        let dovecot = start();
        let pair = Pair::new(&dovecot);
        fill(&pair);
        pair.sync().took
    };
    at_ten_moments(seed, whole, |whole, share| {
        let dovecot = start();
        let pair = Pair::new(&dovecot);
        fill(&pair);
        let log = dovecot.wire_log().mark();
        let hit = kill_at(&pair, whole, share);
        pair.sync();
        // Whatever the server still did for the killed program is done now.
        log.wait();
        let context = format!("killed at {share:.3}");
        assert_eq!(pair.assert_equal(&context).0["INBOX"].len(), PUSHED, "{context}");
        pair.assert_settled(&context);
        hit
    });
}

#[test]
fn a_push_killed_ten_times_ends_equal() {
    push_of_500(Dovecot::start, 8);
}

#[test]
fn a_push_without_uidplus_killed_ten_times_ends_equal() {
    push_of_500(|| Dovecot::showing("IMAP4rev1 LITERAL+"), 9);
}

/// Waits until `done`, which must come.
#[track_caller]
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < limit, "this does not come: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A small server, a tree with `files` messages, and a sync of them.
struct Sender {
    small: Small,
    mailtide: Mailtide,
    tree: Tree,
    config: String,
    _scratch: Scratch,
}

impl Sender {
    fn new(ways: Ways, files: usize) -> Sender {
        let small = Small::start(ways);
        let scratch = Scratch::new();
        let mailtide = Mailtide::new(&scratch, As::Me);
        let config = small.configuration(&scratch, "");
        let tree = Tree::new(mailtide.home().join("Mail"), Layout::Nested);
        tree.create_mailbox("INBOX");
        for n in 0..files {
            tree.deliver("INBOX", &format!("17.{n}"), with_lf(&Sender::message(n)).as_slice(), Some("S"));
        }
        Sender { small, mailtide, tree, config, _scratch: scratch }
    }

    fn message(n: usize) -> Vec<u8> {
        format!("Message-ID: <{n}@x>\r\nSubject: {n}\r\n\r\n").into_bytes()
    }

    fn args(&self) -> [&str; 3] {
        ["sync", "-c", &self.config]
    }

    fn appends(&self) -> usize {
        self.small.heard().iter().filter(|c| c.starts_with("APPEND")).count()
    }

    #[track_caller]
    fn assert_each_once(&self, files: usize) {
        let there = self.small.inbox().messages.len();
        assert_eq!((there, self.tree.messages("INBOX").len()), (files, files));
    }
}

fn goes_on_storing(capability: &'static str) {
    let sender = Sender::new(Ways { capability, store: Duration::from_millis(2500), ..Ways::default() }, 4);
    let mut run = sender.mailtide.start(&sender.args());
    // All were sent in one go; the server has stored the first of them.
    wait_until("the second message", || sender.appends() > 1);
    assert!(run.kill());
    sender.mailtide.run(&sender.args()).expect(0).says(&["broke off"]);
    sender.small.wait_for_sessions_to_end();
    sender.mailtide.run(&sender.args()).expect(0);
    sender.assert_each_once(4);
}

#[test]
fn a_server_that_goes_on_storing_after_a_kill_gets_nothing_twice() {
    goes_on_storing("IMAP4rev1 LITERAL+ UIDPLUS");
}

#[test]
fn a_server_without_uidplus_that_goes_on_storing_gets_nothing_twice() {
    goes_on_storing("IMAP4rev1 LITERAL+");
}

#[test]
fn what_turns_up_at_the_last_moment_is_not_sent_again() {
    // This server never comes to an end with a message; then two of three are there all at once.
    let never = Duration::from_secs(3600);
    let capability = "IMAP4rev1 LITERAL+ UIDPLUS";
    let sender = Sender::new(Ways { capability, store: never, ..Ways::default() }, 3);
    let mut run = sender.mailtide.start(&sender.args());
    wait_until("a message", || sender.appends() > 0);
    assert!(run.kill());
    sender.small.inbox().at_noop = vec![Sender::message(0), Sender::message(2)];
    sender.small.stores_at_once();
    sender.mailtide.run(&sender.args()).expect(0);
    assert_eq!(sender.appends(), 2, "one when it was killed, and the one that was missing");
    sender.assert_each_once(3);
}

#[test]
fn a_line_that_goes_on_delivering_after_a_kill_delivers_nothing_twice() {
    let dovecot = Dovecot::start();
    let (count, size) = (4, 20_000);
    // A message takes two and a half seconds; so nothing moves for longer than the line's silence would last.
    let to_server = Trouble::Trickle { after: 2000, a_second: size as u64 * 2 / 5 };
    let proxy = Proxy::start(dovecot.port(), Manner { to_server, heals_at: Some(1), ..Manner::default() });
    let through = Setting { through: Some(proxy.port()), ..Setting::default() };
    let pair = Pair::with(&dovecot, through);
    pair.tree.create_mailbox("INBOX");
    let mut generator = Generator::new(6);
    for n in 0..count {
        pair.tree.deliver("INBOX", &format!("17.{n}"), &with_lf(&generator.sized(size)), Some("S"));
    }
    let log = dovecot.wire_log().mark();
    let mut run = pair.start_sync();
    wait_until("all messages on the line", || proxy.taken() > (count * size) as u64);
    assert!(run.kill());
    pair.sync();
    log.wait();
    pair.sync();
    assert_eq!(pair.assert_equal("delivered late").0["INBOX"].len(), count);
    pair.assert_settled("delivered late");
}

#[test]
fn ctrl_c_ends_a_run_with_130_and_the_next_one_goes_on() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    pair.tree.create_mailbox("INBOX");
    let mut generator = Generator::new(5);
    for n in 0..PUSHED {
        pair.tree.deliver("INBOX", &format!("17000{n:05}.P1.mua"), &with_lf(&generator.sized(20_000)), None);
    }
    let run = pair.start_sync();
    // The moment is right once the first message has arrived.
    let mut client = dovecot.client();
    let limit = Instant::now() + Duration::from_secs(60);
    while client.uids("INBOX").is_empty() {
        assert!(Instant::now() < limit, "nothing arrives: {}", run.said());
        std::thread::sleep(Duration::from_millis(2));
    }
    run.interrupt();
    let outcome = run.wait();
    assert!([0, 130].contains(&outcome.code()), "{outcome:?}");
    assert_eq!(outcome.code(), 130, "the run ended before it could be interrupted");
    pair.sync();
    assert_eq!(pair.assert_equal("after Ctrl-C").messages(), PUSHED);
}
