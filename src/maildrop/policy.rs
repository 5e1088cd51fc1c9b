//! What an account's settings want: how long mail stays on the server, how much of it is fetched.

use std::time::Duration;

use crate::mail::UnixSeconds;

/// How long a message stays on the server once it is delivered (`keep`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// For ever.
    #[default]
    Always,
    /// Not at all.
    Never,
    /// Until so long after it was first seen.
    For(Duration),
}

impl Keep {
    /// Whether a delivered message has to go; exact to the second.
    pub fn is_over(self, first_seen: UnixSeconds, now: UnixSeconds) -> bool {
        match self {
            Keep::Always => false,
            Keep::Never => true,
            Keep::For(time) => age(first_seen, now) >= time.as_secs(),
        }
    }
}

/// Seconds since a message was first seen; a clock that was set back makes none.
pub fn age(first_seen: UnixSeconds, now: UnixSeconds) -> u64 {
    u64::try_from(now.0.saturating_sub(first_seen.0)).unwrap_or_default()
}

/// Whether what came of a message has about the size that the server lists. Many count otherwise than they send, but
/// half or twice as much is another message or not all of it: such a one is not deleted. A size of 0 tells nothing.
pub fn is_as_listed(listed: u64, came: u64) -> bool {
    const ADDED_MOST: u64 = 1024;
    let less = came < listed / 2;
    let more = came / 2 >= listed && came > listed.saturating_add(ADDED_MOST);
    listed == 0 || !less && !more
}

/// Which messages are fetched first (`order`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As the server numbers them, which is as they came.
    #[default]
    Oldest,
    /// The other way round.
    Newest,
}

/// What the account's settings want.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// How long delivered mail stays.
    pub keep: Keep,
    /// Larger messages are left on the server; octets as the server counts them.
    pub max_size: Option<u64>,
    /// A run fetches no more messages than this.
    pub max_messages: Option<u64>,
    /// Which come first.
    pub order: Order,
}

/// How long a message is remembered that is not on the server any more.
pub const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fourteen_days_end_with_their_last_second() {
        const DAY: i64 = 24 * 3600;
        let keep = Keep::For(Duration::from_secs(14 * 24 * 3600));
        let seen = UnixSeconds(1_700_000_000);
        for (seconds, over) in
            [(0, false), (14 * DAY - 1, false), (14 * DAY, true), (14 * DAY + 1, true), (-DAY, false)]
        {
            assert_eq!(keep.is_over(seen, UnixSeconds(seen.0 + seconds)), over, "{seconds}");
        }
        assert!(!Keep::Always.is_over(seen, UnixSeconds(i64::MAX)) && Keep::Never.is_over(seen, seen));
        assert_eq!(age(UnixSeconds(i64::MAX), UnixSeconds(i64::MIN)), 0);
    }

    #[test]
    fn half_and_twice_the_listed_size_are_another_message() {
        for (listed, came) in [(0, 0), (0, 9), (10, 5), (10, 900), (6000, 3000), (6000, 11_999), (6000, 5900)] {
            assert!(is_as_listed(listed, came), "{listed} {came}");
        }
        for (listed, came) in [(6000, 0), (100, 31), (6000, 2999), (6000, 12_000), (u64::MAX, 1)] {
            assert!(!is_as_listed(listed, came), "{listed} {came}");
        }
    }
}
