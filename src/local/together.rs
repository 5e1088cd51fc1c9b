//! Many files or directories at once are flushed with the file system they are on: ext4 then writes its journal once,
//! and tells the disk once to keep it, not once for each.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::dir::Dir;

/// From how many on.
const TOGETHER: usize = 8;
/// Whether that goes quickly. Others may write much at the same time, and then each of our batches would wait for it.
static IS_QUICK: AtomicBool = AtomicBool::new(true);
/// A batch is on disk sooner than that where nobody else writes.
const QUICK: Duration = Duration::from_secs(1);

/// Whether so many are worth it.
pub(super) fn is_worth(count: usize) -> bool {
    count >= TOGETHER && IS_QUICK.load(Ordering::Relaxed)
}

/// Flushes the file systems of `dirs`; `false` when that failed. Whatever goes wrong goes wrong once more when each is
/// flushed by itself, and then it is known with which.
pub(super) fn flush<'d>(dirs: impl Iterator<Item = &'d Dir>) -> bool {
    let begun = Instant::now();
    let flushed = all_of(dirs);
    if begun.elapsed() > QUICK {
        IS_QUICK.store(false, Ordering::Relaxed);
    }
    flushed.is_ok()
}

fn all_of<'d>(dirs: impl Iterator<Item = &'d Dir>) -> io::Result<()> {
    let mut flushed = BTreeSet::new();
    for dir in dirs {
        if flushed.insert(dir.device()?) {
            dir.sync_file_system()?;
        }
    }
    Ok(())
}
