//! Looks at both sides of all selected mailboxes, at the least cost the server allows, before anything is decided.
//!
//! The tree is scanned while the connection is being opened. Links are read only for mailboxes that moved on either
//! side, so an account in which nothing changed costs one round trip, two `stat`s a mailbox, and no row of the state
//! a message; and of these only what the plan may have to speak of stays in memory ([`this_side`]).

mod again;
mod elsewhere;
pub mod local;
mod mend;
pub mod names;
mod outside;
mod put_back;
pub mod remote;
mod renames;
mod replaced;
pub mod same;
mod this_side;
mod twice;

use std::collections::{BTreeMap, BTreeSet};

pub use local::Changes;
use names::Directory;
use this_side::ThisSide;

use super::pool::Pool;
use super::settings;
use crate::config::ImapAccount;
use crate::error::{Error, ItemFailure, Kind, Result};
use crate::local::Store;
use crate::mail::{
    AccountId, Base, BaseMailbox, Intent, LocalCheckpoint, MailboxId, MailboxName, RemoteCheckpoint, UidSet,
};
use crate::reconcile::alike::Dates;
use crate::reconcile::arrived::{self, Arrived};
use crate::reconcile::view::{Direction, Keywords, LocalView, MailboxIds, RemoteMailbox, RemoteView, TreeAge};
use crate::reconcile::{Names, Relatives, sent};
use crate::remote::imap::Session;
use crate::state::State;
use crate::stop::Stop;

/// So many new messages are worth another connection, whatever their size.
const WORTH_A_CONNECTION: usize = 2000;

/// Where the observation gets its knowledge from.
pub struct Sources<'s, 'a> {
    /// The account's settings.
    pub account: &'a ImapAccount,
    /// Its id.
    pub id: AccountId,
    /// The tree; `None` when a dry run finds none.
    pub store: Option<&'s Store>,
    /// The state; `None` when a dry run finds none.
    pub state: Option<&'s State>,
    /// The connections.
    pub pool: &'s Pool<'s>,
    /// Told once a session stands.
    pub connected: &'s (dyn Fn(&Session) + Sync),
    /// Whether the tree may be mended.
    pub changes: Changes,
    /// Whether the tree is the one that the last run left.
    pub age: TreeAge,
    /// Whether what is known is of another server.
    pub is_another: bool,
    /// When to stop.
    pub stop: &'s Stop,
}

/// Everything a plan is made from, and what to record when it has been carried out.
pub struct Observation<'a> {
    /// What both sides had agreed on; links of moved mailboxes are in it.
    pub base: Base,
    /// The tree.
    pub local: LocalView,
    /// The account.
    pub remote: RemoteView,
    /// The mailboxes' numbers.
    pub ids: MailboxIds,
    /// Uploads whose outcome is unknown.
    pub intents: BTreeMap<MailboxName, Vec<Intent>>,
    /// What came to the tree without being recorded.
    pub arrived: Arrived,
    /// What came to the server without being recorded, and has no file any more: it has a link now.
    pub sent: BTreeMap<MailboxName, UidSet>,
    /// Links of mailboxes that did not move on, and that something new elsewhere may be.
    pub relatives: Relatives,
    /// Mailboxes that have another name now; everything here goes by it, as far as the other side can follow.
    pub names: Names,
    /// Mailboxes that were known by a name that another one has now, and are gone, by that name.
    pub replaced: BTreeMap<MailboxName, MailboxId>,
    /// What the server calls the mailboxes.
    pub directory: Directory<'a>,
    /// Local checkpoints of what was read.
    pub local_checks: BTreeMap<MailboxName, LocalCheckpoint>,
    /// Remote checkpoints of what was read.
    pub remote_checks: BTreeMap<MailboxName, RemoteCheckpoint>,
    /// How many messages had several files in the tree, under one unique part, and count as one.
    pub merged: usize,
    /// What could not be observed.
    pub failures: Vec<ItemFailure>,
    /// How many mailboxes there are, and how many moved on.
    pub mailboxes: (usize, usize),
}

