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
//! | `breaks` | messages at which sessions break |
//! | `door` | sessions with the maildrop |
//! | `ground` | tree and state, and that they belong together |
//! | `recover` | files that a broken run delivered and did not record |
//! | `look` | what a session lists → plan |
//! | `before` | what another program fetched before the first run |
//! | `gone` | files that were deleted in the tree |
//! | `fetch` | bodies from the socket into `tmp`, on a thread of its own |
//! | `land` | batches of them into the mailbox, and into the state |
//! | `others` | what other accounts delivered into the same mailbox |
//! | `leave` | DELE, QUIT |
//! | `view` | `mailtide pop` and `mailtide mailboxes` |

mod before;
mod breaks;
mod door;
mod fetch;
mod gone;
mod ground;
mod land;
mod leave;
mod look;
mod others;
mod recover;
mod view;

use std::collections::BTreeSet;
use std::time::Instant;

use breaks::Breaks;
use door::Door;
use ground::Ground;
use land::{Harvest, Landing};
use leave::{Deletions, Portion};
use look::{Looked, Sources, look};
pub(super) use view::mailbox;
pub use view::{MaildropRow, Standing, list};

use super::notices::{NONE_SELECTED, no_such};
use super::{Job, Mode, Outcome, clock, now, retry};
use crate::config::{Fetched, Pop3Account};
use crate::error::{Error, Item, ItemFailure, Kind, Result};
use crate::exit::Exit;
use crate::mail::{MaildropFact, Serial};
use crate::maildrop::{Action, Known};
use crate::reconcile::view::TreeAge;
use crate::remote::pop3::Session;
use crate::report::event::{Counts, Event, Report, Summary};
use crate::stop::Stop;

const OLDER: &str = "The tree, or the state, is an older copy: what is missing in the tree is fetched again where the \
                     server still has it, and nothing is deleted there because of it";

/// A run, over all its sessions and tries.
struct Run<'a> {
    job: &'a Job<'a, Pop3Account>,
    report: &'a dyn Report,
    stop: &'a Stop,
    door: Door<'a>,
    /// What was done.
    counts: Counts,
    /// Messages that were fetched, for `max-messages`.
    fetched: u64,
    /// Known and delivered messages that the server holds.
    held: u64,
    /// What this try could not do.
    failures: Vec<ItemFailure>,
    /// Whether tree and state count this run already.
    counted: Counted,
    /// What the server makes of deletions.
    deletions: Deletions,
    /// What it has confirmed as deleted.
    gone: BTreeSet<Serial>,
    /// Messages at which a session broke.
    breaks: Breaks,
}

/// Sessions of a run that may break after they came further than the one before.
const BREAKS_MOST: u32 = 20;

/// Whether a run that is going to change something is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Yes,
    No,
}

/// Whether a session was the last that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Done,
    AnotherSession,
}

/// Tries until a run came to its end.
pub(super) fn run(job: &Job<'_, Pop3Account>, report: &dyn Report, stop: &Stop) -> Result<Outcome> {
    let account = job.account;
    if !account.mailboxes.selects(&account.mailbox) {
        report.event(&account.name, Event::Notice(NONE_SELECTED));
        return Ok(Outcome { exit: Exit::InSync, summary: Summary::default() });
    }
    let unknown = job.allowed.unknown(|name| *name == account.mailbox);
    unknown.for_each(|name| report.event(&account.name, Event::Notice(&no_such(name))));
    let begun = Instant::now();
    let mut run = Run {
        job,
        report,
        stop,
        door: Door::new(job, stop),
        counts: Counts::default(),
        fetched: 0,
        held: 0,
        failures: Vec::new(),
        counted: Counted::No,
        deletions: Deletions::Made,
        gone: BTreeSet::new(),
        breaks: Breaks::default(),
    };
    let (mut next_try, mut breaks) = (2, 0);
    loop {
        let before = run.progress();
        let error = match run.attempt() {
            Ok(exit) => return Ok(Outcome { exit, summary: run.summary(begun) }),
            Err(error) => error,
        };
        // A server may hold the maildrop for the session that broke.
        let error = if error.kind() == Kind::TryLater { error.worth_retrying() } else { error };
        let Some(pause) = retry::pause(&error, next_try, run.door.had_session()) else { return Err(error) };
        run.notice(&format!("{error}; trying again"));
        if error.kind() == Kind::Protocol {
            run.door.lock_step();
        }
        breaks += 1;
        if run.progress() == before || breaks >= BREAKS_MOST {
            next_try += 1;
        }
        clock::sleep(pause, stop)?;
    }
}

