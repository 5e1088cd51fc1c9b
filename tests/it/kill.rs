//! `kill -9` at ten seeded moments: the next run ends as if nothing had happened, nothing lost, nothing doubled.

use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::world::dovecot::Dovecot;
use crate::world::mail::{Generator, with_lf};
use crate::world::pair::Pair;
use crate::world::server::Server;

const MOMENTS: usize = 10;
const PUSHED: usize = 500;

/// Starts a sync and kills it after `share` of `whole`; tells whether it was still running.
fn kill_at(pair: &Pair<'_>, whole: Duration, share: f64) -> bool {
    let moment = Instant::now() + whole.mul_f64(share);
    let mut run = pair.start_sync();
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
    run.kill()
}

/// Does `trial` until it has killed a running program at ten moments, spread over the time a whole run takes.
///
/// A moment that came too late is tried again earlier.
fn at_ten_moments(seed: u64, mut whole: Duration, mut trial: impl FnMut(Duration, f64) -> bool) {
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
        let hit = kill_at(&pair, whole, share);
        pair.sync();
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
