//! A directory held open by descriptor.
//!
//! Invariant: no operation follows a symbolic link; names are single names, never paths with `..`. What several steps
//! make durable together is in [`Dir::replace_file`]; everything else leaves the flush ([`Dir::sync`]) to its caller.

use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use super::temporary::{TEMPORARY_PREFIX, temporary_name};
use super::trouble::{failed, is_a_link};
use crate::error::{Error, Result};
use crate::faults::{self, Step};

/// Puts the octets of a file on disk.
pub(super) fn flush(file: &File) -> io::Result<()> {
    faults::disk(Step::Flush)?;
    file.sync_data()
}

/// A directory, open; its path is for messages and for the `maildir` crate.
#[derive(Debug)]
pub(super) struct Dir {
    file: File,
    path: PathBuf,
}

/// What tells that a directory or file changed: nanoseconds since 1970, and the inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub mtime: i64,
    pub ctime: i64,
    pub inode: u64,
}

impl Stamp {
    fn new(mtime: (i64, i64), ctime: (i64, i64), inode: u64) -> Stamp {
        let nanos = |(secs, nanos): (i64, i64)| secs.saturating_mul(1_000_000_000).saturating_add(nanos);
        Stamp { mtime: nanos(mtime), ctime: nanos(ctime), inode }
    }

    /// When it changed last, nanoseconds since 1970: a program that puts a copy back (`cp -a`, rsync) sets the mtime, but
    /// not the ctime, back as well; and some file systems keep no ctime of their own.
    pub(super) fn changed(self) -> i64 {
        self.mtime.max(self.ctime)
    }

    pub(super) fn of_file(file: &File) -> io::Result<Stamp> {
        let m = file.metadata()?;
        Ok(Stamp::new((m.mtime(), m.mtime_nsec()), (m.ctime(), m.ctime_nsec()), m.ino()))
    }
}

