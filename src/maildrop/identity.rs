//! Which listed message is which known one, as the specification in the parent module says.

use std::collections::{BTreeMap, BTreeSet};

use super::{Headers, Ids, Input, Listed};
use crate::mail::{DeliveredMessage, HeaderHash, KnownMessage, LocalCopy, MessageNumber, Serial, ServerCopy, UidlHash};

/// What became of the listed messages; those in none of the maps are new.
#[derive(Debug, Default)]
pub(super) struct Identified {
    /// The same as a known one.
    pub same: BTreeMap<MessageNumber, Serial>,
    /// Those of `same` that their UIDL did not tell.
    pub by_content: BTreeSet<MessageNumber>,
    /// Perhaps a known one, with the rival.
    pub doubtful: BTreeMap<MessageNumber, Option<Serial>>,
    /// Records whose UIDL names another message now.
    pub robbed: BTreeSet<Serial>,
    /// UIDLs that several listed messages have.
    pub repeated: BTreeSet<UidlHash>,
    /// Whose headers are needed to decide.
    pub ask: BTreeSet<MessageNumber>,
}

/// What a record's UIDL is worth for the listed message that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Belief {
    Same,
    Other,
    Ask,
    Doubt,
}

/// Whether UIDL and size are believed without a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Given,
    Lost,
}

/// Finds out who is who, as far as the headers asked for allow.
pub(super) fn identify(input: &Input<'_>) -> Identified {
    let mut found = Identified { repeated: repeated(input.listing), ..Identified::default() };
    let pairs = pairs(input, &found.repeated);
    let mut trust = Trust::Given;
    if input.ids == Ids::Numbers {
        trust = unshifted(input, &pairs, &mut found.ask);
    }
    let refuted = pairs.iter().any(|(listed, _, known)| believe(input, listed, known, trust) == Belief::Other);
    if refuted {
        trust = Trust::Lost;
    }
    for (listed, serial, known) in &pairs {
        match believe(input, listed, known, trust) {
            Belief::Same => drop(found.same.insert(listed.number, *serial)),
            Belief::Other => drop(found.robbed.insert(*serial)),
            Belief::Ask => drop(found.ask.insert(listed.number)),
            Belief::Doubt => drop(found.doubtful.insert(listed.number, Some(*serial))),
        }
    }
    by_content(input, &mut found);
    robbed(input, &mut found);
    found
}

/// A UIDL belongs to the record that was found for it, and to no other.
fn robbed(input: &Input<'_>, found: &mut Identified) {
    let claimed: BTreeSet<Serial> = found.same.values().copied().collect();
    let named = |listed: &&Listed| found.same.contains_key(&listed.number);
    let taken: BTreeSet<UidlHash> = input.listing.iter().filter(named).filter_map(|listed| listed.uidl).collect();
    for (serial, known) in input.known {
        if known.uidl.is_some_and(|uidl| taken.contains(&uidl)) {
            found.robbed.insert(*serial);
        }
    }
    found.robbed.retain(|serial| !claimed.contains(serial));
}

fn repeated(listing: &[Listed]) -> BTreeSet<UidlHash> {
    let mut once = BTreeSet::new();
    listing.iter().filter_map(|l| l.uidl).filter(|uidl| !once.insert(*uidl)).collect()
}

/// A listed message and the record with its UIDL.
type Pair<'a> = (&'a Listed, Serial, &'a KnownMessage);

/// Listed messages and records with the same UIDL, where no other of either has it; by number.
fn pairs<'a>(input: &Input<'a>, repeated: &BTreeSet<UidlHash>) -> Vec<Pair<'a>> {
    let mut of_uidl: BTreeMap<UidlHash, Option<(Serial, &KnownMessage)>> = BTreeMap::new();
    for (serial, known) in input.known {
        let Some(uidl) = known.uidl else { continue };
        of_uidl.entry(uidl).and_modify(|several| *several = None).or_insert(Some((*serial, known)));
    }
    let pair = |listed: &'a Listed| {
        let uidl = listed.uidl.filter(|uidl| !repeated.contains(uidl))?;
        let (serial, known) = of_uidl.get(&uidl).copied().flatten()?;
        Some((listed, serial, known))
    };
    input.listing.iter().filter_map(pair).collect()
}

