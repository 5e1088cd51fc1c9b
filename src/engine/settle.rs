//! Waits for APPENDs of a run that broke off.
//!
//! A killed run leaves octets on their way: in our kernel's buffers, on the line, in the server's. The server goes on
//! storing what it has received, also while the next run already looks. So a file with an open intent that is not found
//! on the server may still turn up there; before it is sent again, the mailbox has to have been quiet for a while.

use std::time::{Duration, Instant};

use super::clock;
use super::observe::Observation;
use crate::error::Result;
use crate::mail::MailboxName;
use crate::reconcile::{Action, Here, Plan, Relocation};
use crate::remote::imap::{Session, WireName};
use crate::stop::Stop;

/// How long nothing may have arrived.
const QUIET: Duration = Duration::from_secs(2);
/// How often to look.
const STEP: Duration = Duration::from_millis(250);
/// How long to wait altogether: others may keep a mailbox busy for ever.
const LIMIT: Duration = Duration::from_secs(20);

/// The mailboxes in which the plan sends a file whose last sending has an unknown outcome.
pub fn unsettled<'p>(plan: &'p Plan, seen: &Observation<'_>) -> Vec<&'p MailboxName> {
    let open = |(name, actions): (&'p MailboxName, &'p Vec<Action>)| {
        let intents = seen.intents.get(name)?;
        let sends = |action: &Action| match action {
            Action::Upload { file, .. }
            | Action::Move(Relocation { here: Here::File(file), .. })
            | Action::Copy(Relocation { here: Here::File(file), .. }) => intents.iter().any(|i| i.file == *file),
            _ => false,
        };
        actions.iter().any(sends).then_some(name)
    };
    plan.mailboxes.iter().filter_map(open).collect()
}

/// Waits until `mailboxes` have been quiet.
pub fn wait(session: &mut Session, mailboxes: &[WireName], stop: &Stop) -> Result<()> {
    let wires: Vec<&WireName> = mailboxes.iter().collect();
    let begun = Instant::now();
    let (mut since, mut last) = (begun, None);
    while since.elapsed() < QUIET && begun.elapsed() < LIMIT {
        let now: Vec<_> =
            session.status(&wires)?.into_iter().map(|s| s.ok().map(|s| (s.messages, s.uid_next))).collect();
        if last.as_ref() != Some(&now) {
            since = Instant::now();
            last = Some(now);
        }
        clock::sleep(STEP, stop)?;
    }
    Ok(())
}
