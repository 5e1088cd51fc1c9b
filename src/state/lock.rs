//! One run an account: a lock on a file that stays, held as long as the process lives.
//!
//! The operating system drops the lock with the process, however it ends, so there is never a stale one to remove. The
//! file holds two lines: the holder's process id (written at `mtime`) while there is one, and how the last run ended.
//! Both serve messages only, so nothing waits for them to be on disk: a run that changes nothing flushes nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{fault, place};
use crate::error::{Error, Kind, Result};
use crate::faults::{self, Step};
use crate::mail::UnixSeconds;
use crate::stop::Stop;

/// How long to pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// More than the file holds.
const NOTE: u64 = 64;

/// The right to run an account; dropping it gives it back.
#[derive(Debug)]
pub struct Lock {
    file: File,
    last: Option<RunRecord>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunRecord {
    /// When.
    pub ended: UnixSeconds,
    /// Its exit code.
    pub exit: u8,
}

/// How the last run of `account` ended; `None` where none has, or its note was lost.
pub fn last_run(dir: &Path, account: &str) -> Option<RunRecord> {
    let mut file = File::open(place::file(dir, account, "lock")).ok()?;
    read(&mut file)?.last
}

impl Lock {
    /// Takes the lock of `account` in `dir` (made when missing), waiting for at most `wait`.
    ///
    /// Errors: [`Kind::Locked`] when another run holds it (its process and since when), [`Kind::Interrupted`] while
    /// waiting, [`Kind::State`] when the file cannot be opened or the file system has no locks.
    pub fn acquire(dir: &Path, account: &str, wait: Option<Duration>, stop: &Stop) -> Result<Lock> {
        place::make_private(dir)?;
        let path = place::file(dir, account, "lock");
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let opened = faults::disk(Step::Create).and_then(|()| options.open(&path));
        let mut file = opened.map_err(|e| fault::io("open the lock file", &path, e))?;
        let began = Instant::now();
        loop {
            stop.check()?;
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(e)) => return Err(fault::io("lock the lock file", &path, e)),
            }
            let left = wait.unwrap_or_default().saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(held(&mut file, account, &path));
            }
            std::thread::sleep(stop.slice(PAUSE.min(left)));
        }
        let last = read(&mut file).and_then(|note| note.last);
        let mut lock = Lock { file, last };
        lock.write(&std::process::id().to_string());
        Ok(lock)
    }

    /// Writes down how the run ended, once the lock is given back.
    pub fn remember(&mut self, run: RunRecord) {
        self.last = Some(run);
    }

    /// The lock is ours even if its note cannot be written (a full disk): then the messages say less.
    fn write(&mut self, holder: &str) {
        let last = self.last.map(|run| format!("{} {}\n", run.ended.0, run.exit)).unwrap_or_default();
        let note = format!("{holder}\n{last}");
        let file = &mut self.file;
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(note.as_bytes()));
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file unlocks it; nobody is to be told of a process that has ended.
        self.write("");
    }
}

struct Note {
    holder: Option<u32>,
    last: Option<RunRecord>,
}

fn read(file: &mut File) -> Option<Note> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.take(NOTE).read_to_string(&mut text)).ok()?;
    let mut lines = text.lines();
    let holder = lines.next().and_then(|line| line.parse().ok());
    let run = |line: &str| {
        let (ended, exit) = line.split_once(' ')?;
        Some(RunRecord { ended: UnixSeconds(ended.parse().ok()?), exit: exit.parse().ok()? })
    };
    Some(Note { holder, last: lines.next().and_then(run) })
}

