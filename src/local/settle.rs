//! Which files a mailbox has: one readdir of `new` and of `cur`, again until nothing moves under the reading.
//!
//! Absence from a listing leads to deletions, so a listing must not miss what is there. `new` is read before `cur`,
//! because messages go that way; and as a readdir may miss a file that is renamed meanwhile, a listing counts only when
//! nothing moved: the directories' stamps are the same before and after and old enough to tell, or two readings in a
//! row are equal. Where neither happens, everything that was seen in any reading is listed.
//!
//! A directory is as it was when its inode is, and the later of its mtime and its ctime, which nobody can set back.
//!
//! The checkpoint is taken before the first readdir. A stamp within two seconds of now may stay the same over a later
//! change (file systems stamp with a tick of up to that), so it is not to be trusted: the checkpoint keeps the
//! inode only.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::FileType;

use super::dir::{Dir, Stamp};
use super::name;
use crate::error::Result;
use crate::mail::{FileId, LocalCheckpoint};

/// The two directories that hold messages; `cur` sorts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sub {
    Cur,
    New,
}

impl Sub {
    pub(super) fn name(self) -> &'static str {
        match self {
            Sub::Cur => "cur",
            Sub::New => "new",
        }
    }
}

/// Where a file is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub sub: Sub,
    pub name: Box<OsStr>,
}

/// A mailbox's directories, open.
#[derive(Debug)]
pub(super) struct Boxes {
    pub dir: Dir,
    new: Dir,
    cur: Dir,
}

/// A listing that can be relied on: by id where each file is.
#[derive(Debug)]
pub(super) struct Settled {
    pub places: BTreeMap<FileId, Place>,
    pub checkpoint: LocalCheckpoint,
}

impl Boxes {
    /// Opens the directories of the mailbox whose directory is `dir`.
    pub(super) fn open(dir: Dir) -> Result<Boxes> {
        let sub = |name: &str| {
            dir.open(name.as_ref()).map_err(|e| dir.failed("open the mailbox's directory", name.as_ref(), e))
        };
        Ok(Boxes { new: sub("new")?, cur: sub("cur")?, dir })
    }

    pub(super) fn sub(&self, sub: Sub) -> &Dir {
        match sub {
            Sub::Cur => &self.cur,
            Sub::New => &self.new,
        }
    }

    /// Reads both directories until nothing moves under the reading.
    pub(super) fn settle(&self, now: i64) -> Result<Settled> {
        const PASSES: usize = 5;
        let before = self.stamps()?;
        let mut last = self.pass()?;
        let quiet = before == self.stamps()? && !is_racy(before, now);
        if quiet {
            return Ok(Settled { places: by_id(last), checkpoint: checkpoint(before) });
        }
        let mut checkpoint = checkpoint(before);
        checkpoint.look_again();
        let mut seen = BTreeMap::new();
        last.sort_unstable();
        for _ in 1..PASSES {
            let mut pass = self.pass()?;
            pass.sort_unstable();
            if pass == last {
                return Ok(Settled { places: by_id(pass), checkpoint });
            }
            seen.extend(by_id(std::mem::replace(&mut last, pass)));
        }
        seen.extend(by_id(last));
        Ok(Settled { places: seen, checkpoint })
    }

    fn pass(&self) -> Result<Vec<Place>> {
        let mut places = Vec::new();
        for sub in [Sub::New, Sub::Cur] {
            self.sub(sub).each_entry(|name, kind| {
                if kind != FileType::Directory && !name.as_bytes().starts_with(b".") {
                    places.push(Place { sub, name: name.into() });
                }
            })?;
        }
        Ok(places)
    }

    pub(super) fn stamps(&self) -> Result<(Stamp, Stamp)> {
        Ok((self.new.stamp()?, self.cur.stamp()?))
    }
}

/// Whether the mailbox at `relative` is as `since` says: two stats.
pub(super) fn is_unchanged(root: &Dir, relative: &Path, since: &LocalCheckpoint) -> bool {
    let stamp = |sub: Sub| root.stamp_of(&relative.join(sub.name())).ok().flatten();
    stamp(Sub::New).zip(stamp(Sub::Cur)).is_some_and(|stamps| checkpoint(stamps) == *since)
}

fn checkpoint((new, cur): (Stamp, Stamp)) -> LocalCheckpoint {
    LocalCheckpoint { new_time: new.changed(), cur_time: cur.changed(), inode: cur.inode }
}

/// Whether a change could still come under one of these stamps. The ctime is looked at too, as it cannot be set back.
fn is_racy((new, cur): (Stamp, Stamp), now: i64) -> bool {
    const TICK: i64 = 2_000_000_000;
    [new, cur].into_iter().any(|s| s.changed() > now.saturating_sub(TICK))
}

/// Gives every file its id.
fn by_id(places: Vec<Place>) -> BTreeMap<FileId, Place> {
    let mut named: Vec<_> = places.into_iter().map(|p| (FileId::new(name::unique(&p.name)), p)).collect();
    named.sort_unstable();
    let mut namesakes = Vec::new();
    named.dedup_by(|later, first| {
        let same = later.0 == first.0;
        if same {
            namesakes.push(Place { sub: later.1.sub, name: std::mem::take(&mut later.1.name) });
        }
        same
    });
    // From sorted pairs, which is far cheaper than one by one.
    let mut files: BTreeMap<FileId, Place> = named.into_iter().collect();
    for place in namesakes {
        // No name holds a `/`, so the last resort is nobody else's.
        let mut with_directory = OsString::from(place.sub.name());
        with_directory.push("/");
        with_directory.push(&*place.name);
        let whole = FileId::new(&*place.name);
        let id = if files.contains_key(&whole) { FileId::new(with_directory) } else { whole };
        files.insert(id, place);
    }
    files
}

#[cfg(test)]
pub(super) mod tests;