/// Whether numbers that serve as UIDLs still stand for the same messages: none has gone, every size agrees, and the last
/// message, which any deletion would have moved, has the header it had.
fn unshifted(input: &Input<'_>, pairs: &[Pair<'_>], ask: &mut BTreeSet<MessageNumber>) -> Trust {
    let expected = |known: &&KnownMessage| known.uidl.is_some() && !matches!(known.copy, ServerCopy::Deleted(_));
    let there = |(_, _, known): &&Pair<'_>| expected(known);
    let whole = input.known.values().filter(expected).count() == pairs.iter().filter(there).count();
    if !whole || pairs.iter().any(|(listed, _, known)| listed.size != known.size) {
        return Trust::Lost;
    }
    let Some((listed, _, known)) = pairs.iter().rev().find(|(_, _, known)| known.local.file().is_some()) else {
        return Trust::Given;
    };
    match believe(input, listed, known, Trust::Lost) {
        Belief::Same => Trust::Given,
        Belief::Other | Belief::Doubt => Trust::Lost,
        Belief::Ask => {
            ask.insert(listed.number);
            Trust::Given
        }
    }
}

fn believe(input: &Input<'_>, listed: &Listed, known: &KnownMessage, trust: Trust) -> Belief {
    let delivered = match &known.local {
        // Nothing can be lost: it is going to be fetched.
        LocalCopy::None => return Belief::Same,
        // There is no header to tell by. What left the server may have left its UIDL to another.
        LocalCopy::Elsewhere => {
            let left = matches!(known.copy, ServerCopy::Deleted(_));
            let same = trust == Trust::Given && !left && listed.size == known.size;
            return if same { Belief::Same } else { Belief::Doubt };
        }
        LocalCopy::File(delivered) => delivered,
    };
    let was_there = known.copy == ServerCopy::Listed;
    if trust == Trust::Given && was_there && listed.size == known.size {
        return Belief::Same;
    }
    match answer(input, listed.number) {
        Answer::Pending => Belief::Ask,
        Answer::None => Belief::Doubt,
        Answer::Header(header) => match delivered.header {
            Some(same) if same == header && is_about(listed.size, known.size) => Belief::Same,
            Some(same) if same == header => Belief::Doubt,
            Some(_) => Belief::Other,
            None => Belief::Doubt,
        },
    }
}

/// Whether one message may be counted so by one server at two times: with and without CRs, and with a field more.
fn is_about(now: u64, before: u64) -> bool {
    now == 0 || before == 0 || now.abs_diff(before) <= before / 8 + 1024
}

enum Answer {
    Pending,
    None,
    Header(HeaderHash),
}

fn answer(input: &Input<'_>, number: MessageNumber) -> Answer {
    match input.headers {
        Headers::Unavailable => Answer::None,
        Headers::Asked(headers) => match headers.get(&number) {
            None => Answer::Pending,
            Some(None) => Answer::None,
            Some(Some(header)) => Answer::Header(*header),
        },
    }
}

/// Looks for what its UIDL did not tell among the records that should be listed and were not found.
fn by_content(input: &Input<'_>, found: &mut Identified) {
    let claimed: BTreeSet<Serial> = found.same.values().copied().collect();
    let mut of_size: BTreeMap<u64, Vec<(Serial, &DeliveredMessage)>> = BTreeMap::new();
    for (serial, known) in input.known {
        if let Some(delivered) = claimable(known)
            && !claimed.contains(serial)
        {
            of_size.entry(known.size).or_default().push((*serial, delivered));
        }
    }
    let mut classes: BTreeMap<(u64, HeaderHash), (Vec<MessageNumber>, Vec<Serial>)> = BTreeMap::new();
    for listed in input.listing {
        let number = listed.number;
        if found.same.contains_key(&number) || found.doubtful.contains_key(&number) || found.ask.contains(&number) {
            continue;
        }
        let Some(candidates) = of_size.get(&listed.size) else { continue };
        let header = match answer(input, number) {
            Answer::Header(header) => header,
            Answer::Pending => {
                found.ask.insert(number);
                continue;
            }
            Answer::None => {
                found.doubtful.insert(number, None);
                continue;
            }
        };
        let alike = |(_, delivered): &&(Serial, &DeliveredMessage)| delivered.header == Some(header);
        let serials: Vec<Serial> = candidates.iter().filter(alike).map(|(serial, _)| *serial).collect();
        if !serials.is_empty() {
            classes.entry((listed.size, header)).or_insert((Vec::new(), serials)).0.push(number);
        } else if candidates.iter().any(|(_, delivered)| delivered.header.is_none()) {
            found.doubtful.insert(number, None);
        }
    }
    for (numbers, serials) in classes.into_values() {
        if numbers.len() <= serials.len() {
            found.by_content.extend(numbers.iter().copied());
            found.same.extend(numbers.into_iter().zip(serials));
        } else {
            found.doubtful.extend(numbers.into_iter().map(|number| (number, None)));
        }
    }
}

/// What was delivered of a message that should be on the server.
pub(super) fn claimable(known: &KnownMessage) -> Option<&DeliveredMessage> {
    match known.copy {
        ServerCopy::Listed | ServerCopy::Unknown | ServerCopy::Absent(_) => known.local.file(),
        ServerCopy::Deleted(_) => None,
    }
}
