//! COPYUID (RFC 4315 §3): which UID each copied or moved message has at its new place.

use super::token;
use crate::mail::{Uid, UidSet, UidValidity};

/// Two lists of UIDs, the n-th of one being the n-th of the other; kept as the ranges they came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyUid {
    /// The generation of the new UIDs.
    pub validity: UidValidity,
    from: Vec<(Uid, Uid)>,
    to: Vec<(Uid, Uid)>,
}

impl CopyUid {
    /// Reads what stands behind the word; `None` unless both lists have the same length and no UID twice.
    pub fn read(arguments: &[u8]) -> Option<CopyUid> {
        let mut parts = arguments.split(|b| *b == b' ').filter(|part| !part.is_empty());
        let validity = token::number(parts.next()?).and_then(|n| u32::try_from(n).ok()).map(UidValidity)?;
        let (from, to) = (ranges(parts.next()?)?, ranges(parts.next()?)?);
        let len = |ranges: &[(Uid, Uid)]| ranges.iter().map(|r| u64::from(r.1.get() - r.0.get()) + 1).sum::<u64>();
        (parts.next().is_none() && len(&from) == len(&to)).then_some(CopyUid { validity, from, to })
    }

    /// Whether it tells of no other messages than those of `uids`.
    pub fn is_among(&self, uids: &UidSet) -> bool {
        let within = |(first, last): &(Uid, Uid)| uids.ranges().iter().any(|(a, b)| a <= first && last <= b);
        self.from.iter().all(within)
    }

    /// Where the message `uid` went.
    pub fn of(&self, uid: Uid) -> Option<Uid> {
        let mut before = 0;
        for (first, last) in &self.from {
            if (*first..=*last).contains(&uid) {
                return self.at(before + u64::from(uid.get() - first.get()));
            }
            before += u64::from(last.get() - first.get()) + 1;
        }
        None
    }

    /// The n-th new UID, from 0.
    fn at(&self, mut n: u64) -> Option<Uid> {
        for (first, last) in &self.to {
            let len = u64::from(last.get() - first.get()) + 1;
            if n < len {
                return u32::try_from(u64::from(first.get()) + n).ok().and_then(Uid::new);
            }
            n -= len;
        }
        None
    }
}

/// Ranges in the order they were written; `None` when they overlap.
fn ranges(text: &[u8]) -> Option<Vec<(Uid, Uid)>> {
    let mut ranges = Vec::new();
    for part in text.split(|b| *b == b',') {
        let mut ends = part.split(|b| *b == b':');
        let first = token::uid(ends.next()?)?;
        let last = ends.next().map_or(Some(first), token::uid)?;
        ends.next().is_none().then_some(())?;
        ranges.push((first.min(last), first.max(last)));
    }
    let mut sorted = ranges.clone();
    sorted.sort_unstable();
    let apart = sorted.iter().zip(sorted.iter().skip(1)).all(|(a, b)| a.1 < b.0);
    apart.then_some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(n: u32) -> Uid {
        Uid::new(n).unwrap()
    }

    #[test]
    fn the_nth_of_one_list_is_the_nth_of_the_other() {
        let copied = CopyUid::read(b"38505 304,319:320 3956:3958").unwrap();
        assert_eq!(copied.validity, UidValidity(38505));
        assert_eq!([304, 319, 320].map(|n| copied.of(uid(n)).unwrap().get()), [3956, 3957, 3958]);
        assert_eq!(copied.of(uid(305)), None);
        let mixed = CopyUid::read(b"1 9,2:4 100,50:52").unwrap();
        assert_eq!([9, 2, 3, 4].map(|n| mixed.of(uid(n)).unwrap().get()), [100, 50, 51, 52]);
        let wide = CopyUid::read(b"1 1:4294967295 1:4294967295").unwrap();
        assert_eq!(wide.of(uid(4_000_000_000)), Some(uid(4_000_000_000)));
    }

    #[test]
    fn what_tells_of_others_is_known() {
        let asked = UidSet::parse("4:6,9").unwrap();
        let is_among = |text: &str| CopyUid::read(text.as_bytes()).unwrap().is_among(&asked);
        assert!(is_among("1 4:5,9 1:3") && is_among("1 6 1"));
        assert!(!is_among("1 4:7 1:4") && !is_among("1 1:4294967295 1:4294967295"));
    }

    #[test]
    fn what_is_no_such_pair_of_lists_is_nothing() {
        for wrong in ["", "1", "1 2", "1 1:2 5", "1 1:3,2 5:8", "1 1:2 5,5", "1 0 5", "1 1 5 6", "1 1:* 5:6", "x 1 5"] {
            assert_eq!(CopyUid::read(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
