//! `mailtide completions SHELL`.

use clap_complete::Shell;

use crate::error::Result;
use crate::exit::Exit;
use crate::report;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailtide completions bash > ~/.local/share/bash-completion/completions/mailtide
  mailtide completions zsh > ~/.zfunc/_mailtide
  mailtide completions fish > ~/.config/fish/completions/mailtide.fish")]
pub(super) struct Args {
    /// Write for this shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the completions on standard output.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "mailtide", &mut script);
    report::text(&script);
    Ok(Exit::InSync)
}
