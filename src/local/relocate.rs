//! Files that come from another mailbox of the tree: renamed, or linked once more, under a name that tells their new
//! origin.
//!
//! The order is that of a delivery: the file stands durably in its new place before it is gone from the old one. A crash
//! between leaves it where it came from, or in both places, and its name says what it is. Where the file system has no
//! hard links, a copy is written like any delivery.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;

use super::Delivered;
use super::dir::{Dir, flush};
use super::folder::{Folder, Found};
use super::keywords::Table;
use super::name::{self, Letters};
use super::settle::{Place, Sub};
use super::temporary::Temporary;
use super::trouble::repeated;
use crate::error::Result;
use crate::faults::{self, Step};
use crate::mail::{FileId, FlagChange, Link, Origin};

/// What becomes of the file at its old place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It goes.
    Move,
    /// It stays, and is the same file.
    Copy,
}

/// A file to take over.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The link of the file where it comes from.
    pub link: Link,
    /// Where the message is from now on: goes into the name.
    pub origin: Origin,
    /// What of its flags changes on the way.
    pub change: FlagChange,
}

impl Folder {
    /// Takes files over from `source`; results come in the order of `arrivals`, once everything is durable. `None`
    /// stands for a file that is not in `source` any more.
    pub fn take_over(&self, source: &Folder, arrivals: &[Arrival], way: Way) -> Vec<Result<Option<Delivered>>> {
        let tables =
            Table::read(&source.boxes.dir).and_then(|theirs| Ok((self.table_for(source, &theirs, arrivals)?, theirs)));
        let (ours, theirs) = match tables {
            Ok(tables) => tables,
            Err(e) => return arrivals.iter().map(|_| Err(repeated(&e))).collect(),
        };
        let ids: Vec<&FileId> = arrivals.iter().map(|a| &a.link.file).collect();
        let (mut touched, mut left) = (BTreeSet::new(), BTreeSet::new());
        let placed = source.each("move the message", &ids, |n, place| {
            let Some(arrival) = arrivals.get(n) else { return Err(io::ErrorKind::NotFound.into()) };
            let (to, delivered) = self.take(source, place, arrival, way, (&theirs, &ours))?;
            touched.insert(to.sub);
            left.insert(place.sub);
            Ok((to, delivered))
        });
        let mut synced = self.sync(&touched);
        if way == Way::Move && synced.is_ok() {
            synced = source.sync(&left);
        }
        let settle = |(arrival, outcome): (&Arrival, Result<Found<(Place, Delivered)>>)| match outcome? {
            Found::Gone => Ok(None),
            Found::Done((place, delivered)) => {
                synced.as_ref().map_err(repeated)?;
                if way == Way::Move {
                    source.forget(&arrival.link.file);
                }
                self.remember(&delivered.file, place);
                Ok(Some(delivered))
            }
        };
        arrivals.iter().zip(placed).map(settle).collect()
    }

    /// Our keyword table with a letter for every keyword that comes, as far as there are free ones.
    fn table_for(&self, source: &Folder, theirs: &Table, arrivals: &[Arrival]) -> Result<Table> {
        let mut wanted: BTreeSet<_> = arrivals.iter().flat_map(|a| a.change.add.keywords.iter().cloned()).collect();
        if !theirs.is_empty() {
            let ids: Vec<&FileId> = arrivals.iter().map(|a| &a.link.file).collect();
            let flags =
                source.each("look at the message", &ids, |_, place| Ok(theirs.flags(&Letters::of(&place.name))));
            for found in flags.into_iter().flatten() {
                if let Found::Done(flags) = found {
                    wanted.extend(flags.keywords);
                }
            }
        }
        if wanted.is_empty() { Table::read(&self.boxes.dir) } else { self.table_with(&wanted, &[]) }
    }

