//! The state file damaged, out of date, on a full or closed disk; the clock set back.
//!
//! A damaged state is made anew: nothing is lost or doubled on either side, no body is fetched again, and the damaged
//! file stays, under a name that is told. Who holds the lock, and who was killed holding it, is in `bad_input`; the state
//! lost or old among thousands in `identity`; what SQLite's log holds when it ends anywhere in `state::tests::crash`.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use rusqlite::Connection;

use crate::bad_input::on_a_small_disk;
use crate::world::compare::{Fingerprint, Seen, Snapshot};
use crate::world::dovecot::Dovecot;
use crate::world::mail::{Generator, Kind};
use crate::world::maildrop::{Maildrop, crlf_ended};
use crate::world::pair::{Pair, Setting};
use crate::world::post::Post;
use crate::world::process::{As, Outcome};
use crate::world::server::Server;

const MAILBOXES: [&str; 3] = ["INBOX", "Archive", "Lists"];

/// Three mailboxes of twenty messages, the same on both sides.
fn filled(dovecot: &Dovecot) -> Pair<'_> {
    let pair = Pair::new(dovecot);
    let (mut client, mut generator) = (dovecot.client(), Generator::new(5));
    for mailbox in MAILBOXES {
        if mailbox != "INBOX" {
            client.create(mailbox);
        }
        for n in 0..20 {
            client.append(
                mailbox,
                &generator.of(Kind::ALL[n % 10]),
                if n % 2 == 0 { &["\\Seen", "work"] } else { &[] },
            );
        }
    }
    pair.sync();
    pair
}

fn state_of(pair: &Pair<'_>) -> PathBuf {
    pair.mailtide.state().join("work.sqlite")
}

/// The files kept aside.
fn kept(states: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(states).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.to_string_lossy().contains(".damaged-") && !path.to_string_lossy().ends_with("-wal"));
    all.retain(|path| !path.to_string_lossy().ends_with("-shm"));
    all
}

/// What each mailbox holds, whatever its flags.
fn contents(snapshot: &Snapshot) -> Vec<(String, Vec<Fingerprint>)> {
    let sorted = |messages: &Vec<Seen>| {
        let mut all: Vec<_> = messages.iter().map(|message| message.content).collect();
        all.sort_unstable();
        all
    };
    snapshot.0.iter().map(|(mailbox, messages)| (mailbox.clone(), sorted(messages))).collect()
}

/// What is done to a sound file.
enum Harm {
    /// One octet becomes another.
    Octet(usize),
    /// So many octets from here on are noise, or nothing.
    Noise(usize, usize),
    Zeros(usize, usize),
    CutAt(usize),
    /// Another file stands in its place.
    Instead(Vec<u8>),
    /// A log of noise beside it.
    Log(usize),
}

impl fmt::Debug for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Harm::Octet(at) => write!(f, "octet {at}"),
            Harm::Noise(at, many) => write!(f, "{many} octets of noise at {at}"),
            Harm::Zeros(at, many) => write!(f, "{many} zeros at {at}"),
            Harm::CutAt(length) => write!(f, "cut at {length}"),
            Harm::Instead(other) => write!(f, "another file of {} octets", other.len()),
            Harm::Log(length) => write!(f, "a log of {length} octets of noise"),
        }
    }
}

impl Harm {
    /// Sixty kinds of harm to a file of this length.
    fn all(length: usize, rng: &mut Rng) -> Vec<Harm> {
        let pages = length / 4096;
        let mut all: Vec<Harm> = (0..20).map(|_| Harm::Octet(rng.usize(..length))).collect();
        all.extend((0..6).map(|_| Harm::Octet(rng.usize(..100))));
        all.extend((0..12).map(|n| Harm::Noise(n % pages * 4096, 4096)));
        all.extend((0..6).map(|_| Harm::Noise(rng.usize(..length), 1 + rng.usize(..300))));
        all.extend((0..4).map(|_| Harm::Zeros(rng.usize(..pages) * 4096, 4096)));
        all.extend([1, 50, 100, 512, 4096, length / 2, length - 4096, length - 1].map(Harm::CutAt));
        all.push(Harm::Instead(Vec::new()));
        all.push(Harm::Instead((0..length).map(|_| rng.u8(..)).collect()));
        all.push(Harm::Instead(b"Dear diary, ".repeat(1000)));
        all.push(Harm::Log(8000));
        all
    }

