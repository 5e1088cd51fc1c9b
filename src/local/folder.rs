//! Messages that are there: their flags, their removal, their octets.
//!
//! Other programs rename files at any time. So a file is known by its id, and its current name by an index that is read
//! once and read again when a name turns out to be old; that a file is gone is concluded only from a fresh reading.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::content::{CHUNK, Form, Survey, expand};
use super::dir::{Dir, TEMPORARY_PREFIX, now, repeated};
use super::keywords::Table;
use super::name::{self, Letters};
use super::scan::{Boxes, Place, Sub, letters_in_use};
use super::store::Store;
use crate::error::{Error, Kind, Result, safe_line};
use crate::mail::{Content, FileId, FlagChange, Flags, Keyword, UnixSeconds};

/// A mailbox to act in; holds four file descriptors. Threads may share it.
#[derive(Debug)]
pub struct Folder {
    pub(super) boxes: Boxes,
    pub(super) tmp: Arc<Dir>,
    store: Store,
    index: Mutex<Option<BTreeMap<FileId, Place>>>,
}

/// A message to be sent: reads as exactly [`Outgoing::size`] octets of its wire form, or fails.
#[derive(Debug)]
pub struct Outgoing {
    file: File,
    form: Form,
    content: Content,
    modified: UnixSeconds,
    flags: Flags,
    /// Wire octets not yet in `wire`.
    left: u64,
    wire: Vec<u8>,
    given: usize,
}

/// What came of one file: done, or it is gone.
enum Found<T> {
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
        let wanted: BTreeSet<_> = changes.iter().flat_map(|(_, c)| c.add.keywords.iter().cloned()).collect();
        let table = match self.table_with(&wanted) {
            Ok(table) => table,
            Err(e) => return changes.iter().map(|_| Err(repeated(&e))).collect(),
        };
        let mut touched = BTreeSet::new();
        let ids: Vec<&FileId> = changes.iter().map(|(id, _)| id).collect();
        let renamed = self.each("change the flags of the message", &ids, |n, place| {
            let mut letters = Letters::of(&place.name);
            let before = letters.clone();
            if let Some((_, change)) = changes.get(n) {
                table.apply(&mut letters, &change.add, &change.remove);
            }
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
        let settle = |((id, _), outcome): (&(FileId, FlagChange), Result<Found<Flags>>)| match outcome? {
            Found::Done(flags) => synced.as_ref().map(|()| flags).map_err(repeated),
            Found::Gone => Err(gone(id)),
        };
        changes.iter().zip(renamed).map(settle).collect()
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
            ids.iter().zip(&removed).filter(|(_, r)| r.is_ok()).for_each(|(id, _)| drop(index.remove(id)));
        }
        let settle = |outcome: Result<Found<()>>| outcome.and_then(|_| synced.as_ref().map_err(repeated).copied());
        removed.into_iter().map(settle).collect()
    }

    /// Looks anew which of `ids` are there; an error when the directories cannot be read.
    pub fn still_there(&self, ids: &[FileId]) -> Result<BTreeSet<FileId>> {
        let settled = self.boxes.settle(now())?;
        let there = ids.iter().filter(|id| settled.places.contains_key(*id)).cloned().collect();
        *self.index() = Some(settled.places);
        Ok(there)
    }

    /// Opens a message to be sent. Reads it through once, for its size; a file that is gone is an error.
    pub fn open_message(&self, id: &FileId) -> Result<Outgoing> {
        let opened = self.each("read the message", &[id], |_, place| {
            let mut file = self.boxes.sub(place.sub).open_file(&place.name)?;
            let modified = UnixSeconds(file.metadata()?.mtime());
            let (content, form) = Survey::of(&mut file)?;
            file.seek(SeekFrom::Start(0))?;
            Ok((file, modified, content, form, Letters::of(&place.name)))
        });
        match opened.into_iter().next() {
            Some(Ok(Found::Done((file, modified, content, form, letters)))) => {
                let flags = Table::read(&self.boxes.dir)?.flags(&letters);
                let left = content.wire_size;
                Ok(Outgoing { file, form, content, modified, flags, left, wire: Vec::new(), given: 0 })
            }
            Some(Err(e)) => Err(e),
            Some(Ok(Found::Gone)) | None => Err(gone(id)),
        }
    }

