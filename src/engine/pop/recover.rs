//! Files that are in the tree and not in the state: delivered by a run that broke off, by runs whose state was lost, or
//! by another program before the first run.
//!
//! The names of our own tell account, UIDL and serial. They are believed when their size is still the one in their name.

use std::collections::BTreeSet;

use super::ground::{Ground, Memory};
use crate::config::Pop3Account;
use crate::engine::now;
use crate::error::Result;
use crate::local::{Recovered, Scan, ScannedFile, Store};
use crate::mail::{
    DeliveredMessage, FileId, KnownMessage, MailboxName, MaildropFact, Serial, ServerCopy, UidlHash, UnixSeconds,
};
use crate::maildrop::Known;
use crate::state::{Settling, State};

/// What is in the tree and not in the state.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The messages.
    pub known: Known,
    /// How many of them an earlier run of ours delivered.
    pub ours: u64,
}

/// Looks for it; changes nothing.
pub(super) fn look(account: &Pop3Account, ground: &Ground) -> Result<Found> {
    let Some(store) = &ground.store else { return Ok(Found::default()) };
    match ground.memory {
        Memory::New => Ok(Found { known: others(account, ground, store)?, ours: 0 }),
        Memory::Lost | Memory::Kept => {
            let known = ours(account, ground, store)?;
            Ok(Found { ours: known.len() as u64, known })
        }
    }
}

/// Records it; then everything that was delivered is known.
pub(super) fn record(ground: &mut Ground, found: &Found) -> Result<()> {
    const BATCH: usize = 1000;
    let Some(state) = &mut ground.state else { return Ok(()) };
    let settled = state.settling()? == Settling::Settled;
    if found.known.is_empty() && settled {
        return Ok(());
    }
    // Should this break off, the next run has to go on with it.
    state.record_maildrop(&[MaildropFact::Delivering])?;
    let facts: Vec<_> = found.known.iter().map(|(serial, known)| MaildropFact::Known(*serial, known.clone())).collect();
    facts.chunks(BATCH).try_for_each(|facts| state.record_maildrop(facts))?;
    state.record_maildrop(&[MaildropFact::Settled])
}

/// Files that we delivered.
fn ours(account: &Pop3Account, ground: &Ground, store: &Store) -> Result<Known> {
    let state = ground.state.as_ref();
    let settling = state.map(State::settling).transpose()?.unwrap_or(Settling::Settled);
    let mailboxes: Vec<MailboxName> = match (ground.memory, settling) {
        // Files may have been moved about since.
        (Memory::Lost, _) => store.mailboxes()?.into_keys().collect(),
        (_, Settling::Delivering) => vec![account.mailbox.clone()],
        (Memory::Kept | Memory::New, Settling::Settled) => return Ok(Known::new()),
    };
    let recorded = state.map(State::maildrop).transpose()?.map(|maildrop| maildrop.known).unwrap_or_default();
    let delivered = |(serial, known): (&Serial, &KnownMessage)| known.delivered.is_some().then_some(*serial);
    let mut taken: BTreeSet<Serial> = recorded.iter().filter_map(delivered).collect();
    let mut all = Known::new();
    for mailbox in mailboxes {
        let Ok(Scan::Listed(listing)) = store.scan(&mailbox, None) else { continue };
        let mut files = listing.files;
        files.retain(|_, file| match file.maildrop_origin() {
            Some((origin, _)) => origin.account == ground.id && taken.insert(origin.serial),
            None => false,
        });
        let recovered = store.recover(&mailbox, &files)?;
        for (file, found) in recovered.into_iter().filter(|(file, found)| found.agrees_with(file)) {
            let Some((origin, first_seen)) = files.get(&file).and_then(ScannedFile::maildrop_origin) else { continue };
            let seen = recorded.get(&origin.serial);
            let size = seen.map_or(found.content.wire_size, |seen| seen.size);
            let first_seen = seen.map_or(first_seen, |seen| seen.first_seen);
            all.insert(origin.serial, known(&found, file, origin.uidl, size, first_seen));
        }
    }
    Ok(all)
}

/// Files that another program delivered before the account's first run: it may have been the same mail.
///
/// They are known by size and header, or else by their content, and nothing comes twice. Which of them are nobody's is
/// forgotten in time, as what is gone from the server.
fn others(account: &Pop3Account, ground: &Ground, store: &Store) -> Result<Known> {
    if !store.mailboxes()?.contains_key(&account.mailbox) {
        return Ok(Known::new());
    }
    let Scan::Listed(listing) = store.scan(&account.mailbox, None)? else { return Ok(Known::new()) };
    let mut files = listing.files;
    // What has our kind of name belongs to another account of ours, and is another message.
    files.retain(|_, file| file.origin.is_none() && file.maildrop_origin().is_none());
    let mut serial = match &ground.state {
        Some(state) => state.maildrop()?.next,
        None => Serial::FIRST,
    };
    let mut all = Known::new();
    for (file, found) in store.recover(&account.mailbox, &files)? {
        all.insert(serial, known(&found, file, None, found.content.wire_size, now()));
        serial = serial.next();
    }
    Ok(all)
}

fn known(found: &Recovered, file: FileId, uidl: Option<UidlHash>, size: u64, first_seen: UnixSeconds) -> KnownMessage {
    let delivered = DeliveredMessage { digest: found.content.digest, header: found.header, file };
    KnownMessage { uidl, size, first_seen, delivered: Some(delivered), copy: ServerCopy::Unknown }
}
