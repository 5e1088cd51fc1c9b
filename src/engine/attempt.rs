//! One attempt at a run: observe, reconcile, guard, execute, record.

use super::execute::{self, World};
use super::ledger::{Ledger, Look};
use super::observe::{Changes, Observation, Sources, observe};
use super::pool::Pool;
use super::settle::{self, Doubts, SentBefore};
use super::tree::Ground;
use super::{Job, Mode, notices, now, settings};
use crate::config::ImapAccount;
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::faults;
use crate::mail::{BaseMailbox, MailboxName};
use crate::reconcile::guard::{self, Refusal};
use crate::reconcile::view::{Expunge, LeftOut, Policy, TreeAge};
use crate::reconcile::{Action, Disposal, Input, Plan, Side, reconcile};
use crate::remote::imap::{Capability, Session};
use crate::report::event::{Event, Report, Summary};
use crate::state::State;
use crate::stop::Stop;

/// How an attempt ended that did not break off.
pub struct Ended {
    /// In sync, with failures, or refused by the guard.
    pub exit: Exit,
    /// Whether to look again.
    pub again: Again,
}

/// Whether the account has to be looked at once more in the same run.
pub enum Again {
    /// It has not.
    No,
    /// What was done is half of a job: mail moved to Trash has yet to arrive in the tree, a mailbox has to be made anew.
    MoreToDo,
    /// The server had time for what a broken run sent; now it can be seen what arrived.
    ToSee(SentBefore),
}

