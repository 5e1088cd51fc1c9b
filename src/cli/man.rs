//! `mailtide man`.

use super::page;
use crate::error::Result;
use crate::exit::Exit;
use crate::report;

/// Print the manual page
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailtide man | man -l -
  mailtide man --toml > ~/.local/share/man/man5/mailtide.toml.5")]
pub(super) struct Args {
    /// Print mailtide.toml(5), the page of the configuration, instead
    #[arg(long)]
    toml: bool,
}

/// Prints the page as roff on standard output.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let page = if args.toml { page::configuration().to_owned() } else { page::command()? };
    report::text(page.as_bytes());
    Ok(Exit::InSync)
}
