//! One run of one account.
//!
//! ```text
//! lock → observe all mailboxes, both sides → reconcile (pure) → guard → execute → record facts → report
//! ```
//!
//! The engine is the only layer that knows all the others: it carries what the stores and the server show to the
//! planner, and what the planner decides back to them. It decides nothing itself.

mod clock;
mod execute;
mod ledger;
mod observe;
mod overview;
mod pool;
mod retry;
mod settle;
mod tree;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use clock::now;
use execute::World;
use ledger::Ledger;
use observe::{Observation, Sources, observe};
pub use overview::{MailboxRow, mailboxes};
pub use pool::Connectors;
use pool::{Credentials, Pool};
use tree::Ground;

use crate::config::Account;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::reconcile::guard::{self, Allowed, ApprovedPlan, Refusal};
use crate::reconcile::view::{Expunge, Policy};
use crate::reconcile::{Action, Disposal, Input, Plan, Side, reconcile};
use crate::remote::imap::Capability;
use crate::remote::net::Meter;
use crate::report::event::{Event, Report, Summary};
use crate::secret::Secret;
use crate::state::{Lock, RunRecord};
use crate::stop::Stop;

/// Whether a plan is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Sync,
    /// It is shown; nothing is changed on either side or in the state.
    DryRun,
}

/// What to run, and with what.
pub struct Job<'a> {
    /// The account, its mailboxes already narrowed to those asked for.
    pub account: &'a Account,
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
    let name = &job.account.name;
    let outcome = run_locked(job, report, stop).map_err(|error| error.at(name));
    match &outcome {
        Ok(outcome) => report.event(name, Event::Finished(outcome.summary)),
        Err(error) => report.event(name, Event::Aborted(error)),
    }
    outcome
}

fn run_locked(job: &Job<'_>, report: &dyn Report, stop: &Stop) -> Result<Outcome> {
    let begun = Instant::now();
    let name = &job.account.name;
    let _lock = match job.mode {
        Mode::Sync => Some(Lock::acquire(&job.state_dir, name, job.wait_lock, stop)?),
        Mode::DryRun => None,
    };
    let meter = Meter::default();
    let credentials = Credentials::new(job.secret);
    let pool = Pool::new(&job.account.imap, job.connectors, &credentials, meter.clone(), stop);
    let mut next = 2;
    let mut rounds = 0;
    let mut sent_before = SentBefore::Unsettled;
    let mut total = Summary::default();
    loop {
        let again = match attempt(job, &pool, sent_before, report, stop, &mut total) {
            Ok(Ended { again: Again::SettledNow, .. }) => {
                sent_before = SentBefore::Settled;
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
                remember(job, exit)?;
                return Ok(Outcome { exit, summary: total });
            }
            Err(error) => match retry::pause(&error, next, pool.had_session()) {
                Some(pause) => {
                    report.event(name, Event::Notice(&format!("{error}; trying again")));
                    next += 1;
                    sent_before = SentBefore::Unsettled;
                    pause
                }
                None => return Err(error),
            },
        };
        clock::sleep(again, stop)?;
    }
}

/// Writes down how the run ended, for `status`.
fn remember(job: &Job<'_>, exit: Exit) -> Result<()> {
    if job.mode == Mode::DryRun {
        return Ok(());
    }
    match crate::state::State::open(&job.state_dir, &job.account.name)? {
        Some(mut state) => state.set_last_run(RunRecord { ended: now(), exit: exit.code() }),
        None => Ok(()),
    }
}

struct Ended {
    exit: Exit,
    again: Again,
}

/// Whether the account has to be looked at once more in the same run.
enum Again {
    No,
    /// What was done is half of a job: mail moved to Trash has yet to arrive in the tree, a mailbox has to be made anew.
    MoreToDo,
    /// The server has digested what a broken run sent; now it can be seen what arrived.
    SettledNow,
}

/// How often one run goes on with what it made itself.
const ROUNDS: u32 = 3;

/// Whether it is known what became of APPENDs of a broken run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SentBefore {
    Unsettled,
    Settled,
}

