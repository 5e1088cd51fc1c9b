//! `mailtide status`: what a run would do, what earlier runs could not do, and how the last one ended.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::Global;
use super::look::Look;
use super::sync::{self, Wish};
use crate::check;
use crate::engine::{self, Job};
use crate::error::Result;
use crate::exit::Exit;
use crate::mail::UnixSeconds;
use crate::report::{self, Cell, Event, Format, Report, Verbosity};
use crate::state::{RunRecord, State, Unresolved, last_run};

/// Show what is not in sync
///
/// Looks at both sides as `sync` does and prints what it would do, then what earlier runs could not do and how the last
/// one ended. Changes nothing.
///
/// Exit code 0 does not mean that there is nothing to do, only that a run could do it: with `--json`, the summary's
/// `outcome` tells `in-sync` from `planned`. 1 means that something is unresolved, 6 that the guard would refuse.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailtide status
  mailtide status work --mailbox INBOX
  mailtide status --json | jq 'select(.event == \"unresolved\")'")]
pub(super) struct Args {
    #[command(flatten)]
    look: Look,
}

/// Plans without executing, then reads the state.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit> {
    let looking = args.look.begin(global)?;
    let report = report::make(looking.output(global));
    sync::each(&looking.chosen.accounts, &Wish::look(), &looking.stop, |job| {
        let heard = Heard { report: &*report, failures: Mutex::default() };
        let planned = engine::run(job, &heard, &looking.stop);
        let planned = planned.map_or_else(|error| error.kind().into(), |outcome| outcome.exit);
        let told = heard.failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(planned.merge(kept(job, looking.format, global.verbosity(), &told)?))
    })
}

/// Passes events on and remembers the failures that were told.
struct Heard<'a> {
    report: &'a dyn Report,
    failures: Mutex<BTreeSet<String>>,
}

impl Report for Heard<'_> {
    fn event(&self, account: &str, event: Event<'_>) {
        if let Event::Failed(failure) = &event {
            self.failures.lock().unwrap_or_else(PoisonError::into_inner).insert(failure.to_string());
        }
        self.report.event(account, event);
    }
}

/// Prints what the state knows of the account; a person is not told twice of what was `told` already.
fn kept(job: &Job<'_>, format: Format, verbosity: Verbosity, told: &BTreeSet<String>) -> Result<Exit> {
    let account = job.account;
    let Some(state) = State::open_read_only(&job.state_dir, account.name())? else { return Ok(Exit::InSync) };
    let last = last_run(&job.state_dir, account.name());
    let mut unresolved = state.failures()?;
    unresolved.retain(|unresolved| account.mailboxes().selects(&unresolved.failure.mailbox));
    let exit = if unresolved.is_empty() { Exit::InSync } else { Exit::SomeFailed };
    match format {
        Format::Json => for_a_program(account.name(), last, unresolved),
        Format::Human => {
            unresolved.retain(|unresolved| !told.contains(&unresolved.failure.to_string()));
            for_a_person(account.name(), last.filter(|_| verbosity != Verbosity::Quiet), &unresolved);
        }
    }
    Ok(exit)
}

fn for_a_person(account: &str, last: Option<RunRecord>, unresolved: &[Unresolved]) {
    let at = |time| check::local_time(time).unwrap_or_else(|| "at an unknown time".to_owned());
    if let Some(last) = last {
        report::line(&format!("{account}: the last run ended {} with exit code {}", at(last.ended), last.exit));
    }
    for Unresolved { failure, first_seen } in unresolved {
        report::line(&format!("{account}: unresolved since {}: {failure}", at(*first_seen)));
        if let Some(hint) = &failure.hint {
            report::line(&format!("  hint: {hint}"));
        }
    }
}

fn for_a_program(account: &str, last: Option<RunRecord>, unresolved: Vec<Unresolved>) {
    let account = || Cell::Text(account.to_owned());
    if let Some(last) = last {
        let row = vec![account(), time(last.ended), Cell::Count(last.exit.into())];
        report::table(Format::Json, "last-run", &["account", "last-run", "exit"], &[row]);
    }
    let row = |Unresolved { failure, first_seen }| {
        vec![
            account(),
            Cell::Text(failure.mailbox.to_string()),
            Cell::Text(failure.item.to_string()),
            time(first_seen),
            Cell::Text(failure.what),
            failure.hint.map_or(Cell::Nothing, Cell::Text),
        ]
    };
    let rows: Vec<Vec<Cell>> = unresolved.into_iter().map(row).collect();
    report::table(Format::Json, "unresolved", &["account", "mailbox", "item", "since", "what", "hint"], &rows);
}

/// A point in time in UTC (RFC 3339).
fn time(at: UnixSeconds) -> Cell {
    let text = Timestamp::from_second(at.0).ok().map(|stamp| stamp.to_string());
    text.map_or(Cell::Nothing, Cell::Text)
}
