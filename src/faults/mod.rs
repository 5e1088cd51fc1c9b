//! Fault points: every step of a run that a crash, a full disk or a cut line can come before.
//!
//! Each durable step on disk, each commit of the state, each line sent and each line heard passes one. Without the
//! feature `faults`, which no release has, a point is nothing at all (`unarmed`). With it, the environment variable
//! `MAILTIDE_FAULT=KIND@N` makes step N fail (`armed`), counted from 1 over the steps that KIND can hit:
//!
//! | kind | steps | what happens |
//! | --- | --- | --- |
//! | `kill` | all | the process ends before the step as by `kill -9` |
//! | `EIO`, `EACCES` | disk | this step fails, later ones do not |
//! | `ENOSPC` | disk, what needs room | this step fails and all such later ones |
//! | `EROFS` | disk | this step fails and all later ones |
//! | `EROFS-tree` | disk, what changes the tree | the same, while all else is recorded: the state is on another disk |
//! | `cut` | lines | the line is lost, and the connection with it |
//! | `down` | lines | the same, and nothing comes through any more |
//! | `slow` | directories put on disk, commits | each takes N milliseconds more; N counts nothing |
//!
//! A line that is sent is lost before the server sees it; one that is heard is lost after the server has acted. IMAP's
//! untagged lines are no steps of their own: they are lost with what comes before or after them. While a fault that can
//! hit them is ordered, lines go over the wire one by one; while any is, the wait between two tries, and that for a quiet
//! server, takes a tenth of its time.
//! `MAILTIDE_FAULT_LOG=FILE` gets a line for each step that was counted.

#[cfg(feature = "faults")]
mod armed;
#[cfg(not(feature = "faults"))]
mod unarmed;

#[cfg(feature = "faults")]
pub use armed::{at_once, disk, heard, pause, piece, send};
#[cfg(not(feature = "faults"))]
pub use unarmed::{at_once, disk, heard, pause, piece, send};

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A directory is made.
    MakeDirectory,
    /// An empty directory is removed.
    RemoveDirectory,
    /// A file is made.
    Create,
    /// Octets go into a file.
    Write,
    /// A file is put on disk.
    Flush,
    /// The names in a directory are put on disk.
    FlushDirectory,
    /// A file or directory gets another name.
    Rename,
    /// A file gets a second name.
    Link,
    /// A file is removed.
    Remove,
    /// The mode of a file or directory is changed.
    Protect,
    /// A transaction of the state is committed.
    Commit,
}

/// What to do with what was just read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Read on.
    GoOn,
    /// It ends a line, which is to be taken before more is read.
    Line,
}
