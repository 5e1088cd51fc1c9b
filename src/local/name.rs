//! Names of message files: `unique part`, then `:2,` and flag letters once a message has been in `cur`.
//!
//! The unique part of a file that we deliver is `{seconds}.{account}-{mailbox}-{uidvalidity}-{uid}.mailtide,S={octets
//! of the file},W={octets on the wire}`; out of a maildrop it begins `{seconds}.{account}-p{hash of the UIDL, if any}-
//! {serial}.mailtide`. Reading is lenient, as every MUA writes its own: any bytes are a unique part,
//! and what we do not know behind `:2,` stays there when we rename.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::mail::{
    AccountId, FileOrigin, MailboxId, MaildropOrigin, Origin, Serial, SystemFlag, SystemFlags, Uid, UidValidity,
    UidlHash, UnixSeconds,
};

/// Splits a file's name into its unique part and what stands behind `:2,` (or, in other dialects, behind the last `:`,
/// which means nothing to us).
pub(super) fn split(name: &[u8]) -> (&[u8], &[u8]) {
    const MARK: &[u8] = b":2,";
    let found = name.windows(MARK.len()).rposition(|w| w == MARK);
    let at = found.or_else(|| name.iter().rposition(|b| *b == b':')).filter(|at| *at > 0);
    let unique = name.get(..at.unwrap_or(name.len())).unwrap_or(name);
    let info = found.filter(|f| Some(*f) == at).and_then(|f| name.get(f + MARK.len()..));
    (unique, info.unwrap_or_default())
}

/// The unique part of a name.
pub(super) fn unique(name: &OsStr) -> &OsStr {
    OsStr::from_bytes(split(name.as_bytes()).0)
}

/// A set of the keyword letters `a` to `z`, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LetterSet(u32);

impl LetterSet {
    pub(super) fn insert(&mut self, letter: usize) {
        self.0 |= 1u32.checked_shl(letter as u32).unwrap_or_default();
    }

    pub(super) fn remove(&mut self, letter: usize) {
        self.0 &= !1u32.checked_shl(letter as u32).unwrap_or_default();
    }

    pub(super) fn contains(self, letter: usize) -> bool {
        self.0 & 1u32.checked_shl(letter as u32).unwrap_or_default() != 0
    }

    pub(super) fn union(self, other: LetterSet) -> LetterSet {
        LetterSet(self.0 | other.0)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        (0..26).filter(move |n| self.contains(*n))
    }
}

/// What stands behind `:2,`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Letters {
    pub system: SystemFlags,
    pub keywords: LetterSet,
    /// Letters that mean nothing to us; kept.
    other: Vec<u8>,
    /// A comma and what follows it (Dovecot allows that); kept.
    tail: Vec<u8>,
}

impl Letters {
    /// The letters in a file's name.
    pub(super) fn of(name: &OsStr) -> Letters {
        let info = split(name.as_bytes()).1;
        let (known, tail) = info.split_at(info.iter().position(|b| *b == b',').unwrap_or(info.len()));
        let mut letters = Letters { tail: tail.to_vec(), ..Letters::default() };
        for byte in known {
            let system = SystemFlag::ALL.into_iter().find(|f| f.letter() == char::from(*byte));
            match (system, byte) {
                (Some(flag), _) => letters.system.insert(flag),
                (None, b'a'..=b'z') => letters.keywords.insert(usize::from(byte - b'a')),
                (None, other) => letters.other.push(*other),
            }
        }
        letters
    }

    /// The name of the file with this unique part and these letters, in `cur`.
    pub(super) fn name(&self, unique: &OsStr) -> OsString {
        let mut letters = self.other.clone();
        letters.extend(self.system.iter().map(|f| f.letter() as u8));
        letters.extend(self.keywords.iter().map(|n| b'a' + n as u8));
        letters.sort_unstable();
        letters.dedup();
        let mut name = unique.as_bytes().to_vec();
        name.extend_from_slice(b":2,");
        name.extend(letters);
        name.extend_from_slice(&self.tail);
        OsString::from_vec(name)
    }

    /// The same without keyword letters, which mean something else in another mailbox.
    pub(super) fn without_keywords(self) -> Letters {
        Letters { keywords: LetterSet::default(), ..self }
    }

    /// Whether a file with these letters may lie in `new`.
    pub(super) fn is_empty(&self) -> bool {
        *self == Letters::default()
    }
}

