//! Mailboxes get the name that they have on the other side: before anything else, since everything goes by the new names.

use std::collections::BTreeMap;

use super::download::is_refusal;
use super::mailboxes::on_session;
use super::{World, actions, item_failed};
use crate::engine::ledger::Ledger;
use crate::error::{Error, Item, Kind, Result, Retry};
use crate::local::Layout;
use crate::mail::{Fact, MailboxName};
use crate::reconcile::guard::ApprovedPlan;
use crate::reconcile::renames::{is_along, ring_of};
use crate::reconcile::{Phase, Renamed, Side};
use crate::remote::imap::{Session, WireName};

/// Renames mailboxes; one that cannot be renamed is left alone for this run.
pub fn run(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &ApprovedPlan) -> Result<()> {
    let all = &world.seen.names.renamed;
    let mut work = Work { world, done: Vec::new(), failed: Vec::new(), places: BTreeMap::new() };
    let mut facts = Vec::new();
    let planned: BTreeMap<_, _> = actions(plan, Phase::RenameMailboxes, ledger).into_iter().collect();
    for (r, action) in all.iter().filter_map(|r| Some((r, *planned.get(&r.to)?))) {
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
    /// Mailboxes that had to make room, or got their name along with the first of a ring, by the old one: where they are.
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
            Some(Side::Remote) => self.on_server(r, &ring).map(|()| None),
            _ => self.in_tree(r, &ring),
        }
    }

    fn in_tree(&mut self, r: &'w Renamed, ring: &[&'w Renamed]) -> Result<ChangedPlaces<'w>> {
        let store = self.world.store;
        let place_of = |r: &'w Renamed| self.places.get(&r.from).unwrap_or(&r.from);
        let place = place_of(r).clone();
        let is_in_the_way = |other: &&'w Renamed| *place_of(other) == r.to && !self.done.contains(other);
        match ring.iter().copied().find(is_in_the_way) {
            _ if place == r.to => Ok(None),
            None => store.rename_mailbox(&place, &r.to).map(|()| None),
            Some(other) => {
                store.swap_mailboxes(&place, &r.to)?;
                self.places.insert(&other.from, place.clone());
                Ok(Some((other, place)))
            }
        }
    }

    /// Renames the mailbox, or all of a ring: no reply is worth a record as long as one of them stands aside.
    fn on_server(&mut self, r: &'w Renamed, ring: &[&'w Renamed]) -> Result<()> {
        let (world, directory) = (self.world, &self.world.seen.directory);
        let former = |r: &Renamed| {
            let former = directory.former.get(&r.to).cloned();
            former.ok_or_else(|| Error::new(Kind::State, "The mailbox's name on the server is not known"))
        };
        if self.places.contains_key(&r.from) {
            return Ok(());
        }
        let Some((_, others)) = ring.split_first() else {
            let (from, to) = (former(r)?, world.wire(&r.to)?);
            return on_session(world, |session| session.rename(&from, &to));
        };
        let aside = MailboxName::aside(|name| world.seen.remote.mailboxes.contains_key(name));
        let aside = world.wire(&aside)?;
        let mut steps = vec![(former(r)?, aside.clone())];
        for other in others.iter().rev() {
            steps.push((former(other)?, world.wire(&other.to)?));
        }
        steps.push((aside, world.wire(&r.to)?));
        on_session(world, |session| all_or_none(session, &steps))?;
        self.places.extend(others.iter().map(|other| (&other.from, other.to.clone())));
        Ok(())
    }
}

/// Renames one after another; when one is refused, those before it get their names back, as far as the server lets them.
fn all_or_none(session: &mut Session, steps: &[(WireName, WireName)]) -> Result<()> {
    for (done, (from, to)) in steps.iter().enumerate() {
        if let Err(error) = session.rename(from, to) {
            let before = steps.iter().take(done).rev();
            let _ = before.filter(|_| is_refusal(&error)).try_for_each(|(from, to)| session.rename(to, from));
            return Err(error);
        }
    }
    Ok(())
}