fn attempt(
    job: &Job<'_>,
    pool: &Pool<'_>,
    sent_before: SentBefore,
    report: &dyn Report,
    stop: &Stop,
    total: &mut Summary,
) -> Result<Ended> {
    let account = job.account;
    let mut ground = Ground::enter(job)?;
    let sources =
        Sources { account, id: ground.id, store: ground.store.as_ref(), state: ground.state.as_ref(), pool, stop };
    let mut seen = observe(&sources)?;
    let (mailboxes, changed) = seen.mailboxes;
    report.event(&account.name, Event::Observed { mailboxes, changed });
    let expunge = capabilities(account, pool, report)?;
    let (approved, refusals) = plan(job, &ground, &seen, expunge);
    total.mailboxes = mailboxes as u64;
    if job.mode == Mode::DryRun {
        return Ok(show(job, report, &seen, &approved, &refusals, total));
    }
    let unsettled = settle::unsettled(approved.plan(), &seen);
    if sent_before == SentBefore::Unsettled && !unsettled.is_empty() {
        let wires = unsettled.into_iter().map(|name| seen.directory.wire(name)).collect::<Result<Vec<_>>>()?;
        let mut session = pool.take()?;
        settle::wait(&mut session, &wires, stop)?;
        pool.give(session);
        return Ok(Ended { exit: Exit::InSync, again: Again::SettledNow });
    }
    let base = std::mem::take(&mut seen.base);
    let Ground { id, store: Some(store), state: Some(state) } = &mut ground else {
        return Err(Error::new(crate::error::Kind::State, "The account has no tree or no state"));
    };
    let mut ledger = Ledger::new(&account.name, report, state, base);
    for failure in seen.failures.drain(..) {
        ledger.fail(failure);
    }
    refusals.iter().for_each(|refusal| report.event(&account.name, Event::Refused(refusal)));
    let world = World { account, id: *id, store, pool, stop, report, seen: &seen };
    let executed = execute::execute(&world, &mut ledger, &approved, &refusals);
    ledger.counts().values().for_each(|counts| total.counts.add(counts));
    total.messages = ledger.messages();
    let failures = ledger.failures().to_vec();
    let selects = |name: &crate::mail::MailboxName| account.mailboxes.selects(name);
    ledger.state().replace_failures(&failures, &selects, now())?;
    executed?;
    let exit = match (refusals.is_empty(), failures.is_empty()) {
        (false, _) => Exit::Guard,
        (true, false) => Exit::SomeFailed,
        (true, true) => Exit::InSync,
    };
    let more = exit == Exit::InSync && leaves_work(approved.plan(), &seen);
    let again = if more { Again::MoreToDo } else { Again::No };
    Ok(Ended { exit, again })
}

/// Tells what the server can, and gives what the planner needs of it: whether it can expunge named messages only.
fn capabilities(account: &Account, pool: &Pool<'_>, report: &dyn Report) -> Result<Expunge> {
    let session = pool.take()?;
    let can = |capability| session.capabilities().has(capability);
    let tier = match (can(Capability::Qresync), can(Capability::CondStore)) {
        (true, _) => "QRESYNC",
        (false, true) => "CONDSTORE",
        (false, false) => "full listings",
    };
    let others = [Capability::ListStatus, Capability::Uidplus, Capability::Move, Capability::LiteralPlus];
    let all: Vec<&str> =
        std::iter::once(tier).chain(others.into_iter().filter(|c| can(*c)).map(Capability::name)).collect();
    let server = &account.imap.server;
    let host = format!("{}:{}", server.host, server.port);
    report.event(&account.name, Event::Connected { host: &host, tier: &all.join(", ") });
    let expunge = if can(Capability::Uidplus) { Expunge::Named } else { Expunge::WholeMailbox };
    pool.give(session);
    Ok(expunge)
}

fn plan(job: &Job<'_>, ground: &Ground, seen: &Observation<'_>, expunge: Expunge) -> (ApprovedPlan, Vec<Refusal>) {
    let account = job.account;
    let policy =
        Policy { direction: account.direction, deletions: account.deletions, keywords: account.keywords, expunge };
    let plan = reconcile(&Input {
        base: &seen.base,
        local: &seen.local,
        remote: &seen.remote,
        ids: &seen.ids,
        account: ground.id,
        intents: &seen.intents,
        policy: &policy,
    });
    guard::approve(plan, &seen.base, &seen.local, &seen.remote, account.max_delete, &job.allowed)
}

/// A dry run ends with its plan.
fn show(
    job: &Job<'_>,
    report: &dyn Report,
    seen: &Observation<'_>,
    approved: &ApprovedPlan,
    refusals: &[Refusal],
    total: &mut Summary,
) -> Ended {
    let name = &job.account.name;
    seen.failures.iter().for_each(|failure| report.event(name, Event::Failed(failure)));
    report.event(name, Event::Planned { plan: approved.plan(), refusals });
    total.messages = seen.base.values().map(|m| m.links.as_ref().map_or(m.link_count, |l| l.len() as u64)).sum();
    total.counts.failed = seen.failures.len() as u64;
    let exit = match (refusals.is_empty(), seen.failures.is_empty()) {
        (false, _) => Exit::Guard,
        (true, false) => Exit::SomeFailed,
        (true, true) => Exit::InSync,
    };
    Ended { exit, again: Again::No }
}

/// Whether the plan was the first half of a job: what it moved to Trash on the server has yet to come to the tree, and
/// where a mailbox went from the server its old mail had to go before the new can be sent.
fn leaves_work(plan: &Plan, seen: &Observation<'_>) -> bool {
    plan.mailboxes.iter().any(|(name, actions)| {
        let trashes = |a: &Action| matches!(a, Action::Delete { side: Side::Remote, disposal: Disposal::Trash, .. });
        let deletes = |a: &Action| matches!(a, Action::Delete { side: Side::Local, .. });
        let halves = !seen.remote.mailboxes.contains_key(name)
            && actions.iter().any(deletes)
            && !actions.contains(&Action::RemoveMailbox { side: Side::Local });
        halves || actions.iter().any(trashes)
    })
}
