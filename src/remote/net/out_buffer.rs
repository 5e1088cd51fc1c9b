//! Octets that wait to be sent: pushed at the end, consumed from the front.
//!
//! Invariant: what is in front never moves relative to what follows, and a push never costs more than the octets
//! pushed (amortised), however much is waiting.

/// Octets on their way out.
#[derive(Default)]
pub struct OutBuffer {
    octets: Vec<u8>,
    /// How many octets at the start of `octets` are sent already.
    sent: usize,
}

impl OutBuffer {
    /// An empty buffer.
    pub fn new() -> OutBuffer {
        OutBuffer::default()
    }

    /// Appends octets.
    pub fn push(&mut self, octets: &[u8]) {
        // Moves the rest to the front only when at least as much was sent as is moved: amortised O(1) an octet.
        if self.sent > 0 && self.sent >= self.octets.len() - self.sent {
            self.octets.drain(..self.sent);
            self.sent = 0;
        }
        self.octets.extend_from_slice(octets);
    }

    /// How many octets wait.
    pub fn len(&self) -> usize {
        self.octets.len() - self.sent
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What waits, first octet first.
    pub fn as_slice(&self) -> &[u8] {
        self.octets.get(self.sent..).unwrap_or_default()
    }

    /// Forgets the first `octets` octets (or all, when fewer wait): they are sent.
    pub fn consume(&mut self, octets: usize) {
        self.sent = self.sent.saturating_add(octets).min(self.octets.len());
        if self.sent == self.octets.len() {
            self.octets.clear();
            self.sent = 0;
        }
    }
}

/// Shows the length only: a command may hold a password.
impl std::fmt::Debug for OutBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutBuffer({} octets)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_pushed_in_order() {
        let (mut buffer, mut out) = (OutBuffer::new(), Vec::new());
        let all: Vec<u8> = (0..10_000u32).flat_map(u32::to_be_bytes).collect();
        for (n, piece) in all.chunks(37).enumerate() {
            buffer.push(piece);
            let take = (n * 7 % 61).min(buffer.len());
            out.extend_from_slice(&buffer.as_slice()[..take]);
            buffer.consume(take);
        }
        out.extend_from_slice(buffer.as_slice());
        buffer.consume(usize::MAX);
        assert!(buffer.is_empty());
        assert_eq!(out, all);
    }

    #[test]
    fn shows_no_octets() {
        let mut buffer = OutBuffer::new();
        buffer.push(b"LOGIN me hunter2");
        assert_eq!(format!("{buffer:?}"), "OutBuffer(16 octets)");
    }
}
