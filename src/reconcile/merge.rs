//! Flags of a message that both sides have: both sides' additions and removals apply to what was agreed.
//!
//! No conflict is possible: what one side adds was not agreed, what one side removes was.

use std::collections::BTreeSet;

use super::view::KeywordRoom;
use crate::mail::{FlagChange, Flags, Keyword};

/// How many keywords a directory can carry: the letters `a` to `z`.
const LETTERS: usize = 26;

/// Where merging leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Merged {
    /// What both sides have come to by themselves.
    pub(super) agreed: Flags,
    /// What the tree lacks.
    pub(super) local: FlagChange,
    /// What the server lacks.
    pub(super) remote: FlagChange,
}

/// Merges what both sides have now against what they had agreed on.
pub(super) fn merge(base: &Flags, local: &Flags, remote: &Flags) -> Merged {
    let (removed_here, removed_there) = (base.minus(local), base.minus(remote));
    let all = base.union(local).union(remote);
    let merged = all.minus(&removed_here).minus(&removed_there);
    let agreed = base.union(&common(local, remote)).minus(&common(&removed_here, &removed_there));
    Merged { agreed, local: local.change_to(&merged), remote: remote.change_to(&merged) }
}

/// What is in both.
pub(super) fn common(a: &Flags, b: &Flags) -> Flags {
    a.minus(&a.minus(b))
}

/// The keyword letters of a directory while a plan uses them up.
#[derive(Debug)]
pub(super) struct Room {
    known: BTreeSet<Keyword>,
    free: usize,
}

impl Room {
    /// As the scan found it.
    pub(super) fn listed(room: &KeywordRoom) -> Room {
        Room { known: room.known.clone(), free: room.free }
    }

    /// What the links tell of a directory that was not read; the letters of keywords in no link are not known.
    pub(super) fn guessed<'a>(linked: impl Iterator<Item = &'a Keyword>) -> Room {
        let known: BTreeSet<Keyword> = linked.cloned().collect();
        let free = LETTERS.saturating_sub(known.len());
        Room { known, free }
    }

    /// Whether the directory can carry `keyword`; a new one takes a letter.
    pub(super) fn take(&mut self, keyword: &Keyword) -> bool {
        if self.known.contains(keyword) {
            return true;
        }
        if self.free == 0 {
            return false;
        }
        self.free -= 1;
        self.known.insert(keyword.clone())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mail::SystemFlag;

    fn flags(bits: u8) -> Flags {
        let mut flags = Flags::none();
        for (n, flag) in SystemFlag::ALL.into_iter().enumerate().filter(|(n, _)| bits & (1 << n) != 0) {
            if n < 3 { flags.system.insert(flag) } else { flags.keywords.extend(Keyword::new(&format!("k{n}"))) }
        }
        flags
    }

    proptest! {
        /// Bit by bit: a bit changes when either side changed it.
        #[test]
        fn every_bit_follows_the_side_that_changed_it(base in 0u8..64, local in 0u8..64, remote in 0u8..64) {
            let merged = merge(&flags(base), &flags(local), &flags(remote));
            let want = flags(base ^ ((base ^ local) | (base ^ remote)));
            prop_assert_eq!(&flags(local).after(&merged.local), &want);
            prop_assert_eq!(&flags(remote).after(&merged.remote), &want);
            prop_assert_eq!(&merged.agreed, &flags(base ^ ((base ^ local) & (base ^ remote))));
            prop_assert_eq!(merged.agreed.after(&merged.local).after(&merged.remote), want);
        }
    }

    #[test]
    fn a_full_directory_takes_known_keywords_only() {
        let keyword = |n: &str| Keyword::new(n).unwrap();
        let mut room = Room { known: [keyword("old")].into(), free: 1 };
        assert!(room.take(&keyword("OLD")) && room.take(&keyword("new")) && room.take(&keyword("new")));
        assert!(!room.take(&keyword("more")));
    }
}
