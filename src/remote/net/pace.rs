//! Tells a slow server from one that never comes to an end: an octet now and then keeps every rule about silence.
//!
//! Only waiting in the midst of a line or a literal counts. A server that is busy for long says so in whole lines, as
//! Dovecot's `* OK Still here` does, and may take its time between them.

use std::time::Duration;

/// So many octets have to come while [`PATIENCE`] is waited for them.
const LEAST: usize = 10 * 1024;
/// How much waiting is enough, in units of `timeout`.
const PATIENCE: u32 = 10;

/// What came lately, and how long it was waited for.
#[derive(Debug, Default)]
pub(super) struct Pace {
    waited: Duration,
    octets: usize,
    in_a_line: bool,
}

impl Pace {
    /// These came.
    pub(super) fn heard(&mut self, octets: &[u8]) {
        let Some(last) = octets.last() else { return };
        self.in_a_line = *last != b'\n';
        self.octets += octets.len();
        if self.octets >= LEAST {
            (self.octets, self.waited) = (0, Duration::ZERO);
        }
    }

    /// So long nothing came.
    pub(super) fn waited(&mut self, time: Duration) {
        if self.in_a_line {
            self.waited += time;
        }
    }

    /// How few octets came in how long, where that is too slow for a server that may be silent for `timeout`.
    pub(super) fn crawls(&self, timeout: Duration) -> Option<(usize, Duration)> {
        (self.waited > timeout * PATIENCE).then_some((self.octets, self.waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    /// An octet a second of this, for so many seconds.
    fn drip(text: &[u8], seconds: usize) -> Pace {
        let mut pace = Pace::default();
        for octet in text.iter().cycle().take(seconds) {
            pace.heard(&[*octet]);
            pace.waited(Duration::from_secs(1));
        }
        pace
    }

    #[test]
    fn a_drip_ends_also_where_it_has_lines() {
        assert_eq!(drip(b"x", 600).crawls(TIMEOUT), None);
        assert_eq!(drip(b"x", 601).crawls(TIMEOUT), Some((601, Duration::from_secs(601))));
        assert!(drip(b"a line of forty octets that is a header\n", 700).crawls(TIMEOUT).is_some());
    }

    #[test]
    fn a_server_that_is_busy_may_say_so_for_hours() {
        let mut pace = Pace::default();
        for _ in 0..200 {
            pace.heard(b"* OK Still here\r\n");
            pace.waited(2 * TIMEOUT);
        }
        assert_eq!(pace.crawls(TIMEOUT), None);
    }

    #[test]
    fn a_slow_line_is_waited_for() {
        let mut pace = Pace::default();
        for _ in 0..100_000 {
            // 50 octets a second.
            pace.heard(b"x");
            pace.waited(Duration::from_millis(20));
            assert_eq!(pace.crawls(TIMEOUT), None);
        }
    }
}