    /// The keyword table with a letter for each of `wanted`, as far as there are free ones; durable before it is used.
    pub(super) fn table_with(&self, wanted: &BTreeSet<Keyword>) -> Result<Table> {
        let table = Table::read(&self.boxes.dir)?;
        if wanted.iter().all(|k| table.letter(k).is_some()) {
            return Ok(table);
        }
        let _turn = self.store.keywords_turn();
        let mut table = Table::read(&self.boxes.dir)?;
        let settled = self.boxes.settle(now())?;
        let in_names = letters_in_use(&settled.places);
        *self.index() = Some(settled.places);
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
            index.insert(id.clone(), place);
        }
    }

    fn index(&self) -> MutexGuard<'_, Option<BTreeMap<FileId, Place>>> {
        // The index is a cache: whatever a thread left in it, an old name is noticed.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `act` (called `doing` in an error) to each file where it is now; outcomes come in the order of `ids`.
    ///
    /// `act` fails with `NotFound` when the file is not at its place any more; then the directories are read again, and
    /// it is tried at the new place.
    fn each<T>(
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
                    Ok(settled) => *index = Some(settled.places),
                    Err(e) => {
                        let failed = outcomes.iter_mut().filter(|o| o.is_none());
                        failed.for_each(|o| *o = Some(Err(repeated(&e))));
                        break;
                    }
                }
            }
            let Some(places) = index.as_mut() else { break };
            for ((n, id), outcome) in ids.iter().enumerate().zip(&mut outcomes).filter(|(_, o)| o.is_none()) {
                *outcome = match places.get_mut(*id) {
                    None if remembered => None,
                    None => Some(Ok(Found::Gone)),
                    Some(place) => match act(n, place) {
                        Ok(done) => Some(Ok(Found::Done(done))),
                        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
                        Err(e) => Some(Err(self.boxes.sub(place.sub).failed(doing, &place.name, e))),
                    },
                };
            }
        }
        let restless = |id: &FileId| {
            Error::new(Kind::LocalTree, "Another program keeps renaming the file").at(safe_line(&id.to_string()))
        };
        ids.iter().zip(outcomes).map(|(id, outcome)| outcome.unwrap_or_else(|| Err(restless(id)))).collect()
    }
}

impl Outgoing {
    /// Octets of the wire form.
    pub fn size(&self) -> u64 {
        self.content.wire_size
    }

    /// What the file holds, as read just now.
    pub fn content(&self) -> Content {
        self.content
    }

    /// The flags it has now.
    pub fn flags(&self) -> &Flags {
        &self.flags
    }

    /// Its mtime.
    pub fn modified(&self) -> UnixSeconds {
        self.modified
    }

    fn refill(&mut self) -> io::Result<()> {
        self.wire.clear();
        self.given = 0;
        if self.left == 0 {
            return Ok(());
        }
        let mut chunk = vec![0; CHUNK];
        let n = self.file.read(&mut chunk)?;
        chunk.truncate(n);
        match self.form {
            Form::Lf => expand(&chunk, &mut self.wire),
            Form::Verbatim => self.wire = chunk,
        }
        match self.left.checked_sub(self.wire.len() as u64) {
            Some(left) if n > 0 => self.left = left,
            _ => return Err(io::Error::other("the file changed while it was read")),
        }
        Ok(())
    }
}

impl Read for Outgoing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.given == self.wire.len() {
            self.refill()?;
        }
        let n = self.wire.get(self.given..).unwrap_or_default().read(out)?;
        self.given += n;
        Ok(n)
    }
}

