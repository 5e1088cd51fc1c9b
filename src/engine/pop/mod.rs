//! One run of one POP3 account.
//!
//! ```text
//! tree and state → what a broken run left → session: list → plan → guard → fetch, deliver, record → DELE, QUIT, record
//! ```
//!
//! What is done when, and what a crash in between costs, is the specification in [`crate::maildrop`]; this carries it
//! out. Deletions are made in portions, a session each, so that a line that breaks costs little.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `ground` | tree and state, and that they belong together |
//! | `recover` | files that a broken run delivered and did not record |
//! | `look` | what a session lists → plan |
//! | `gone` | files that were deleted in the tree |
//! | `fetch` | bodies from the socket into `tmp`, on a thread of its own |
//! | `land` | batches of them into the mailbox, and into the state |
//! | `leave` | DELE, QUIT |
//! | `view` | `mailtide pop` and `mailtide mailboxes` |

mod fetch;
mod gone;
mod ground;
mod land;
mod leave;
mod look;
mod recover;
mod view;

use std::time::Instant;

use ground::Ground;
use look::{Looked, look};
pub(super) use view::mailbox;
pub use view::{MaildropRow, Standing, list};

use super::pool::{Connectors, Credentials};
use super::{Job, Mode, Outcome, clock, now, retry};
use crate::config::Pop3Account;
use crate::error::{Error, ItemFailure, Result};
use crate::exit::Exit;
use crate::mail::MaildropFact;
use crate::reconcile::view::TreeAge;
use crate::remote::TlsMode;
use crate::remote::net::Meter;
use crate::remote::pop3::{Capability, Session};
use crate::report::event::{Counts, Event, Report, Summary};
use crate::stop::Stop;

/// The way to the maildrop.
pub(super) struct Door<'a> {
    account: &'a Pop3Account,
    connectors: &'a Connectors,
    credentials: Credentials<'a>,
    meter: Meter,
    stop: &'a Stop,
    had_session: bool,
}

impl<'a> Door<'a> {
    pub(super) fn new(job: &'a Job<'a, Pop3Account>, stop: &'a Stop) -> Self {
        Door {
            account: job.account,
            connectors: job.connectors,
            credentials: Credentials::new(job.secret),
            meter: Meter::default(),
            stop,
            had_session: false,
        }
    }

    /// A new session.
    pub(super) fn open(&mut self) -> Result<Session> {
        let options = &self.account.pop3;
        let connector = match options.server.tls {
            TlsMode::None => None,
            TlsMode::Implicit | TlsMode::StartTls => Some(self.connectors.get(&options.server.trust)?),
        };
        let secret = self.credentials.get()?;
        let session = Session::open(options, connector.as_ref(), &secret, &self.meter, self.stop)?;
        self.had_session = true;
        Ok(session)
    }
}

/// What a run has come to, over all its sessions and tries.
#[derive(Default)]
struct Done {
    counts: Counts,
    /// Messages that were fetched, for `max-messages`.
    fetched: u64,
    /// Known and delivered messages that the server holds.
    held: u64,
}

/// Tries until a run came to its end.
pub(super) fn run(job: &Job<'_, Pop3Account>, report: &dyn Report, stop: &Stop) -> Result<Outcome> {
    let account = job.account;
    if !account.mailboxes.selects(&account.mailbox) {
        return Ok(Outcome { exit: Exit::InSync, summary: Summary::default() });
    }
    let begun = Instant::now();
    let mut door = Door::new(job, stop);
    let mut done = Done::default();
    let mut next_try = 2;
    loop {
        let error = match attempt(job, &mut door, &mut done, report) {
            Ok(exit) => {
                let summary = Summary {
                    counts: done.counts,
                    mailboxes: 1,
                    messages: done.held,
                    sent: door.meter.sent(),
                    received: door.meter.received(),
                    commands: door.meter.commands(),
                    milliseconds: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
                };
                return Ok(Outcome { exit, summary });
            }
            Err(error) => error,
        };
        let Some(pause) = retry::pause(&error, next_try, door.had_session) else { return Err(error) };
        report.event(&account.name, Event::Notice(&format!("{error}; trying again")));
        next_try += 1;
        clock::sleep(pause, stop)?;
    }
}

/// Goes through as many sessions as it takes.
fn attempt(job: &Job<'_, Pop3Account>, door: &mut Door<'_>, done: &mut Done, report: &dyn Report) -> Result<Exit> {
    let account = job.account;
    let mut ground = Ground::enter(job)?;
    if job.mode == Mode::Sync {
        let found = recover::recover(account, &mut ground)?;
        if found > 0 {
            let text = format!("{found} of the tree's files were delivered by earlier runs and are known again");
            report.event(&account.name, Event::Notice(&text));
        }
    }
    if ground.age == TreeAge::Older {
        report.event(&account.name, Event::Notice(OLDER));
    }
    let mut failures: Vec<ItemFailure> = Vec::new();
    let mut exit = Exit::InSync;
    loop {
        let mut session = door.open()?;
        tell_connected(account, &session, report);
        let looked = look(
            &look::Sources {
                job,
                store: ground.store.as_ref(),
                state: ground.state.as_ref(),
                age: ground.age,
                fetched: done.fetched,
                now: now(),
            },
            &mut session,
        )?;
        looked.notices.iter().for_each(|text| report.event(&account.name, Event::Notice(text)));
        let changed = usize::from(!looked.plan.actions().is_empty());
        report.event(&account.name, Event::Observed { mailboxes: 1, changed });
        if !looked.refusals.is_empty() {
            exit = exit.merge(Exit::Guard);
        }
        if job.mode == Mode::DryRun {
            let Looked { plan, refusals, .. } = &looked;
            let mailbox = &account.mailbox;
            report.event(&account.name, Event::MaildropPlanned { mailbox, plan, refusals });
            done.held = plan.held;
            return leave::without_deletions(session).map(|()| exit);
        }
        looked.refusals.iter().for_each(|refusal| report.event(&account.name, Event::Refused(refusal)));
        let more = visit(job, &mut ground, session, &looked, done, &mut failures, report, door.stop)?;
        if !more {
            break;
        }
        door.stop.check()?;
    }
    let failed = u64::try_from(failures.len()).unwrap_or(u64::MAX);
    done.counts.failed = failed;
    if let Some(state) = &mut ground.state {
        state.replace_failures(&failures, &|_| true, now())?;
    }
    if failed > 0 {
        exit = exit.merge(Exit::SomeFailed);
    }
    if done.counts != Counts::default() {
        report.event(&account.name, Event::MailboxDone { mailbox: &account.mailbox, counts: done.counts });
    }
    if exit == Exit::InSync && (done.counts != Counts::default() || ground.age == TreeAge::Older) {
        ground.count()?;
    }
    Ok(exit)
}