    fn inflict(&self, path: &Path, rng: &mut Rng) {
        let mut octets = fs::read(path).unwrap();
        match self {
            Harm::Octet(at) => octets[*at] ^= rng.u8(1..),
            Harm::Noise(from, many) => {
                let end = (from + many).min(octets.len());
                octets[*from..end].iter_mut().for_each(|octet| *octet = rng.u8(..));
            }
            Harm::Zeros(from, many) => octets[*from..from + many].fill(0),
            Harm::CutAt(length) => octets.truncate(*length),
            Harm::Instead(other) => octets.clone_from(other),
            Harm::Log(length) => {
                let noise: Vec<u8> = (0..*length).map(|_| rng.u8(..)).collect();
                fs::write(format!("{}-wal", path.display()), noise).unwrap();
            }
        }
        fs::write(path, octets).unwrap();
    }
}

#[test]
fn a_state_damaged_anywhere_is_made_anew_and_nothing_is_lost_fetched_or_doubled() {
    let dovecot = Dovecot::start();
    let pair = filled(&dovecot);
    let (path, states) = (state_of(&pair), pair.mailtide.state());
    let all = contents(&pair.tree.snapshot());
    let mut rng = Rng::with_seed(61);
    let harms = Harm::all(fs::read(&path).unwrap().len(), &mut rng);
    assert_eq!(harms.len(), 60);
    let mut made_anew = 0;
    for (number, harm) in harms.iter().enumerate() {
        let context = format!("{number}: {harm:?}");
        harm.inflict(&path, &mut rng);
        let damaged = fs::read(&path).unwrap();
        // Something to do on both sides in each mailbox, so that the links are read.
        for mailbox in MAILBOXES {
            pair.tree.messages(mailbox)[number % 20].toggle('F');
            dovecot.client().store(
                mailbox,
                "1:*",
                if number % 2 == 0 { "+FLAGS (\\Answered)" } else { "-FLAGS (\\Answered)" },
            );
        }
        let log = dovecot.wire_log().mark();
        let mut outcome = pair.try_sync(&[]);
        if outcome.code() == 3 {
            // The header says something that a newer program may mean, or names another tree: a person decides.
            let decides = ["newer Mailtide", "another account's", "another program's"];
            assert!(decides.iter().any(|words| outcome.stderr.contains(words)), "{context}: {outcome:?}");
            assert!(fs::read(&path).unwrap() == damaged, "{context}: it is left alone");
            fs::rename(&path, states.join("by-hand")).unwrap();
            outcome = pair.sync();
        }
        let outcome = outcome.expect(0);
        let aside = kept(&states);
        if let Some(kept) = aside.first() {
            made_anew += 1;
            assert!(outcome.stderr.contains(kept.to_str().unwrap()), "{context}: {outcome:?}");
            // A run may have written to it before it came upon the damage.
            assert!(fs::read(kept).unwrap().len() >= damaged.len() / 2, "{context}");
            assert_eq!(aside.len(), 1, "{context}");
        }
        let commands = log.commands();
        let wrong = |command: &&String| {
            ["BODY", "APPEND", "EXPUNGE", "COPY", "MOVE", "\\Deleted", "CREATE", "DELETE"]
                .iter()
                .any(|w| command.contains(w))
                && !command.contains("HEADER.FIELDS")
        };
        assert_eq!(commands.iter().find(wrong), None, "{context}: {}", outcome.stderr);
        let now = pair.assert_equal(&context);
        assert_eq!(contents(&now), all, "{context}");
        // A sound state for the next one.
        fs::remove_dir_all(&states).unwrap();
        pair.sync();
        assert_eq!(contents(&pair.assert_equal(&context)), all, "{context}");
    }
    // The others were not met, or left to a person, or change nothing that matters.
    assert!(made_anew >= 15, "only {made_anew} of 60 were noticed");
}