impl Dir {
    /// Opens the root of a tree; the root itself may be a symbolic link, as it is what the configuration names.
    pub(super) fn open_root(path: &Path) -> io::Result<Dir> {
        let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Dir { file: fd.into(), path: path.to_owned() })
    }

    /// Opens the directory `name` in this one.
    pub(super) fn open(&self, name: &OsStr) -> io::Result<Dir> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.file, name, flags, Mode::empty())?;
        Ok(Dir { file: fd.into(), path: self.path.join(name) })
    }

    /// Opens the directory `relative`, step by step; `""` is this one.
    pub(super) fn descend(&self, relative: &Path) -> Result<Dir> {
        let mut dir = self.again()?;
        for part in relative.iter() {
            dir = dir.open(part).map_err(|e| dir.failed("open the directory", part, e))?;
        }
        Ok(dir)
    }

    /// Another handle of this directory.
    pub(super) fn again(&self) -> Result<Dir> {
        let file = self.file.try_clone().map_err(|e| failed("open the directory", &self.path, e))?;
        Ok(Dir { file, path: self.path.clone() })
    }

    /// Locks the directory itself, without waiting, until every handle of it is closed.
    pub(super) fn try_lock(&self) -> std::result::Result<(), TryLockError> {
        self.file.try_lock()
    }

    /// Waits for the directory's lock; it is held until every handle of this opening is closed.
    pub(super) fn lock(&self) -> io::Result<()> {
        self.file.lock()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn stamp(&self) -> Result<Stamp> {
        Stamp::of_file(&self.file).map_err(|e| failed("look at the directory", &self.path, e))
    }

    /// When it was made; `None` where the file system does not tell.
    pub(super) fn made(&self) -> Option<SystemTime> {
        self.file.metadata().ok()?.created().ok()
    }

    /// The stamp of the directory `relative`, without opening it; `None` when there is none.
    pub(super) fn stamp_of(&self, relative: &Path) -> io::Result<Option<Stamp>> {
        let stat = match rustix::fs::statat(&self.file, relative, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let nanos = |n| i64::try_from(n).unwrap_or_default();
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let (mtime, ctime) = ((stat.st_mtime, nanos(stat.st_mtime_nsec)), (stat.st_ctime, nanos(stat.st_ctime_nsec)));
        Ok(is_dir.then(|| Stamp::new(mtime, ctime, stat.st_ino)))
    }

    /// What `name` is, the link itself where it is one; `None` when there is nothing.
    pub(super) fn kind_of(&self, name: &OsStr) -> io::Result<Option<FileType>> {
        self.kind(name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// What the symbolic link `name` leads to; `None` when to nothing.
    pub(super) fn target_kind(&self, name: &OsStr) -> io::Result<Option<FileType>> {
        self.kind(name, AtFlags::empty())
    }

    fn kind(&self, name: &OsStr, flags: AtFlags) -> io::Result<Option<FileType>> {
        match rustix::fs::statat(&self.file, name, flags) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether the user may do this in the directory `name`; `.` is this one.
    pub(super) fn allows(&self, name: &OsStr, what: Access) -> io::Result<()> {
        Ok(rustix::fs::accessat(&self.file, name, what, AtFlags::empty())?)
    }

    /// Calls `each` with every name but `.` and `..`; one readdir, and a stat only where the file system keeps no
    /// types.
    pub(super) fn each_entry(&self, mut each: impl FnMut(&OsStr, FileType)) -> Result<()> {
        let wrong = |e: Errno| failed("read the directory", &self.path, e.into());
        for entry in rustix::fs::Dir::read_from(&self.file).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                match self.kind_of(name).map_err(|e| self.failed("look at", name, e))? {
                    Some(known) => kind = known,
                    None => continue,
                }
            }
            each(name, kind);
        }
        Ok(())
    }

    /// Every entry but `.` and `..`, sorted.
    pub(super) fn entries(&self) -> Result<Vec<(OsString, FileType)>> {
        let mut all = Vec::new();
        self.each_entry(|name, kind| all.push((name.to_owned(), kind)))?;
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }

    /// Opens the regular file `name` to be read; never waits on a pipe.
    pub(super) fn open_file(&self, name: &OsStr) -> io::Result<File> {
        self.open_regular(name, OFlags::RDONLY)
    }

    /// Opens the regular file `name` to be read and written.
    pub(super) fn open_file_for_update(&self, name: &OsStr) -> io::Result<File> {
        self.open_regular(name, OFlags::RDWR)
    }

    fn open_regular(&self, name: &OsStr, access: OFlags) -> io::Result<File> {
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file: File = match rustix::fs::openat(&self.file, name, flags, Mode::empty()) {
            Ok(fd) => fd.into(),
            Err(Errno::LOOP) => return Err(io::Error::other("it is a symbolic link, which Mailtide does not follow")),
            Err(e) => return Err(e.into()),
        };
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("it is not a regular file")),
        }
    }

    /// Makes the file `name`, which must not exist, for its owner alone.
    pub(super) fn create_file(&self, name: &OsStr) -> io::Result<File> {
        faults::disk(Step::Create)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.file, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Sets the mtime of the file `name`, in seconds since 1970.
    pub(super) fn set_modified(&self, name: &OsStr, seconds: i64) -> io::Result<()> {
        let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let last_modification = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let times = Timestamps { last_access, last_modification };
        Ok(rustix::fs::utimensat(&self.file, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Makes the directory `name` for its owner alone.
    pub(super) fn make_dir(&self, name: &OsStr) -> io::Result<()> {
        faults::disk(Step::MakeDirectory)?;
        Ok(rustix::fs::mkdirat(&self.file, name, Mode::RWXU)?)
    }

    /// Takes access to this directory away from all but its owner.
    pub(super) fn make_private(&self) -> io::Result<()> {
        faults::disk(Step::Protect)?;
        Ok(rustix::fs::fchmod(&self.file, Mode::RWXU)?)
    }

    /// Removes the empty directory `name`.
    pub(super) fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        faults::disk(Step::RemoveDirectory)?;
        Ok(rustix::fs::unlinkat(&self.file, name, AtFlags::REMOVEDIR)?)
    }

    /// Removes the file `name`.
    pub(super) fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        faults::disk(Step::Remove)?;
        Ok(rustix::fs::unlinkat(&self.file, name, AtFlags::empty())?)
    }

    /// Moves the file `from` to `name` in `to`; fails with `AlreadyExists` rather than replace anything.
    pub(super) fn rename_new(&self, from: &OsStr, to: &Dir, name: &OsStr) -> io::Result<()> {
        faults::disk(Step::Rename)?;
        #[cfg(any(target_os = "linux", target_vendor = "apple"))]
        {
            use rustix::fs::RenameFlags;
            match rustix::fs::renameat_with(&self.file, from, &to.file, name, RenameFlags::NOREPLACE) {
                // The file system cannot: a link never replaces either.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
                done => return Ok(done?),
            }
        }
        rustix::fs::linkat(&self.file, from, &to.file, name, AtFlags::empty())?;
        // Two steps where others take one: the power must not take the first and leave the second.
        if let Err(e) = to.sync() {
            let _ = to.remove_file(name);
            return Err(io::Error::other(e));
        }
        self.remove_file(from)
    }

    /// Gives the file `from` another name, `name` in `to`; fails with `AlreadyExists` rather than replace anything.
    pub(super) fn link_new(&self, from: &OsStr, to: &Dir, name: &OsStr) -> io::Result<()> {
        faults::disk(Step::Link)?;
        Ok(rustix::fs::linkat(&self.file, from, &to.file, name, AtFlags::empty())?)
    }

    /// Lets the directories `a` and, in `other`, `b` take each other's place, at once.
    pub(super) fn exchange(&self, a: &OsStr, other: &Dir, b: &OsStr) -> io::Result<()> {
        faults::disk(Step::Rename)?;
        #[cfg(any(target_os = "linux", target_vendor = "apple"))]
        {
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            Ok(rustix::fs::renameat_with(&self.file, a, &other.file, b, flags)?)
        }
        #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
        Err(io::Error::other("this system cannot exchange two directories"))
    }

    /// Makes what was done to the names in this directory durable.
    pub(super) fn sync(&self) -> Result<()> {
        let flush = || match rustix::fs::fsync(&self.file) {
            // Some network file systems cannot flush a directory; their changes are durable when they return.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(e) => Err(e.into()),
        };
        faults::disk(Step::FlushDirectory)
            .and_then(|()| flush())
            .map_err(|e| failed("flush the directory", &self.path, e))
    }

    /// Flushes the whole file system that this directory is on; fails with `ENOSYS` where the system cannot.
    pub(super) fn sync_file_system(&self) -> io::Result<()> {
        faults::disk(Step::Flush)?;
        #[cfg(target_os = "linux")]
        return Ok(rustix::fs::syncfs(&self.file)?);
        #[cfg(not(target_os = "linux"))]
        Err(Errno::NOSYS.into())
    }

    /// The file system that this directory is on.
    pub(super) fn device(&self) -> io::Result<u64> {
        Ok(rustix::fs::fstat(&self.file)?.st_dev)
    }

    /// Reads the small file `name`; `None` when there is none, an error beyond `limit` octets.
    pub(super) fn read_file(&self, name: &OsStr, limit: u64) -> Result<Option<Vec<u8>>> {
        let wrong = |e| self.failed("read", name, e);
        let file = match self.open_file(name) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(wrong(e)),
        };
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(wrong)?;
        if bytes.len() as u64 > limit {
            return Err(wrong(io::Error::other("it is far larger than it can be")));
        }
        Ok(Some(bytes))
    }

    /// Puts a file with `bytes` in the place of `name`, durably: what stands there is the old file or the new one.
    pub(super) fn replace_file(&self, name: &OsStr, bytes: &[u8]) -> Result<()> {
        let mut temporary = OsString::from(TEMPORARY_PREFIX);
        temporary.push(temporary_name());
        let write = || -> io::Result<()> {
            let mut file = self.create_file(&temporary)?;
            faults::disk(Step::Write)?;
            file.write_all(bytes)?;
            flush(&file)?;
            faults::disk(Step::Rename)?;
            Ok(rustix::fs::renameat(&self.file, &temporary, &self.file, name)?)
        };
        if let Err(e) = write() {
            // What is left is swept later if this fails too.
            let _ = self.remove_file(&temporary);
            return Err(self.failed("write", name, e));
        }
        self.sync()
    }

    /// The error for `e` met while trying to `doing` (a verb and what it is done to) `name`.
    pub(super) fn failed(&self, doing: &str, name: &OsStr, e: io::Error) -> Error {
        let link = || self.kind_of(name).ok().flatten() == Some(FileType::Symlink);
        if matches!(e.raw_os_error(), Some(n) if n == Errno::NOTDIR.raw_os_error() || n == Errno::LOOP.raw_os_error())
            && link()
        {
            return is_a_link(&self.path.join(name));
        }
        failed(doing, &self.path.join(name), e)
    }
}

/// The time, in nanoseconds since 1970; only to judge the age of what a file system stamps.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
