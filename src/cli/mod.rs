//! The command line: one file a command, each with its arguments and one function that is glue only.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `sync`, `status`, `mailboxes`, `pop`, `check`, `import`, `completions`, `man` | the commands |
//! | `look` | what the commands that change nothing share |
//! | `target` | which accounts a command is about: names from the configuration, or a URL |
//! | `page` | the man page: what clap knows, and the sections written by hand |
//! | `signal` | Ctrl-C ends between two facts |
//! | `trust_store` | the system's certificates are looked up, not all read |

mod check;
mod completions;
mod import;
mod look;
mod mailboxes;
mod man;
pub mod page;
mod pop;
mod signal;
mod status;
mod sync;
mod target;
mod trust_store;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use log::LevelFilter;

use crate::error::Result;
use crate::exit::Exit;
use crate::report::{self, Format, Verbosity};

const ABOUT: &str = "Keep a local Maildir tree and a mail account the same";

const LONG_ABOUT: &str = "\
Keep a local Maildir tree and a mail account the same: both ways over IMAP, one way from a POP3 maildrop.

Over IMAP each run compares the tree, the server and what both agreed on last time, then brings new mail, flags, \
keywords, deletions and mailboxes to the side that lacks them. From a maildrop it brings new mail, and keeps or deletes \
it there as `keep` says. It can be interrupted anywhere and run again. Nothing is deleted \
because it was not seen: a missing tree, a server that lists nothing, or more deletions than `max-delete` allows stop \
the run, with the command that goes on.

Accounts stand in a configuration file, see mailtide.toml(5); one account can also be given as a URL.";

const EXAMPLES: &str = "\
Examples:
  mailtide sync                       Synchronise all accounts of the configuration
  mailtide sync work --dry-run        Show what would be done to `work`, and do nothing
  mailtide sync imaps://me@example.org@imap.example.org --maildir ~/Mail
                                      Synchronise without a configuration
  mailtide sync pop3s://me@pop.example.org --maildir ~/Mail
                                      Bring the mail of a maildrop, and leave it there too
  mailtide check work                 Look at everything a run needs, with a fix for what is wrong
  mailtide status --json              What is not in sync, for a script";

const SHORT_EXAMPLES: &str = "`mailtide sync --help` tells more about a command, `mailtide man | man -l -` everything.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "mailtide", version, about = ABOUT, long_about = LONG_ABOUT, after_help = SHORT_EXAMPLES)]
#[command(after_long_help = EXAMPLES, arg_required_else_help = true, disable_help_subcommand = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
struct Global {
    /// Read the configuration from FILE, else from $MAILTIDE_CONFIG
    ///
    /// By default it is `config.toml` in `$XDG_CONFIG_HOME/mailtide`, usually `~/.config/mailtide`.
    #[arg(short, long, global = true, value_name = "FILE", help_heading = "Global options")]
    config: Option<PathBuf>,

    /// Print only what needs a person
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Global options")]
    quiet: bool,

    /// Print every action; repeat it for what goes on inside
    ///
    /// -v prints every action, -vv and -vvv ever more of what goes on inside. No password is ever shown.
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    verbose: u8,
}

impl Global {
    /// The configuration that is asked for; an empty variable asks for none.
    fn config(&self) -> Option<PathBuf> {
        let variable = || std::env::var_os("MAILTIDE_CONFIG").filter(|path| !path.is_empty());
        self.config.clone().or_else(|| variable().map(PathBuf::from))
    }

    fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, _) => Verbosity::Verbose,
        }
    }

    /// What of the log is shown.
    fn log_level(&self) -> LevelFilter {
        match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::Error,
            (false, 0) => LevelFilter::Warn,
            (false, 1) => LevelFilter::Info,
            (false, 2) => LevelFilter::Debug,
            (false, _) => LevelFilter::Trace,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Sync(sync::Args),
    Status(status::Args),
    Mailboxes(mailboxes::Args),
    Pop(pop::Args),
    Check(check::Args),
    Import(import::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    /// Whether it speaks with a server.
    fn connects(&self) -> bool {
        match self {
            Command::Sync(_) | Command::Mailboxes(_) | Command::Pop(_) | Command::Check(_) | Command::Status(_) => true,
            Command::Import(_) | Command::Completions(_) | Command::Man(_) => false,
        }
    }
}

/// Runs the command that `args` (the program's name first) say; messages are printed.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            // clap knows which stream; a reader that has gone away is no error.
            let _ = e.print();
            return if e.use_stderr() { Exit::Usage } else { Exit::InSync };
        }
    };
    report::start_log(cli.global.log_level());
    if cli.command.connects() {
        trust_store::look_up();
    }
    let exit = dispatch(&cli).unwrap_or_else(|error| {
        report::error_line(&error);
        error.kind().into()
    });
    if report::output_was_lost() { exit.merge(Exit::SomeFailed) } else { exit }
}

fn dispatch(cli: &Cli) -> Result<Exit> {
    match &cli.command {
        Command::Sync(args) => sync::run(args, &cli.global),
        Command::Status(args) => status::run(args, &cli.global),
        Command::Mailboxes(args) => mailboxes::run(args, &cli.global),
        Command::Pop(args) => pop::run(args, &cli.global),
        Command::Check(args) => check::run(args, &cli.global),
        Command::Import(args) => import::run(args, &cli.global),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}

/// The whole command line as clap sees it.
fn command() -> clap::Command {
    Cli::command()
}

/// For whom a command that takes `--json` prints.
fn format(json: bool) -> Format {
    if json { Format::Json } else { Format::Human }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        command().debug_assert();
    }

    #[test]
    fn every_option_has_a_help_line_in_the_imperative_without_a_stop() {
        let mut all = vec![command()];
        while let Some(command) = all.pop() {
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let at = format!("{} {}: {help}", command.get_name(), argument.get_id());
                assert!(!help.is_empty() && !help.ends_with('.'), "{at}");
                assert!(help.starts_with(char::is_uppercase), "{at}");
            }
            assert!(command.get_about().is_some(), "{}", command.get_name());
            all.extend(command.get_subcommands().cloned());
        }
    }
}
