//! Messages that arrive: written into `tmp`, flushed, renamed into `new` or `cur`, directories flushed; in that order.
//!
//! The types hold the order: only a flush makes a [`Flushed`], only a `Flushed` can be renamed, and results leave
//! [`Folder::deliver`] only after the directories are on disk. A crash before the rename leaves a file in `tmp`, which is
//! nobody's message and is swept after 36 hours; a crash after it leaves a message whose name tells where it came from.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{Timespec, Timestamps, UTIME_OMIT};

use super::content::{Bare, CHUNK, Sum, Survey, ToLf, count_lf, expand_in_place};
use super::dir::{Dir, repeated, temporary_name};
use super::folder::Folder;
use super::keywords::Table;
use super::name::{self, Letters};
use super::scan::{Place, Sub};
use crate::error::{Error, Kind, Result};
use crate::mail::{Content, FileId, Flags, Origin, UnixSeconds};

/// A message on its way into a mailbox; memory does not depend on its size. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct Incoming {
    tmp: Temporary,
    file: File,
    /// Local octets not yet in the file.
    pending: Vec<u8>,
    /// `None` once the message turned out to be verbatim.
    to_lf: Option<ToLf>,
    sum: Sum,
    octets: u64,
    lines: u64,
    has_cr: bool,
}

/// A message that is complete in `tmp`; dropped undelivered, it leaves nothing.
#[derive(Debug)]
pub struct Received {
    /// What it is.
    pub content: Content,
    octets: u64,
    tmp: Temporary,
}

/// What becomes of a received message.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub received: Received,
    /// Where it came from: goes into its name.
    pub origin: Origin,
    /// Its flags; none at all puts it into `new`.
    pub flags: Flags,
    /// INTERNALDATE: becomes its mtime.
    pub internal_date: UnixSeconds,
}

/// A message that is durably in its mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Its file.
    pub file: FileId,
    /// The flags it has: all that were asked for, but for keywords that the mailbox has no letter left for.
    pub flags: Flags,
}

/// A file in `tmp` that is removed unless it is placed.
#[derive(Debug)]
struct Temporary {
    dir: Arc<Dir>,
    /// `None` once placed.
    name: Option<OsString>,
}

/// A delivery whose octets are on disk.
struct Flushed(Delivery);

impl Temporary {
    fn failed(&self, e: io::Error) -> Error {
        self.dir.failed("write the message", self.name.as_deref().unwrap_or_default(), e)
    }

    fn reopen(&self) -> io::Result<File> {
        self.dir.open_file_for_update(self.name.as_deref().unwrap_or_default())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            // What cannot be removed now is swept when it is old.
            let _ = self.dir.remove_file(&name);
        }
    }
}

impl Incoming {
    /// Starts a message in `tmp`.
    pub(super) fn start(tmp: &Arc<Dir>) -> Result<Incoming> {
        let name = temporary_name();
        let file = tmp.create_file(&name).map_err(|e| tmp.failed("write the message", &name, e))?;
        let tmp = Temporary { dir: Arc::clone(tmp), name: Some(name) };
        let to_lf = Some(ToLf::default());
        Ok(Incoming { tmp, file, pending: Vec::new(), to_lf, sum: Sum::default(), octets: 0, lines: 0, has_cr: false })
    }

    /// Takes the next octets as they come over the wire, in any pieces.
    pub fn write(&mut self, wire: &[u8]) -> Result<()> {
        for piece in wire.chunks(CHUNK) {
            self.take(piece).map_err(|e| self.tmp.failed(e))?;
        }
        Ok(())
    }

    /// Ends the message.
    pub fn finish(mut self) -> Result<Received> {
        self.end().map_err(|e| self.tmp.failed(e))?;
        // Without any CR the file means CRLF for each LF, whatever was sent.
        let wire_size = if self.has_cr { self.octets } else { self.octets + self.lines };
        Ok(Received { content: self.sum.finish(wire_size), octets: self.octets, tmp: self.tmp })
    }

    fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        match &mut self.to_lf {
            None => self.pending.extend_from_slice(piece),
            Some(to_lf) => {
                if let Err(Bare(rest)) = to_lf.push(piece, &mut self.pending) {
                    self.turn_verbatim()?;
                    self.pending.extend_from_slice(rest);
                }
            }
        }
        if self.pending.len() >= CHUNK { self.write_pending() } else { Ok(()) }
    }

    fn end(&mut self) -> io::Result<()> {
        if self.to_lf.as_ref().is_some_and(ToLf::holds_cr) {
            self.turn_verbatim()?;
        }
        self.write_pending()
    }

    fn write_pending(&mut self) -> io::Result<()> {
        self.file.write_all(&self.pending)?;
        self.sum.push(&self.pending);
        self.octets += self.pending.len() as u64;
        self.lines += count_lf(&self.pending);
        self.has_cr = self.has_cr || self.pending.contains(&b'\r');
        self.pending.clear();
        Ok(())
    }

    /// A CR or LF stands alone: from here on, and backwards too, the file holds what was on the wire.
    fn turn_verbatim(&mut self) -> io::Result<()> {
        self.write_pending()?;
        if self.lines > 0 {
            expand_in_place(&self.file, self.octets, self.lines)?;
            self.octets += self.lines;
            self.has_cr = true;
            self.sum = Sum::default();
            self.file.seek(SeekFrom::Start(0))?;
            let mut chunk = vec![0; CHUNK];
            loop {
                match self.file.read(&mut chunk)? {
                    0 => break,
                    n => self.sum.push(chunk.get(..n).unwrap_or_default()),
                }
            }
        }
        if self.to_lf.take().is_some_and(|to_lf| to_lf.holds_cr()) {
            self.pending.push(b'\r');
        }
        Ok(())
    }
}

impl Flushed {
    /// Gives a file its mtime and puts it on disk.
    fn flush(delivery: &Delivery) -> Result<()> {
        let tmp = &delivery.received.tmp;
        let flush = || -> io::Result<()> {
            let file = tmp.reopen()?;
            let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
            let modified = Timespec { tv_sec: delivery.internal_date.0, tv_nsec: 0 };
            rustix::fs::futimens(&file, &Timestamps { last_access: omit, last_modification: modified })?;
            file.sync_data()
        };
        flush().map_err(|e| tmp.failed(e))
    }

    /// Flushes a batch, several files at a time: a disk writes them together then.
    fn batch(batch: Vec<Delivery>) -> Vec<Result<Flushed>> {
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

impl Folder {
    /// Starts a message; it is no part of the mailbox before it is delivered.
    pub fn incoming(&self) -> Result<Incoming> {
        Incoming::start(&self.tmp)
    }

    /// Puts messages into the mailbox; results come in the order of the batch, once everything is durable.
    ///
    /// A file that fails is removed from `tmp`, the others go on. Unseen messages without any flag go into `new`, the
    /// rest into `cur`. When the same file was delivered before, its first copy is what comes back.
    pub fn deliver(&self, batch: Vec<Delivery>) -> Vec<Result<Delivered>> {
        let wanted: BTreeSet<_> = batch.iter().flat_map(|d| d.flags.keywords.iter().cloned()).collect();
        let table = if wanted.is_empty() { Ok(Table::default()) } else { self.table_with(&wanted) };
        let place = |flushed: Result<Flushed>| {
            let Flushed(delivery) = flushed?;
            match &table {
                Err(e) if !delivery.flags.keywords.is_empty() => Err(repeated(e)),
                Err(_) => self.place(delivery, &Table::default()),
                Ok(table) => self.place(delivery, table),
            }
        };
        let placed: Vec<Result<(Place, Delivered)>> = Flushed::batch(batch).into_iter().map(place).collect();
        let touched: BTreeSet<Sub> = placed.iter().flatten().map(|(place, _)| place.sub).collect();
        let synced = self.sync(&touched);
        let settle = |outcome: Result<(Place, Delivered)>| {
            let (place, delivered) = outcome?;
            synced.as_ref().map_err(repeated)?;
            self.remember(&delivered.file, place);
            Ok(delivered)
        };
        placed.into_iter().map(settle).collect()
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
            let from = received.tmp.name.as_deref().unwrap_or_default();
            match received.tmp.dir.rename_new(from, to, &name) {
                Ok(()) => received.tmp.name = None,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    let same = |mut file: File| -> io::Result<bool> {
                        file.sync_data()?;
                        Ok(Survey::of(&mut file)?.0 == received.content)
                    };
                    if !to.open_file(&name).and_then(same).unwrap_or(false) {
                        continue;
                    }
                }
                Err(e) => return Err(to.failed("put the message into the mailbox", &name, e)),
            }
            let delivered = Delivered { file: FileId::new(unique), flags: table.flags(&letters) };
            return Ok((Place { sub, name: name.into() }, delivered));
        }
        Err(Error::new(Kind::LocalTree, "Too many other files have the message's name").at(origin.uid))
    }
}