/// Observes both sides.
pub fn observe<'a>(sources: &Sources<'_, 'a>) -> Result<Observation<'a>> {
    let account = sources.account;
    let selects = |name: &MailboxName| account.mailboxes.selects(name);
    let mut base = sources.state.map(|s| s.base(&selects)).transpose()?.unwrap_or_default();
    if sources.is_another {
        base.values_mut()
            .for_each(|known| *known = BaseMailbox { links: Some(BTreeMap::new()), ..BaseMailbox::new(known.id) });
    }
    let under = |state: &State| state.was_checked_under(&settings::words(account));
    // A copy that was put back may have the times that a checkpoint knows, and be another tree.
    let as_checked = sources.state.map(under).transpose()?.unwrap_or(true) && sources.age == TreeAge::AsLeft;
    if !as_checked {
        base.values_mut().for_each(BaseMailbox::look_again);
    }
    let mends = if account.direction == Direction::Push { Changes::Forbidden } else { sources.changes };
    let mut here = ThisSide::new(sources.state, account.keywords, mends, base);
    let (mut session, mut directory) = both_at_once(sources, &mut here)?;
    must_list_something(&directory, &here.base)?;

    let moved_remotely = remote::moved_on(&directory, &here.base);
    let mut moved = moved_anywhere(&here, &directory, &moved_remotely);
    for name in &moved {
        here.read(name)?;
    }
    let ahead = match sources.changes {
        Changes::Allowed if account.direction != Direction::Push => {
            remote::new_messages(&directory, &moved_remotely, &here.base, &here.local)
        }
        Changes::Allowed | Changes::Forbidden => 0,
    };
    let mut seen = std::thread::scope(|scope| {
        let pool = sources.pool;
        // Some stand already by the time it is known what there is to fetch.
        (1..pool.width(1 + ahead / WORTH_A_CONNECTION, ahead)).for_each(|_| drop(scope.spawn(|| pool.open_ahead())));
        remote::look(&mut session, &directory, &moved_remotely, &mut here, account.direction)
    })?;
    put_back::look(&mut session, &directory, account.direction, &mut here, &mut seen)?;
    moved.extend(twice::look(&mut session, &directory, account, &mut here, &mut seen)?);
    renames::wait_for_left_out(account, sources.state, &here.base, &mut seen, &directory)?;
    let names = renames::look(&here.base, &here.local, &seen, account.direction, sources.age);
    let replaced = renames::apply(&names.renamed, &mut here, &mut seen, &mut directory);
    let older = sources.state.map(|state| replaced::look(state, &account.name, &here)).unwrap_or_default();
    let mut reset = seen.view.reset(&here.base);
    reset.retain(|name| !names.left.contains(name));
    if let Some(store) = sources.store {
        let mut again = again::to_read(account, &here.base, &seen.view, &reset);
        // What was left out of a listing is to be examined where no link counts any more.
        again.retain(|name| here.local.is_unchanged(name) || reset.contains(name) && here.local.was_relisted(name));
        for name in &again {
            here.read_all(name, &mut seen.view)?;
            here.scan(store, name, None)?;
        }
    }
    let (local_checks, merged) = (here.local.checkpoints(), here.local.merged);
    let (mut local_view, mut failures) = match sources.store {
        Some(store) => std::mem::take(&mut here.local).into_view(store, &here.base, &reset, sources.stop)?,
        None => Default::default(),
    };
    local_view.replaced = older;
    if let Some(store) = sources.store.filter(|_| account.direction != Direction::Pull) {
        let leaves_out = |name: &MailboxName| account.mailboxes.leaves_out(name);
        let trash = directory.trash.as_ref();
        local_view.outside = outside::look(store, &here.base, &local_view, &leaves_out, trash, sources.stop)?;
    }
    failures.append(&mut seen.failures);
    let ids = number(sources.state, &here.base, &local_view, &seen.view)?;
    let arrived = match sources.state.filter(|_| account.direction != Direction::Push) {
        Some(state) => {
            let (account, intents) = (sources.id, &here.intents);
            let found = arrived::Seen { account, remote: &seen.view, intents, left: &names.left, reset: &reset };
            arrived::look(state.arriving()?, &found, &mut here.base, &mut local_view)
        }
        None => Arrived::default(),
    };
    let relatives = elsewhere::relatives(&mut here, &mut local_view, &mut seen.view)?;
    let ThisSide { mut base, intents, .. } = here;
    elsewhere::identify(&mut session, &directory, &base, &relatives, &mut seen.view)?;
    let none = BTreeMap::new();
    for (name, mailbox) in &mut seen.view.mailboxes {
        let RemoteMailbox::Observed(listing) = mailbox else { continue };
        if names.left.contains(name) {
            continue;
        }
        let links = base.get(name).and_then(|m| m.links.as_ref()).filter(|_| !reset.contains(name));
        let candidates = same::Candidates {
            account: sources.id,
            // What a name says of a UID that was given out again is about another message.
            id: ids.get(name).copied().filter(|_| !base.get(name).is_some_and(BaseMailbox::was_put_back)),
            links: links.unwrap_or(&none),
            intents: intents.get(name).map_or(&[], Vec::as_slice),
            dates: Dates::of(base.get(name), Some(listing.uid_validity)),
            direction: account.direction,
        };
        same::look(&mut session, &directory, name, &local_view, listing, &candidates)?;
    }
    let found =
        arrived::Seen { account: sources.id, remote: &seen.view, intents: &intents, left: &names.left, reset: &reset };
    let sent = match account.direction {
        Direction::Both | Direction::Push => sent::look(&found, &mut base, &local_view),
        Direction::Pull => BTreeMap::new(),
    };
    sources.pool.give(session);
    directory.settle()?;
    let all: BTreeSet<&MailboxName> = local_view.mailboxes.keys().chain(seen.view.mailboxes.keys()).collect();
    let mailboxes = (all.len(), moved.len());
    Ok(Observation {
        base,
        local: local_view,
        remote: seen.view,
        ids,
        intents,
        arrived,
        sent,
        relatives,
        names,
        replaced,
        directory,
        local_checks,
        remote_checks: seen.checkpoints,
        merged,
        failures,
        mailboxes,
    })
}

