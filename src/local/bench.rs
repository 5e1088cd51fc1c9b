//! A door for the benchmarks in `tests/bench`: what a scan reads from the name of each file. Only what the program
//! calls is linked into it, so the door costs it nothing.

use std::ffi::OsStr;

use super::name::{self, Letters};
use crate::mail::{Origin, SystemFlags};

/// What a file's name says: its unique part, where it came from, and its flags.
#[must_use]
pub fn read_name(name: &OsStr) -> (&OsStr, Option<Origin>, SystemFlags) {
    let unique = name::unique(name);
    (unique, name::origin(unique), Letters::of(name).system)
}
