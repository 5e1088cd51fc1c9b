//! Sets of UIDs as ranges, which is how they travel (RFC 3501 §9 `sequence-set`) and how plans hold thousands.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Uid;

/// A set of UIDs: sorted, disjoint, non-adjacent inclusive ranges.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UidSet {
    ranges: Vec<(Uid, Uid)>,
}

impl UidSet {
    /// The empty set.
    pub fn new() -> UidSet {
        UidSet::default()
    }

    /// The set from `first` to `last`, both included; empty when `first` is above `last`.
    pub fn range(first: Uid, last: Uid) -> UidSet {
        UidSet { ranges: if first <= last { vec![(first, last)] } else { Vec::new() } }
    }

    /// Reads `1:4,7`, in any order and with either end first; `None` for anything else, `*` included.
    pub fn parse(text: &str) -> Option<UidSet> {
        let mut set = UidSet::new();
        for part in text.split(',') {
            let (a, b) = part.split_once(':').unwrap_or((part, part));
            let number = |s: &str| {
                let digits = !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
                digits.then(|| s.parse().ok()).flatten().and_then(Uid::new)
            };
            let (a, b) = (number(a)?, number(b)?);
            set.insert_range(a.min(b), a.max(b));
        }
        Some(set)
    }

    /// Puts one UID in; constant time when UIDs come in rising order.
    pub fn insert(&mut self, uid: Uid) {
        self.insert_range(uid, uid);
    }

    /// Puts `first` to `last` in; nothing when `first` is above `last`.
    pub fn insert_range(&mut self, first: Uid, last: Uid) {
        if first > last {
            return;
        }
        // The ranges that touch or overlap the new one stand together; they become one with it.
        let touches_left = |end: Uid| end.next().is_some_and(|n| n < first);
        let from = self.ranges.partition_point(|&(_, end)| touches_left(end));
        let to = self.ranges.partition_point(|&(start, _)| last.next().is_none_or(|n| start <= n));
        let merged = self.ranges.get(from..to).unwrap_or_default();
        let start = merged.first().map_or(first, |r| r.0.min(first));
        let end = merged.last().map_or(last, |r| r.1.max(last));
        self.ranges.splice(from..to.max(from), [(start, end)]);
    }

    /// All that is in any of `sets`, however their ranges lie.
    pub fn union<'s>(sets: impl IntoIterator<Item = &'s UidSet>) -> UidSet {
        let mut ranges: Vec<(Uid, Uid)> = sets.into_iter().flat_map(|set| &set.ranges).copied().collect();
        ranges.sort_unstable();
        let mut union = UidSet::new();
        ranges.into_iter().for_each(|(first, last)| union.insert_range(first, last));
        union
    }

    /// Puts all of `other` in.
    pub fn insert_all(&mut self, other: &UidSet) {
        *self = UidSet::union([&*self, other]);
    }

    /// What is in both sets; walks their ranges, not their UIDs.
    #[must_use]
    pub fn and(&self, other: &UidSet) -> UidSet {
        let (mut ours, mut theirs) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        let mut both = UidSet::new();
        while let (Some(&&(start, end)), Some(&&(from, to))) = (ours.peek(), theirs.peek()) {
            both.insert_range(start.max(from), end.min(to));
            _ = if end < to { ours.next() } else { theirs.next() };
        }
        both
    }

    /// What is in this set and not in `other`; walks their ranges, not their UIDs.
    #[must_use]
    pub fn without(&self, other: &UidSet) -> UidSet {
        let mut left = UidSet::new();
        for &(start, end) in &self.ranges {
            let mut rest = Some(start);
            let first = other.ranges.partition_point(|&(_, to)| to < start);
            for &(from, to) in other.ranges.iter().skip(first).take_while(|(from, _)| *from <= end) {
                if let Some((start, last)) = rest.zip(Uid::new(from.get() - 1)) {
                    left.insert_range(start, last);
                }
                rest = to.next();
            }
            if let Some(start) = rest {
                left.insert_range(start, end);
            }
        }
        left
    }

    /// Whether `uid` is in the set.
    pub fn contains(&self, uid: Uid) -> bool {
        let at = self.ranges.partition_point(|&(_, end)| end < uid);
        self.ranges.get(at).is_some_and(|&(start, _)| start <= uid)
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many UIDs are in the set; a range from a server may be large, so this does not walk it.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|(a, b)| u64::from(b.get() - a.get()) + 1).sum()
    }

    /// The inclusive ranges, rising.
    pub fn ranges(&self) -> &[(Uid, Uid)] {
        &self.ranges
    }

    /// Every UID, rising. Only for sets of our own making: a server's range may hold 2³² of them.
    pub fn iter(&self) -> impl Iterator<Item = Uid> + '_ {
        self.ranges.iter().flat_map(|&(a, b)| (a.get()..=b.get()).filter_map(Uid::new))
    }

    /// The largest UID.
    pub fn last(&self) -> Option<Uid> {
        self.ranges.last().map(|r| r.1)
    }

    /// The smallest UID.
    pub fn first(&self) -> Option<Uid> {
        self.ranges.first().map(|r| r.0)
    }

    /// Cuts the set into pieces of at most `most` UIDs whose text is at most `octets` long (one range is always taken).
    pub fn chunks(&self, most: u64, octets: usize) -> Vec<UidSet> {
        let mut out: Vec<UidSet> = Vec::new();
        let (mut count, mut length) = (0, 0);
        for &(start, end) in &self.ranges {
            let mut start = Some(start);
            while let Some(from) = start.filter(|s| *s <= end) {
                let text = 1 + if from == end { digits(from) } else { digits(from) + digits(end) + 1 };
                if out.is_empty() || count >= most.max(1) || (length > 0 && length + text > octets) {
                    out.push(UidSet::new());
                    (count, length) = (0, 0);
                }
                let room = u32::try_from(most.max(1) - count).unwrap_or(u32::MAX);
                let to = Uid::new(from.get().saturating_add(room - 1)).map_or(end, |t| t.min(end));
                if let Some(piece) = out.last_mut() {
                    piece.insert_range(from, to);
                }
                count += u64::from(to.get() - from.get()) + 1;
                length += text;
                start = to.next();
            }
        }
        out
    }
}