    fn take(
        &self,
        source: &Folder,
        place: &Place,
        arrival: &Arrival,
        way: Way,
        (theirs, ours): (&Table, &Table),
    ) -> io::Result<(Place, Delivered)> {
        const COPIES: u32 = 100;
        let Arrival { link, origin, change } = arrival;
        let from = source.boxes.sub(place.sub);
        let flags = theirs.flags(&Letters::of(&place.name)).after(change);
        let mut letters = Letters::of(&place.name).without_keywords();
        ours.apply(&mut letters, &flags, &change.remove);
        let sub = if letters.is_empty() && place.sub == Sub::New { Sub::New } else { Sub::Cur };
        let to = self.boxes.sub(sub);
        let octets = from.open_file(&place.name)?.metadata()?.len();
        // Another program's file keeps its name: ours would vouch for its line ends.
        let theirs = Some(name::unique(&place.name)).filter(|unique| name::delivered_sizes(unique).is_none());
        for copy in 0..COPIES {
            let unique = match theirs {
                Some(unique) => name::copied(unique, copy),
                None => name::delivered(&(*origin).into(), link.internal_date, octets, link.size, copy),
            };
            let name = if sub == Sub::New { unique.clone() } else { letters.name(&unique) };
            match self.put(from, &place.name, to, &name, way) {
                Ok(()) => {
                    let delivered = Delivered::new(FileId::new(unique), ours.flags(&letters), &flags);
                    return Ok((Place { sub, name: name.into() }, delivered));
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Err(io::Error::other("too many other files have its name"))
    }

    fn put(&self, from: &Dir, old: &OsStr, to: &Dir, new: &OsStr, way: Way) -> io::Result<()> {
        let done = match way {
            Way::Move => from.rename_new(old, to, new),
            Way::Copy => from.link_new(old, to, new),
        };
        match done {
            Err(e) if is_no_link(&e) => {
                self.write_copy(from, old, to, new)?;
                // The copy is durable before what it was made of goes.
                if way == Way::Move {
                    to.sync().map_err(io::Error::other)?;
                    from.remove_file(old)?;
                }
                Ok(())
            }
            done => done,
        }
    }

    /// Writes the file's octets once more: for file systems that cannot link, and mailboxes on two of them.
    fn write_copy(&self, from: &Dir, old: &OsStr, to: &Dir, new: &OsStr) -> io::Result<()> {
        let mut source = from.open_file(old)?;
        let (mut temporary, mut file) = Temporary::create(&self.tmp).map_err(io::Error::other)?;
        faults::disk(Step::Write)?;
        io::copy(&mut source, &mut file)?;
        file.set_modified(source.metadata()?.modified()?)?;
        flush(&file)?;
        temporary.place(to, new)
    }
}

/// Whether the file system cannot link these two places.
fn is_no_link(e: &io::Error) -> bool {
    use rustix::io::Errno;
    let cannot = [Errno::XDEV, Errno::PERM, Errno::MLINK, Errno::NOTSUP, Errno::NOSYS];
    cannot.iter().any(|errno| e.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::super::deliver::tests::{delivery, files};
    use super::super::store::tests::{mailbox, tree};
    use super::super::{Layout, Store};
    use super::*;
    use crate::mail::{AccountId, Digest, Flags, MailboxId, Presence, Uid, UidValidity, UnixSeconds};

    fn arrival(file: &FileId, uid: u32, add: &[&str]) -> Arrival {
        let mut flags = Flags::none();
        add.iter().for_each(|name| flags.insert_imap(name));
        let uid = Uid::new(uid).unwrap();
        let link = Link {
            uid,
            file: file.clone(),
            presence: Presence::Both,
            flags: Flags::none(),
            size: 7,
            digest: Digest([0; 32]),
            message_id: None,
            internal_date: UnixSeconds(1_600_000_000),
            email_id: None,
        };
        let origin = Origin { account: AccountId(1), mailbox: MailboxId(2), uid_validity: UidValidity(3), uid };
        Arrival { link, origin, change: FlagChange { add: flags, remove: Flags::none() } }
    }

    fn two() -> (tempfile::TempDir, Store, Folder, Folder) {
        let (temp, store) = tree(Layout::Nested);
        for name in ["a", "b"] {
            store.create_mailbox(&mailbox(name)).unwrap();
        }
        let (a, b) = (store.folder(&mailbox("a")).unwrap(), store.folder(&mailbox("b")).unwrap());
        (temp, store, a, b)
    }

    #[test]
    fn a_file_moves_with_its_flags_keywords_and_date() {
        let (temp, _store, a, b) = two();
        // The same keyword has another letter over there.
        let other = delivery(&b, 1, b"other\r\n", &["Else"]);
        b.deliver(vec![other]).pop().unwrap().unwrap();
        let sent = a.deliver(vec![delivery(&a, 5, b"hello\r\n", &["\\Seen", "Work"])]).pop().unwrap().unwrap();
        let moved =
            b.take_over(&a, &[arrival(&sent.file, 9, &["\\Flagged"])], Way::Move).pop().unwrap().unwrap().unwrap();
        assert_eq!(moved.flags.to_string(), "\\Flagged \\Seen Work");
        assert!(files(&temp.path().join("Mail/a")).is_empty());
        let names = files(&temp.path().join("Mail/b"));
        let name = names.iter().find(|n| n.contains("-3-9.")).unwrap();
        assert!(name.contains("1600000000.00000001-00000002-3-9.mailtide,S=6,W=7:2,FSb"), "{name}");
        assert!(b.open_message(&moved.file).is_ok() && b.remove(&[moved.file]).pop().unwrap().is_ok());
        assert!(a.take_over(&b, &[arrival(&sent.file, 9, &[])], Way::Move).pop().unwrap().unwrap().is_none());
    }

    #[test]
    fn keywords_that_find_no_letter_are_told() {
        let (_temp, _store, a, b) = two();
        let all: Vec<String> = (0..26).map(|n| format!("k{n}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        b.deliver(vec![delivery(&b, 1, b"full\r\n", &all)]).pop().unwrap().unwrap();
        let sent = a.deliver(vec![delivery(&a, 5, b"hello\r\n", &["Work", "k3"])]).pop().unwrap().unwrap();
        assert!(sent.left_out.is_empty());
        let moved = b.take_over(&a, &[arrival(&sent.file, 9, &["\\Seen"])], Way::Move).pop().unwrap().unwrap().unwrap();
        assert_eq!(moved.flags.to_string(), "\\Seen k3");
        assert_eq!(moved.left_out.iter().map(ToString::to_string).collect::<Vec<_>>(), ["Work"]);
    }

    #[test]
    fn a_copy_is_the_same_file_and_an_unseen_one_stays_new() {
        use std::os::unix::fs::MetadataExt;
        let (temp, _store, a, b) = two();
        let sent = a.deliver(vec![delivery(&a, 5, b"hello\r\n", &[])]).pop().unwrap().unwrap();
        let arrivals = [arrival(&sent.file, 9, &[])];
        for copies in 1..=2 {
            b.take_over(&a, &arrivals, Way::Copy).pop().unwrap().unwrap().unwrap();
            let names = files(&temp.path().join("Mail/b"));
            assert_eq!(names.len(), copies);
            assert!(names.iter().all(|n| n.starts_with("new/")));
            assert_eq!(
                std::fs::metadata(temp.path().join("Mail/b").join(&names[0])).unwrap().nlink(),
                copies as u64 + 1
            );
        }
        // Within one mailbox, too.
        let again = a.take_over(&a, &arrivals, Way::Copy).pop().unwrap().unwrap().unwrap();
        assert_ne!(again.file, sent.file);
        assert_eq!(files(&temp.path().join("Mail/a")).len(), 2);
    }

    #[test]
    fn where_nothing_can_be_linked_a_copy_is_written() {
        let (temp, _store, a, b) = two();
        let sent = a.deliver(vec![delivery(&a, 5, b"hello\r\n", &[])]).pop().unwrap().unwrap();
        let new = a.boxes.sub(Sub::New);
        let name = sent.file.as_os_str();
        b.write_copy(new, name, b.boxes.sub(Sub::Cur), OsStr::new("x:2,S")).unwrap();
        let (old, copy) = (temp.path().join("Mail/a/new").join(name), temp.path().join("Mail/b/cur/x:2,S"));
        assert_eq!(std::fs::read(&old).unwrap(), std::fs::read(&copy).unwrap());
        let modified = |path| std::fs::metadata(path).unwrap().modified().unwrap();
        assert_eq!(modified(&old), modified(&copy));
        assert!(files(&temp.path().join("Mail/b")).iter().all(|n| !n.starts_with("tmp/")));
    }
}
