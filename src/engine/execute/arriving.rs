//! What is about to come to the tree is on record before the first file of it is in place.
//!
//! A file that a run could not record any more is linked by the next one, unless its message has gone from the server by
//! then: that it is no new file of somebody here, only this record tells ([`crate::reconcile::arrived`]).

use std::collections::BTreeMap;

use super::World;
use crate::engine::ledger::Ledger;
use crate::engine::{clock, settle};
use crate::error::Result;
use crate::mail::{Fact, MailboxName, UidSet};
use crate::reconcile::arrived::brought;
use crate::reconcile::{Plan, sent};

/// Enters the links of what earlier runs brought, here or there, and could not record.
pub fn remember(world: &World<'_>, ledger: &mut Ledger<'_>) -> Result<()> {
    for (name, uids) in world.seen.arrived.links.iter().chain(&world.seen.sent) {
        for uid in uids.iter() {
            let Some(link) = ledger.link(name, uid).cloned() else { continue };
            ledger.link_file(name, link, UidSet::new())?;
        }
    }
    Ok(())
}

/// Drops what was to be sent out of a mailbox that is done, and is neither here nor there: no server is still at it.
pub fn forget_sent(world: &World<'_>, ledger: &mut Ledger<'_>, name: &MailboxName) -> Result<()> {
    let Some(intents) = world.seen.intents.get(name) else { return Ok(()) };
    if !settle::is_long_ago(ledger.state().sending_since()?, clock::now()) {
        return Ok(());
    }
    let Some(mailbox) = ledger.mailbox(name) else { return Ok(()) };
    let gone: Vec<Fact> = sent::gone(name, mailbox, intents, &world.seen.local)
        .map(|i| Fact::Settled(mailbox.id, i.file.clone()))
        .collect();
    gone.into_iter().try_for_each(|fact| ledger.enter(name, fact))
}

/// Enters what the plan brings to the tree; the caller records it.
pub fn expect(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &Plan) -> Result<()> {
    for (name, uids) in brought(plan) {
        if let Some(id) = world.seen.ids.get(name).filter(|_| !ledger.is_broken(name)) {
            ledger.enter(name, Fact::Arriving(*id, uids))?;
        }
    }
    Ok(())
}

/// Enters what is still open of what was to come to a mailbox at the end of a run: nothing where all of it was processed,
/// else what may be there without a link.
pub fn settle(world: &World<'_>, ledger: &mut Ledger<'_>, name: &MailboxName, brought: Option<&UidSet>) -> Result<()> {
    let Some(id) = world.seen.ids.get(name).copied() else { return Ok(()) };
    let before = world.seen.arrived.open.get(&id);
    if before.is_none() && brought.is_none() {
        return Ok(());
    }
    let mut facts = vec![(name, Fact::Arrived(id))];
    if ledger.is_held(name) {
        let links = ledger.mailbox(name).and_then(|mailbox| mailbox.links.as_ref());
        let linked: UidSet = links.into_iter().flat_map(BTreeMap::keys).copied().collect();
        facts.push((name, Fact::Arriving(id, UidSet::union(before.into_iter().chain(brought)).without(&linked))));
    }
    ledger.enter_together(facts)
}
