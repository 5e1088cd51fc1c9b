//! What is in the maildrop: STAT, LIST and UIDL, in one round trip where the server pipelines.
//!
//! Invariant: an [`Entry`] is a number that LIST gave a size, once. Whatever does not fit is left out and named in
//! [`Listing::odd`]; then, and when the counts differ, the listing is not [whole](Listing::is_whole), and what is not
//! in it is not known to be gone.

use std::fmt;

use crate::mail::{MessageNumber, Uidl};

/// The answer to STAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// How many messages.
    pub messages: u32,
    /// Their octets in all.
    pub octets: u64,
}

/// A message in the maildrop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number in this session.
    pub number: MessageNumber,
    /// Its octets as the server counts them; some count otherwise than they send.
    pub size: u64,
    /// Its unique id, as sent; may repeat. `None`: the server has none, or a wrong one for this message.
    pub uidl: Option<Uidl>,
}

/// What a server lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// What STAT said.
    pub stat: Stat,
    /// The messages, by number.
    pub entries: Vec<Entry>,
    /// What was left out of the lists, the first few.
    pub odd: Vec<Odd>,
}

impl Listing {
    /// Whether the lists agree with STAT and nothing was left out: only then is what is absent gone.
    pub fn is_whole(&self) -> bool {
        self.odd.is_empty() && u32::try_from(self.entries.len()) == Ok(self.stat.messages)
    }
}

/// Something in a list that makes no sense; shows as a sentence without the final stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odd(String);

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
