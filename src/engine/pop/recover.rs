//! Files that are in the tree and not in the state: delivered by a run that broke off, by runs whose state was lost, or
//! by another program before the first run.
//!
//! The names of our own tell account, UIDL and serial. They are believed when their size is still the one in their name.

use std::collections::BTreeSet;

use super::ground::{Ground, Memory};
use crate::config::Pop3Account;
use crate::engine::now;
use crate::error::Result;
use crate::local::{Recovered, Scan, ScannedFile};
use crate::mail::{
    DeliveredMessage, FileId, KnownMessage, MailboxName, MaildropFact, MaildropOrigin, Serial, ServerCopy, UidlHash,
    UnixSeconds,
};
use crate::state::Settling;

/// Records what is in the tree and not in the state; how many messages of ours that are.
pub(super) fn recover(account: &Pop3Account, ground: &mut Ground) -> Result<u64> {
    match ground.memory {
        Memory::New => adopt(account, ground).map(|()| 0),
        Memory::Lost | Memory::Kept => ours(account, ground),
    }
}

/// Files that we delivered.
fn ours(account: &Pop3Account, ground: &mut Ground) -> Result<u64> {
    let Ground { id, store: Some(store), state: Some(state), memory, .. } = ground else { return Ok(0) };
    let maildrop = state.maildrop()?;
    let mailboxes: Vec<MailboxName> = match (*memory, maildrop.settling) {
        // Files may have been moved about since.
        (Memory::Lost, _) => store.mailboxes()?.into_keys().collect(),
        (_, Settling::Delivering) => vec![account.mailbox.clone()],
        (Memory::Kept | Memory::New, Settling::Settled) => return Ok(0),
    };
    // Should this break off, the next run has to go on with it.
    state.record_maildrop(&[MaildropFact::Delivering])?;
    let mut facts = Vec::new();
    let delivered = |(serial, known): (&Serial, &KnownMessage)| known.delivered.is_some().then_some(*serial);
    let mut taken: BTreeSet<Serial> = maildrop.known.iter().filter_map(delivered).collect();
    for mailbox in mailboxes {
        let Ok(Scan::Listed(listing)) = store.scan(&mailbox, None) else { continue };
        let ours = listing.files.iter().filter_map(|(file, scanned)| Some((file.clone(), scanned.maildrop_origin()?)));
        let unknown: Vec<(FileId, (MaildropOrigin, UnixSeconds))> =
            ours.filter(|(_, (origin, _))| origin.account == *id && taken.insert(origin.serial)).collect();
        if unknown.is_empty() {
            continue;
        }
        let files: Vec<FileId> = unknown.iter().map(|(file, _)| file.clone()).collect();
        let recovered = store.folder(&mailbox)?.recover(&files)?;
        for (file, (origin, first_seen)) in unknown {
            let Some(found) = recovered.get(&file).filter(|found| found.agrees_with(&file)) else { continue };
            let seen = maildrop.known.get(&origin.serial);
            let size = seen.map_or(found.content.wire_size, |seen| seen.size);
            let first_seen = seen.map_or(first_seen, |seen| seen.first_seen);
            facts.push(MaildropFact::Known(origin.serial, known(found, file, origin.uidl, size, first_seen)));
        }
    }
    let found = u64::try_from(facts.len()).unwrap_or(u64::MAX);
    facts.push(MaildropFact::Settled);
    state.record_maildrop(&facts)?;
    Ok(found)
}

/// Files that another program delivered before the account's first run: it may have been the same mail.
///
/// They are known by size and header, or else by their content, and nothing comes twice. Which of them are nobody's is
/// forgotten in time, as what is gone from the server.
fn adopt(account: &Pop3Account, ground: &mut Ground) -> Result<()> {
    const BATCH: usize = 1000;
    let Ground { store: Some(store), state: Some(state), .. } = ground else { return Ok(()) };
    let Scan::Listed(listing) = store.scan(&account.mailbox, None)? else { return Ok(()) };
    // What has our kind of name belongs to another account of ours, and is another message.
    let foreign =
        |(_, scanned): &(&FileId, &ScannedFile)| scanned.origin.is_none() && scanned.maildrop_origin().is_none();
    let files: Vec<FileId> = listing.files.iter().filter(foreign).map(|(file, _)| file.clone()).collect();
    let folder = store.folder(&account.mailbox)?;
    let mut serial = state.maildrop()?.next;
    for files in files.chunks(BATCH) {
        let mut facts = Vec::new();
        for (file, found) in folder.recover(files)? {
            let known = known(&found, file, None, found.content.wire_size, now());
            facts.push(MaildropFact::Known(serial, known));
            serial = serial.next();
        }
        state.record_maildrop(&facts)?;
    }
    Ok(())
}

fn known(found: &Recovered, file: FileId, uidl: Option<UidlHash>, size: u64, first_seen: UnixSeconds) -> KnownMessage {
    let delivered = DeliveredMessage { digest: found.content.digest, header: found.header, file };
    KnownMessage { uidl, size, first_seen, delivered: Some(delivered), copy: ServerCopy::Unknown }
}
