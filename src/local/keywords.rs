//! `dovecot-keywords`: which keyword each of the letters `a` to `z` in file names stands for, a table a mailbox.
//!
//! Lines are `N name`, N from 0. Invariant: a letter that has a meaning never gets another, and a letter that stands in
//! any file's name without a meaning is never given one, as that would set a keyword on those files. Lines that we
//! cannot use (a name that is no IMAP keyword, numbers beyond 25) are kept as they are.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use super::dir::Dir;
use super::name::{LetterSet, Letters};
use super::scan::ScannedFile;
use super::store::Store;
use crate::error::Result;
use crate::mail::{Flags, Keyword, MailboxName};

/// The table's file, beside `cur`.
pub(super) const FILE: &str = "dovecot-keywords";

/// Which keywords the files of a mailbox can carry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeywordTable {
    /// Those that have a letter.
    pub known: BTreeSet<Keyword>,
    /// How many letters are free.
    pub free: usize,
}

/// Which letters keywords have in the files of a mailbox.
#[derive(Debug)]
pub struct KeywordLetters(Table);

impl KeywordLetters {
    /// Whether the letters in the name of a file, wherever that is, stand for exactly these keywords here. Where the table is
    /// lost, or an older one, letters without a meaning stand for as many keywords that have no letter.
    pub fn spell(&self, file: &ScannedFile, keywords: &BTreeSet<Keyword>) -> bool {
        let letters = file.letters();
        let (spelled, silent) = (self.0.flags(&letters).keywords, self.0.silent(&letters).count());
        let unspelled = keywords.iter().filter(|keyword| self.0.letter(keyword).is_none()).count();
        spelled.is_subset(keywords) && silent == unspelled && spelled.len() + unspelled == keywords.len()
    }
}

impl Store {
    /// The keyword letters of a mailbox; none where it is gone.
    pub fn keyword_letters(&self, mailbox: &MailboxName) -> KeywordLetters {
        let table = self.boxes(mailbox).and_then(|boxes| Table::read(&boxes.dir));
        KeywordLetters(table.unwrap_or_default())
    }
}

/// The table as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Table {
    /// By letter; a keyword that stands twice has both letters, the first is the one written.
    letters: Vec<(usize, Keyword)>,
    /// Letters taken, by keywords or by lines of other programs.
    taken: LetterSet,
    /// The file's lines without line ends, as read and added to.
    lines: Vec<Vec<u8>>,
}

impl Table {
    /// Reads the table of the mailbox whose directory is `mailbox`; empty where there is no file.
    pub(super) fn read(mailbox: &Dir) -> Result<Table> {
        const LIMIT: u64 = 1 << 20;
        Ok(Table::parse(&mailbox.read_file(OsStr::new(FILE), LIMIT)?.unwrap_or_default()))
    }

