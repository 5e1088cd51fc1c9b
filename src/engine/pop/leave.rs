//! Leaving a session: DELE, QUIT, and what is known then.

use std::collections::{BTreeMap, BTreeSet};

use super::look::Looked;
use crate::error::{Error, Result};
use crate::mail::{KnownMessage, MaildropFact, MessageNumber, Serial, ServerCopy, UnixSeconds};
use crate::maildrop::{Fetch, Plan};
use crate::remote::pop3::{Capabilities, Session};
use crate::state::State;

/// How many messages a session deletes: what a line that breaks before QUIT costs is to mark them again.
const PORTION: usize = 1000;

/// What the server makes of deletions, as far as the run has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deletions {
    /// It makes them.
    Made,
    /// There was a session without any, or it lists again what it has confirmed as deleted.
    Missing,
}

/// What of a plan a session does.
pub(super) struct Portion {
    /// What it fetches.
    pub fetch: Vec<Fetch>,
    /// What it deletes of what was there.
    delete: BTreeMap<MessageNumber, Serial>,
    /// Whether nothing is left for another session.
    pub is_last: bool,
}

impl Portion {
    /// As much as one session should delete. A server that wants time between two logins gets everything in one, and
    /// so does one that does not delete: no portion would be the last.
    pub(super) fn of(plan: &Plan, capabilities: &Capabilities, deletions: Deletions) -> Portion {
        let waits = capabilities.login_delay().is_some_and(|delay| !delay.is_zero());
        let most = match deletions {
            Deletions::Made if !waits => PORTION,
            Deletions::Made | Deletions::Missing => usize::MAX,
        };
        let delete: BTreeMap<_, _> = plan.delete.iter().take(most).map(|(number, serial)| (*number, *serial)).collect();
        let mut room = most - delete.len();
        let mut fetch = Vec::new();
        for one in &plan.fetch {
            if one.due && room == 0 {
                break;
            }
            room -= usize::from(one.due);
            fetch.push(*one);
        }
        let is_last = delete.len() == plan.delete.len() && fetch.len() == plan.fetch.len();
        Portion { fetch, delete, is_last }
    }

    /// Everything that goes, with what is recorded of it.
    pub(super) fn going(
        &self,
        looked: &Looked,
        due: &BTreeMap<MessageNumber, (Serial, KnownMessage)>,
    ) -> BTreeMap<MessageNumber, (Serial, KnownMessage)> {
        let mut going = due.clone();
        let learned: BTreeMap<Serial, &KnownMessage> = looked
            .plan
            .learned
            .iter()
            .filter_map(|fact| match fact {
                MaildropFact::Known(serial, known) => Some((*serial, known)),
                _ => None,
            })
            .collect();
        for (number, serial) in &self.delete {
            let known = learned.get(serial).copied().or_else(|| looked.known.get(serial));
            going.extend(known.map(|known| (*number, (*serial, known.clone()))));
        }
        going
    }
}

/// Deletes messages and ends the session; which are deleted, by number. What the server will not delete is told to `refused`.
pub(super) fn leave(
    mut session: Session,
    state: &mut State,
    going: &BTreeMap<MessageNumber, (Serial, KnownMessage)>,
    now: UnixSeconds,
    mut refused: impl FnMut(MessageNumber, &Error),
) -> Result<BTreeMap<MessageNumber, Serial>> {
    if going.is_empty() {
        without_deletions(session);
        return Ok(BTreeMap::new());
    }
    let numbers: Vec<MessageNumber> = going.keys().copied().collect();
    let mut marked = BTreeSet::new();
    for (number, outcome) in session.delete(&numbers)? {
        match outcome {
            Ok(()) => drop(marked.insert(number)),
            Err(error) => refused(number, &error),
        }
    }
    let facts = |copy: ServerCopy| -> Vec<MaildropFact> {
        let marked = going.iter().filter(|(number, _)| marked.contains(number));
        marked
            .map(|(_, (serial, known))| MaildropFact::Known(*serial, KnownMessage { copy, ..known.clone() }))
            .collect()
    };
    // From here on the server may have deleted them, whether we hear of it or not.
    state.record_maildrop(&facts(ServerCopy::Unknown))?;
    session.quit()?;
    state.record_maildrop(&facts(ServerCopy::Deleted(now)))?;
    Ok(marked.into_iter().filter_map(|number| Some((number, going.get(&number)?.0))).collect())
}

/// Ends a session that deletes nothing; then it does not matter what the server says to that, and nobody waits for it.
pub(super) fn without_deletions(session: Session) {
    session.leave();
}