const OLDER: &str = "The tree, or the state, is an older copy: what is missing in the tree is fetched again where the \
                     server still has it, and nothing is deleted there because of it";

/// Does what a session can do; whether another one is needed.
#[expect(clippy::too_many_arguments, reason = "everything a session needs, once")]
fn visit(
    job: &Job<'_, Pop3Account>,
    ground: &mut Ground,
    mut session: Session,
    looked: &Looked,
    done: &mut Done,
    failures: &mut Vec<ItemFailure>,
    report: &dyn Report,
    stop: &Stop,
) -> Result<bool> {
    let Ground { id, store: Some(store), state: Some(state), .. } = ground else {
        return Err(Error::new(crate::error::Kind::State, "The account has no tree or no state"));
    };
    let plan = &looked.plan;
    let portion = leave::Portion::of(plan, session.capabilities());
    let mut first = plan.learned.clone();
    if !portion.fetch.is_empty() {
        first.push(MaildropFact::Delivering);
    }
    state.record_maildrop(&first)?;
    let recognised = plan.recognised.len();
    done.counts.linked += recognised;
    let mut landing = land::Landing::new(job, *id, store, state, looked, report)?;
    let fetched = fetch::fetch(&mut session, &portion.fetch, looked, &mut landing, stop);
    // Messages that arrived whole are kept even when the connection then broke.
    let landed = landing.end();
    let harvest = landing.harvest();
    done.fetched += harvest.delivered;
    done.counts.add(&harvest.counts);
    for failure in harvest.failures {
        tell_failure(failures, failure, &job.account.name, report);
    }
    tell_done(job.account, plan, &portion, &harvest.counts, harvest.compared, report);
    let fetched = fetched.and(landed);
    if fetched.is_ok() && portion.is_last && looked.is_whole {
        let missed = plan.missed.iter().filter(|(serial, _)| !harvest.found.contains(serial));
        state.record_maildrop(&missed.map(|(_, fact)| fact.clone()).collect::<Vec<_>>())?;
    }
    fetched?;
    let going = portion.going(looked, &harvest.due);
    done.held = plan.held + harvest.delivered;
    let gone = leave::leave(session, state, going, now(), |number, error| {
        let failure = ItemFailure::new(&job.account.mailbox, looked.item(number), error);
        tell_failure(failures, failure, &job.account.name, report);
    })?;
    let deleted = gone.len();
    if deleted > 0 {
        let action = crate::maildrop::Action::Delete { numbers: gone };
        let event = Event::MaildropDone { mailbox: &job.account.mailbox, action: &action, done: deleted, octets: 0 };
        report.event(&job.account.name, event);
        done.counts.remote.deleted += deleted;
        done.held = done.held.saturating_sub(deleted);
    }
    Ok(!portion.is_last && deleted > 0)
}

fn tell_failure(failures: &mut Vec<ItemFailure>, failure: ItemFailure, account: &str, report: &dyn Report) {
    if failures.contains(&failure) {
        return;
    }
    report.event(account, Event::Failed(&failure));
    failures.push(failure);
}

/// Tells what came of the actions of the plan that a session fetched for.
fn tell_done(
    account: &Pop3Account,
    plan: &crate::maildrop::Plan,
    portion: &leave::Portion,
    counts: &Counts,
    compared: u64,
    report: &dyn Report,
) {
    use crate::maildrop::Action;
    for action in plan.actions() {
        let (done, octets) = match &action {
            Action::Recognise { numbers } => (numbers.len(), 0),
            Action::Download { .. } => (counts.local.new, counts.local.octets),
            Action::Compare { .. } => (compared, 0),
            Action::Leave { .. } if !portion.is_last => continue,
            Action::Leave { numbers, .. } => (numbers.len(), 0),
            // That is told when the server has said so.
            Action::Delete { .. } => continue,
        };
        report.event(&account.name, Event::MaildropDone { mailbox: &account.mailbox, action: &action, done, octets });
    }
}

/// Tells what the server can that matters for speed and safety.
fn tell_connected(account: &Pop3Account, session: &Session, report: &dyn Report) {
    let useful = [Capability::Pipelining, Capability::Uidl, Capability::Top];
    let can = useful.into_iter().filter(|c| session.capabilities().has(*c)).map(Capability::name);
    let tier = std::iter::once("POP3").chain(can).collect::<Vec<_>>().join(", ");
    let host = account.pop3.server.to_string();
    report.event(&account.name, Event::Connected { host: &host, tier: &tier });
}
