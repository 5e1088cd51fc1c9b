//! Messages from `tmp` into a mailbox: flushed, renamed into `new` or `cur`, directories flushed; in that order.
//!
//! The types hold the order: only a flush makes a [`Flushed`], only a `Flushed` can be renamed, and results leave
//! [`Folder::deliver`] only after the directories are on disk. A crash before the rename leaves a file in `tmp`, which
//! is nobody's message and is swept after 36 hours; a crash after it leaves a message whose name tells where it came
//! from.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::content::survey;
use super::dir::{Dir, flush};
use super::folder::Folder;
use super::incoming::{Incoming, Received};
use super::keywords::Table;
use super::name::{self, Letters};
use super::settle::{Place, Sub};
use super::together;
use super::trouble::{failed, repeated};
use crate::error::{Error, Kind, Result};
use crate::mail::{FileId, FileOrigin, Flags, Keyword, UnixSeconds};

/// What becomes of a received message.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub received: Received,
    /// Where it came from: goes into its name.
    pub origin: FileOrigin,
    /// Its flags; none at all puts it into `new`.
    pub flags: Flags,
    /// When it arrived (INTERNALDATE): becomes its mtime, and stands in its name.
    pub internal_date: UnixSeconds,
}

/// A message that is durably in its mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Its file.
    pub file: FileId,
    /// The flags it has: all that were asked for, but for keywords that the mailbox has no letter left for.
    pub flags: Flags,
    /// Keywords that were asked for and found no letter.
    pub left_out: BTreeSet<Keyword>,
}

impl Delivered {
    /// A file with `flags`, of which more were `asked` for.
    pub(super) fn new(file: FileId, flags: Flags, asked: &Flags) -> Delivered {
        let left_out = asked.minus(&flags).keywords;
        Delivered { file, flags, left_out }
    }
}

/// A delivery whose octets are on disk.
struct Flushed(Delivery);

impl Flushed {
    /// Gives a file its mtime.
    fn date(delivery: &Delivery) -> io::Result<()> {
        delivery.received.tmp.date(delivery.internal_date)
    }

    /// Gives a file its mtime and puts it on disk.
    fn flush(delivery: &Delivery) -> Result<()> {
        let tmp = &delivery.received.tmp;
        let dated = Self::date(delivery);
        dated.and_then(|()| flush(&tmp.reopen()?)).map_err(|e| tmp.failed(e))
    }

    /// Flushes a batch, several files at a time: a disk writes them together then.
    fn batch(batch: Vec<Delivery>) -> Vec<Result<Flushed>> {
        let dirs = batch.iter().map(|delivery| delivery.received.tmp.dir());
        let dated = |delivery: &Delivery| Self::date(delivery).is_ok();
        if together::is_worth(batch.len()) && batch.iter().all(dated) && together::flush(dirs) {
            return batch.into_iter().map(|delivery| Ok(Flushed(delivery))).collect();
        }
        Self::one_by_one(batch)
    }

    /// Flushes each file.
    fn one_by_one(batch: Vec<Delivery>) -> Vec<Result<Flushed>> {
        const THREADS: usize = 8;
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some((n, delivery)) = batch.iter().enumerate().nth(next.fetch_add(1, Ordering::Relaxed)) {
                done.push((n, Flushed::flush(delivery)));
            }
            done
        };
        let mut outcomes: Vec<Option<Result<()>>> = std::iter::repeat_with(|| None).take(batch.len()).collect();
        std::thread::scope(|scope| {
            // This thread is one of them; a batch of one starts none.
            let others: Vec<_> = (1..THREADS.min(batch.len())).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            done.extend(others.into_iter().filter_map(|t| t.join().ok()).flatten());
            for (n, outcome) in done {
                if let Some(slot) = outcomes.get_mut(n) {
                    *slot = Some(outcome);
                }
            }
        });
        let lost = || Err(Error::new(Kind::LocalTree, "The message was not flushed"));
        let flushed = |(delivery, outcome): (Delivery, Option<Result<()>>)| {
            outcome.unwrap_or_else(lost).map(|()| Flushed(delivery))
        };
        batch.into_iter().zip(outcomes).map(flushed).collect()
    }
}

