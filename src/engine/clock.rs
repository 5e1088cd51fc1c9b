//! The one door through which time comes in.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::Result;
use crate::faults;
use crate::mail::UnixSeconds;
use crate::stop::Stop;

/// The wall clock now.
pub fn now() -> UnixSeconds {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixSeconds(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Waits for `time`, or until the run has to stop.
pub fn sleep(time: Duration, stop: &Stop) -> Result<()> {
    let (begun, time) = (Instant::now(), faults::pause(time));
    while let Some(left) = time.checked_sub(begun.elapsed()) {
        stop.check()?;
        std::thread::sleep(stop.slice(left));
    }
    stop.check()
}
