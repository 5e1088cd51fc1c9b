//! Which files a mailbox has: one readdir of `new` and of `cur`, again until nothing moves under the reading.
//!
//! Absence from a listing leads to deletions, so a listing must not miss what is there. `new` is read before `cur`,
//! because messages go that way; and as a readdir may miss a file that is renamed meanwhile, a listing counts only when
//! nothing moved: the directories' stamps are the same before and after and old enough to tell, or two readings in a
//! row are equal, as a sum over the hashes of their names tells. Where neither happens, everything that was seen in any
//! reading that was kept is listed.
//!
//! A directory is as it was when its inode is, and the later of its mtime and its ctime, which nobody can set back.
//!
//! The checkpoint is taken before the first readdir. A stamp within two seconds of now may stay the same over a later
//! change (file systems stamp with a tick of up to that), so it is not to be trusted: the checkpoint keeps the
//! inode only.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::FileType;

use super::dir::{Dir, Stamp};
use super::places::Places;
use crate::error::Result;
use crate::mail::{FileId, LocalCheckpoint};

/// The two directories that hold messages; `cur` sorts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    pub places: Places,
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
        const PASSES: usize = 6;
        let hasher = RandomState::new();
        let before = self.stamps()?;
        let (mut last, mut sum) = self.pass(&hasher)?;
        let quiet = before == self.stamps()? && !is_racy(before, now);
        if quiet {
            return Ok(Settled { places: last, checkpoint: checkpoint(before) });
        }
        let mut checkpoint = checkpoint(before);
        checkpoint.look_again();
        // Nearly always this one is the same, and nothing of it is kept.
        let again = self.sum(&hasher)?;
        if again == sum {
            return Ok(Settled { places: last, checkpoint });
        }
        sum = again;
        let mut seen = BTreeMap::new();
        for _ in 2..PASSES {
            let (pass, of_it) = self.pass(&hasher)?;
            if of_it == sum {
                return Ok(Settled { places: pass, checkpoint });
            }
            sum = of_it;
            keep(&mut seen, &std::mem::replace(&mut last, pass));
        }
        keep(&mut seen, &last);
        let mut places = Places::default();
        seen.values().for_each(|place| places.push(place.sub, &place.name));
        places.sort();
        Ok(Settled { places, checkpoint })
    }

    fn pass(&self, hasher: &RandomState) -> Result<(Places, u64)> {
        let (mut places, mut sum) = (Places::default(), 0u64);
        self.each_file(|sub, name| {
            places.push(sub, name);
            sum = sum.wrapping_add(hasher.hash_one((sub, name)));
        })?;
        places.sort();
        Ok((places, sum))
    }

    fn sum(&self, hasher: &RandomState) -> Result<u64> {
        let mut sum = 0u64;
        self.each_file(|sub, name| sum = sum.wrapping_add(hasher.hash_one((sub, name))))?;
        Ok(sum)
    }

    fn each_file(&self, mut each: impl FnMut(Sub, &OsStr)) -> Result<()> {
        for sub in [Sub::New, Sub::Cur] {
            self.sub(sub).each_entry(|name, kind| {
                if kind != FileType::Directory && !name.as_bytes().starts_with(b".") {
                    each(sub, name);
                }
            })?;
        }
        Ok(())
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

fn keep(seen: &mut BTreeMap<FileId, Place>, pass: &Places) {
    seen.extend(pass.iter().map(|spot| (FileId::new(spot.id), spot.place())));
}

#[cfg(test)]
pub(super) mod tests;
