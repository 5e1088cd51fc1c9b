//! Messages that arrive: written into `tmp`, flushed, renamed into `new` or `cur`, directories flushed; in that order.
//!
//! The types hold the order: only a flush makes a [`Flushed`], only a `Flushed` can be renamed, and results leave
//! [`Folder::deliver`] only after the directories are on disk. A crash before the rename leaves a file in `tmp`, which
//! is nobody's message and is swept after 36 hours; a crash after it leaves a message whose name tells where it came
//! from.

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

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;

    use super::super::content::tests::{model, octets, pieces};
    use super::super::store::tests::{ID, folder};
    use super::*;
    use crate::mail::{Digest, MailboxId, MessageIdHash, Uid, UidValidity};

    pub(in crate::local) fn flags(names: &[&str]) -> Flags {
        let mut flags = Flags::none();
        names.iter().for_each(|n| flags.insert_imap(n));
        flags
    }

    fn origin(uid: u32) -> Origin {
        Origin { account: ID, mailbox: MailboxId(4), uid_validity: UidValidity(5), uid: Uid::new(uid).unwrap() }
    }

    pub(in crate::local) fn delivery(folder: &Folder, uid: u32, wire: &[u8], names: &[&str]) -> Delivery {
        let mut incoming = folder.incoming().unwrap();
        incoming.write(wire).unwrap();
        let received = incoming.finish().unwrap();
        Delivery { received, origin: origin(uid), flags: flags(names), internal_date: UnixSeconds(1_700_000_000) }
    }

    pub(in crate::local) fn files(path: &Path) -> Vec<String> {
        let mut all = Vec::new();
        for sub in ["cur", "new", "tmp"] {
            let entries = std::fs::read_dir(path.join(sub)).unwrap();
            all.extend(entries.map(|e| format!("{sub}/{}", e.unwrap().file_name().to_string_lossy())));
        }
        all.sort();
        all
    }

    #[test]
    fn a_message_arrives_private_dated_and_named_after_its_origin() {
        let (_temp, folder, path) = folder();
        let batch = vec![
            delivery(&folder, 1, b"a\r\nb\r\n", &[]),
            delivery(&folder, 2, b"c\r\n", &["\\Seen", "\\Flagged"]),
            delivery(&folder, 3, b"d", &["\\Flagged", "Work"]),
        ];
        assert!(files(&path).iter().all(|f| f.starts_with("tmp/")));
        let delivered: Vec<_> = folder.deliver(batch).into_iter().map(Result::unwrap).collect();
        let names = [
            "cur/1700000000.0a1b2c3d-00000004-5-2.mailtide,S=2,W=3:2,FS",
            "cur/1700000000.0a1b2c3d-00000004-5-3.mailtide,S=1,W=1:2,Fa",
            "new/1700000000.0a1b2c3d-00000004-5-1.mailtide,S=4,W=6",
        ];
        assert_eq!(files(&path), names);
        for name in names {
            let metadata = std::fs::metadata(path.join(name)).unwrap();
            assert_eq!((metadata.mtime(), metadata.permissions().mode() & 0o777), (1_700_000_000, 0o600));
        }
        assert_eq!(delivered[0].file, FileId::new("1700000000.0a1b2c3d-00000004-5-1.mailtide,S=4,W=6"));
        assert_eq!(name::origin(delivered[2].file.as_os_str()), Some(origin(3)));
        assert_eq!(delivered[2].flags, flags(&["\\Flagged", "Work"]));
        assert_eq!(std::fs::read(path.join("dovecot-keywords")).unwrap(), b"0 Work\n");
        assert_eq!(std::fs::read(path.join(names[2])).unwrap(), b"a\nb\n");
    }

    #[test]
    fn what_is_not_delivered_leaves_nothing() {
        let (_temp, folder, path) = folder();
        let mut incoming = folder.incoming().unwrap();
        incoming.write(b"half a mess").unwrap();
        assert_eq!(files(&path).len(), 1);
        drop(incoming);
        drop(delivery(&folder, 1, b"whole", &[]));
        assert_eq!(files(&path).len(), 0);
    }

    #[test]
    fn one_failure_leaves_the_rest_of_a_batch_alone() {
        let (_temp, folder, path) = folder();
        let batch: Vec<_> = (1..=30).map(|uid| delivery(&folder, uid, b"x\r\n", &[])).collect();
        // Somebody removes a file from `tmp` before it is flushed: it must not be called delivered.
        std::fs::remove_file(path.join("tmp").join(batch[7].received.tmp.name.as_ref().unwrap())).unwrap();
        let results = folder.deliver(batch);
        let failed: Vec<usize> = (0..30).filter(|n| results[*n].is_err()).collect();
        assert_eq!(failed, [7]);
        assert_eq!(files(&path).iter().filter(|f| f.starts_with("new/")).count(), 29);
        assert!(files(&path).iter().all(|f| !f.contains("5-8.mailtide")));
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_is_delivered_twice() {
        let (_temp, folder, path) = folder();
        let deliver = |wire: &[u8]| folder.deliver(vec![delivery(&folder, 1, wire, &[])]).remove(0).unwrap().file;
        let first = deliver(b"one\r\n");
        assert_eq!(deliver(b"one\r\n"), first);
        assert_eq!(files(&path).len(), 1);
        let other = deliver(b"two\r\n");
        assert_eq!(other.to_string(), format!("{first},C=1"));
        assert_eq!(name::origin(other.as_os_str()), Some(origin(1)));
        assert_eq!(std::fs::read(path.join("new").join(first.as_os_str())).unwrap(), b"one\n");
    }

    #[test]
    fn keywords_beyond_26_are_left_out_and_said_so() {
        let (_temp, folder, _path) = folder();
        let names: Vec<String> = (0..30).map(|n| format!("k{n:02}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let got = folder.deliver(vec![delivery(&folder, 1, b"x", &names)]).remove(0).unwrap();
        assert_eq!(got.flags, flags(&names[..26]));
    }

    #[test]
    fn a_verbatim_message_larger_than_every_buffer_is_rewritten() {
        let (_temp, folder, path) = folder();
        let mut wire = b"Message-ID: <a@b>\r\n\r\n".to_vec();
        (0..40_000).for_each(|n| wire.extend_from_slice(format!("line {n}\r\n").as_bytes()));
        wire.extend_from_slice(b"bare\nand the rest\r\n");
        let mut incoming = folder.incoming().unwrap();
        wire.chunks(1000).for_each(|piece| incoming.write(piece).unwrap());
        assert!(incoming.pending.len() < 2 * CHUNK);
        let received = incoming.finish().unwrap();
        assert_eq!(received.content.wire_size, wire.len() as u64);
        assert_eq!(received.content.message_id, MessageIdHash::of_value(b"<a@b>"));
        assert!(std::fs::read(path.join(&files(&path)[0])).unwrap() == wire);
        assert_eq!(received.content.digest, Digest(*blake3::hash(&wire).as_bytes()));
    }

    /// A mounted file system, unmounted when dropped; `None` where mounting is not allowed.
    struct Mounted(PathBuf);

    impl Mounted {
        fn run(command: &str, args: &[&str], path: &Path) -> bool {
            let status =
                std::process::Command::new(command).args(args).arg(path).stderr(std::process::Stdio::null()).status();
            status.is_ok_and(|s| s.success())
        }

        fn tmpfs(path: &Path) -> Option<Mounted> {
            let mounted = Mounted::run("mount", &["-t", "tmpfs", "-o", "size=256k", "tmpfs"], path);
            mounted.then(|| Mounted(path.to_owned()))
        }
    }

    impl Drop for Mounted {
        fn drop(&mut self) {
            Mounted::run("umount", &["-l"], &self.0);
        }
    }

    #[test]
    fn a_full_or_read_only_disk_is_said_in_words_and_leaves_nothing_half() {
        let (_temp, store) = super::super::store::tests::tree(super::super::Layout::Nested);
        let inbox = super::super::store::tests::mailbox("INBOX");
        let path = _temp.path().join("Mail/INBOX");
        std::fs::create_dir(&path).unwrap();
        let Some(mounted) = Mounted::tmpfs(&path) else { return };
        store.create_mailbox(&inbox).unwrap();
        let folder = store.folder(&inbox).unwrap();
        let mut incoming = folder.incoming().unwrap();
        let piece = vec![b'x'; CHUNK];
        let e = (0..10).find_map(|_| incoming.write(&piece).err()).unwrap();
        assert_eq!(e.kind(), Kind::LocalTree);
        assert!(e.to_string().contains("Could not write the message: the disk is full"), "{e}");
        assert!(e.hint_text().unwrap().starts_with("Free some space"));
        drop(incoming);
        assert!(files(&path).is_empty());
        let ready = delivery(&folder, 1, b"x", &["\\Seen"]);
        assert!(Mounted::run("mount", &["-o", "remount,ro"], &mounted.0));
        let e = folder.incoming().unwrap_err();
        assert!(e.to_string().contains("the file system is mounted read-only"), "{e}");
        assert!(folder.deliver(vec![ready]).remove(0).is_err());
        drop(folder);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn wire_to_file_to_wire(wire in octets(), cuts in prop::collection::vec(any::<usize>(), 0..5)) {
            let (_temp, folder, path) = folder();
            let mut incoming = folder.incoming().unwrap();
            for piece in pieces(&wire, &cuts) {
                incoming.write(piece).unwrap();
            }
            let received = incoming.finish().unwrap();
            let content = received.content;
            let (local, back) = model(&wire);
            let (flags, internal_date) = (flags(&["\\Seen"]), UnixSeconds(-1));
            let delivery = Delivery { received, origin: origin(9), flags, internal_date };
            let file = folder.deliver(vec![delivery]).remove(0).unwrap().file;
            prop_assert_eq!(&std::fs::read(path.join(&files(&path)[0])).unwrap(), &local);
            prop_assert_eq!(content.digest, Digest(*blake3::hash(&local).as_bytes()));
            prop_assert_eq!(name::wire_size(file.as_os_str()), Some(content.wire_size));
            let mut outgoing = folder.open_message(&file).unwrap();
            prop_assert_eq!(outgoing.content(), content);
            prop_assert_eq!(outgoing.modified(), UnixSeconds(-1));
            let mut sent = Vec::new();
            outgoing.read_to_end(&mut sent).unwrap();
            prop_assert_eq!(sent.len() as u64, outgoing.size());
            // What is sent is what was received, but for a message of bare LFs only.
            prop_assert_eq!(&sent, &back);
        }
    }
}