/// Opens the session and lists the account on one thread while this one scans the tree, and reads what changed in it.
fn both_at_once<'a>(sources: &Sources<'_, 'a>, here: &mut ThisSide<'_>) -> Result<(Session, Directory<'a>)> {
    let account = sources.account;
    std::thread::scope(|scope| {
        let remote = scope.spawn(|| {
            let mut session = sources.pool.take()?;
            (sources.connected)(&session);
            let listing = session.list()?;
            Ok((session, Directory::new(account, listing)))
        });
        let local = match sources.store {
            Some(store) => look_at_tree(sources, store, here),
            None => Ok(()),
        };
        let remote = remote.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        remote.and_then(|remote| local.map(|()| remote))
    })
}

fn look_at_tree(sources: &Sources<'_, '_>, store: &Store, here: &mut ThisSide<'_>) -> Result<()> {
    let selects = |name: &MailboxName| sources.account.mailboxes.selects(name);
    local::scan_all(store, here, &selects, sources.changes, sources.stop)?;
    here.local.read_ahead(store, &here.base, sources.stop)?;
    match sources.account.keywords {
        Keywords::Synced => mend::letters(store, here),
        Keywords::Ignored => Ok(()),
    }
}

/// A server that lists nothing at all has lost its mind or our rights; nothing is concluded from that.
fn must_list_something(directory: &Directory<'_>, base: &Base) -> Result<()> {
    let knew = base.values().any(|m| m.remote.is_some());
    if directory.is_blank() && knew {
        return Err(Error::new(Kind::Refused, "The server lists none of the mailboxes it had before; nothing was changed")
            .hint("Try `mailtide mailboxes` to see what it lists; if the mail is really gone there, move the local tree and its state away to start anew."));
    }
    Ok(())
}

/// Mailboxes that changed on either side, or that one side lacks.
fn moved_anywhere(
    ThisSide { base, local, .. }: &ThisSide<'_>,
    directory: &Directory<'_>,
    moved: &[MailboxName],
) -> BTreeSet<MailboxName> {
    let mut all: BTreeSet<MailboxName> = moved.iter().cloned().collect();
    all.extend(local.scans.keys().filter(|name| !local.is_unchanged(name)).cloned());
    let known = base.keys().chain(local.scans.keys()).chain(directory.mailboxes.keys());
    let one_sided = |name: &&MailboxName| {
        !local.scans.contains_key(*name) || !directory.mailboxes.contains_key(*name) || !base.contains_key(*name)
    };
    all.extend(known.filter(one_sided).cloned());
    all
}

/// The number of every mailbox, known or not.
fn number(state: Option<&State>, base: &Base, local: &LocalView, remote: &RemoteView) -> Result<MailboxIds> {
    let mut ids: MailboxIds = base.iter().map(|(name, mailbox)| (name.clone(), mailbox.id)).collect();
    for name in local.mailboxes.keys().chain(remote.mailboxes.keys()) {
        if !ids.contains_key(name) {
            let mut id = match state {
                Some(state) => state.id_for(name)?,
                None => MailboxId::of_path(name.path()),
            };
            while ids.values().any(|taken| *taken == id) {
                id = MailboxId(id.0.wrapping_add(1));
            }
            ids.insert(name.clone(), id);
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_even_when_the_hashes_meet() {
        let mut local = LocalView::default();
        let mut base = Base::new();
        let (a, b) = (MailboxName::parse("a").unwrap(), MailboxName::parse("b").unwrap());
        let taken = MailboxId::of_path("b");
        base.insert(a.clone(), BaseMailbox::new(taken));
        local.mailboxes.insert(b.clone(), crate::reconcile::view::LocalMailbox::Unchanged);
        let ids = number(None, &base, &local, &RemoteView::default()).unwrap();
        assert_eq!(ids.get(&a), Some(&taken));
        assert_eq!(ids.get(&b), Some(&MailboxId(taken.0.wrapping_add(1))));
    }
}
