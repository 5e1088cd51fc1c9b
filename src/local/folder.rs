//! Messages that are there: their flags, their removal, the way to their octets.
//!
//! Other programs rename files at any time. So a file is known by its id, and its current name by an index that is read
//! once and read again when a name turns out to be old; that a file is gone is concluded only from a fresh reading.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::dir::{Dir, now};
use super::keywords::Table;
use super::name::{self, Letters};
use super::outgoing::Outgoing;
use super::places::Index;
use super::scan::letters_in_use;
use super::settle::{Boxes, Place, Sub};
use super::store::Store;
use super::temporary::TEMPORARY_PREFIX;
use super::trouble::repeated;
use crate::error::{Error, Kind, Result, safe_line};
use crate::mail::{FileId, FlagChange, Flags, Keyword};

/// A mailbox to act in; holds four file descriptors. Threads may share it.
#[derive(Debug)]
pub struct Folder {
    pub(super) boxes: Boxes,
    pub(super) tmp: Arc<Dir>,
    store: Store,
    index: Mutex<Option<Index>>,
}

/// What came of one file: done, or it is gone.
pub(super) enum Found<T> {
    Done(T),
    Gone,
}

impl Folder {
    pub(super) fn open(store: Store, mailbox: Dir) -> Result<Folder> {
        let boxes = Boxes::open(mailbox)?;
        let name = OsStr::new("tmp");
        match boxes.dir.make_dir(name) {
            // Programs that copy trees drop empty directories.
            Ok(()) => boxes.dir.sync()?,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(boxes.dir.failed("make the directory", name, e)),
        }
        let tmp = boxes.dir.open(name).map_err(|e| boxes.dir.failed("open the mailbox's directory", name, e))?;
        tmp.sweep("", now())?;
        boxes.dir.sweep(TEMPORARY_PREFIX, now())?;
        Ok(Folder { boxes, tmp: Arc::new(tmp), store, index: Mutex::new(None) })
    }

    /// Changes flags; results come in the order of `changes`, with the flags each file has then, once all is durable.
    ///
    /// A keyword that the mailbox has no letter left for is not among them. A file that is gone is an error.
    pub fn set_flags(&self, changes: &[(FileId, FlagChange)]) -> Vec<Result<Flags>> {
        let ids: Vec<&FileId> = changes.iter().map(|(id, _)| id).collect();
        let wanted = changes.iter().flat_map(|(_, change)| change.add.keywords.iter().cloned()).collect();
        self.reletter(self.table_with(&wanted, &[]), &ids, |table, n, letters| {
            if let Some((_, change)) = changes.get(n) {
                table.apply(letters, &change.add, &change.remove);
            }
        })
    }

    /// Gives files whose keyword letters mean nothing here the letters of these keywords, and no other; as for
    /// [`Folder::set_flags`] otherwise.
    pub fn set_keywords(&self, wanted: &[(FileId, BTreeSet<Keyword>)]) -> Vec<Result<Flags>> {
        let ids: Vec<&FileId> = wanted.iter().map(|(id, _)| id).collect();
        let keywords = wanted.iter().flat_map(|(_, keywords)| keywords.iter().cloned()).collect();
        self.reletter(self.table_with(&keywords, &ids), &ids, |table, n, letters| {
            *letters = std::mem::take(letters).without_keywords();
            if let Some((_, keywords)) = wanted.get(n) {
                let flags = Flags { keywords: keywords.clone(), ..Flags::none() };
                table.apply(letters, &flags, &Flags::none());
            }
        })
    }

    /// Lets `alter` change the letters of files.
    fn reletter(
        &self,
        table: Result<Table>,
        ids: &[&FileId],
        mut alter: impl FnMut(&Table, usize, &mut Letters),
    ) -> Vec<Result<Flags>> {
        let table = match table {
            Ok(table) => table,
            Err(e) => return ids.iter().map(|_| Err(repeated(&e))).collect(),
        };
        let mut touched = BTreeSet::new();
        let renamed = self.each("change the flags of the message", ids, |n, place| {
            let mut letters = Letters::of(&place.name);
            let before = letters.clone();
            alter(&table, n, &mut letters);
            let from = self.boxes.sub(place.sub);
            if letters == before {
                let there = from.kind_of(&place.name)?.is_some();
                return if there { Ok(table.flags(&letters)) } else { Err(io::ErrorKind::NotFound.into()) };
            }
            let name = letters.name(name::unique(&place.name));
            from.rename_new(&place.name, self.boxes.sub(Sub::Cur), &name)?;
            touched.extend([place.sub, Sub::Cur]);
            *place = Place { sub: Sub::Cur, name: name.into() };
            Ok(table.flags(&letters))
        });
        let synced = self.sync(&touched);
        let settle = |(id, outcome): (&&FileId, Result<Found<Flags>>)| match outcome? {
            Found::Done(flags) => synced.as_ref().map(|()| flags).map_err(repeated),
            Found::Gone => Err(gone(id)),
        };
        ids.iter().zip(renamed).map(settle).collect()
    }

    /// Removes files for good; results come in the order of `ids`, once all is durable. One that is gone already is
    /// fine.
    pub fn remove(&self, ids: &[FileId]) -> Vec<Result<()>> {
        let mut touched = BTreeSet::new();
        let removed = self.each("remove the message", &ids.iter().collect::<Vec<_>>(), |_, place| {
            self.boxes.sub(place.sub).remove_file(&place.name)?;
            touched.insert(place.sub);
            Ok(())
        });
        let synced = self.sync(&touched);
        if let Some(index) = self.index().as_mut() {
            ids.iter().zip(&removed).filter(|(_, r)| r.is_ok()).for_each(|(id, _)| index.remove(id));
        }
        let settle = |outcome: Result<Found<()>>| outcome.and_then(|_| synced.as_ref().map_err(repeated).copied());
        removed.into_iter().map(settle).collect()
    }

