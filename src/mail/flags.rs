//! Flags of a message: six with a Maildir letter, and keywords.
//!
//! `P` and `$Forwarded` are the same flag. `\Recent` is a session's, not a message's, and never appears here.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Serialize, Serializer};

/// A flag that has a Maildir letter of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SystemFlag {
    /// `D`, `\Draft`.
    Draft,
    /// `F`, `\Flagged`.
    Flagged,
    /// `P`, `$Forwarded` (RFC 5788 registry; Maildir says "passed").
    Passed,
    /// `R`, `\Answered`.
    Replied,
    /// `S`, `\Seen`.
    Seen,
    /// `T`, `\Deleted`: marked, not gone.
    Trashed,
}

impl SystemFlag {
    /// All of them, in the order of their letters, which is the order a Maildir name wants.
    pub const ALL: [SystemFlag; 6] = [
        SystemFlag::Draft,
        SystemFlag::Flagged,
        SystemFlag::Passed,
        SystemFlag::Replied,
        SystemFlag::Seen,
        SystemFlag::Trashed,
    ];

    /// The Maildir letter.
    pub fn letter(self) -> char {
        match self {
            SystemFlag::Draft => 'D',
            SystemFlag::Flagged => 'F',
            SystemFlag::Passed => 'P',
            SystemFlag::Replied => 'R',
            SystemFlag::Seen => 'S',
            SystemFlag::Trashed => 'T',
        }
    }

    /// The IMAP flag (RFC 3501 §2.3.2).
    pub fn imap(self) -> &'static str {
        match self {
            SystemFlag::Draft => "\\Draft",
            SystemFlag::Flagged => "\\Flagged",
            SystemFlag::Passed => "$Forwarded",
            SystemFlag::Replied => "\\Answered",
            SystemFlag::Seen => "\\Seen",
            SystemFlag::Trashed => "\\Deleted",
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// A set of [`SystemFlag`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SystemFlags(u8);

impl SystemFlags {
    /// No flag.
    pub const NONE: SystemFlags = SystemFlags(0);

    /// Reads bits as [`SystemFlags::bits`] gave them; unknown bits are dropped.
    pub fn from_bits(bits: u8) -> SystemFlags {
        SystemFlags(bits & 0b11_1111)
    }

    /// One bit a flag, `D` the lowest: what the state keeps.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether `flag` is in the set.
    pub fn contains(self, flag: SystemFlag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// Puts `flag` in.
    pub fn insert(&mut self, flag: SystemFlag) {
        self.0 |= flag.bit();
    }

    /// Takes `flag` out.
    pub fn remove(&mut self, flag: SystemFlag) {
        self.0 &= !flag.bit();
    }

    /// The flags in the set, by letter.
    pub fn iter(self) -> impl Iterator<Item = SystemFlag> {
        SystemFlag::ALL.into_iter().filter(move |f| self.contains(*f))
    }
}

/// An IMAP keyword: an atom, compared without case as servers do.
#[derive(Debug, Clone)]
pub struct Keyword(Box<str>);

impl Keyword {
    /// Takes an IMAP atom that is no system flag (RFC 3501 §9 `flag-keyword`); `None` for anything else, for
    /// `$Forwarded`, which is [`SystemFlag::Passed`], and beyond 200 octets.
    pub fn new(name: &str) -> Option<Keyword> {
        let atom = !name.is_empty()
            && name.len() <= 200
            && name.bytes().all(|b| b > b' ' && b < 0x7f && !b"(){%*\"\\]".contains(&b));
        (atom && !name.eq_ignore_ascii_case(SystemFlag::Passed.imap())).then(|| Keyword(name.into()))
    }

    /// The name as first seen.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folded(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|b| b.to_ascii_lowercase())
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl std::hash::Hash for Keyword {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for b in self.folded() {
            state.write_u8(b);
        }
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All flags of a message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Flags {
    /// Those with a letter.
    pub system: SystemFlags,
    /// The others.
    pub keywords: BTreeSet<Keyword>,
}

impl Flags {
    /// No flag at all.
    pub fn none() -> Flags {
        Flags::default()
    }

    /// Reads one flag as IMAP writes it; `\Recent`, `\*` and unknown system flags are passed over.
    pub fn insert_imap(&mut self, name: &str) {
        if let Some(flag) = SystemFlag::ALL.into_iter().find(|f| f.imap().eq_ignore_ascii_case(name)) {
            self.system.insert(flag);
        } else if let Some(keyword) = Keyword::new(name) {
            self.keywords.insert(keyword);
        }
    }

    /// The flags as IMAP writes them, in a stable order.
    pub fn imap_names(&self) -> impl Iterator<Item = &str> {
        fn name<'a>(flag: SystemFlag) -> &'a str {
            flag.imap()
        }
        self.system.iter().map(name).chain(self.keywords.iter().map(Keyword::as_str))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.system == SystemFlags::NONE && self.keywords.is_empty()
    }

    /// Whether `\Deleted` is set.
    pub fn is_trashed(&self) -> bool {
        self.system.contains(SystemFlag::Trashed)
    }

    /// What is in `self` and not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Flags) -> Flags {
        Flags {
            system: SystemFlags(self.system.0 & !other.system.0),
            keywords: self.keywords.difference(&other.keywords).cloned().collect(),
        }
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Flags) -> Flags {
        Flags {
            system: SystemFlags(self.system.0 | other.system.0),
            keywords: self.keywords.union(&other.keywords).cloned().collect(),
        }
    }

    /// The flags after `change`.
    #[must_use]
    pub fn after(&self, change: &FlagChange) -> Flags {
        self.minus(&change.remove).union(&change.add)
    }

    /// What leads from `self` to `to`.
    pub fn change_to(&self, to: &Flags) -> FlagChange {
        FlagChange { add: to.minus(self), remove: self.minus(to) }
    }

    /// Without any keyword.
    #[must_use]
    pub fn without_keywords(&self) -> Flags {
        Flags { system: self.system, keywords: BTreeSet::new() }
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, name) in self.imap_names().enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl Serialize for Flags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.imap_names())
    }
}

/// Flags to add and flags to remove; never the same flag in both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct FlagChange {
    /// To be set.
    pub add: Flags,
    /// To be cleared.
    pub remove: Flags,
}

impl FlagChange {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }
}

