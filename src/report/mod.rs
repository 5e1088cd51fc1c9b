//! Events in, text or NDJSON out: the only place of the program that prints.
//!
//! Standard output is data: the plan of a dry run, NDJSON, tables, and what a run did. Standard error is the rest:
//! bars, notices, failures with what to do about them. All foreign text is made safe for a terminal on the way, and a
//! reader that goes away (`| head`) is no error. What the lines mean is decided elsewhere; nothing here fails a run.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`event`] | what a run tells while it goes on |
//! | `count` | what a done action adds to the counts |
//! | `human`, `quiet`, `json` | the renderers: lines for a person; only what needs one; NDJSON and its schema |
//! | `plan` | the plan as a person reads it |
//! | `progress` | bars on a terminal |
//! | `page` | what the other commands print: tables, findings, errors |
//! | `words` | numbers, sizes, UID sets and commands in text |
//! | `log` | what the program logs |
//! | `console` | the two streams, which never tear a bar |

mod console;
mod count;
pub mod event;
mod human;
pub mod json;
mod log;
mod maildrop;
mod page;
mod plan;
mod progress;
mod quiet;
#[cfg(test)]
mod samples;
mod words;

use std::path::PathBuf;

pub use console::output_was_lost;
pub use event::{Counts, Event, Progress, Report, SideCounts, Summary};
pub use log::start_log;
pub use page::{Cell, Finding, Mark, error_line, finding, line, note, table, text};

use console::Console;

/// For whom the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// A person.
    #[default]
    Human,
    /// A program: NDJSON, version 1, see [`json`].
    Json,
}

/// How much a person wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verbosity {
    /// Only what needs a person.
    Quiet,
    /// What changed.
    #[default]
    Normal,
    /// Every action.
    Verbose,
}

/// What a run's plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Run {
    /// To be executed.
    #[default]
    Real,
    /// To be shown: `--dry-run` and `status`.
    Dry,
}

/// How a person types the command again, so that a message can name the very command that helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Again {
    /// `mailtide sync ACCOUNT`, with `--config` if one was given.
    Account {
        /// What `--config` said.
        config: Option<PathBuf>,
    },
    /// `mailtide sync URL --maildir DIR …`.
    Url {
        /// The URL as typed, which holds no password, and every option that goes with it.
        words: Vec<String>,
    },
}

impl Default for Again {
    fn default() -> Self {
        Again::Account { config: None }
    }
}

/// What the command line asked of the output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// For whom.
    pub format: Format,
    /// How much; NDJSON is always complete.
    pub verbosity: Verbosity,
    /// What the plan is for.
    pub run: Run,
    /// How to type the command again.
    pub again: Again,
}

/// Makes the renderer that `output` asks for, on this process's standard streams.
pub fn make(output: Output) -> Box<dyn Report> {
    let bars = output.format == Format::Human && output.verbosity == Verbosity::Normal;
    let console = Console::standard(bars);
    match (output.format, output.verbosity) {
        (Format::Json, _) => Box::new(json::Json::new(console, output)),
        (Format::Human, Verbosity::Quiet) => Box::new(quiet::Quiet::new(console, output)),
        (Format::Human, Verbosity::Normal | Verbosity::Verbose) => Box::new(human::Human::new(console, output)),
    }
}
