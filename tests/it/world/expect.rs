//! What a synchronisation has to end in, said without looking at how: from the state both sides agreed on and what
//! each of them has become since.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::{Fingerprint, FlagSet, Seen, Snapshot};

/// The merge of two sides that were `base` once. Contents must be distinct within a mailbox.
///
/// A message is there when it is new on either side, or old and gone from neither; its flags are those that were set or
/// cleared on either side, also where it moved meanwhile; a mailbox is there by the same rule, and while it holds a message.
pub fn merged(base: &Snapshot, local: &Snapshot, remote: &Snapshot) -> Snapshot {
    let mut merged = Snapshot::default();
    let mut moves = Moves { sides: [base, local, remote], taken: BTreeSet::new() };
    let names: BTreeSet<&String> = [base, local, remote].iter().flat_map(|s| s.0.keys()).collect();
    for name in names {
        let sides = [base, local, remote].map(|s| by_content(s, name));
        let contents: BTreeSet<&Fingerprint> = sides.iter().flat_map(BTreeMap::keys).collect();
        let mut messages = Vec::new();
        for content in contents {
            let [b, l, r] = [0, 1, 2].map(|i: usize| sides[i].get(content));
            let (flags, seen) = match (b, l, r) {
                (Some(b), Some(l), Some(r)) => (merged_flags(&b.flags, &l.flags, &r.flags), b),
                (None, Some(l), Some(r)) => match moves.take(*content, [false, false]) {
                    Some([base, _, _]) => (merged_flags(&base.unwrap_or_default(), &l.flags, &r.flags), l),
                    None => (l.flags.union(&r.flags).cloned().collect(), l),
                },
                (None, Some(l), None) => match moves.take(*content, [false, true]) {
                    Some([Some(base), _, Some(there)]) => (merged_flags(&base, &l.flags, &there), l),
                    _ => (l.flags.clone(), l),
                },
                (None, None, Some(r)) => match moves.take(*content, [true, false]) {
                    Some([Some(base), Some(here), _]) => (merged_flags(&base, &here, &r.flags), r),
                    _ => (r.flags.clone(), r),
                },
                _ => continue,
            };
            messages.push(Seen { flags, ..seen.clone() });
        }
        messages.sort();
        let [b, l, r] = [base, local, remote].map(|s| s.0.contains_key(name));
        let stays = if b { l && r } else { l || r };
        if stays || !messages.is_empty() {
            merged.0.insert(name.clone(), messages);
        }
    }
    merged
}

fn by_content(side: &Snapshot, mailbox: &str) -> BTreeMap<Fingerprint, Seen> {
    let list = side.0.get(mailbox).map(Vec::as_slice).unwrap_or_default();
    let map: BTreeMap<_, _> = list.iter().map(|s| (s.content, s.clone())).collect();
    assert_eq!(map.len(), list.len(), "{mailbox}: the same message twice");
    map
}

fn merged_flags(base: &FlagSet, local: &FlagSet, remote: &FlagSet) -> FlagSet {
    let all: BTreeSet<&String> = base.iter().chain(local).chain(remote).collect();
    let set = |f: &&&String| {
        let (l, r) = (local.contains(**f), remote.contains(**f));
        if base.contains(**f) { l && r } else { l || r }
    };
    all.iter().filter(set).map(|f| (*f).clone()).collect()
}

/// Messages that left their mailbox, each for one other place.
struct Moves<'a> {
    sides: [&'a Snapshot; 3],
    taken: BTreeSet<(&'a String, Fingerprint)>,
}

impl Moves<'_> {
    /// The flags, agreed, here and there, of a message that was agreed on in a mailbox and is still in it on these sides only.
    fn take(&mut self, content: Fingerprint, stays: [bool; 2]) -> Option<[Option<FlagSet>; 3]> {
        for name in self.sides[0].0.keys() {
            let found = self.sides.map(|side| by_content(side, name).remove(&content).map(|seen| seen.flags));
            let here = found[0].is_some() && [found[1].is_some(), found[2].is_some()] == stays;
            if here && self.taken.insert((name, content)) {
                return Some(found);
            }
        }
        None
    }
}