#[test]
fn the_damaged_state_of_a_maildrop_is_made_anew_and_nothing_is_fetched_again() {
    let mut generator = Generator::new(6);
    // One without a Message-ID would be fetched to be compared.
    let kinds = [Kind::Plain, Kind::Mime, Kind::EightBit, Kind::Lookalikes, Kind::LongLine, Kind::EmptyBody];
    let mail: Vec<Vec<u8>> = (0..12).map(|n| crlf_ended(&generator.of(kinds[n % 6]))).collect();
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "");
    post.sync();
    let path = post.mailtide.state().join("home.sqlite");
    let length = fs::read(&path).unwrap().len();
    let mut rng = Rng::with_seed(62);
    let noise = Harm::Instead((0..length).map(|_| rng.u8(..)).collect());
    for (number, harm) in
        [noise, Harm::CutAt(4096), Harm::CutAt(length / 2), Harm::Noise(0, length), Harm::Instead(Vec::new())]
            .iter()
            .enumerate()
    {
        harm.inflict(&path, &mut rng);
        post.sync();
        post.assert_holds(&mail, &format!("harm {number}"));
        assert_eq!(maildrop.heard_times("RETR"), 12, "harm {number}");
    }
    assert_eq!(kept(&post.mailtide.state()).len(), 4);
    maildrop.deliver(b"Subject: late\r\n\r\nx\r\n");
    post.sync();
    assert_eq!((maildrop.heard_times("RETR"), post.mail().len()), (13, 13));
}

#[test]
fn a_state_with_tables_and_no_version_is_damaged_and_one_of_a_newer_version_is_not() {
    let dovecot = Dovecot::start();
    let pair = filled(&dovecot);
    let set =
        |pragma: &str| Connection::open(state_of(&pair)).unwrap().execute_batch(&format!("PRAGMA {pragma}")).unwrap();
    for pragma in ["user_version = 0", "user_version = 1", "application_id = 1"] {
        set(pragma);
        // Who only looks says so, and touches nothing.
        let before = fs::read(state_of(&pair)).unwrap();
        // One of an older version only a run can judge.
        let what = if pragma == "user_version = 1" { "older Mailtide" } else { "The state file is damaged" };
        let outcome = pair.try_sync(&["--dry-run"]).expect(3).says(&[what, "`mailtide sync`"]);
        assert!(!outcome.stderr.contains("CREATE"), "{pragma}: {}", outcome.stderr);
        assert_eq!(fs::read(state_of(&pair)).unwrap(), before, "{pragma}");
        pair.sync().says(&["was damaged", "damaged-1", "no mail is lost"]);
        pair.assert_settled(pragma);
        fs::remove_file(kept(&pair.mailtide.state()).remove(0)).unwrap();
    }
    set("user_version = 99");
    let before = fs::read(state_of(&pair)).unwrap();
    let log = dovecot.wire_log().mark();
    for _ in 0..2 {
        pair.try_sync(&[]).expect(3).says(&["schema 99", "newer Mailtide", "no mail is lost"]);
    }
    assert_eq!((fs::read(state_of(&pair)).unwrap(), kept(&pair.mailtide.state()).len()), (before, 0));
    assert_eq!(log.commands(), [""; 0]);
    // The hint holds.
    fs::rename(state_of(&pair), pair.scratch.path().join("newer")).unwrap();
    pair.sync();
    pair.assert_settled("moved away");
}

/// Runs shell lines around `$sync` with the states on a disk of `kib` KiB; `None` where that is not allowed.
fn with_states_on_a_small_disk(pair: &Pair<'_>, kib: u32, lines: &str) -> Option<Outcome> {
    let states = pair.mailtide.state();
    fs::create_dir_all(&states).unwrap();
    let sync = format!("\"$MAILTIDE\" sync -c '{}' work", pair.config.display());
    let line = lines.replace("SYNC", &sync).replace("STATES", states.to_str().unwrap());
    Some(pair.mailtide.run_shell(&on_a_small_disk(&states, kib, &line)?))
}

