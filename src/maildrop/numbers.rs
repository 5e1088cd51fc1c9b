//! Sets of message numbers, shown as ranges.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::mail::MessageNumber;

/// A set of message numbers of one session; shows as `1:3,7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Numbers(BTreeSet<MessageNumber>);

impl Numbers {
    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `number` is among them.
    pub fn contains(&self, number: MessageNumber) -> bool {
        self.0.contains(&number)
    }

    /// Puts one in.
    pub fn insert(&mut self, number: MessageNumber) {
        self.0.insert(number);
    }

    /// All, rising.
    pub fn iter(&self) -> impl Iterator<Item = MessageNumber> + '_ {
        self.0.iter().copied()
    }

    /// The inclusive ranges, rising.
    pub fn ranges(&self) -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for number in self.0.iter().map(|n| n.get()) {
            match ranges.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
                _ => ranges.push((number, number)),
            }
        }
        ranges
    }
}

impl FromIterator<MessageNumber> for Numbers {
    fn from_iter<I: IntoIterator<Item = MessageNumber>>(numbers: I) -> Self {
        Numbers(numbers.into_iter().collect())
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (first, last)) in self.ranges().into_iter().enumerate() {
            if n > 0 {
                f.write_str(",")?;
            }
            if first == last { write!(f, "{first}")? } else { write!(f, "{first}:{last}")? }
        }
        Ok(())
    }
}

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_show_as_ranges() {
        let set = |numbers: &[u32]| numbers.iter().filter_map(|n| MessageNumber::new(*n)).collect::<Numbers>();
        assert_eq!(set(&[7, 1, 3, 2]).to_string(), "1:3,7");
        assert_eq!(set(&[4_294_967_294, u32::MAX]).to_string(), "4294967294:4294967295");
        assert_eq!((set(&[]).to_string().as_str(), set(&[]).len()), ("", 0));
    }
}