impl fmt::Display for FlagChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = |sign: char, flags: &Flags| flags.imap_names().map(|n| format!("{sign}{n}")).collect::<Vec<_>>();
        let mut all = signed('+', &self.add);
        all.extend(signed('-', &self.remove));
        f.write_str(&all.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(names: &[&str]) -> Flags {
        let mut f = Flags::none();
        names.iter().for_each(|n| f.insert_imap(n));
        f
    }

    #[test]
    fn forwarded_is_the_letter_p_and_recent_is_nothing() {
        let f = flags(&["\\Seen", "$forwarded", "\\Recent", "\\*", "Work", "work"]);
        assert_eq!(f.system.iter().map(SystemFlag::letter).collect::<String>(), "PS");
        assert_eq!(f.keywords.len(), 1);
    }

    #[test]
    fn a_change_leads_where_it_says() {
        let (from, to) = (flags(&["\\Seen", "a"]), flags(&["\\Flagged", "B"]));
        let change = from.change_to(&to);
        assert_eq!(change.to_string(), "+\\Flagged +B -\\Seen -a");
        assert_eq!(from.after(&change), to);
    }

    #[test]
    fn keywords_are_atoms() {
        for bad in ["", "a b", "\\x", "a{1}", "ü", "$Forwarded", "a]"] {
            assert!(Keyword::new(bad).is_none(), "{bad}");
        }
        assert!(Keyword::new("$Label1").is_some());
    }
}
