//! What a mailbox holds, as the names of its files tell; a file is opened only to be examined.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use super::content::survey;
use super::keywords::{KeywordTable, Table};
use super::name::{self, LetterSet, Letters};
use super::places::{Places, Spot};
use super::settle::{Boxes, Place, Settled, Sub};
use crate::error::Result;
use crate::mail::{Contents, FileId, Flags, Keyword, LocalCheckpoint, MaildropOrigin, Origin, UnixSeconds};

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scan {
    /// The directories are as the checkpoint says.
    Unchanged,
    /// The directories were read.
    Listed(Listing),
}

/// All messages of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Every message file. Where two have the same unique part, the one in `cur`, then the lexically first, goes by it;
    /// others go by their whole name.
    pub files: BTreeMap<FileId, ScannedFile>,
    /// What the next scan may start from, as far as it can be trusted.
    pub checkpoint: LocalCheckpoint,
    /// Which keywords files here can carry.
    pub keywords: KeywordTable,
    /// When the younger one of `cur` and `new` was made; `None` where the file system does not tell.
    pub made: Option<SystemTime>,
}

/// One message file, as its name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedFile {
    /// Its flags.
    pub flags: Flags,
    /// Whether its name has letters that stand for keywords, and nothing tells which.
    pub has_unknown_keywords: bool,
    /// Where its name says it came from.
    pub origin: Option<Origin>,
    place: Place,
    goes_by: GoesBy,
}

impl ScannedFile {
    /// The maildrop that its name says it came from, and when it was seen there first.
    pub fn maildrop_origin(&self) -> Option<(MaildropOrigin, UnixSeconds)> {
        name::maildrop_origin(name::unique(&self.place.name))
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether its unique part is another file's.
    pub(super) fn goes_by_whole_name(&self) -> bool {
        self.goes_by == GoesBy::WholeName
    }

    /// The letters in its name.
    pub(super) fn letters(&self) -> Letters {
        Letters::of(&self.place.name)
    }

    /// Whether its name has letters that stand for keywords.
    pub fn has_keyword_letters(&self) -> bool {
        self.has_unknown_keywords || !self.flags.keywords.is_empty()
    }

    /// Takes other keywords for what its letters stand for.
    pub fn set_keywords(&mut self, keywords: BTreeSet<Keyword>) {
        self.flags.keywords = keywords;
        self.has_unknown_keywords = false;
    }
}

/// What of a file's name its id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoesBy {
    UniquePart,
    WholeName,
}

/// What reading a file told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Examined {
    /// Digest, wire size, Message-ID, with and without stamps.
    pub contents: Contents,
    /// Its mtime.
    pub modified: UnixSeconds,
}

/// All messages of a mailbox by the names of their files, before more is made of them.
#[derive(Debug)]
pub struct Roll {
    places: Places,
    table: Table,
    checkpoint: LocalCheckpoint,
    made: Option<SystemTime>,
}

impl Roll {
    /// How many files there are; they are numbered.
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// The inode of the directory.
    pub fn inode(&self) -> u64 {
        self.checkpoint.inode
    }

    /// Whether files share a unique part.
    pub fn has_namesakes(&self) -> bool {
        self.places.have_namesakes()
    }

    /// The number of the file that goes by `id`.
    pub fn find(&self, id: &FileId) -> Option<usize> {
        self.places.find(id)
    }

    /// The flags of the file of a number.
    pub fn flags(&self, n: usize) -> Option<Flags> {
        self.places.name_of(n).map(|name| self.table.flags(&Letters::of(name)))
    }

    /// All messages.
    pub fn listing(self) -> Listing {
        self.listing_without(&|_| false)
    }

    /// The messages, but for those of these numbers.
    pub fn listing_without(self, left_out: &dyn Fn(usize) -> bool) -> Listing {
        let Roll { places, table, checkpoint, made } = self;
        let keywords = table.summary(letters_in_use(places.iter().map(|spot| spot.name)));
        let scanned = |spot: Spot<'_>| {
            let unique = name::unique(spot.name);
            let goes_by = if spot.id == unique { GoesBy::UniquePart } else { GoesBy::WholeName };
            let origin = name::origin(unique);
            let letters = Letters::of(spot.name);
            let (flags, has_unknown_keywords) = (table.flags(&letters), table.is_silent_on(&letters));
            (FileId::new(spot.id), ScannedFile { flags, has_unknown_keywords, origin, place: spot.place(), goes_by })
        };
        let stay = places.iter().enumerate().filter(|(n, _)| !left_out(*n));
        Listing { files: stay.map(|(_, spot)| scanned(spot)).collect(), checkpoint, keywords, made }
    }
}

impl Boxes {
    /// Reads the names of the mailbox's files.
    pub(super) fn roll(&self, now: i64) -> Result<Roll> {
        // The table first: a letter that gets its meaning meanwhile is no flag yet, and its rename is seen next time.
        let table = Table::read(&self.dir)?;
        let Settled { places, checkpoint } = self.settle(now)?;
        let made = self.sub(Sub::Cur).made().zip(self.sub(Sub::New).made()).map(|(cur, new)| cur.max(new));
        Ok(Roll { places, table, checkpoint, made })
    }

    /// Reads a file through, looking for it under another name when it is not where it was; `None` when it is gone.
    pub(super) fn examine(&self, file: &ScannedFile, now: i64) -> Result<Option<Examined>> {
        const TRIES: usize = 3;
        let mut place = file.place.clone();
        for _ in 0..TRIES {
            match self.read_through(&place) {
                Ok(examined) => return Ok(Some(examined)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(self.sub(place.sub).failed("read the message", &place.name, e)),
            }
            // Whoever goes by its whole name is gone when that changes; its unique part is another file's.
            if file.goes_by_whole_name() {
                return Ok(None);
            }
            match self.settle(now)?.places.place(&FileId::new(name::unique(&place.name))) {
                Some(elsewhere) => place = elsewhere,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    fn read_through(&self, place: &Place) -> io::Result<Examined> {
        let mut file = self.sub(place.sub).open_file(&place.name)?;
        let modified = UnixSeconds(file.metadata()?.mtime());
        Ok(Examined { contents: survey(&mut file, &place.name)?.0, modified })
    }
}

/// The keyword letters that stand in any of these names.
pub(super) fn letters_in_use<'n>(names: impl Iterator<Item = &'n OsStr>) -> LetterSet {
    names.fold(LetterSet::default(), |all, name| all.union(Letters::of(name).keywords))
}

#[cfg(test)]
pub(super) mod tests;