impl Run<'_> {
    fn summary(&self, begun: Instant) -> Summary {
        let meter = self.door.meter();
        Summary {
            counts: self.counts,
            mailboxes: 1,
            messages: self.held,
            sent: meter.sent(),
            received: meter.received(),
            commands: meter.commands(),
            milliseconds: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// What tells whether a try came further than the one before.
    fn progress(&self) -> (u64, u32) {
        (self.fetched, self.breaks.total())
    }

    fn event(&self, event: Event<'_>) {
        self.report.event(&self.job.account.name, event);
    }

    fn notice(&self, text: &str) {
        self.event(Event::Notice(text));
    }

    /// Enters a failure, once a try.
    fn fail(&mut self, failure: ItemFailure) {
        if !self.failures.contains(&failure) {
            self.event(Event::Failed(&failure));
            self.failures.push(failure);
        }
    }

    /// Goes through as many sessions as it takes.
    fn attempt(&mut self) -> Result<Exit> {
        self.failures.clear();
        let mut ground = Ground::enter(self.job, &mut || self.door.knock())?;
        let mut found = recover::look(self.job.account, &ground, self.stop)?;
        let before = before::read(self.job.account, &found)?;
        let mut nothing_before = before::nothing(self.job.account, &found, &before);
        let age = ground.age;
        if self.job.mode == Mode::Sync {
            recover::record(self.job.account, &mut ground, &found)?;
            // From here on the state knows it.
            found.known.clear();
        }
        if found.ours > 0 {
            let many = found.ours;
            self.notice(&format!("{many} of the tree's files were delivered by earlier runs and are known again"));
        }
        if age == TreeAge::Older {
            self.notice(OLDER);
        }
        let mut exit = Exit::InSync;
        loop {
            let (session, looked) = self.look(&ground, &found.known, &before)?;
            if let Some(text) = nothing_before.take_if(|_| !looked.entries.is_empty()) {
                self.notice(&text);
            }
            if !looked.refusals.is_empty() {
                exit = exit.merge(Exit::Guard);
            }
            if self.job.mode == Mode::DryRun {
                self.show(&looked);
                leave::without_deletions(session);
                return Ok(exit);
            }
            self.tell_unnamed(&looked);
            looked.refusals.iter().for_each(|refusal| self.event(Event::Refused(refusal)));
            if self.visit(&mut ground, session, &looked)? == Next::Done {
                break;
            }
            self.stop.check()?;
        }
        self.end(&mut ground, exit)
    }

    /// Opens a session and plans it.
    fn look(&mut self, ground: &Ground, found: &Known, before: &Fetched) -> Result<(Session, Looked)> {
        let sources = Sources {
            job: self.job,
            store: ground.store.as_ref(),
            state: ground.state.as_ref(),
            found,
            fetched_before: before,
            age: ground.age,
            fetched: self.fetched,
            now: now(),
        };
        let (report, account, place) = (self.report, &self.job.account.name, self.door.place());
        let connected = |session: &Session| {
            report.event(account, Event::Connected { host: &place, tier: &door::tier(session) });
        };
        let (session, mut looked) = look(&sources, &mut self.door, &connected)?;
        let left_out = self.breaks.set_aside(&mut looked, &self.job.account.mailbox);
        left_out.into_iter().for_each(|failure| self.fail(failure));
        looked.notices.iter().for_each(|text| self.notice(text));
        let changed = usize::from(!looked.plan.actions().is_empty());
        self.event(Event::Observed { mailboxes: 1, changed });
        Ok((session, looked))
    }

    /// What the server does not name, nobody can fetch.
    fn tell_unnamed(&mut self, looked: &Looked) {
        if looked.unnamed > 0 {
            let what =
                format!("Lines of the server's list that name no message: {}. Those cannot come", looked.unnamed);
            let error = Error::new(Kind::Protocol, what).hint("Each run asks again; another program may see them.");
            self.fail(ItemFailure::new(&self.job.account.mailbox, Item::Mailbox, &error));
        }
    }

    /// A dry run ends with its plan.
    fn show(&mut self, looked: &Looked) {
        let Looked { plan, refusals, .. } = looked;
        self.event(Event::MaildropPlanned { mailbox: &self.job.account.mailbox, plan, refusals });
        self.held = plan.held.len();
    }

    /// Does what a session can do.
    fn visit(&mut self, ground: &mut Ground, mut session: Session, looked: &Looked) -> Result<Next> {
        let (job, account) = (self.job, self.job.account);
        let plan = &looked.plan;
        if self.counted == Counted::No && !(plan.fetch.is_empty() && plan.delete.is_empty()) {
            ground.count()?;
            self.counted = Counted::Yes;
        }
        let Ground { id, store: Some(store), state: Some(state), .. } = ground else {
            return Err(Error::new(Kind::State, "The account has no tree or no state"));
        };
        let portion = Portion::of(plan, session.capabilities(), self.deletions);
        let delivering = (!portion.fetch.is_empty()).then_some(MaildropFact::Delivering);
        state.record_maildrop(&plan.learned.iter().cloned().chain(delivering).collect::<Vec<_>>())?;
        self.counts.linked += plan.recognised.len();

        let mut landing = Landing::new(job, *id, store, state, looked, self.report)?;
        let fetched = fetch::fetch(&mut session, &portion.fetch, looked, &mut landing, self.stop);
        // Messages that arrived whole are kept even when the connection then broke.
        let landed = landing.end();
        let harvest = landing.harvest();
        self.bring_in(plan, &portion, &harvest);
        if let Some(number) = harvest.broke_at {
            self.breaks.count(looked.item(number));
        }
        fetched.and(landed)?;
        if portion.is_last && looked.is_whole {
            let missed = plan.missed.iter().filter(|(serial, _)| !harvest.found.contains(serial));
            state.record_maildrop(&missed.map(|(_, fact)| fact.clone()).collect::<Vec<_>>())?;
        }

        self.held = plan.held.len() + harvest.delivered;
        let mut refused = Vec::new();
        let going = portion.going(looked, &harvest.due);
        let gone = leave::leave(session, state, &going, now(), |number, error| {
            refused.push(ItemFailure::new(&account.mailbox, looked.item(number), error));
        })?;
        refused.into_iter().for_each(|failure| self.fail(failure));
        let deleted = gone.len() as u64;
        if deleted > 0 {
            let action = &Action::Delete { numbers: gone.keys().copied().collect() };
            self.event(Event::MaildropDone { mailbox: &account.mailbox, action, done: deleted, octets: 0 });
            self.counts.remote.deleted += deleted;
            self.held = self.held.saturating_sub(deleted);
        }
        let again = !gone.values().all(|serial| self.gone.insert(*serial));
        if deleted == 0 || again {
            self.deletions = Deletions::Missing;
        }
        Ok(if portion.is_last { Next::Done } else { Next::AnotherSession })
    }

    /// Counts and tells what a session brought.
    fn bring_in(&mut self, plan: &crate::maildrop::Plan, portion: &Portion, harvest: &Harvest) {
        self.fetched += harvest.delivered;
        self.counts.add(&harvest.counts);
        harvest.failures.iter().for_each(|failure| self.fail(failure.clone()));
        for action in plan.actions() {
            let (done, octets) = match &action {
                Action::Recognise { numbers } => (numbers.len(), 0),
                Action::Download { .. } => (harvest.counts.local.new, harvest.counts.local.octets),
                Action::Compare { .. } => (harvest.compared, 0),
                Action::Leave { numbers, .. } if portion.is_last => (numbers.len(), 0),
                // That is told when the server has said so, this when nothing else is left.
                Action::Delete { .. } | Action::Leave { .. } => continue,
            };
            let mailbox = &self.job.account.mailbox;
            self.event(Event::MaildropDone { mailbox, action: &action, done, octets });
        }
    }

    /// Writes down how it ended.
    fn end(&mut self, ground: &mut Ground, exit: Exit) -> Result<Exit> {
        let changed = self.counts != Counts::default();
        self.counts.failed = self.failures.len() as u64;
        if let Some(state) = &mut ground.state {
            state.replace_failures(&self.failures, &|_| true, now())?;
        }
        let exit = if self.failures.is_empty() { exit } else { exit.merge(Exit::SomeFailed) };
        if self.counts != Counts::default() {
            self.event(Event::MailboxDone { mailbox: &self.job.account.mailbox, counts: self.counts });
        }
        if changed {
            ground.count()?;
        }
        Ok(exit)
    }
}
