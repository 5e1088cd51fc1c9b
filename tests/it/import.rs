//! `mailtide import`, as it is typed: streams, exit codes, files that stay.

use std::fs;
use std::path::{Path, PathBuf};

use crate::world::process::{As, Mailtide};
use crate::world::scratch::Scratch;
