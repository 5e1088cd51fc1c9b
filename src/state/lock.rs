//! One run an account: a lock on a file that stays, held as long as the process lives.
//!
//! The operating system drops the lock with the process, however it ends, so there is never a stale one to remove. The
//! file's content (the holder's process id, written at `mtime`) only serves the message.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{fault, place};
use crate::error::{Error, Kind, Result};
use crate::stop::Stop;

/// How long to pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// The right to run an account; dropping it gives it back.
#[derive(Debug)]
pub struct Lock {
    file: File,
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
        let mut file = options.open(&path).map_err(|e| fault::io("open the lock file", &path, e))?;
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
        // The lock is ours even if its note cannot be written (a full disk): then the message names no process.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Lock { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file unlocks it; without its note, nobody is told of a process that has ended.
        let _ = self.file.set_len(0);
    }
}

/// Says who holds the lock and since when.
fn held(file: &mut File, account: &str, path: &Path) -> Error {
    let mut note = String::new();
    let pid = match file.rewind().and_then(|()| file.take(32).read_to_string(&mut note)) {
        Ok(_) => note.trim().parse::<u32>().ok(),
        Err(_) => None,
    };
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
