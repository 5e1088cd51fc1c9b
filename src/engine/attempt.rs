//! One attempt at a run: observe, reconcile, guard, execute, record.

use super::execute::{self, World};
use super::ledger::{Ledger, Look};
use super::observe::{Changes, Observation, Sources, observe};
use super::pool::Pool;
use super::settle::{self, Doubts, SentBefore};
use super::tree::Ground;
use super::{Job, Mode, now, settings};
use crate::config::ImapAccount;
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::faults;
use crate::mail::{BaseMailbox, MailboxName};
use crate::reconcile::guard::{self, Refusal};
use crate::reconcile::view::{Deletions, Expunge, Policy, TreeAge};
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
    if let (Mode::Sync, Some(state)) = (job.mode, &mut ground.state) {
        state.check_under(&settings::words(account))?;
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
        stop,
    };
    let mut seen = observe(&sources)?;
    seen.local.age = ground.age;
    if ground.age == TreeAge::Older {
        report.event(&account.name, Event::Notice(OLDER));
    }
    let (mailboxes, changed) = seen.mailboxes;
    report.event(&account.name, Event::Observed { mailboxes, changed });
    if mailboxes == 0 {
        report.event(&account.name, Event::Notice(NONE_SELECTED));
    }
    if seen.merged > 0 {
        report.event(&account.name, Event::Notice(&are_one(seen.merged)));
    }
    // A second look in the same run would only repeat it.
    if total.mailboxes == 0 {
        let (base, local, remote) = (&seen.base, &seen.local.mailboxes, &seen.remote.mailboxes);
        let known =
            |name: &MailboxName| base.contains_key(name) || local.contains_key(name) || remote.contains_key(name);
        job.allowed.unknown(known).for_each(|name| report.event(&account.name, Event::Notice(&no_such(name))));
    }
    let session = pool.take()?;
    let expunge = match session.capabilities().has(Capability::Uidplus) {
        true => Expunge::Named,
        false => Expunge::WholeMailbox,
    };
    pool.give(session);
    let plan = plan(job, &ground, &seen, expunge);
    plan.waiting.iter().for_each(|name| report.event(&account.name, Event::Notice(&waits_for_a_file(name))));
    if plan.held > 0 {
        report.event(&account.name, Event::Notice(&stay(plan.held)));
    }
    if account.deletions == Deletions::Trash && seen.remote.trash.is_none() && plan.actions().any(|(_, a)| marks(a)) {
        report.event(&account.name, Event::Notice(NO_TRASH));
    }
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
            report.event(&account.name, Event::Notice(&waits_for(doubts.files)));
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
    let whole = exit == Exit::InSync && state.base(&|_| true)?.keys().all(selects);
    let counts = match ground.age {
        TreeAge::AsLeft => !approved.plan().is_empty(),
        // Only when all of it is mended is an older tree like another.
        TreeAge::Older => whole,
    };
    if counts {
        ground.count()?;
    }
    let more = exit == Exit::InSync && (look == Look::Again || leaves_work(approved.plan(), &seen));
    let again = if more { Again::MoreToDo } else { Again::No };
    Ok(Ended { exit, again })
}

const OLDER: &str = "The tree, or the state, is an older copy: what is missing in the tree comes back, and nothing is \
                     deleted on the server because of it";

const NO_TRASH: &str = "The account has no Trash: what was deleted in the tree is marked as deleted on the server, and stays \
                        there. Name a mailbox with `trash`.";

const GOES_ON: &str = "These are the first steps: a run then looks again, and goes on from what they make";

/// What is to be known of a run that looks at nothing.
pub(super) const NONE_SELECTED: &str = "No mailbox is selected; `mailtide mailboxes` shows which there are";

/// What is to be known of an `--allow-deletions` that allows none.
pub(super) fn no_such(name: &MailboxName) -> String {
    format!(
        "`--allow-deletions`: no mailbox that is selected is called `{name}`; `mailtide mailboxes` shows which there are"
    )
}

fn marks(action: &Action) -> bool {
    matches!(action, Action::Delete { side: Side::Remote, disposal: Disposal::Mark, .. })
}

fn are_one(messages: usize) -> String {
    match messages {
        1 => "A message was there twice, its files alike but for the flags in their names: it is one, with all of these".into(),
        _ => format!(
            "{messages} messages were there twice, their files alike but for the flags in their names: each is one, with all \
             of these"
        ),
    }
}

fn stay(messages: u64) -> String {
    match messages {
        1 => "A message that is missing in the tree stays on the server, since it may be where nothing can be read"
            .into(),
        _ => format!(
            "{messages} messages that are missing in the tree stay on the server, since they may be where nothing can be read"
        ),
    }
}

fn waits_for_a_file(name: &MailboxName) -> String {
    format!(
        "{name}: the server gave all its messages new UIDs; nothing is done in it until each of its files can be read"
    )
}

fn waits_for(files: usize) -> String {
    let messages = if files == 1 { "a message" } else { "messages" };
    format!("A run broke off while it sent {messages}; waiting until the server has stored what it received")
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
        report.event(name, Event::Notice(GOES_ON));
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
/// a mailbox went from the server its old mail had to go before the new can be sent; and where another has its name there,
/// that one is still to be looked at.
fn leaves_work(plan: &Plan, seen: &Observation<'_>) -> bool {
    !seen.names.left.is_empty()
        || plan.mailboxes.iter().any(|(name, actions)| {
            let trashes =
                |a: &Action| matches!(a, Action::Delete { side: Side::Remote, disposal: Disposal::Trash, .. });
            let deletes = |a: &Action| matches!(a, Action::Delete { side: Side::Local, .. });
            let halves = !seen.remote.mailboxes.contains_key(name)
                && actions.iter().any(deletes)
                && !actions.contains(&Action::RemoveMailbox { side: Side::Local });
            halves || actions.iter().any(trashes)
        })
}