#[test]
fn a_full_disk_under_the_state_costs_a_run_and_nothing_else() {
    let dovecot = Dovecot::start();
    let (mut client, mut generator) = (dovecot.client(), Generator::new(7));
    for _ in 0..30 {
        client.append("INBOX", &generator.of(Kind::Plain), &[]);
    }
    let pair = Pair::new(&dovecot);
    // Too small to make a state; then to record all messages; then with room.
    let lines = "head -c 480k /dev/zero > 'STATES/ballast'; SYNC; first=$?; head -c 300k /dev/zero > 'STATES/ballast'; SYNC; second=$?; \
                 rm 'STATES/ballast'; SYNC; echo codes $first $second $?; SYNC";
    let Some(outcome) = with_states_on_a_small_disk(&pair, 500, lines) else { return };
    let codes = outcome.stdout.lines().find(|line| line.starts_with("codes")).unwrap_or_default().to_owned();
    assert!(["codes 3 3 0", "codes 3 0 0"].contains(&codes.as_str()), "{outcome:?}");
    let outcome = outcome.expect(0).says(&["room", "nothing changed"]);
    assert!(!outcome.stderr.contains("damaged"), "a full disk is no damage: {outcome:?}");
    assert_eq!(pair.assert_equal("with room").messages(), 30);
}

/// What is sent is announced first, for which the disk has no room any more.
#[test]
fn a_disk_that_fills_under_a_state_costs_a_run_and_is_no_damage() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    dovecot.client().append("INBOX", &Generator::new(8).any(), &[]);
    let more = pair.scratch.directory("more");
    for n in 0..400 {
        fs::write(more.join(format!("17.M{n}.host:2,S")), format!("Subject: here {n}\n\nx\n")).unwrap();
    }
    // Room for what SQLite makes when it opens a file, and for no transaction of that size.
    let lines = format!(
        "SYNC; first=$?; cat /dev/zero > 'STATES/ballast' 2>/dev/null; truncate -s -64k 'STATES/ballast'; \
         mv '{}'/* '{}'; SYNC; second=$?; ls 'STATES'; rm 'STATES/ballast'; SYNC; echo codes $first $second $?",
        more.display(),
        pair.tree.dir("INBOX").join("cur").display()
    );
    let Some(outcome) = with_states_on_a_small_disk(&pair, 4000, &lines) else { return };
    let outcome = outcome.says(&["codes 0 3 0", "The state cannot be written", "make room on the disk"]);
    assert!(!outcome.stderr.contains("damaged") && !outcome.stdout.contains("damaged"), "{outcome:?}");
    assert_eq!(pair.assert_equal("with room").messages(), 401);
}

#[test]
fn a_state_that_may_not_be_written_is_no_damage() {
    let dovecot = Dovecot::start();
    let pair = Pair::with(&dovecot, Setting { run_as: As::Unprivileged, ..Setting::default() });
    pair.sync();
    dovecot.client().append("INBOX", &Generator::new(8).any(), &[]);
    let allow = |mode| fs::set_permissions(state_of(&pair), fs::Permissions::from_mode(mode)).unwrap();
    allow(0o400);
    let before = fs::read(state_of(&pair)).unwrap();
    let outcome =
        pair.try_sync(&[]).expect(3).says(&["cannot write the state file", "Check the owner and the permissions"]);
    assert!(!outcome.stderr.contains("damaged"), "{outcome:?}");
    assert_eq!((fs::read(state_of(&pair)).unwrap() == before, kept(&pair.mailtide.state()).len()), (true, 0));
    // A look leaves companions of the same mode.
    pair.try_sync(&["--dry-run"]).expect(0);
    allow(0o600);
    pair.sync();
    assert_eq!(pair.assert_equal("writable again").messages(), 1);
}

