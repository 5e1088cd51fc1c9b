//! Mailboxes get the name that they have on the other side: before anything else, since everything goes by the new names.

use std::collections::BTreeMap;

use super::mailboxes::on_session;
use super::{World, actions, item_failed};
use crate::engine::ledger::Ledger;
use crate::error::{Error, Item, Kind, Result, Retry};
use crate::local::Layout;
use crate::mail::{Fact, MailboxName};
use crate::reconcile::guard::ApprovedPlan;
use crate::reconcile::renames::{is_along, ring_of};
use crate::reconcile::{Phase, Renamed, Side};

/// Renames mailboxes; one that cannot be renamed is left alone for this run.
pub fn run(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &ApprovedPlan) -> Result<()> {
    let all = &world.seen.names.renamed;
    let mut work = Work { world, done: Vec::new(), failed: Vec::new(), places: BTreeMap::new() };
    let mut facts = Vec::new();
    let planned = actions(plan, Phase::RenameMailboxes, ledger);
    let action_of = |r: &Renamed| planned.iter().find(|(to, _)| **to == r.to).map(|(_, action)| *action);
    for (r, action) in all.iter().filter_map(|r| Some((r, action_of(r)?))) {
        world.stop.check()?;
        match work.rename(r) {
            Ok(changed_places) => {
                work.done.push(r);
                facts.extend(world.seen.replaced.get(&r.to).map(|id| Fact::MailboxForgotten(*id)));
                facts.extend(ledger.id(&r.to).map(|id| Fact::MailboxRenamed(id, r.to.clone())));
                if let Some((other, place)) = changed_places {
                    facts.extend(ledger.id(&other.to).map(|id| Fact::MailboxRenamed(id, place)));
                    ledger.enter_names(std::mem::take(&mut facts))?;
                }
                ledger.done(&r.to, action, 1, 0);
            }
            Err(error) if error.retry() == Retry::Worthwhile => {
                ledger.enter_names(facts)?;
                return Err(error.at(&r.to));
            }
            Err(error) => {
                work.failed.push(r);
                item_failed(ledger, &r.to, Item::Mailbox, error)?;
                ledger.break_off(&r.to);
            }
        }
    }
    ledger.enter_names(facts)
}

/// A mailbox that changed places with another one, and where it is now; the state must know before the next of a ring.
type ChangedPlaces<'w> = Option<(&'w Renamed, MailboxName)>;

struct Work<'w, 'a> {
    world: &'w World<'a>,
    done: Vec<&'w Renamed>,
    /// What became of these is not known: an error may have come after the deed.
    failed: Vec<&'w Renamed>,
    /// Directories that had to make room, by the mailbox's old name: where they are.
    places: BTreeMap<&'w MailboxName, MailboxName>,
}

impl<'w> Work<'w, '_> {
    fn rename(&mut self, r: &'w Renamed) -> Result<ChangedPlaces<'w>> {
        let takes_along = match r.follows {
            None => return Ok(None),
            Some(Side::Local) => self.world.account.local.layout == Layout::Nested,
            Some(Side::Remote) => true,
        };
        let is_with = |above: &&Renamed| above.follows == r.follows && takes_along && is_along(above, &r.from, &r.to);
        let ring = ring_of(r, &self.world.seen.names.renamed);
        let is_needed = |other: &&Renamed| ring.contains(other) || other.from == r.to && other.follows == r.follows;
        if self.failed.iter().any(|failed| is_with(failed) || is_needed(failed)) {
            return Err(Error::new(
                Kind::Refused,
                "It gets its new name with another mailbox, which could not be renamed",
            ));
        }
        match r.follows {
            _ if self.done.iter().any(is_with) => Ok(None),
            Some(Side::Remote) => self.on_server(r).map(|()| None),
            _ => self.in_tree(r, &ring),
        }
    }

    fn in_tree(&mut self, r: &'w Renamed, ring: &[&'w Renamed]) -> Result<ChangedPlaces<'w>> {
        let store = self.world.store;
        let place_of = |r: &'w Renamed| self.places.get(&r.from).unwrap_or(&r.from);
        let place = place_of(r).clone();
        let in_the_way = ring.iter().copied().find(|other| *other != r && *place_of(other) == r.to);
        match in_the_way.filter(|other| !self.done.contains(other)) {
            _ if place == r.to => Ok(None),
            None => store.rename_mailbox(&place, &r.to).map(|()| None),
            Some(other) => {
                store.swap_mailboxes(&place, &r.to)?;
                self.places.insert(&other.from, place.clone());
                Ok(Some((other, place)))
            }
        }
    }

    fn on_server(&self, r: &Renamed) -> Result<()> {
        let former = self.world.seen.directory.former.get(&r.to);
        let former = former.ok_or_else(|| Error::new(Kind::State, "The mailbox's name on the server is not known"))?;
        on_session(self.world, |session| session.rename(former, &self.world.wire(&r.to)?))
    }
}
