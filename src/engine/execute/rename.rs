//! Mailboxes get the name that they have on the other side: before anything else, since everything goes by the new names.

use std::collections::BTreeSet;

use super::mailboxes::on_session;
use super::{World, actions, item_failed};
use crate::engine::ledger::Ledger;
use crate::error::{Error, Item, Kind, Result, Retry};
use crate::local::Layout;
use crate::mail::{Fact, MailboxName};
use crate::reconcile::guard::ApprovedPlan;
use crate::reconcile::{Action, Phase, Side};

/// Renames mailboxes; one that cannot be renamed is left alone for this run.
pub fn run(world: &World<'_>, ledger: &mut Ledger<'_>, plan: &ApprovedPlan) -> Result<()> {
    let mut work = Work { world, done: BTreeSet::new() };
    let mut facts = Vec::new();
    let place = |(to, _): &(&MailboxName, &Action)| world.seen.names.renamed.iter().position(|r| r.to == **to);
    let mut planned = actions(plan, Phase::RenameMailboxes, ledger);
    planned.sort_by_key(place);
    for (to, action) in planned {
        world.stop.check()?;
        let Action::RenameMailbox { side, from } = action else { continue };
        let outcome = match side {
            None => Ok(()),
            Some(Side::Local) => work.in_tree(from, to),
            Some(Side::Remote) => work.on_server(from, to),
        };
        match outcome {
            Ok(()) => {
                work.done.insert((from.clone(), to.clone()));
                facts.extend(world.seen.replaced.get(to).map(|id| Fact::MailboxForgotten(*id)));
                facts.extend(ledger.id(to).map(|id| Fact::MailboxRenamed(id, to.clone())));
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
}

impl Work<'_, '_> {
    fn in_tree(&self, from: &MailboxName, to: &MailboxName) -> Result<()> {
        let nested = self.world.account.local.layout == Layout::Nested;
        let swapped = |r: &crate::reconcile::Renamed| r.from == *to && r.to == *from;
        match self.world.seen.names.renamed.iter().any(swapped) {
            _ if nested && self.came_along(from, to) => Ok(()),
            true if self.done.contains(&(to.clone(), from.clone())) => Ok(()),
            true => self.world.store.swap_mailboxes(from, to),
            false => self.world.store.rename_mailbox(from, to),
        }
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