/// The unique part of a file that we deliver; `copy` tells it from others that exist, 0 for the first.
pub(super) fn delivered(
    origin: &FileOrigin,
    date: UnixSeconds,
    file_octets: u64,
    wire_octets: u64,
    copy: u32,
) -> OsString {
    let seconds = date.0.max(0);
    let from = match origin {
        FileOrigin::Mailbox(Origin { account, mailbox, uid_validity, uid }) => {
            format!("{account}-{mailbox}-{uid_validity}-{uid}")
        }
        FileOrigin::Maildrop(MaildropOrigin { account, uidl: Some(uidl), serial }) => {
            format!("{account}-p{uidl}-{serial}")
        }
        FileOrigin::Maildrop(MaildropOrigin { account, uidl: None, serial }) => format!("{account}-p-{serial}"),
    };
    let mut name = format!("{seconds}.{from}.mailtide,S={file_octets},W={wire_octets}");
    if copy > 0 {
        name.push_str(&format!(",C={copy}"));
    }
    name.into()
}

/// The unique part of one more file with the unique part `of` another; `copy` as for [`delivered`].
pub(super) fn copied(of: &OsStr, copy: u32) -> OsString {
    let mut name = of.to_owned();
    if copy > 0 {
        name.push(format!(",C={copy}"));
    }
    name
}

/// The name of a file with another unique part.
pub(super) fn renamed(name: &OsStr, unique_part: &OsStr) -> OsString {
    let info = name.as_bytes().get(unique(name).len()..).unwrap_or_default();
    let mut renamed = unique_part.to_owned();
    renamed.push(OsStr::from_bytes(info));
    renamed
}

/// Where a unique part says its file came from; exactly what [`delivered`] writes, whatever sizes follow.
pub(super) fn origin(unique: &OsStr) -> Option<Origin> {
    let (_, from) = date_and_source(unique)?;
    let mut ids = from.split('-');
    let origin = Origin {
        account: AccountId::parse(ids.next()?)?,
        // Both ids are written alike: eight hex digits.
        mailbox: AccountId::parse(ids.next()?).map(|AccountId(number)| MailboxId(number))?,
        uid_validity: UidValidity(number(ids.next()?)?),
        uid: Uid::new(number(ids.next()?)?)?,
    };
    ids.next().is_none().then_some(origin)
}

/// The maildrop that a unique part says its file came from, and the time it begins with; exactly what [`delivered`]
/// writes.
pub(super) fn maildrop_origin(unique: &OsStr) -> Option<(MaildropOrigin, UnixSeconds)> {
    let (seconds, from) = date_and_source(unique)?;
    let mut ids = from.split('-');
    let account = AccountId::parse(ids.next()?)?;
    let uidl = match ids.next()?.strip_prefix('p')? {
        "" => None,
        hash => Some(UidlHash::parse(hash)?),
    };
    let origin = MaildropOrigin { account, uidl, serial: Serial(number(ids.next()?)?) };
    ids.next().is_none().then_some((origin, UnixSeconds(i64::try_from(seconds).ok()?)))
}

/// The seconds and what stands between them and the mark that the file is ours.
fn date_and_source(unique: &OsStr) -> Option<(u64, &str)> {
    let text = unique.to_str()?;
    let text = text.split_once(',').map_or(text, |(name, _)| name);
    let (seconds, from) = text.strip_suffix(".mailtide")?.split_once('.')?;
    Some((number(seconds)?, from))
}

/// The octets of the file and those on the wire, as the unique part of a file that we delivered tells them.
pub(super) fn delivered_sizes(unique: &OsStr) -> Option<(u64, u64)> {
    if origin(unique).is_none() && maildrop_origin(unique).is_none() {
        return None;
    }
    let mut fields = unique.to_str()?.split(',').skip(1);
    let mut size = |mark: &str| number(fields.next()?.strip_prefix(mark)?);
    Some((size("S=")?, size("W=")?))
}

