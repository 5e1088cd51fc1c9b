//! One run of one account.
//!
//! ```text
//! lock → observe all mailboxes, both sides → reconcile (pure) → guard → execute → record facts → report
//! ```
//!
//! The engine is the only layer that knows all the others: it carries what the stores and the server show to the
//! planner, and what the planner decides back to them. It decides nothing itself.

mod attempt;
mod batch;
mod clock;
mod execute;
mod ledger;
mod notices;
mod observe;
mod once;
mod overview;
mod pool;
pub mod pop;
mod retry;
mod settings;
mod settle;
mod tree;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use attempt::{Again, Ended, attempt};
pub use clock::now;
use once::Once;
pub use overview::{MailboxRow, mailboxes};
pub use pool::Connectors;
use pool::{Credentials, Pool};
use settle::SentBefore;

use crate::config::{Account, ImapAccount};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::reconcile::guard::Allowed;
use crate::remote::net::Meter;
use crate::report::event::{Event, Report, Summary};
use crate::secret::Secret;
use crate::state::{Lock, RunRecord, State};
use crate::stop::Stop;

/// How often one run goes on with what it made itself.
const ROUNDS: u32 = 3;

/// Whether a plan is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Sync,
    /// It is shown; nothing is changed on either side or in the state.
    DryRun,
}

/// What to run, and with what.
pub struct Job<'a, A = Account> {
    /// The account, its mailboxes already narrowed to those asked for.
    pub account: &'a A,
    /// Where its secret comes from; asked once a run, when a connection is first needed.
    pub secret: &'a (dyn Fn() -> Result<Secret> + Sync),
    /// Whether to carry the plan out.
    pub mode: Mode,
    /// Deletions that a person allowed.
    pub allowed: Allowed,
    /// How long to wait for another run of the account to end; `None`: not at all.
    pub wait_lock: Option<Duration>,
    /// Where states and locks are.
    pub state_dir: PathBuf,
    /// The run's TLS connectors.
    pub connectors: &'a Connectors,
}

impl<A> Job<'_, A> {
    /// The same job for what `account` is more precisely.
    pub fn of<'b, B>(&'b self, account: &'b B) -> Job<'b, B> {
        Job {
            account,
            secret: self.secret,
            mode: self.mode,
            allowed: self.allowed.clone(),
            wait_lock: self.wait_lock,
            state_dir: self.state_dir.clone(),
            connectors: self.connectors,
        }
    }
}

/// How a run ended that was not aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// In sync, with failures, or refused by the guard.
    pub exit: Exit,
    /// What was done.
    pub summary: Summary,
}

/// Runs one account. Everything a person may want to know goes to `report`, an error returned here included.
pub fn run(job: &Job<'_>, report: &dyn Report, stop: &Stop) -> Result<Outcome> {
    let name = job.account.name();
    job.connectors.begin(job.account.server());
    let outcome = run_locked(job, report, stop).map_err(|error| error.at(name));
    match &outcome {
        Ok(outcome) => report.event(name, Event::Finished(outcome.summary)),
        Err(error) => report.event(name, Event::Aborted(error)),
    }
    outcome
}

fn run_locked(job: &Job<'_>, report: &dyn Report, stop: &Stop) -> Result<Outcome> {
    let run = |report: &dyn Report| match job.account {
        Account::Imap(account) => until_done(&job.of(account), report, stop),
        Account::Pop3(account) => pop::run(&job.of(account), report, stop),
    };
    if job.mode == Mode::DryRun {
        return run(report);
    }
    let mut lock = Lock::acquire(&job.state_dir, job.account.name(), job.wait_lock, stop)?;
    let once = Once::new(report);
    let outcome = match run(&once) {
        Err(error) if State::is_damaged(&error, &job.state_dir, job.account.name()) => {
            begin_anew(job, report, &error)?;
            run(&once)
        }
        outcome => outcome,
    };
    let exit = outcome.as_ref().map_or_else(|error| error.kind().into(), |outcome| outcome.exit);
    lock.remember(RunRecord { ended: now(), exit: exit.code() });
    outcome
}

/// Tries until a run came to its end, with all that it made itself.
fn until_done(job: &Job<'_, ImapAccount>, report: &dyn Report, stop: &Stop) -> Result<Outcome> {
    let begun = Instant::now();
    let meter = Meter::default();
    let credentials = Credentials::new(job.secret);
    let pool = Pool::new(&job.account.imap, job.connectors, &credentials, meter.clone(), stop);
    let (mut next_try, mut rounds) = (2, 0);
    let mut sent_before = SentBefore::Unsettled;
    let mut total = Summary::default();
    loop {
        let pause = match attempt(job, &pool, sent_before, report, stop, &mut total) {
            Ok(Ended { again: Again::ToSee(seen), .. }) => {
                sent_before = seen;
                Duration::ZERO
            }
            Ok(Ended { again: Again::MoreToDo, .. }) if rounds < ROUNDS => {
                rounds += 1;
                Duration::ZERO
            }
            Ok(Ended { exit, .. }) => {
                pool.close();
                total.sent = meter.sent();
                total.received = meter.received();
                total.commands = meter.commands();
                total.milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                return Ok(Outcome { exit, summary: total });
            }
            Err(error) => {
                let Some(pause) = retry::pause(&error, next_try, pool.had_session()) else { return Err(error) };
                report.event(&job.account.name, Event::Notice(&format!("{error}; trying again")));
                next_try += 1;
                sent_before = SentBefore::Unsettled;
                pause
            }
        };
        clock::sleep(pause, stop)?;
    }
}

/// Keeps a damaged state aside: the run that follows makes a new one.
fn begin_anew(job: &Job<'_>, report: &dyn Report, damage: &Error) -> Result<()> {
    let name = job.account.name();
    let kept = State::set_aside(&job.state_dir, name)?;
    log::warn!("{name}: {damage}");
    let told =
        format!("The state file was damaged and is kept as {}; a new one is made, no mail is lost", kept.display());
    report.event(name, Event::Notice(&told));
    Ok(())
}