fn digits(uid: Uid) -> usize {
    uid.get().ilog10() as usize + 1
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> UidSet {
        let mut set = UidSet::new();
        set.extend(uids);
        set
    }
}

impl Extend<Uid> for UidSet {
    fn extend<I: IntoIterator<Item = Uid>>(&mut self, uids: I) {
        uids.into_iter().for_each(|uid| self.insert(uid));
    }
}

impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (start, end)) in self.ranges.iter().enumerate() {
            if n > 0 {
                f.write_str(",")?;
            }
            if start == end { write!(f, "{start}")? } else { write!(f, "{start}:{end}")? }
        }
        Ok(())
    }
}

impl Serialize for UidSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(uids: impl IntoIterator<Item = u32>) -> UidSet {
        uids.into_iter().filter_map(Uid::new).collect()
    }

    #[test]
    fn reads_and_writes_ranges() {
        assert_eq!(set([3, 1, 2, 9, 7]).to_string(), "1:3,7,9");
        assert_eq!(UidSet::parse("9,7,3:1"), Some(set([1, 2, 3, 7, 9])));
        for bad in ["", "0", "1:*", "a", "1,,2", "4294967296", "+1", "1:2:3"] {
            assert_eq!(UidSet::parse(bad), None, "{bad}");
        }
        assert_eq!(UidSet::parse("4294967295,1").map(|s| s.len()), Some(2));
    }

    proptest! {
        #[test]
        fn is_a_set(uids in prop::collection::vec(1u32..60, 0..60), extra in (1u32..60, 0u32..20)) {
            let mut s = set(uids.iter().copied());
            let mut model: BTreeSet<u32> = uids.into_iter().collect();
            s.insert_range(Uid::new(extra.0).unwrap(), Uid::new(extra.0 + extra.1).unwrap());
            model.extend(extra.0..=extra.0 + extra.1);
            prop_assert_eq!(s.iter().map(Uid::get).collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(s.len(), model.len() as u64);
            for n in 1..90 {
                prop_assert_eq!(s.contains(Uid::new(n).unwrap()), model.contains(&n));
            }
            prop_assert_eq!(UidSet::parse(&s.to_string()), Some(s.clone()));
            prop_assert!(s.ranges().windows(2).all(|w| w[0].1.get() + 1 < w[1].0.get()));
        }

        #[test]
        fn sets_meet_and_part(a in prop::collection::vec(1u32..40, 0..40), b in prop::collection::vec(1u32..40, 0..40)) {
            let (s, t) = (set(a.iter().copied()), set(b.iter().copied()));
            let both = a.iter().copied().filter(|n| b.contains(n));
            prop_assert_eq!(s.and(&t), set(both));
            let left = a.iter().copied().filter(|n| !b.contains(n));
            prop_assert_eq!(s.without(&t), set(left));
            let mut all = s.clone();
            all.insert_all(&t);
            prop_assert_eq!(all, set(a.iter().chain(&b).copied()));
            let all = UidSet::range(Uid::new(1).unwrap(), Uid::MAX);
            prop_assert_eq!(s.and(&all), s.clone());
            prop_assert!(s.without(&all).is_empty());
        }

        #[test]
        fn chunks_are_bounded_and_lose_nothing(uids in prop::collection::vec(1u32..5000, 0..200), most in 1u64..50, octets in 12usize..80) {
            let s = set(uids);
            let chunks = s.chunks(most, octets);
            let mut again = UidSet::new();
            for c in &chunks {
                prop_assert!(!c.is_empty() && c.len() <= most && c.to_string().len() <= octets);
                again.extend(c.iter());
            }
            prop_assert_eq!(again, s);
        }
    }
}
