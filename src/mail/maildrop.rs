//! What a message of a POP3 maildrop is known by: a number for one session, a unique id for longer.

use std::fmt;
use std::num::NonZeroU32;

/// A message's number in one POP3 session (RFC 1939 §4), from 1; it means nothing in another session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageNumber(NonZeroU32);

impl MessageNumber {
    /// Makes a number; `None` for 0.
    pub fn new(n: u32) -> Option<MessageNumber> {
        NonZeroU32::new(n).map(MessageNumber)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for MessageNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A message's unique id (RFC 1939 §7, UIDL), as the server sent it: 1 to [`Uidl::MOST`] octets.
///
/// The standard wants 1 to 70 octets of visible ASCII, never used twice. Servers break each part of that, so it is any
/// octets here, and says nothing about being the only one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uidl(Box<[u8]>);

impl Uidl {
    /// Octets of the longest one that is taken.
    pub const MOST: usize = 512;

    /// Takes the octets as they are; `None` when there are none, or too many.
    pub fn new(octets: &[u8]) -> Option<Uidl> {
        (1..=Self::MOST).contains(&octets.len()).then(|| Uidl(octets.into()))
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is what RFC 1939 allows.
    pub fn is_standard(&self) -> bool {
        self.0.len() <= 70 && self.0.iter().all(|b| b.is_ascii_graphic())
    }
}

/// For a person: ASCII as it is, everything else as `\xNN`; reversible, and safe on a terminal.
impl fmt::Display for Uidl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Uidl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uidl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_id_is_any_octets_within_the_limit() {
        assert_eq!(Uidl::new(b""), None);
        assert_eq!(Uidl::new(&[b'x'; Uidl::MOST + 1]), None);
        assert!(Uidl::new(&[b'x'; 70]).unwrap().is_standard());
        for odd in [&[b'x'; 71][..], b"a b", b"\xff", b"a\x1b[31m"] {
            assert!(!Uidl::new(odd).unwrap().is_standard());
        }
        assert_eq!(Uidl::new(b"a\x1b[31m\xff").unwrap().to_string(), r"a\x1b[31m\xff");
    }
}