fn gone(id: &FileId) -> Error {
    Error::new(Kind::LocalTree, "The file is gone; another program removed or moved it").at(safe_line(&id.to_string()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::deliver::tests::{files, flags};
    use super::super::store::tests::folder;
    use super::*;

    fn put(path: &Path, name: &str) {
        std::fs::write(path.join(name), "x\n").unwrap();
    }

    fn change(id: &str, add: &[&str], remove: &[&str]) -> (FileId, FlagChange) {
        (FileId::new(id), FlagChange { add: flags(add), remove: flags(remove) })
    }

    #[test]
    fn flags_are_set_one_by_one_and_what_is_unknown_stays() {
        let (_temp, folder, path) = folder();
        std::fs::write(path.join("dovecot-keywords"), "0 Work\n").unwrap();
        ["new/a", "cur/b:2,SZaz", "cur/c:2,S", "new/d"].iter().for_each(|f| put(&path, f));
        let results = folder.set_flags(&[
            change("a", &["\\Seen"], &[]),
            change("b", &["\\Answered", "New"], &["\\Seen", "work"]),
            change("c", &[], &["\\Seen"]),
            change("d", &[], &["\\Flagged"]),
            change("missing", &["\\Seen"], &[]),
        ]);
        assert_eq!(files(&path), ["cur/a:2,S", "cur/b:2,RZbz", "cur/c:2,", "new/d"]);
        assert!(results[4].as_ref().unwrap_err().to_string().contains("The file is gone"));
        let after: Vec<_> = results.into_iter().filter_map(Result::ok).map(|f| f.to_string()).collect();
        assert_eq!(after, ["\\Seen", "\\Answered New", "", ""]);
        assert_eq!(std::fs::read(path.join("dovecot-keywords")).unwrap(), b"0 Work\n1 New\n");
    }

    #[test]
    fn a_file_that_another_program_renamed_is_found_again() {
        let (_temp, folder, path) = folder();
        ["new/a", "cur/b:2,", "cur/c:2,"].iter().for_each(|f| put(&path, f));
        folder.set_flags(&[change("c", &["\\Flagged"], &[])]).remove(0).unwrap();
        std::fs::rename(path.join("new/a"), path.join("cur/a:2,RS")).unwrap();
        std::fs::rename(path.join("cur/b:2,"), path.join("cur/b:2,F")).unwrap();
        put(&path, "new/late");
        let results = folder.set_flags(&[change("a", &["\\Flagged"], &[]), change("late", &["\\Seen"], &[])]);
        assert_eq!(
            results.into_iter().map(|r| r.unwrap().to_string()).collect::<Vec<_>>(),
            ["\\Flagged \\Answered \\Seen", "\\Seen"]
        );
        assert_eq!(folder.open_message(&FileId::new("b")).unwrap().flags(), &flags(&["\\Flagged"]));
        std::fs::rename(path.join("cur/b:2,F"), path.join("cur/b:2,FS")).unwrap();
        assert!(folder.remove(&[FileId::new("b"), FileId::new("gone")]).into_iter().all(|r| r.is_ok()));
        assert_eq!(files(&path), ["cur/a:2,FRS", "cur/c:2,F", "cur/late:2,S"]);
    }

    #[test]
    fn a_rename_never_takes_anothers_place() {
        let (_temp, folder, path) = folder();
        ["cur/x:2,S", "cur/x:2,FS"].iter().for_each(|f| put(&path, f));
        let results = folder.set_flags(&[change("x:2,S", &["\\Flagged"], &[]), change("x", &["\\Answered"], &[])]);
        assert!(results[0].is_err() && results[1].is_ok());
        assert_eq!(files(&path), ["cur/x:2,FRS", "cur/x:2,S"]);
        folder.remove(&[FileId::new("x")]).remove(0).unwrap();
        assert_eq!(files(&path), ["cur/x:2,S"], "the namesake stays");
    }

    #[test]
    fn a_file_that_shrinks_while_it_is_sent_fails() {
        let (_temp, folder, path) = folder();
        std::fs::write(path.join("cur/a:2,"), vec![b'\n'; 3 * CHUNK]).unwrap();
        let mut outgoing = folder.open_message(&FileId::new("a")).unwrap();
        assert_eq!(outgoing.size(), 6 * CHUNK as u64);
        let mut some = [0; 10];
        outgoing.read_exact(&mut some).unwrap();
        std::fs::OpenOptions::new().write(true).open(path.join("cur/a:2,")).unwrap().set_len(CHUNK as u64).unwrap();
        assert!(outgoing.read_to_end(&mut Vec::new()).is_err());
        assert!(folder.open_message(&FileId::new("gone")).is_err());
    }

    #[test]
    fn a_missing_tmp_is_made_and_a_missing_cur_is_an_error() {
        use super::super::store::tests::{mailbox, tree};
        let (temp, store) = tree(super::super::Layout::Nested);
        store.create_mailbox(&mailbox("A")).unwrap();
        let path = temp.path().join("Mail/A");
        std::fs::remove_dir(path.join("tmp")).unwrap();
        store.folder(&mailbox("A")).unwrap();
        assert!(path.join("tmp").is_dir());
        std::fs::remove_dir(path.join("cur")).unwrap();
        assert!(store.folder(&mailbox("A")).is_err() && store.scan(&mailbox("A"), None).is_err());
    }
}
