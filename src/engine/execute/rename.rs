//! Mailboxes get the name that they have on the other side: before anything else, since everything goes by the new names.

use std::collections::{BTreeMap, BTreeSet};

use super::mailboxes::on_session;
use super::{World, actions, item_failed};
use crate::engine::ledger::Ledger;
use crate::error::{Error, Item, Kind, Result, Retry};
use crate::local::Layout;
use crate::mail::{Fact, MailboxName};
use crate::reconcile::guard::ApprovedPlan;
use crate::reconcile::renames::ring_of;
use crate::reconcile::{Action, Phase, Renamed, Side};

/// Renames mailboxes; one that cannot be renamed is left alone for this run.
pub fn run(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &ApprovedPlan) -> Result<()> {
    let mut work = Work { world, done: BTreeSet::new(), places: BTreeMap::new() };
    let mut facts = Vec::new();
    let place = |(to, _): &(&MailboxName, &Action)| world.seen.names.renamed.iter().position(|r| r.to == **to);
    let mut planned = actions(plan, Phase::RenameMailboxes, ledger);
    planned.sort_by_key(place);
    for (to, action) in planned {
        world.stop.check()?;
        let Action::RenameMailbox { side, from } = action else { continue };
        let outcome = match side {
            None => Ok(None),
            Some(Side::Local) => work.in_tree(from, to),
            Some(Side::Remote) => work.on_server(from, to).map(|()| None),
        };
        match outcome {
            Ok(changed_places) => {
                work.done.insert((from.clone(), to.clone()));
                facts.extend(world.seen.replaced.get(to).map(|id| Fact::MailboxForgotten(*id)));
                facts.extend(ledger.id(to).map(|id| Fact::MailboxRenamed(id, to.clone())));
                if let Some((other, place)) = changed_places {
                    facts.extend(ledger.id(&other).map(|id| Fact::MailboxRenamed(id, place)));
                    ledger.enter_names(std::mem::take(&mut facts))?;
                }
                ledger.done(to, action, 1, 0);
            }
            Err(error) if error.retry() == Retry::Worthwhile => {
                ledger.enter_names(facts)?;
                return Err(error.at(to));
            }
            Err(error) => {
                item_failed(ledger, to, Item::Mailbox, error)?;
                ledger.break_off(to);
            }
        }
    }
    ledger.enter_names(facts)
}

struct Work<'w, 'a> {
    world: &'w World<'a>,
    done: BTreeSet<(MailboxName, MailboxName)>,
    /// Directories that had to make room, by the mailbox's old name: where they are.
    places: BTreeMap<MailboxName, MailboxName>,
}

impl Work<'_, '_> {
    /// Renames the directory. Gives the mailbox, by its new name, that this one changed places with, and where it is now:
    /// the state must know before the next of a ring.
    fn in_tree(&mut self, from: &MailboxName, to: &MailboxName) -> Result<Option<(MailboxName, MailboxName)>> {
        let store = self.world.store;
        let nested = self.world.account.local.layout == Layout::Nested;
        let place = self.places.get(from).unwrap_or(from).clone();
        if place == *to || nested && self.came_along(from, to) {
            return Ok(None);
        }
        let renamed = &self.world.seen.names.renamed;
        let in_the_way =
            |r: &&Renamed| r.follows == Some(Side::Local) && *self.places.get(&r.from).unwrap_or(&r.from) == *to;
        let is_open = |r: &&Renamed| !self.done.contains(&(r.from.clone(), r.to.clone()));
        let Some(other) = renamed.iter().filter(in_the_way).find(is_open) else {
            return store.rename_mailbox(&place, to).map(|()| None);
        };
        if !ring_of(other, renamed).iter().any(|r| r.from == *from) {
            let why = "The mailbox that has its new name could not be renamed";
            return Err(Error::new(Kind::LocalTree, why));
        }
        store.swap_mailboxes(&place, to)?;
        self.places.insert(other.from.clone(), place.clone());
        Ok(Some((other.to.clone(), place)))
    }

    fn on_server(&self, from: &MailboxName, to: &MailboxName) -> Result<()> {
        if self.came_along(from, to) {
            return Ok(());
        }
        let former = self.world.seen.directory.former.get(to);
        let former = former.ok_or_else(|| Error::new(Kind::State, "The mailbox's name on the server is not known"))?;
        on_session(self.world, |session| session.rename(former, &self.world.wire(to)?))
    }

    /// Whether a mailbox above it was renamed likewise, and has taken it along.
    fn came_along(&self, from: &MailboxName, to: &MailboxName) -> bool {
        self.done.iter().any(|(above, now)| {
            let below = |name: &MailboxName, of: &MailboxName| {
                name.is_below(of).then(|| name.path().get(of.path().len()..).map(str::to_owned)).flatten()
            };
            below(from, above).is_some_and(|rest| below(to, now) == Some(rest))
        })
    }
}