/// A decimal number as `Display` writes it.
fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_unique_part_ends_at_the_last_mark() {
        for (name, unique, info) in [
            ("1.2.host", "1.2.host", ""),
            ("1.2.host:2,", "1.2.host", ""),
            ("1.2.host:2,FSa", "1.2.host", "FSa"),
            ("a:2,S:2,F", "a:2,S", "F"),
            ("a:1,x", "a", ""),
            ("a:2,S:b", "a", "S:b"),
            (":2,S", ":2,S", ""),
            (":", ":", ""),
        ] {
            assert_eq!(split(name.as_bytes()), (unique.as_bytes(), info.as_bytes()), "{name}");
        }
    }

    #[test]
    fn unknown_letters_and_other_programs_fields_survive_a_rename() {
        let mut letters = Letters::of("x:2,ZSa!,foo=S".as_ref());
        assert!(letters.keywords.contains(0) && letters.system.contains(SystemFlag::Seen));
        letters.system.insert(SystemFlag::Flagged);
        letters.keywords.remove(0);
        letters.keywords.insert(25);
        assert_eq!(letters.name("x".as_ref()), OsString::from("x:2,!FSZz,foo=S"));
    }

    #[test]
    fn origins_are_only_what_we_write() {
        let ours = "1700000000.0a1b2c3d-00000004-5-6.mailtide";
        assert!(origin(ours.as_ref()).is_some());
        assert_eq!(origin(format!("{ours},S=1,W=2").as_ref()), origin(ours.as_ref()));
        for other in [
            "1700000000.M1P2.host",
            "x.0a1b2c3d-00000004-5-6.mailtide",
            "1.0A1b2c3d-00000004-5-6.mailtide",
            "1.0a1b2c3d-00000004-5-0.mailtide",
            "1.0a1b2c3d-00000004-05-6.mailtide",
            "1.0a1b2c3d-00000004-5-6-7.mailtide",
            "1.0a1b2c3d-00000004-5-4294967296.mailtide",
        ] {
            assert_eq!(origin(other.as_ref()), None, "{other}");
        }
        let ours = "5.0a1b2c3d-p00112233445566ff-7.mailtide";
        assert!(maildrop_origin(ours.as_ref()).is_some() && origin(ours.as_ref()).is_none());
        for other in [
            "5.0a1b2c3d-p00112233445566FF-7.mailtide",
            "5.0a1b2c3d-p001122334455-7.mailtide",
            "5.0a1b2c3d-p-07.mailtide",
            "5.0a1b2c3d-p.mailtide",
            "5.0a1b2c3d--7.mailtide",
            "5.0a1b2c3d-p-7-8.mailtide",
            "1700000000.0a1b2c3d-00000004-5-6.mailtide",
        ] {
            assert_eq!(maildrop_origin(other.as_ref()), None, "{other}");
        }
        assert_eq!(origin(OsStr::from_bytes(b"1.\xff.mailtide")), None);
        assert_eq!(delivered_sizes("1.M2.host,S=10,W=12".as_ref()), None);
        assert_eq!(delivered_sizes(format!("{ours},S=10,W=+12").as_ref()), None);
    }

    proptest! {
        #[test]
        fn delivered_names_parse_back(
            (a, m, v, u) in (any::<u32>(), any::<u32>(), any::<u32>(), 1u32..),
            (date, size, wire, copy) in (any::<i64>(), any::<u64>(), any::<u64>(), 0u32..3),
            system in 0u8..64, keywords in any::<u32>(),
        ) {
            let from = Origin {
                account: AccountId(a), mailbox: MailboxId(m), uid_validity: UidValidity(v), uid: Uid::new(u).unwrap(),
            };
            let name = delivered(&from.into(), UnixSeconds(date), size, wire, copy);
            let mut letters = Letters { system: SystemFlags::from_bits(system), ..Letters::default() };
            (0..26).filter(|n| keywords & 1 << n != 0).for_each(|n| letters.keywords.insert(n));
            let whole = letters.name(&name);
            prop_assert!(whole.len() <= 255);
            prop_assert_eq!(unique(&whole), name.as_os_str());
            prop_assert_eq!(Letters::of(&whole), letters);
            prop_assert_eq!(origin(&name), Some(from));
            prop_assert_eq!(delivered_sizes(&name), Some((size, wire)));
        }

        #[test]
        fn names_out_of_a_maildrop_parse_back(
            account in any::<u32>(), uidl in any::<Option<u64>>(), serial in any::<u64>(), date in 0i64..,
            (size, wire) in any::<(u64, u64)>(), copy in 0u32..3,
        ) {
            let from = MaildropOrigin { account: AccountId(account), uidl: uidl.map(UidlHash), serial: Serial(serial) };
            let name = delivered(&FileOrigin::Maildrop(from), UnixSeconds(date), size, wire, copy);
            prop_assert!(name.len() <= 200);
            prop_assert_eq!(maildrop_origin(&name), Some((from, UnixSeconds(date))));
            prop_assert_eq!(delivered_sizes(&name), Some((size, wire)));
            prop_assert_eq!(origin(&name), None);
        }

        #[test]
        fn any_bytes_are_a_name(name in prop::collection::vec(any::<u8>(), 1..40)) {
            let name = OsString::from_vec(name);
            let letters = Letters::of(&name);
            let again = letters.name(unique(&name));
            prop_assert_eq!(Letters::of(&again).system, letters.system);
            prop_assert_eq!(Letters::of(&again).keywords, letters.keywords);
            prop_assert_eq!(unique(&again), unique(&name));
        }
    }
}