    fn parse(text: &[u8]) -> Table {
        let mut table = Table::default();
        for line in text.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            table.lines.push(line.to_vec());
            let Some((number, name)) = std::str::from_utf8(line).ok().and_then(|l| l.trim_end().split_once(' ')) else {
                continue;
            };
            let Some(letter) = number.parse::<usize>().ok().filter(|n| *n < 26 && !table.taken.contains(*n)) else {
                continue;
            };
            table.taken.insert(letter);
            if let Some(keyword) = Keyword::new(name) {
                table.letters.push((letter, keyword));
            }
        }
        table
    }

    /// Writes the table, durably.
    pub(super) fn write(&self, mailbox: &Dir) -> Result<()> {
        let mut text = self.lines.join(&b'\n');
        text.push(b'\n');
        mailbox.replace_file(OsStr::new(FILE), &text)
    }

    /// Gives a free letter to each of `wanted` that has none, as long as there are some; tells whether any was given.
    pub(super) fn add<'a>(&mut self, wanted: impl IntoIterator<Item = &'a Keyword>, in_names: LetterSet) -> bool {
        let before = self.lines.len();
        for keyword in wanted {
            let avoid = self.taken.union(in_names);
            let free = (0..26).find(|n| !avoid.contains(*n));
            if let Some(letter) = free.filter(|_| self.letter(keyword).is_none()) {
                self.taken.insert(letter);
                self.letters.push((letter, keyword.clone()));
                self.lines.push(format!("{letter} {keyword}").into_bytes());
            }
        }
        self.lines.len() > before
    }

    /// Whether no letter has a meaning.
    pub(super) fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// The letter that stands for `keyword`.
    pub(super) fn letter(&self, keyword: &Keyword) -> Option<usize> {
        self.letters.iter().find(|(_, k)| k == keyword).map(|(n, _)| *n)
    }

    /// The flags that letters stand for; a keyword letter without a meaning is no flag.
    pub(super) fn flags(&self, letters: &Letters) -> Flags {
        let mut flags = Flags { system: letters.system, keywords: BTreeSet::new() };
        if letters.keywords != LetterSet::default() {
            let set = self.letters.iter().filter(|(n, _)| letters.keywords.contains(*n));
            flags.keywords.extend(set.map(|(_, k)| k.clone()));
        }
        flags
    }

    /// Whether one of `letters` has no meaning, as where another program lost the table or moved the file from elsewhere.
    pub(super) fn is_silent_on(&self, letters: &Letters) -> bool {
        self.silent(letters).next().is_some()
    }

    /// Those of `letters` that have no meaning.
    fn silent(&self, letters: &Letters) -> impl Iterator<Item = usize> {
        letters.keywords.iter().filter(|letter| self.letters.iter().all(|(n, _)| n != letter))
    }

    /// Sets `add` and clears `remove` in `letters`; a keyword without a letter cannot be set.
    pub(super) fn apply(&self, letters: &mut Letters, add: &Flags, remove: &Flags) {
        remove.system.iter().for_each(|f| letters.system.remove(f));
        add.system.iter().for_each(|f| letters.system.insert(f));
        for (letter, _) in self.letters.iter().filter(|(_, k)| remove.keywords.contains(k)) {
            letters.keywords.remove(*letter);
        }
        add.keywords.iter().filter_map(|k| self.letter(k)).for_each(|n| letters.keywords.insert(n));
    }

    /// What a planner needs to know of the table, given the letters that stand in file names.
    pub(super) fn summary(&self, in_names: LetterSet) -> KeywordTable {
        KeywordTable {
            known: self.letters.iter().map(|(_, k)| k.clone()).collect(),
            free: 26 - self.taken.union(in_names).iter().count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyword(name: &str) -> Keyword {
        Keyword::new(name).unwrap()
    }

    #[test]
    fn reads_what_dovecot_writes_and_keeps_what_it_cannot_use() {
        let text = b"0 $Label1\n1 Work\n3 \xc3\xa9t\xc3\xa9\nnonsense\n1 Other\n30 Late\n";
        let mut table = Table::parse(text);
        assert_eq!(table.letter(&keyword("work")), Some(1));
        assert_eq!(table.letter(&keyword("Other")), None);
        assert!(table.add([&keyword("x"), &keyword("y"), &keyword("WORK")], LetterSet::default()));
        assert_eq!((table.letter(&keyword("x")), table.letter(&keyword("y"))), (Some(2), Some(4)));
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_root(temp.path()).unwrap();
        table.write(&dir).unwrap();
        let written = std::fs::read(temp.path().join(FILE)).unwrap();
        assert_eq!(written, [&text[..], b"2 x\n4 y\n"].concat());
        assert_eq!(Table::read(&dir).unwrap(), table);
    }

    #[test]
    fn a_letter_in_use_without_a_meaning_gets_none() {
        let mut table = Table::default();
        let orphan = Letters::of("x:2,a".as_ref());
        assert!(table.flags(&orphan).is_empty());
        table.add([&keyword("New")], orphan.keywords);
        assert_eq!(table.letter(&keyword("New")), Some(1));
        assert!(table.flags(&orphan).is_empty());
        assert_eq!(table.summary(orphan.keywords).free, 24);
    }

    #[test]
    fn the_table_is_full_at_26() {
        let mut table = Table::default();
        let many: Vec<Keyword> = (0..30).map(|n| keyword(&format!("k{n}"))).collect();
        table.add(&many, LetterSet::default());
        let mut letters = Letters::default();
        let all = Flags { keywords: many.iter().cloned().collect(), ..Flags::none() };
        table.apply(&mut letters, &all, &Flags::none());
        assert_eq!(table.flags(&letters).keywords.len(), 26);
        assert_eq!(table.summary(LetterSet::default()).free, 0);
        table.apply(&mut letters, &Flags::none(), &all);
        assert!(letters.is_empty());
    }
}