/// Observes, plans, and carries the plan out as the job's mode says.
pub fn attempt(
    job: &Job<'_, ImapAccount>,
    pool: &Pool<'_>,
    sent_before: SentBefore,
    report: &dyn Report,
    stop: &Stop,
    total: &mut Summary,
) -> Result<Ended> {
    let account = job.account;
    let mut ground = Ground::enter(job, &|| pool.take().map(|session| pool.give(session)))?;
    let server = settings::server(account);
    let is_another = ground.state.as_ref().map(|state| state.is_of_another(&server)).transpose()?.unwrap_or_default();
    if let (Mode::Sync, Some(state)) = (job.mode, &mut ground.state) {
        state.turn_to(&server)?;
        state.check_under(&settings::words(account))?;
        state.leave_out(&|name| account.mailboxes.leaves_out(name) == Some(LeftOut::Always))?;
    }
    let sources = Sources {
        account,
        id: ground.id,
        store: ground.store.as_ref(),
        state: ground.state.as_ref(),
        pool,
        connected: &|session| tell_connected(account, session, report),
        changes: match job.mode {
            Mode::Sync => Changes::Allowed,
            Mode::DryRun => Changes::Forbidden,
        },
        age: ground.age,
        is_another,
        stop,
    };
    let mut seen = observe(&sources)?;
    seen.local.age = ground.age;
    let say = |notices: Vec<String>| notices.iter().for_each(|text| report.event(&account.name, Event::Notice(text)));
    let (mailboxes, changed) = seen.mailboxes;
    report.event(&account.name, Event::Observed { mailboxes, changed });
    say(notices::of_observation(&seen));
    if is_another {
        say(vec![notices::ANOTHER_SERVER.to_owned()]);
    }
    // A second look in the same run would only repeat it.
    if total.mailboxes == 0 {
        say(notices::of_allowed(&job.allowed, &seen));
    }
    let session = pool.take()?;
    let expunge = match session.capabilities().has(Capability::Uidplus) {
        true => Expunge::Named,
        false => Expunge::WholeMailbox,
    };
    pool.give(session);
    let plan = plan(job, &ground, &seen, expunge);
    say(notices::of_plan(account, &plan, &seen));
    total.mailboxes = mailboxes as u64;
    // What is refused is shown too.
    let whole = (job.mode == Mode::DryRun).then(|| plan.clone());
    let (approved, refusals) =
        guard::approve(plan, &seen.base, &seen.local, &seen.remote, account.max_delete, &job.allowed);
    if let Some(whole) = whole {
        return Ok(show(job, report, &seen, &whole, &refusals, total));
    }
    let doubts = Doubts::of(approved.plan(), &seen);
    if doubts.must_wait(sent_before) {
        let begun = ground.state.as_ref().map(State::sending_since).transpose()?.flatten();
        let wires = doubts.mailboxes.iter().map(|name| seen.directory.wire(name)).collect::<Result<Vec<_>>>()?;
        if sent_before == SentBefore::Unsettled {
            report.event(&account.name, Event::Notice(&notices::waits_for(doubts.files)));
        }
        let mut session = pool.take()?;
        let quiet = faults::pause(doubts.quiet(settle::age(begun, now()), session.together()));
        let sent_before = settle::wait(&mut session, &wires, doubts.files, quiet, stop)?;
        pool.give(session);
        return Ok(Ended { exit: Exit::InSync, again: Again::ToSee(sent_before) });
    }
    let base = std::mem::take(&mut seen.base);
    let Ground { id, store: Some(store), state: Some(state), .. } = &mut ground else {
        return Err(Error::new(Kind::State, "The account has no tree or no state"));
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
    let look = ledger.look();
    let failures = ledger.failures().to_vec();
    let selects = |name: &MailboxName| account.mailboxes.selects(name);
    ledger.state().replace_failures(&failures, &selects, now())?;
    executed?;
    let exit = match (refusals.is_empty(), failures.is_empty()) {
        (false, _) => Exit::Guard,
        (true, false) => Exit::SomeFailed,
        (true, true) => Exit::InSync,
    };
    // What of an older copy is not mended yet is marked as such.
    if ground.age == TreeAge::Older || !approved.plan().is_empty() {
        ground.count()?;
    }
    let more = exit == Exit::InSync && (look == Look::Again || leaves_work(approved.plan(), &seen));
    let again = if more { Again::MoreToDo } else { Again::No };
    Ok(Ended { exit, again })
}

/// Tells what the server can that matters for speed and safety.
fn tell_connected(account: &ImapAccount, session: &Session, report: &dyn Report) {
    let can = |capability| session.capabilities().has(capability);
    let tier = match (can(Capability::Qresync), can(Capability::CondStore)) {
        (true, _) => "QRESYNC",
        (false, true) => "CONDSTORE",
        (false, false) => "full listings",
    };
    let others = [Capability::ListStatus, Capability::Uidplus, Capability::Move, Capability::LiteralPlus];
    let others = others.into_iter().filter(|c| can(*c)).map(Capability::name);
    let tier = std::iter::once(tier).chain(others).collect::<Vec<_>>().join(", ");
    let host = account.imap.server.to_string();
    report.event(&account.name, Event::Connected { host: &host, tier: &tier });
}

fn plan(job: &Job<'_, ImapAccount>, ground: &Ground, seen: &Observation<'_>, expunge: Expunge) -> Plan {
    let account = job.account;
    let policy =
        Policy { direction: account.direction, deletions: account.deletions, keywords: account.keywords, expunge };
    reconcile(&Input {
        base: &seen.base,
        local: &seen.local,
        remote: &seen.remote,
        ids: &seen.ids,
        account: ground.id,
        intents: &seen.intents,
        relatives: &seen.relatives,
        names: &seen.names,
        policy: &policy,
    })
}

/// A dry run ends with its plan.
fn show(
    job: &Job<'_, ImapAccount>,
    report: &dyn Report,
    seen: &Observation<'_>,
    plan: &Plan,
    refusals: &[Refusal],
    total: &mut Summary,
) -> Ended {
    let name = &job.account.name;
    seen.failures.iter().for_each(|failure| report.event(name, Event::Failed(failure)));
    report.event(name, Event::Planned { plan, refusals });
    if refusals.is_empty() && leaves_work(plan, seen) {
        report.event(name, Event::Notice(notices::GOES_ON));
    }
    total.messages = seen.base.values().map(BaseMailbox::messages).sum();
    total.counts.failed = seen.failures.len() as u64;
    let exit = match (refusals.is_empty(), seen.failures.is_empty()) {
        (false, _) => Exit::Guard,
        (true, false) => Exit::SomeFailed,
        (true, true) => Exit::InSync,
    };
    Ended { exit, again: Again::No }
}

/// Whether the plan was the first half of a job: what it moved to Trash on the server has yet to come to the tree; where
/// a mailbox went from the server its old mail had to go before the new can be sent; where another has its name there,
/// that one is still to be looked at; and what was done in a mailbox that is not finished was done for a later plan.
fn leaves_work(plan: &Plan, seen: &Observation<'_>) -> bool {
    !seen.names.left.is_empty()
        || plan.mailboxes.iter().any(|(name, actions)| {
            let trashes =
                |a: &Action| matches!(a, Action::Delete { side: Side::Remote, disposal: Disposal::Trash, .. });
            let deletes = |a: &Action| matches!(a, Action::Delete { side: Side::Local, .. });
            let halves = !seen.remote.mailboxes.contains_key(name)
                && actions.iter().any(deletes)
                && !actions.contains(&Action::RemoveMailbox { side: Side::Local });
            let unfinished = plan.unfinished.contains(name) && !actions.is_empty();
            halves || unfinished || actions.iter().any(trashes)
        })
}
