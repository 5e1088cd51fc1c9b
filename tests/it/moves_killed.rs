//! `kill -9` in the midst of moves and renames, each way: the next run ends as if nothing had happened.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::kill::{at_ten_moments, kill_at};
use crate::world::dovecot::Dovecot;
use crate::world::mail::{Generator, Kind};
use crate::world::pair::Pair;
use crate::world::server::Server;

const MANY: usize = 300;

/// Two mailboxes, or two names of one: everything goes from the first to the second and back again.
const PLACES: [&str; 2] = ["One", "Two"];

/// Changes one side, and gives back what then stands where: all mail goes from one place to the other.
type Change = fn(&Pair<'_>, &str, &str);

fn moved_here(pair: &Pair<'_>, from: &str, to: &str) {
    static MOVED: AtomicUsize = AtomicUsize::new(0);
    for message in pair.tree.messages(from) {
        let n = MOVED.fetch_add(1, Ordering::Relaxed);
        let mut letters = message.letters();
        letters.retain(|c| !(n.is_multiple_of(7) && c == 'F'));
        let name = match n % 2 {
            0 => format!("{}:2,{letters}", message.name().split(":2,").next().unwrap()),
            _ => format!("1700000000.R{n}.host:2,{letters}"),
        };
        fs::rename(&message.path, pair.tree.dir(to).join("cur").join(name)).unwrap();
    }
}

fn moved_there(pair: &Pair<'_>, from: &str, to: &str) {
    let mut client = pair.server.client();
    client.store(from, "1:*", "+FLAGS (\\Answered)");
    client.move_to(from, "1:*", to);
}

fn renamed_here(pair: &Pair<'_>, from: &str, to: &str) {
    fs::rename(pair.tree.dir(from), pair.tree.dir(to)).unwrap();
}

fn renamed_there(pair: &Pair<'_>, from: &str, to: &str) {
    pair.server.client().rename(from, to);
}

/// Has `change` go back and forth, and kills the run after it at ten moments.
fn killed(dovecot: &Dovecot, places: &[&str], seed: u64, change: Change) {
    let pair = Pair::new(dovecot);
    let (mut client, mut generator) = (dovecot.client(), Generator::new(seed));
    places.iter().for_each(|name| client.create(name));
    for n in 0..MANY {
        let flags: &[&str] = if n % 3 == 0 { &["\\Seen", "\\Flagged"] } else { &["\\Seen"] };
        client.append(PLACES[0], &generator.of(Kind::Plain), flags);
    }
    drop(client);
    pair.sync();
    let mut here = 0;
    let mut go = |pair: &Pair<'_>| {
        change(pair, PLACES[here], PLACES[1 - here]);
        here = 1 - here;
        PLACES[here]
    };
    go(&pair);
    let whole = pair.sync().took;
    at_ten_moments(seed, whole, |whole, share| {
        let place = go(&pair);
        let log = dovecot.wire_log().mark();
        let hit = kill_at(&pair, whole, share);
        pair.sync();
        // What the server still did for the killed run is done now.
        log.wait();
        pair.sync();
        let context = format!("killed at {share:.3}");
        let now = pair.assert_equal(&context);
        assert_eq!((now.0[place].len(), now.messages()), (MANY, MANY), "{context}");
        pair.assert_settled(&context);
        hit
    });
}

/// As it is, and without UIDPLUS.
fn on_both(places: &[&str], seed: u64, change: Change) {
    killed(&Dovecot::start(), places, seed, change);
    killed(&Dovecot::showing("IMAP4rev1 LITERAL+"), places, seed, change);
}

#[test]
fn moves_made_here() {
    on_both(&PLACES, 61, moved_here);
}

#[test]
fn moves_made_on_the_server() {
    on_both(&PLACES, 62, moved_there);
}

#[test]
fn renames_made_here() {
    on_both(&PLACES[..1], 63, renamed_here);
}

#[test]
fn renames_made_on_the_server() {
    on_both(&PLACES[..1], 64, renamed_there);
}
