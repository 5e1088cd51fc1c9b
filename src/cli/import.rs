//! `mailtide import --from TOOL`: another tool's configuration becomes one of Mailtide's.

use std::path::PathBuf;

use clap::ValueEnum;

use super::Global;
use crate::config::save;
use crate::error::Result;
use crate::exit::Exit;
use crate::import::draft::Weight;
use crate::import::source::Surroundings;
use crate::import::{self, Tool};
use crate::report;

/// Make a configuration from that of another tool
///
/// Reads the configuration of mbsync, OfflineIMAP, getmail or mpop and prints one of Mailtide's: complete, with comments.
/// All accounts are taken. What cannot be carried over stands as a comment at its place, and on standard error. The old
/// tool's files stay as they are; no command in them is run, and no password that stands in them is copied.
///
/// The tree stays where it is: mail that is there is recognised in the first run and not fetched again. Where names or
/// places differ, the configuration says so, and which command to type.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailtide import --from mbsync
  mailtide import --from offlineimap --output ~/.config/mailtide/config.toml
  mailtide import --from getmail ~/.config/getmail/work
  mailtide import --from mpop --output new.toml && mailtide sync --config new.toml --dry-run")]
pub(super) struct Args {
    /// Read what this tool has left
    #[arg(long, value_name = "TOOL", value_enum)]
    from: Name,

    /// Read this configuration instead of the one at the tool's usual place
    ///
    /// mbsync: `~/.mbsyncrc`, `~/.config/isyncrc`. OfflineIMAP: `~/.config/offlineimap/config`, `~/.offlineimaprc`.
    /// getmail: all rc files in `~/.config/getmail` and `~/.getmail`; a directory stands for all rc files in it. mpop:
    /// `~/.mpoprc`, `~/.config/mpop/config`.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Write to FILE, which must not exist yet, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A tool as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    Mbsync,
    Offlineimap,
    Getmail,
    Mpop,
}

impl Name {
    fn meant(self) -> Tool {
        match self {
            Name::Mbsync => Tool::Mbsync,
            Name::Offlineimap => Tool::Offlineimap,
            Name::Getmail => Tool::Getmail,
            Name::Mpop => Tool::Mpop,
        }
    }
}

/// Prints or writes the configuration, and tells what to look at.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit> {
    let imported = import::import(args.from.meant(), args.file.as_deref(), &Surroundings::current()?)?;
    match &args.output {
        Some(path) => save::create(path, &imported.text)?,
        None => report::text(imported.text.as_bytes()),
    }
    for (weight, line) in &imported.told {
        if *weight == Weight::Differs || !global.quiet {
            report::note(line);
        }
    }
    if !global.quiet {
        report::note(&next(args, &imported.taken));
    }
    Ok(if imported.refused.is_empty() { Exit::InSync } else { Exit::SomeFailed })
}

/// What was done, and what to type next.
fn next(args: &Args, taken: &[String]) -> String {
    let accounts = if taken.len() == 1 { "account" } else { "accounts" };
    let done = format!("{} {accounts} taken over: {}.", taken.len(), taken.join(", "));
    match &args.output {
        Some(path) => {
            let path = path.display();
            format!(
                "{done} Look through {path}, then type `mailtide check --config {path}` and `mailtide sync --config {path} --dry-run`."
            )
        }
        None => format!(
            "{done} With `--output ~/.config/mailtide/config.toml` it is written where `mailtide check` and `mailtide sync --dry-run` find it."
        ),
    }
}
