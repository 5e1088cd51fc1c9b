//! When a run that broke off is worth another try, and after how long.
//!
//! Every try observes anew, so what the broken one got done is not done again.

use std::time::Duration;

use crate::error::{Error, Retry};

/// How many tries a run has altogether.
const TRIES: u32 = 3;

/// The time to wait before try number `next` (the first is 1); `None` when there is to be no other.
///
/// A run that never got a session is not tried again: whoever waits for it wants to know at once, and cron comes again.
pub fn pause(error: &Error, next: u32, had_session: bool) -> Option<Duration> {
    let worthwhile = had_session && error.retry() == Retry::Worthwhile && next <= TRIES;
    worthwhile.then(|| {
        let base = 1000u64 << (2 * next.saturating_sub(2)).min(6);
        Duration::from_millis(base / 2 + fastrand::u64(0..=base))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn tries_are_limited_and_spread() {
        let lost = || Error::new(Kind::Unreachable, "The connection was lost").worth_retrying();
        for _ in 0..50 {
            assert!((500..=1500).contains(&pause(&lost(), 2, true).unwrap().as_millis()));
            assert!((2000..=6000).contains(&pause(&lost(), 3, true).unwrap().as_millis()));
        }
        assert_eq!(pause(&lost(), 4, true), None);
        assert_eq!(pause(&lost(), 2, false), None);
        assert_eq!(pause(&Error::new(Kind::Auth, "No"), 2, true), None);
    }
}
