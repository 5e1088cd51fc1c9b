//! `mailtide sync`: one account after the other, exit codes merged.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Global;
use super::target::{self, Target};
use crate::config::{Account, Allowed, duration};
use crate::engine::{self, Connectors, Job, Mode};
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::mail::MailboxName;
use crate::report::{self, Output, Run};
use crate::state::state_dir;
use crate::stop::Stop;

/// How long `--wait-lock` waits when it does not say.
const WAIT: &str = "1h";

/// Make tree and server the same
///
/// New mail, flags, keywords, deletions and mailboxes go to the side that lacks them. What fails is reported and tried
/// again at each later run; the rest goes on. Run it as often as you like: when nothing has changed it costs one round
/// trip.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailtide sync
  mailtide sync work --mailbox INBOX --mailbox 'Lists/*'
  mailtide sync --dry-run --json
  mailtide sync work --allow-deletions 'Old stuff'
  mailtide sync imaps://me@example.org@imap.example.org --maildir ~/Mail \\
      --password-command 'pass show mail'
  mailtide sync --quiet --wait-lock=5m --deadline 20m        (for cron)")]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,

    /// Show what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Print NDJSON, one object a line, for programs
    #[arg(long)]
    json: bool,

    /// Allow any number of deletions in MAILBOX, or in all; can be repeated
    ///
    /// A run that would delete more than `max-delete` of a mailbox deletes nothing there and names this option. A name
    /// that none of the account's selected mailboxes has is told.
    #[arg(long, value_name = "MAILBOX|all")]
    allow_deletions: Vec<String>,

    /// Wait while another run holds the account, DURATION at most [default: 1h]
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = WAIT,
          value_parser = duration::parse)]
    wait_lock: Option<Duration>,

    /// End the whole run after DURATION, cleanly
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    deadline: Option<Duration>,
}

/// Synchronises the accounts; the report tells how it goes.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit> {
    let chosen = args.target.choose(global)?;
    let allowed = allowed(&args.allow_deletions)?;
    let stop = super::signal::stop(args.deadline)?;
    let report = report::make(Output {
        format: super::format(args.json),
        verbosity: global.verbosity(),
        run: if args.dry_run { Run::Dry } else { Run::Real },
        again: chosen.again,
    });
    let mode = if args.dry_run { Mode::DryRun } else { Mode::Sync };
    let wish = Wish { mode, allowed, wait_lock: args.wait_lock };
    each(&chosen.accounts, &wish, &stop, |job| Ok(engine::run(job, &*report, &stop)?.exit))
}

/// What the command line asks of every account.
pub(super) struct Wish {
    pub(super) mode: Mode,
    pub(super) allowed: Allowed,
    pub(super) wait_lock: Option<Duration>,
}

impl Wish {
    /// To look only.
    pub(super) fn look() -> Wish {
        Wish { mode: Mode::DryRun, allowed: Allowed::Mailboxes(BTreeSet::new()), wait_lock: None }
    }
}

/// Does the job of one account after the other. An error, which `work` has reported, does not stop the next; a signal
/// does, and so does the deadline: the accounts that nobody looked at are named.
pub(super) fn each(
    accounts: &[Account],
    wish: &Wish,
    stop: &Stop,
    mut work: impl FnMut(&Job<'_>) -> Result<Exit>,
) -> Result<Exit> {
    let state_dir = state_dir()?;
    let connectors = Connectors::default();
    let mut exit = Exit::InSync;
    for (n, account) in accounts.iter().enumerate() {
        if let Err(error) = stop.check() {
            let left: Vec<_> = accounts.iter().skip(n).map(Account::name).collect();
            let error = error.at(left.join(", "));
            report::error_line(&error);
            return Ok(exit.merge(error.kind().into()));
        }
        let job = Job {
            account,
            secret: &target::password(account, stop),
            mode: wish.mode,
            allowed: wish.allowed.clone(),
            wait_lock: wish.wait_lock,
            state_dir: state_dir.clone(),
            connectors: &connectors,
        };
        exit = exit.merge(work(&job).unwrap_or_else(|error| error.kind().into()));
    }
    Ok(exit)
}

fn allowed(typed: &[String]) -> Result<Allowed> {
    if typed.iter().any(|name| name == "all") {
        return Ok(Allowed::All);
    }
    let name = |text: &String| {
        MailboxName::parse(text).ok_or_else(|| Error::new(Kind::Usage, format!("`{text}` is no mailbox")))
    };
    Ok(Allowed::Mailboxes(typed.iter().map(name).collect::<Result<_>>()?))
}
