//! A directory held open by descriptor, and the words for what goes wrong in it.
//!
//! Invariant: no operation follows a symbolic link; names are single names, never paths with `..`. What several steps
//! make durable together is in [`Dir::replace_file`]; everything else leaves the flush ([`Dir::sync`]) to its caller.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Kind, Result, safe_line};

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

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn stamp(&self) -> Result<Stamp> {
        Stamp::of_file(&self.file).map_err(|e| failed("look at the directory", &self.path, e))
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
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.file, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Makes the directory `name` for its owner alone.
    pub(super) fn make_dir(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(&self.file, name, Mode::RWXU)?)
    }

    /// Takes access to this directory away from all but its owner.
    pub(super) fn make_private(&self) -> io::Result<()> {
        Ok(rustix::fs::fchmod(&self.file, Mode::RWXU)?)
    }

    /// Removes the empty directory `name`.
    pub(super) fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.file, name, AtFlags::REMOVEDIR)?)
    }

    /// Removes the file `name`.
    pub(super) fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.file, name, AtFlags::empty())?)
    }

    /// Moves the file `from` to `name` in `to`; fails with `AlreadyExists` rather than replace anything.
    pub(super) fn rename_new(&self, from: &OsStr, to: &Dir, name: &OsStr) -> io::Result<()> {
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
        self.remove_file(from)
    }

    /// Makes what was done to the names in this directory durable.
    pub(super) fn sync(&self) -> Result<()> {
        match rustix::fs::fsync(&self.file) {
            // Some network file systems cannot flush a directory; their changes are durable when they return.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(e) => Err(failed("flush the directory", &self.path, e.into())),
        }
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
            file.write_all(bytes)?;
            file.sync_data()?;
            Ok(rustix::fs::renameat(&self.file, &temporary, &self.file, name)?)
        };
        if let Err(e) = write() {
            // What is left is swept later if this fails too.
            let _ = self.remove_file(&temporary);
            return Err(self.failed("write", name, e));
        }
        self.sync()
    }

    /// Removes temporary files of ours, with `prefix`, whose inode nobody has touched for 36 hours.
    ///
    /// The mtime tells nothing (a message gets its INTERNALDATE while it is still in `tmp`); the ctime cannot be set.
    pub(super) fn sweep(&self, prefix: &str, now: i64) -> Result<()> {
        const STALE: i64 = 36 * 3600 * 1_000_000_000;
        for (name, kind) in self.entries()? {
            let ours = name.as_bytes().strip_prefix(prefix.as_bytes()).is_some_and(is_temporary_name);
            if !ours || kind != FileType::RegularFile {
                continue;
            }
            let stamp = self.open_file(&name).and_then(|f| Stamp::of_file(&f));
            if stamp.is_ok_and(|s| now.saturating_sub(s.ctime) > STALE) {
                log::debug!("removing a stale temporary file: {}", shown(&self.path.join(&name)));
                // Somebody else may sweep too; what stays is swept next time.
                let _ = self.remove_file(&name);
            }
        }
        Ok(())
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

/// What begins the names of temporary files outside `tmp`.
pub(super) const TEMPORARY_PREFIX: &str = ".mailtide-";
const TEMPORARY_SUFFIX: &[u8] = b".mailtide-tmp";

/// A name that no other process and no other thread uses, and that is recognised as ours.
pub(super) fn temporary_name() -> OsString {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let (secs, pid) = (now() / 1_000_000_000, std::process::id());
    format!("{secs}.P{pid}Q{count}R{:016x}.mailtide-tmp", fastrand::u64(..)).into()
}

fn is_temporary_name(name: &[u8]) -> bool {
    let parse = || -> Option<()> {
        let rest = name.strip_suffix(TEMPORARY_SUFFIX)?;
        let (secs, unique) = rest.split_at_checked(rest.iter().position(|b| *b == b'.')?)?;
        let known = |b: &u8| b.is_ascii_hexdigit() || b"PQR".contains(b);
        let fits = secs.iter().all(u8::is_ascii_digit) && unique.get(1..)?.iter().all(known);
        (fits && unique.starts_with(b".P")).then_some(())
    };
    parse().is_some()
}

/// The time, in nanoseconds since 1970; only to judge the age of what a file system stamps.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// A path as it may be shown.
pub(super) fn shown(path: &Path) -> String {
    safe_line(&String::from_utf8_lossy(&path.as_os_str().to_owned().into_vec()))
}

/// The error for a symbolic link where a directory should be.
pub(super) fn is_a_link(path: &Path) -> Error {
    Error::new(Kind::LocalTree, "This is a symbolic link, and Mailtide follows none below the root")
        .hint("Put the directory itself there (a bind mount will do), or leave the mailbox out with `mailboxes`.")
        .at(shown(path))
}

/// The error for `e` met while trying to `doing` (a verb and what it is done to) at `path`.
pub(super) fn failed(doing: &str, path: &Path, e: io::Error) -> Error {
    let again = "run the same command again; what was done is kept.";
    let (why, hint) = match e.kind() {
        io::ErrorKind::StorageFull => (": the disk is full", format!("Free some space and {again}")),
        io::ErrorKind::QuotaExceeded => (": the disk quota is used up", format!("Free some space and {again}")),
        io::ErrorKind::ReadOnlyFilesystem => {
            (": the file system is mounted read-only", format!("Mount it for writing and {again}"))
        }
        io::ErrorKind::PermissionDenied => {
            (": permission denied", "Look at its owner and mode with `ls -ld`; it must belong to you.".to_owned())
        }
        io::ErrorKind::NotADirectory => {
            ("", "Something else stands where a directory should be; look at it with `ls -ld`.".to_owned())
        }
        _ if matches!(Errno::from_io_error(&e), Some(Errno::MFILE | Errno::NFILE)) => {
            (": too many open files", "Raise the limit (`ulimit -n 4096`), or lower `connections`.".to_owned())
        }
        _ => ("", String::new()),
    };
    let error = Error::new(Kind::LocalTree, format!("Could not {doing}{why}")).because(e).at(shown(path));
    if hint.is_empty() { error } else { error.hint(hint) }
}

/// The same error once more, for the next item that it hits.
pub(super) fn repeated(e: &Error) -> Error {
    let again = Error::new(e.kind(), e.to_string());
    match e.hint_text() {
        Some(hint) => again.hint(hint),
        None => again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_root(temp.path()).unwrap();
        (temp, dir)
    }

    #[test]
    fn temporary_names_are_ours_and_nobody_elses() {
        let (a, b) = (temporary_name(), temporary_name());
        assert_ne!(a, b);
        assert!(is_temporary_name(a.as_bytes()));
        for other in ["1700000000.M1P2.host", "1700000000.00000001-00000002-3-4.mailtide,S=1", "x", ".mailtide-tmp"] {
            assert!(!is_temporary_name(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn only_stale_files_of_ours_are_swept_whatever_their_mtime() {
        let (temp, dir) = dir();
        let ours = temporary_name();
        let file = dir.create_file(&ours).unwrap();
        file.set_modified(UNIX_EPOCH).unwrap();
        std::fs::write(temp.path().join("foreign.mailtide-tmp"), "x").unwrap();
        dir.sweep("", now()).unwrap();
        assert_eq!(dir.entries().unwrap().len(), 2, "an old mtime is not old age");
        dir.sweep("", now() + 37 * 3600 * 1_000_000_000).unwrap();
        assert_eq!(dir.entries().unwrap().len(), 1);
        assert!(temp.path().join("foreign.mailtide-tmp").exists());
    }

    #[test]
    fn a_rename_never_replaces() {
        let (temp, dir) = dir();
        std::fs::write(temp.path().join("a"), "a").unwrap();
        std::fs::write(temp.path().join("b"), "b").unwrap();
        let e = dir.rename_new("a".as_ref(), &dir, "b".as_ref()).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(temp.path().join("b")).unwrap(), b"b");
        dir.rename_new("a".as_ref(), &dir, "c".as_ref()).unwrap();
    }

    #[test]
    fn links_and_pipes_are_not_opened() {
        let (temp, dir) = dir();
        std::fs::write(temp.path().join("file"), "x").unwrap();
        std::os::unix::fs::symlink("file", temp.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/", temp.path().join("way-out")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, temp.path().join("pipe"), Mode::RWXU).unwrap();
        for name in ["link", "pipe"] {
            assert!(dir.open_file(name.as_ref()).is_err(), "{name}");
        }
        let e = dir.descend(Path::new("way-out/etc")).unwrap_err();
        assert!(e.to_string().contains("symbolic link"), "{e}");
    }

    #[test]
    fn a_full_disk_is_said_in_words() {
        let e = failed("write the message", Path::new("/m"), Errno::NOSPC.into());
        assert_eq!(e.kind(), Kind::LocalTree);
        assert!(e.to_string().starts_with("/m: Could not write the message: the disk is full"), "{e}");
        assert!(e.hint_text().unwrap().contains("Free some space"));
    }

    #[test]
    fn a_replaced_file_is_whole_and_leaves_nothing_behind() {
        let (temp, dir) = dir();
        dir.replace_file("f".as_ref(), b"one").unwrap();
        dir.replace_file("f".as_ref(), b"two").unwrap();
        assert_eq!(dir.read_file("f".as_ref(), 10).unwrap().as_deref(), Some(&b"two"[..]));
        assert!(dir.read_file("f".as_ref(), 2).is_err());
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
    }
}
