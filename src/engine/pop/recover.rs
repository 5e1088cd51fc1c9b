//! Files that a broken run delivered and did not come to record, or that nobody remembers since the state was lost.
//!
//! Their names tell account, UIDL and serial. They are believed when their size is still the one in their name.

use super::ground::{Ground, Memory};
use crate::config::Pop3Account;
use crate::error::Result;
use crate::local::Scan;
use crate::mail::{
    DeliveredMessage, FileId, KnownMessage, MailboxName, MaildropFact, MaildropOrigin, ServerCopy, UnixSeconds,
};
use crate::state::Settling;

/// Records what is in the tree and not in the state; how many messages that are.
pub(super) fn recover(account: &Pop3Account, ground: &mut Ground) -> Result<u64> {
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
    let mut taken: std::collections::BTreeSet<_> =
        maildrop.known.iter().filter(|(_, known)| known.delivered.is_some()).map(|(serial, _)| *serial).collect();
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
            let delivered = DeliveredMessage { digest: found.content.digest, header: found.header, file };
            let known = KnownMessage {
                uidl: origin.uidl,
                size: seen.map_or(found.content.wire_size, |seen| seen.size),
                first_seen: seen.map_or(first_seen, |seen| seen.first_seen),
                delivered: Some(delivered),
                copy: ServerCopy::Unknown,
            };
            facts.push(MaildropFact::Known(origin.serial, known));
        }
    }
    let found = u64::try_from(facts.len()).unwrap_or(u64::MAX);
    facts.push(MaildropFact::Settled);
    state.record_maildrop(&facts)?;
    Ok(found)
}