    /// Looks anew which of `ids` are there; an error when the directories cannot be read.
    pub fn still_there(&self, ids: &[FileId]) -> Result<BTreeSet<FileId>> {
        let settled = self.boxes.settle(now())?;
        let there = ids.iter().filter(|id| settled.places.find(id).is_some()).cloned().collect();
        *self.index() = Some(Index::of(settled.places));
        Ok(there)
    }

    /// Opens a message to be sent. Reads it through once, for its size; a file that is gone is an error.
    pub fn open_message(&self, id: &FileId) -> Result<Outgoing> {
        let table = Table::read(&self.boxes.dir)?;
        let mut opened = self.each("read the message", &[id], |_, place| {
            let file = self.boxes.sub(place.sub).open_file(&place.name)?;
            Outgoing::new(file, &place.name, table.flags(&Letters::of(&place.name)))
        });
        match opened.pop() {
            Some(Ok(Found::Done(outgoing))) => Ok(outgoing),
            Some(Err(e)) => Err(e),
            Some(Ok(Found::Gone)) | None => Err(gone(id)),
        }
    }

    /// The keyword table with a letter for each of `wanted`, as far as there are free ones; durable before it is used. What
    /// letters stand in the names of `foreign` files does not count.
    pub(super) fn table_with(&self, wanted: &BTreeSet<Keyword>, foreign: &[&FileId]) -> Result<Table> {
        let table = Table::read(&self.boxes.dir)?;
        if wanted.iter().all(|k| table.letter(k).is_some()) {
            return Ok(table);
        }
        let _turn = self.store.keywords_turn();
        let mut table = Table::read(&self.boxes.dir)?;
        let settled = self.boxes.settle(now())?;
        let foreign: BTreeSet<&OsStr> = foreign.iter().map(|id| id.as_os_str()).collect();
        let own = settled.places.iter().filter(|spot| !foreign.contains(spot.id));
        let in_names = letters_in_use(own.map(|spot| spot.name));
        *self.index() = Some(Index::of(settled.places));
        if table.add(wanted, in_names) {
            table.write(&self.boxes.dir)?;
        }
        Ok(table)
    }

    /// Flushes directories.
    pub(super) fn sync(&self, touched: &BTreeSet<Sub>) -> Result<()> {
        touched.iter().try_for_each(|sub| self.boxes.sub(*sub).sync())
    }

    /// Puts a file that was delivered into the index.
    pub(super) fn remember(&self, id: &FileId, place: Place) {
        if let Some(index) = self.index().as_mut() {
            index.put(id, place);
        }
    }

    /// Takes a file that left out of the index.
    pub(super) fn forget(&self, id: &FileId) {
        if let Some(index) = self.index().as_mut() {
            index.remove(id);
        }
    }

    fn index(&self) -> MutexGuard<'_, Option<Index>> {
        // The index is a cache: whatever a thread left in it, an old name is noticed.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `act` (called `doing` in an error) to each file where it is now; outcomes come in the order of `ids`.
    ///
    /// `act` fails with `NotFound` when the file is not at its place any more; then the directories are read again, and
    /// it is tried at the new place.
    pub(super) fn each<T>(
        &self,
        doing: &str,
        ids: &[&FileId],
        mut act: impl FnMut(usize, &mut Place) -> io::Result<T>,
    ) -> Vec<Result<Found<T>>> {
        const ROUNDS: usize = 4;
        let mut outcomes: Vec<Option<Result<Found<T>>>> = ids.iter().map(|_| None).collect();
        let mut index = self.index();
        for round in 0..ROUNDS {
            if outcomes.iter().all(Option::is_some) {
                break;
            }
            let remembered = round == 0 && index.is_some();
            if !remembered {
                match self.boxes.settle(now()) {
                    Ok(settled) => *index = Some(Index::of(settled.places)),
                    Err(e) => {
                        let failed = outcomes.iter_mut().filter(|o| o.is_none());
                        failed.for_each(|o| *o = Some(Err(repeated(&e))));
                        break;
                    }
                }
            }
            let Some(index) = index.as_mut() else { break };
            for ((n, id), outcome) in ids.iter().enumerate().zip(&mut outcomes).filter(|(_, o)| o.is_none()) {
                let Some(mut place) = index.place(id) else {
                    *outcome = (!remembered).then_some(Ok(Found::Gone));
                    continue;
                };
                let before = place.clone();
                *outcome = match act(n, &mut place) {
                    Ok(done) => {
                        if place != before {
                            index.put(id, place);
                        }
                        Some(Ok(Found::Done(done)))
                    }
                    Err(e) if e.kind() == io::ErrorKind::NotFound => None,
                    Err(e) => Some(Err(self.boxes.sub(place.sub).failed(doing, &place.name, e))),
                };
            }
        }
        let restless = |id: &FileId| {
            Error::new(Kind::LocalTree, "Another program keeps renaming the file").at(safe_line(&id.to_string()))
        };
        ids.iter().zip(outcomes).map(|(id, outcome)| outcome.unwrap_or_else(|| Err(restless(id)))).collect()
    }
}

fn gone(id: &FileId) -> Error {
    Error::new(Kind::LocalTree, "The file is gone; another program removed or moved it").at(safe_line(&id.to_string()))
}

#[cfg(test)]
mod tests;
