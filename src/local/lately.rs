//! What came to a mailbox lately: where files went that are missed elsewhere.
//!
//! A file that came here, by a rename or as a copy, has a ctime not older than that, and so has the directory. A
//! directory that was itself renamed keeps its inode, and all its files come into question.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;

use super::content::survey;
use super::settle::Sub;
use super::store::Store;
use crate::error::Result;
use crate::mail::Content;

/// What to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lately {
    /// Nanoseconds since 1970; `None` until [`Lately::since`].
    since: Option<i64>,
    /// Octets on the wire.
    pub sizes: BTreeSet<u64>,
    /// Inodes of directories `cur` that are missed as a whole.
    pub directories: BTreeSet<u64>,
}

impl Lately {
    /// Looks as far back as `nanoseconds`, if not farther.
    pub fn since(&mut self, nanoseconds: i64) {
        self.since = Some(self.since.map_or(nanoseconds, |since| since.min(nanoseconds)));
    }

    /// Whether a file of `octets` may be one of the messages: on the wire a line end may take one more.
    fn may_be(&self, octets: u64) -> bool {
        self.sizes.range(octets..=octets.saturating_mul(2)).next().is_some()
    }
}

impl Store {
    /// What the files that came to a mailbox lately hold; two stats where none did.
    pub fn arrived(&self, name: &crate::mail::MailboxName, lately: &Lately) -> Result<Vec<Content>> {
        let Some(since) = lately.since else { return Ok(Vec::new()) };
        let boxes = self.boxes(name)?;
        let (new, cur) = boxes.stamps()?;
        let renamed = lately.directories.contains(&cur.inode);
        if !renamed && new.changed().max(cur.changed()) < since {
            return Ok(Vec::new());
        }
        let mut arrived = Vec::new();
        for sub in [Sub::New, Sub::Cur] {
            let dir = boxes.sub(sub);
            for (file_name, _) in dir.entries()? {
                // A file that goes meanwhile, and what is no file, is nobody's.
                let Ok(mut file) = dir.open_file(&file_name) else { continue };
                let Ok(meta) = file.metadata() else { continue };
                let ctime = meta.ctime().saturating_mul(1_000_000_000).saturating_add(meta.ctime_nsec());
                if (renamed || ctime >= since) && lately.may_be(meta.len()) {
                    let read = survey(&mut file, &file_name);
                    arrived.push(read.map_err(|e| dir.failed("read the message", &file_name, e))?.0.whole);
                }
            }
        }
        Ok(arrived)
    }
}
