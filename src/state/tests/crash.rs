//! Interruptions: what was recorded is there, whole.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;

/// Batch `n` of the crash tests: ten links, and the checkpoint says how many batches there are.
fn batch(n: u32) -> Vec<Fact> {
    let id = MailboxId(1);
    let mut facts = vec![known(id)];
    facts.extend((n * 10 + 1..n * 10 + 11).map(|n| Fact::Linked(id, plain(n))));
    facts.push(Fact::RemoteChecked(id, RemoteCheckpoint { messages: n + 1, ..checkpoint() }));
    facts
}

/// How many whole batches a state holds; fails when it holds a part of one.
fn whole_batches(dir: &Path) -> u32 {
    let Some(state) = State::open(dir, "work").unwrap() else { return 0 };
    let base = state.base(&|_| true).unwrap();
    let Some(mailbox) = base.values().next() else { return 0 };
    let batches = mailbox.remote.as_ref().unwrap().messages;
    assert_eq!(mailbox.link_count, u64::from(batches) * 10);
    assert_eq!(state.known_uids(mailbox.id).unwrap(), UidSet::range(uid(1), uid(batches * 10)));
    assert_eq!(state.links(mailbox.id).unwrap().len() as u64, mailbox.link_count);
    batches
}

#[test]
fn a_log_cut_anywhere_holds_whole_batches() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::create(dir.path(), "work", AccountId(1)).unwrap();
    (0..5).for_each(|n| state.record(&batch(n)).unwrap());
    let database = fs::read(dir.path().join("work.sqlite")).unwrap();
    let log = fs::read(dir.path().join("work.sqlite-wal")).unwrap();
    let (header, frame) = (32, 24 + 4096);
    let mut seen = Vec::new();
    for cut in (header..=log.len()).step_by(frame).flat_map(|at| [at, at + frame / 2]) {
        let copy = tempfile::tempdir().unwrap();
        fs::write(copy.path().join("work.sqlite"), &database).unwrap();
        fs::write(copy.path().join("work.sqlite-wal"), &log[..cut.min(log.len())]).unwrap();
        seen.push(whole_batches(copy.path()));
    }
    assert!(seen.is_sorted());
    seen.dedup();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
}

const CHILD: &str = "MAILTIDE_TEST_STATE_DIR";

#[test]
fn a_killed_run_leaves_all_that_was_recorded_and_no_half_batch() {
    for acknowledged in [1, 7, 40] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "state::tests::crash::child_records_until_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let recorded = lines.filter(|line| line.as_ref().unwrap().contains("recorded")).take(acknowledged).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(recorded, acknowledged);
        assert!(whole_batches(dir.path()) as usize >= acknowledged);
    }
}

/// Not a test by itself: the process that `a_killed_run_leaves_all_that_was_recorded_and_no_half_batch` kills.
#[test]
fn child_records_until_killed() {
    let Some(dir) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let mut state = State::create(&dir, "work", AccountId(1)).unwrap();
    for n in 0..100_000 {
        state.record(&batch(n)).unwrap();
        println!("recorded");
    }
}