/// Says who holds the lock and since when.
fn held(file: &mut File, account: &str, path: &Path) -> Error {
    let pid = read(file).and_then(|note| note.holder);
    let since = file.metadata().and_then(|m| m.modified()).ok().and_then(|time| jiff::Zoned::try_from(time).ok());
    let what = match (pid, since) {
        (Some(pid), Some(since)) => {
            let since = since.strftime("%Y-%m-%d %H:%M:%S %:z");
            format!("Process {pid} has been synchronising account `{account}` since {since}")
        }
        (Some(pid), None) => format!("Process {pid} is synchronising account `{account}`"),
        (None, _) => format!("Another process is synchronising account `{account}`"),
    };
    Error::new(Kind::Locked, what)
        .at(path.display())
        .hint("Wait until it has ended, or let this run wait: `--wait-lock`.")
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::process::{Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;

    const CHILD: &str = "MAILTIDE_TEST_LOCK_DIR";

    fn try_lock(dir: &Path, wait: Option<Duration>) -> Result<Lock> {
        Lock::acquire(dir, "work", wait, &Stop::default())
    }

    #[test]
    fn excludes_names_the_holder_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("state/mailtide");
        let lock = try_lock(&dir, None).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join("work.lock"))), (0o700, 0o600));

        let error = try_lock(&dir, None).unwrap_err();
        assert_eq!(error.kind(), Kind::Locked);
        let began = format!("Process {} has been synchronising account `work` since 20", std::process::id());
        assert!(error.what().starts_with(&began), "{error}");
        assert!(error.hint_text().unwrap().contains("--wait-lock"));

        Lock::acquire(&dir, "home", None, &Stop::default()).unwrap();
        drop(lock);
        assert_eq!(std::fs::read(dir.join("work.lock")).unwrap(), b"\n");
        // A process that another test forks has the descriptor until it is another program.
        try_lock(&dir, Some(Duration::from_secs(60))).unwrap();
    }

    #[test]
    fn the_last_run_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let last = || last_run(dir.path(), "work");
        assert_eq!(last(), None);
        for exit in [130, 0] {
            let run = RunRecord { ended: UnixSeconds(1_700_000_000), exit };
            let before = last();
            let mut lock = try_lock(dir.path(), None).unwrap();
            assert_eq!(last(), before, "a run that goes on has not ended");
            lock.remember(run);
            drop(lock);
            assert_eq!(last(), Some(run));
        }
        std::fs::write(dir.path().join("work.lock"), b"\xff\n\n7").unwrap();
        assert_eq!(last(), None);
        drop(try_lock(dir.path(), None).unwrap());
    }

    #[test]
    fn waits_as_long_as_it_may() {
        let dir = tempfile::tempdir().unwrap();
        let lock = try_lock(dir.path(), None).unwrap();
        let (began, wait) = (Instant::now(), Duration::from_millis(120));
        assert_eq!(try_lock(dir.path(), Some(wait)).unwrap_err().kind(), Kind::Locked);
        assert!(began.elapsed() >= wait);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| try_lock(dir.path(), Some(Duration::from_secs(60))));
            drop(lock);
            waiting.join().unwrap().unwrap();
        });
    }

    #[test]
    fn stops_waiting_when_the_run_has_to_stop() {
        let dir = tempfile::tempdir().unwrap();
        let _lock = try_lock(dir.path(), None).unwrap();
        let stop = Stop::new(Arc::new(AtomicBool::new(false)), Some(Duration::from_millis(100)));
        let error = Lock::acquire(dir.path(), "work", Some(Duration::MAX), &stop).unwrap_err();
        assert_eq!(error.kind(), Kind::Interrupted);
    }

    #[test]
    fn a_killed_holder_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "state::lock::tests::child_holds_the_lock", "--nocapture"])
            .env(CHILD, dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("held")));

        let error = try_lock(dir.path(), None).unwrap_err();
        assert!(error.what().starts_with(&format!("Process {} has", child.id())), "{error}");
        child.kill().unwrap();
        child.wait().unwrap();
        let _lock = try_lock(dir.path(), None).unwrap();
        let error = try_lock(dir.path(), None).unwrap_err();
        assert!(error.what().starts_with(&format!("Process {} has", std::process::id())), "{error}");
    }

    /// Not a test by itself: the other process of `a_killed_holder_leaves_nothing_behind`.
    #[test]
    fn child_holds_the_lock() {
        let Some(dir) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
        let _lock = try_lock(&dir, None).unwrap();
        println!("held");
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
    }
}
