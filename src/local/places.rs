//! Where each file of a mailbox is: names alone, one behind the other in sorted order, so that a million of them take little
//! more memory than their octets.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::name;
use super::settle::{Place, Sub};
use crate::mail::FileId;

/// The files that one reading of a mailbox's directories found, by id.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    names: Vec<u8>,
    /// By unique part; of those that share one, the one in `cur`, then the lexically first, goes by it.
    files: Vec<Entry>,
    /// The others of those, by ids of their own.
    namesakes: BTreeMap<FileId, usize>,
}

/// Where a file's name stands. No directory entry is as long as 64 KiB (its length has 16 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    start: usize,
    length: u16,
    unique: u16,
    sub: Sub,
}

/// One file as it stands among [`Places`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot<'p> {
    pub id: &'p OsStr,
    pub sub: Sub,
    pub name: &'p OsStr,
}

impl Spot<'_> {
    pub(super) fn place(&self) -> Place {
        Place { sub: self.sub, name: self.name.into() }
    }
}

impl PartialEq for Places {
    fn eq(&self, other: &Places) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Places {
    /// Takes a file, before all are sorted.
    pub(super) fn push(&mut self, sub: Sub, name: &OsStr) {
        let (start, short) = (self.names.len(), |octets: usize| u16::try_from(octets).unwrap_or(u16::MAX));
        let unique = short(name::unique(name).len());
        self.files.push(Entry { start, length: short(name.len()), unique, sub });
        self.names.extend_from_slice(name.as_bytes());
    }

    /// Gives every file its id.
    pub(super) fn sort(&mut self) {
        let mut files = std::mem::take(&mut self.files);
        files
            .sort_unstable_by(|a, b| (self.unique(a), a.sub, self.name(a)).cmp(&(self.unique(b), b.sub, self.name(b))));
        self.files = files;
        for (n, pair) in self.files.windows(2).enumerate() {
            let [first, later] = pair else { continue };
            if self.unique(first) != self.unique(later) {
                continue;
            }
            // No name holds a `/`, so the last resort is nobody else's.
            let (name, is_taken) = (self.name(later), |id: &OsStr| self.named(id).is_some());
            let whole = FileId::new(name);
            let id = match is_taken(name) || self.namesakes.contains_key(&whole) {
                true => {
                    FileId::new([OsStr::new(later.sub.name()), "/".as_ref(), name].into_iter().collect::<OsString>())
                }
                false => whole,
            };
            self.namesakes.insert(id, n + 1);
        }
    }

    /// How many files there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether files share a unique part.
    pub(super) fn have_namesakes(&self) -> bool {
        !self.namesakes.is_empty()
    }

    /// The number of the file that goes by `id`.
    pub(super) fn find(&self, id: &FileId) -> Option<usize> {
        self.named(id.as_os_str()).or_else(|| self.namesakes.get(id).copied())
    }

    /// The first of those with this unique part.
    fn named(&self, unique: &OsStr) -> Option<usize> {
        let at = self.files.partition_point(|file| self.unique(file) < unique);
        self.files.get(at).is_some_and(|file| self.unique(file) == unique).then_some(at)
    }

    /// The name of the file of a number.
    pub(super) fn name_of(&self, n: usize) -> Option<&OsStr> {
        self.files.get(n).map(|file| self.name(file))
    }

    /// Where the file is that goes by `id`.
    pub(super) fn place(&self, id: &FileId) -> Option<Place> {
        let file = self.files.get(self.find(id)?)?;
        Some(Place { sub: file.sub, name: self.name(file).into() })
    }

    /// All files, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = Spot<'_>> {
        let own: BTreeMap<usize, &OsStr> = self.namesakes.iter().map(|(id, n)| (*n, id.as_os_str())).collect();
        self.files.iter().enumerate().map(move |(n, file)| Spot {
            id: own.get(&n).copied().unwrap_or_else(|| self.unique(file)),
            sub: file.sub,
            name: self.name(file),
        })
    }

    fn name(&self, file: &Entry) -> &OsStr {
        let end = file.start.saturating_add(file.length.into());
        OsStr::from_bytes(self.names.get(file.start..end).unwrap_or_default())
    }

    fn unique(&self, file: &Entry) -> &OsStr {
        let end = file.start.saturating_add(file.unique.into());
        OsStr::from_bytes(self.names.get(file.start..end).unwrap_or_default())
    }
}

/// Where files are by now that a reading found, after what was done to them since.
#[derive(Debug)]
pub(super) struct Index {
    read: Places,
    since: BTreeMap<FileId, Option<Place>>,
}

impl Index {
    /// Of what was just read.
    pub(super) fn of(read: Places) -> Index {
        Index { read, since: BTreeMap::new() }
    }

    /// Where the file is that goes by `id`, as far as is known.
    pub(super) fn place(&self, id: &FileId) -> Option<Place> {
        self.since.get(id).cloned().unwrap_or_else(|| self.read.place(id))
    }

    /// A file is there now.
    pub(super) fn put(&mut self, id: &FileId, place: Place) {
        self.since.insert(id.clone(), Some(place));
    }

    /// A file is gone.
    pub(super) fn remove(&mut self, id: &FileId) {
        self.since.insert(id.clone(), None);
    }
}