#[test]
fn a_read_only_disk_under_the_state_is_named_and_changes_nothing() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    dovecot.client().append("INBOX", &Generator::new(8).any(), &[]);
    let lines = "SYNC; first=$?; mount -o remount,ro 'STATES'; SYNC; second=$?; mount -o remount,rw 'STATES'; SYNC; \
                 echo codes $first $second $?";
    let Some(outcome) = with_states_on_a_small_disk(&pair, 4000, lines) else { return };
    let outcome = outcome.says(&["codes 0 3 0", "mounted for writing"]);
    assert!(!outcome.stderr.contains("damaged"), "{outcome:?}");
    assert_eq!(pair.assert_equal("writable again").messages(), 1);
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Gives everything in the tree this time.
fn date(dir: &Path, time: SystemTime) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            date(&entry.path(), time);
        }
        File::open(entry.path()).unwrap().set_modified(time).unwrap();
    }
}

/// As if the clock had been set back by a year since: everything in the tree is of the future.
fn date_forward(dir: &Path) {
    date(dir, SystemTime::now() + YEAR);
}

/// What is changed afterwards is older than what the state knows of the directory.
#[test]
fn a_change_under_a_clock_that_was_set_back_since_the_last_run_is_seen() {
    let dovecot = Dovecot::start();
    let pair = filled(&dovecot);
    // The run that follows takes directories whose times are the same for unchanged.
    MAILBOXES.iter().for_each(|mailbox| pair.tree.grow_old(mailbox));
    pair.sync();
    pair.tree.messages("INBOX")[3].toggle('F');
    pair.tree.messages("Lists").remove(0).delete();
    pair.tree.deliver("Archive", "17.now", b"Subject: of now\n\nx\n", None);
    date(&pair.tree.root, SystemTime::now() - YEAR);
    pair.sync();
    let all = pair.assert_equal("after the clock was set back");
    assert_eq!(MAILBOXES.map(|mailbox| all.0[mailbox].len()), [20, 21, 19]);
    pair.assert_settled("after the clock was set back");
}

#[test]
fn a_clock_that_was_set_back_hides_no_change() {
    let dovecot = Dovecot::start();
    let pair = filled(&dovecot);
    date_forward(&pair.tree.root);
    pair.sync();
    pair.assert_settled("of the future");
    for round in 0..3 {
        pair.tree.messages("INBOX")[round].toggle('F');
        pair.tree.messages("Lists").remove(0).delete();
        pair.tree.deliver("Archive", &format!("17.{round}"), b"Subject: of now\n\nx\n", Some("S"));
        dovecot.client().append("INBOX", &Generator::new(round as u64 + 90).any(), &[]);
        pair.sync();
        let all = pair.assert_equal("after the clock was set back");
        assert_eq!(
            (all.0["INBOX"].len(), all.0["Lists"].len(), all.0["Archive"].len()),
            (21 + round, 19 - round, 21 + round)
        );
        pair.assert_settled("after the clock was set back");
        // And the directories that this touched, again.
        date_forward(&pair.tree.root);
    }
}

#[test]
fn a_clock_that_was_set_back_deletes_nothing_from_a_maildrop() {
    let mut generator = Generator::new(9);
    let mail: Vec<Vec<u8>> = (0..5).map(|_| crlf_ended(&generator.of(Kind::Plain))).collect();
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "keep = \"14d\"");
    post.sync();
    post.age(-365 * 24 * 3600);
    maildrop.deliver(b"Subject: of now\r\n\r\nx\r\n");
    post.sync();
    post.sync().says(&["nothing changed"]);
    assert_eq!((post.mail().len(), maildrop.messages().len(), maildrop.heard_times("DELE")), (6, 6, 0));
    // Right again: the days count from there.
    post.age((365 + 15) * 24 * 3600);
    post.sync();
    assert_eq!((post.mail().len(), maildrop.messages().len()), (6, 0));
}
