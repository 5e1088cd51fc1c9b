//! `mailtide status`: what a run would do, what earlier runs could not do, and how the last one ended.

use jiff::Timestamp;

use super::Global;
use super::sync::{self, Wish};
use super::target::Target;
use crate::check;
use crate::config::Account;
use crate::engine::{self, Job};
use crate::error::Result;
use crate::exit::Exit;
use crate::mail::UnixSeconds;
use crate::report::{self, Cell, Format, Output, Run};
use crate::state::{State, Unresolved};

/// Show what is not in sync
///
/// Looks at both sides as `sync` does and prints what it would do, then what earlier runs could not do and how the last
/// one ended. Changes nothing. Exits with 1 when something is unresolved.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailtide status
  mailtide status work --mailbox INBOX
  mailtide status --json | jq 'select(.event == \"unresolved\")'")]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,

    /// Print NDJSON, one object a line, for programs
    #[arg(long)]
    json: bool,
}

/// Plans without executing, then reads the state.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit> {
    let chosen = args.target.choose(global)?;
    let stop = super::signal::stop(None)?;
    let format = super::format(args.json);
    let output = Output { format, verbosity: global.verbosity(), run: Run::Dry, again: chosen.again };
    let report = report::make(output);
    sync::each(&chosen.accounts, &Wish::look(), &stop, |job| {
        let planned =
            engine::run(job, &*report, &stop).map_or_else(|error| error.kind().into(), |outcome| outcome.exit);
        Ok(planned.merge(kept(job, format)?))
    })
}

/// Prints what the state knows of the account.
fn kept(job: &Job<'_>, format: Format) -> Result<Exit> {
    let account = job.account;
    let Some(state) = State::open_read_only(&job.state_dir, account.name())? else { return Ok(Exit::InSync) };
    if let Some(last) = state.last_run()? {
        let row = vec![name(account), time(last.ended, format), Cell::Count(last.exit.into())];
        report::table(format, "last-run", &["account", "last-run", "exit"], &[row]);
    }
    let mut unresolved = state.failures()?;
    unresolved.retain(|unresolved| account.mailboxes().selects(&unresolved.failure.mailbox));
    let row = |unresolved: Unresolved| {
        let failure = unresolved.failure;
        vec![
            name(account),
            Cell::Text(failure.mailbox.to_string()),
            Cell::Text(failure.item.to_string()),
            time(unresolved.first_seen, format),
            Cell::Text(failure.what),
            failure.hint.map_or(Cell::Nothing, Cell::Text),
        ]
    };
    let rows: Vec<Vec<Cell>> = unresolved.into_iter().map(row).collect();
    report::table(format, "unresolved", &["account", "mailbox", "item", "since", "what", "hint"], &rows);
    Ok(if rows.is_empty() { Exit::InSync } else { Exit::SomeFailed })
}

fn name(account: &Account) -> Cell {
    Cell::Text(account.name().to_owned())
}

/// A point in time: for a person in the local zone, for a program in UTC (RFC 3339).
fn time(at: UnixSeconds, format: Format) -> Cell {
    let text = match format {
        Format::Json => Timestamp::from_second(at.0).ok().map(|stamp| stamp.to_string()),
        Format::Human => check::local_time(at),
    };
    text.map_or(Cell::Nothing, Cell::Text)
}
