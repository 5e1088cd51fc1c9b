//! Whether what comes can be the message that was listed.
//!
//! Servers count otherwise than they send: some without CRs, some guess. So a wrong size proves nothing, and in lock-step
//! all is taken that ends. In a pipeline it may mean that one answer ran into the next, or ended inside a message, and
//! then every answer that follows belongs to another message than it seems: there it ends the session, and the next
//! asks for one message at a time.

use crate::error::{Error, Kind, Result};

/// Octets beyond twice the listed size at which a message has no end.
const BEYOND_MOST: u64 = 64 << 20;
/// Octets that a server may add to what it lists, beside a CR a line.
const ADDED_MOST: u64 = 1024;
/// Octets by which an answer is told from text: `+OK` alone begins a line of base64 now and then.
const MARK: usize = 4;

/// How commands are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flight {
    /// The next one when the last is answered.
    LockStep,
    /// Many at once.
    Pipelined,
}

/// Watches a message's octets against its listed size.
#[derive(Debug)]
pub(super) struct Measure {
    flight: Flight,
    listed: u64,
    passed: u64,
    lines: u64,
    /// What stands where the message is over by its size, as much as a mark has.
    there: Vec<u8>,
    /// The beginning of a line near that place, at most as much as a mark has.
    line: Vec<u8>,
    /// Whether the next octet belongs to it: not before the first line there, nor behind a line's beginning.
    begins: bool,
    /// Whether one began like an answer.
    doubtful: bool,
}

impl Measure {
    /// For a message that is listed with so many octets.
    pub fn new(listed: u64, flight: Flight) -> Measure {
        let [there, line] = [(); 2].map(|()| Vec::with_capacity(MARK));
        Measure { flight, listed, passed: 0, lines: 0, there, line, begins: false, doubtful: false }
    }

    /// Takes the next octets.
    pub fn pass(&mut self, octets: &[u8]) -> Result<()> {
        let before = self.passed;
        self.passed = self.passed.saturating_add(octets.len() as u64);
        self.exact_end(before, octets)?;
        if self.flight == Flight::Pipelined {
            self.lines += memchr::memchr_iter(b'\n', octets).count() as u64;
            self.look_near_the_end(before, octets);
            if self.passed > self.listed.saturating_add(self.lines).saturating_add(ADDED_MOST) {
                return Err(unlike(self.listed, "more came than is listed"));
            }
        }
        if self.passed > self.listed.saturating_mul(2).saturating_add(BEYOND_MOST) {
            return Err(Error::new(
                Kind::Protocol,
                format!("A message has no end: {} octets are listed, {} came", self.listed, self.passed),
            ));
        }
        Ok(())
    }

    /// Ends the message.
    pub fn end(self) -> Result<()> {
        if self.flight == Flight::LockStep {
            return Ok(());
        }
        // Text may look like that; then the size is right, CRs counted or not.
        let is_right = self.passed == self.listed || self.passed - self.lines == self.listed;
        if self.doubtful && !is_right {
            return Err(endless());
        }
        if self.passed < self.listed / 2 {
            return Err(unlike(self.listed, &format!("{} came", self.passed)));
        }
        Ok(())
    }

    /// An answer that begins where the message is over, to the octet.
    fn exact_end(&mut self, before: u64, octets: &[u8]) -> Result<()> {
        if self.passed > self.listed && self.there.len() < MARK {
            let from = usize::try_from(self.listed.saturating_sub(before)).unwrap_or(usize::MAX);
            let there = octets.get(from..).unwrap_or_default().iter().take(MARK - self.there.len());
            self.there.extend(there);
            if is_mark(&self.there) {
                return Err(endless());
            }
        }
        Ok(())
    }

    /// Looks for a line near that place that begins like an answer: not every size is right to the octet.
    fn look_near_the_end(&mut self, before: u64, octets: &[u8]) {
        let near = self.listed - self.listed.min(self.listed / 16 + 64);
        let from = usize::try_from(near.saturating_sub(before)).unwrap_or(usize::MAX);
        for octet in octets.get(from..).unwrap_or_default() {
            if self.begins {
                self.line.push(*octet);
                self.doubtful |= is_mark(&self.line);
                self.begins = self.line.len() < MARK;
            }
            if *octet == b'\n' {
                self.line.clear();
                self.begins = true;
            }
        }
    }
}

fn is_mark(octets: &[u8]) -> bool {
    matches!(octets, b"+OK " | b"+OK\r" | b"+OK\n" | b"-ERR")
}

fn endless() -> Error {
    Error::new(Kind::Protocol, "A message has no end: the next answer begins inside it").worth_retrying()
}

fn unlike(listed: u64, what: &str) -> Error {
    Error::new(Kind::Protocol, format!("A message of {listed} octets is another or not whole: {what}")).worth_retrying()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(listed: u64, flight: Flight, text: &str) -> bool {
        [1, 7, text.len().max(1)].iter().all(|piece| {
            let mut measure = Measure::new(listed, flight);
            let passed = text.as_bytes().chunks(*piece).try_for_each(|octets| measure.pass(octets));
            passed.and_then(|()| measure.end()).is_ok()
        })
    }

    #[test]
    fn a_message_of_about_the_listed_size_passes_in_a_pipeline() {
        let text = "a line of text\r\n".repeat(100);
        for listed in [1600, 1500, 1700, 3200, 600] {
            assert!(passes(listed, Flight::Pipelined, &text), "{listed}");
        }
        for listed in [3300, 100, 1 << 50] {
            assert!(!passes(listed, Flight::Pipelined, &text), "{listed}");
            assert!(passes(listed, Flight::LockStep, &text), "{listed}");
        }
    }

    #[test]
    fn a_message_without_end_is_given_up() {
        let mut measure = Measure::new(1000, Flight::LockStep);
        let chunk = vec![b'x'; 1 << 20];
        let passed = (0..1000).take_while(|_| measure.pass(&chunk).is_ok()).count() as u64;
        assert_eq!(passed, (BEYOND_MOST + 2000) >> 20);
    }

    #[test]
    fn an_answer_near_the_end_is_no_text() {
        let text = "a line of text\r\n".repeat(100);
        let glued = format!("{text}+OK 1600 octets\r\n{text}");
        for listed in [1600, 1599, 1620, 1601] {
            assert!(!passes(listed, Flight::Pipelined, &glued), "{listed}");
        }
        let base64 = format!("{text}+OKx\r\n");
        assert!(passes(base64.len() as u64, Flight::Pipelined, &base64));
        // Far from the end it is text.
        let early = format!("+OK is how it begins\r\n+OK\r\n{text}");
        assert!(passes(early.len() as u64, Flight::Pipelined, &early));
        assert!(passes(early.len() as u64, Flight::LockStep, &early));
        let late = format!("{text}+OK\r\n");
        for (listed, pipelined) in [(late.len(), true), (late.len() - 101, true), (late.len() - 1, false)] {
            assert_eq!(passes(listed as u64, Flight::Pipelined, &late), pipelined);
            assert!(passes(listed as u64, Flight::LockStep, &late));
        }
    }
}