/// Puts messages into mailboxes; results come in the order of the batches, once everything is durable.
///
/// A file that fails is removed from `tmp`, the others go on. Unseen messages without any flag go into `new`, the rest
/// into `cur`. When the same file was delivered before, its first copy is what comes back. The stages are taken for all
/// mailboxes together: a file system that keeps a journal then writes it once, and not once a mailbox.
pub fn deliver(batches: Vec<(&Folder, Vec<Delivery>)>) -> Vec<Vec<Result<Delivered>>> {
    let sizes: Vec<(&Folder, usize)> = batches.iter().map(|(folder, batch)| (*folder, batch.len())).collect();
    let mut flushed = Flushed::batch(batches.into_iter().flat_map(|(_, batch)| batch).collect()).into_iter();
    let placed: Vec<(&Folder, Placed)> = sizes
        .into_iter()
        .map(|(folder, size)| (folder, folder.place_all(flushed.by_ref().take(size).collect())))
        .collect();
    let subs = placed.iter().flat_map(|(folder, placed)| placed.touched.iter().map(|sub| folder.boxes.sub(*sub)));
    let dirs: Vec<&Dir> = subs.collect();
    let on_disk = together::is_worth(dirs.len()) && together::flush(dirs.into_iter());
    placed.into_iter().map(|(folder, placed)| folder.settle_all(placed, on_disk)).collect()
}

/// Files that were renamed into a mailbox, and the directories that have to be flushed for them.
struct Placed {
    outcomes: Vec<Result<(Place, Delivered)>>,
    touched: BTreeSet<Sub>,
}

impl Folder {
    /// Starts a message; it is no part of the mailbox before it is delivered.
    pub fn incoming(&self) -> Result<Incoming> {
        Incoming::start(&self.tmp)
    }

    /// Puts messages into the mailbox, see [`deliver`].
    pub fn deliver(&self, batch: Vec<Delivery>) -> Vec<Result<Delivered>> {
        deliver(vec![(self, batch)]).pop().unwrap_or_default()
    }

    /// Renames flushed messages into the mailbox.
    fn place_all(&self, flushed: Vec<Result<Flushed>>) -> Placed {
        let flags = flushed.iter().flatten().map(|Flushed(delivery)| &delivery.flags);
        let wanted: BTreeSet<_> = flags.flat_map(|flags| flags.keywords.iter().cloned()).collect();
        let table = if wanted.is_empty() { Ok(Table::default()) } else { self.table_with(&wanted, &[]) };
        let place = |flushed: Result<Flushed>| {
            let Flushed(delivery) = flushed?;
            match &table {
                Err(e) if !delivery.flags.keywords.is_empty() => Err(repeated(e)),
                Err(_) => self.place(delivery, &Table::default()),
                Ok(table) => self.place(delivery, table),
            }
        };
        let outcomes: Vec<Result<(Place, Delivered)>> = flushed.into_iter().map(place).collect();
        let touched = outcomes.iter().flatten().map(|(place, _)| place.sub).collect();
        Placed { outcomes, touched }
    }

    /// Flushes the directories of what was placed, unless they are on disk already.
    fn settle_all(&self, placed: Placed, on_disk: bool) -> Vec<Result<Delivered>> {
        let synced = if on_disk { Ok(()) } else { self.sync(&placed.touched) };
        let settle = |outcome: Result<(Place, Delivered)>| {
            let (place, delivered) = outcome?;
            synced.as_ref().map_err(repeated)?;
            self.remember(&delivered.file, place);
            Ok(delivered)
        };
        placed.outcomes.into_iter().map(settle).collect()
    }

    fn place(&self, delivery: Delivery, table: &Table) -> Result<(Place, Delivered)> {
        const COPIES: u32 = 100;
        let Delivery { mut received, origin, flags, internal_date } = delivery;
        let mut letters = Letters::default();
        table.apply(&mut letters, &flags, &Flags::none());
        let sub = if letters.is_empty() { Sub::New } else { Sub::Cur };
        let to = self.boxes.sub(sub);
        for copy in 0..COPIES {
            let unique = name::delivered(&origin, internal_date, received.octets, received.content.wire_size, copy);
            let name = if letters.is_empty() { unique.clone() } else { letters.name(&unique) };
            match received.tmp.place(to, &name) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    let same = |mut file: File| -> io::Result<bool> {
                        flush(&file)?;
                        Ok(survey(&mut file, &name)?.0.whole == received.content)
                    };
                    if !to.open_file(&name).and_then(same).unwrap_or(false) {
                        continue;
                    }
                }
                Err(e) => return Err(failed("put a message into the mailbox", to.path(), e)),
            }
            let delivered = Delivered::new(FileId::new(unique), table.flags(&letters), &flags);
            return Ok((Place { sub, name: name.into() }, delivered));
        }
        let first = name::delivered(&origin, internal_date, received.octets, received.content.wire_size, 0);
        Err(Error::new(Kind::LocalTree, "Too many other files have the message's name").at(first.to_string_lossy()))
    }
}

#[cfg(test)]
pub(super) mod tests;
