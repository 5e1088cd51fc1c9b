//! What `mailtide mailboxes` shows: every mailbox of both sides, and what this account makes of it.

use std::collections::BTreeMap;

use super::Job;
use super::pool::{Credentials, Pool};
use super::pop;
use super::tree::Ground;
use crate::config::{Account, ImapAccount};
use crate::error::Result;
use crate::mail::MailboxName;
use crate::remote::imap::SpecialUse;
use crate::remote::net::Meter;
use crate::stop::Stop;

/// One mailbox.
#[derive(Debug, Clone)]
pub struct MailboxRow {
    /// Its name in the tree.
    pub name: MailboxName,
    /// Its name on the server, when it is there.
    pub server: Option<MailboxName>,
    /// What the server uses it for.
    pub special_use: Option<SpecialUse>,
    /// Messages on the server, as far as it says.
    pub messages: Option<u32>,
    /// Whether messages can be in it; a container holds other mailboxes only.
    pub selectable: bool,
    /// Whether the tree has it.
    pub local: bool,
    /// Whether the account's settings select it.
    pub selected: bool,
}

/// Lists the mailboxes of both sides, by name. Changes nothing.
pub fn mailboxes(job: &Job<'_>, stop: &Stop) -> Result<Vec<MailboxRow>> {
    match job.account {
        Account::Imap(account) => of_imap(&job.of(account), stop),
        Account::Pop3(account) => pop::mailbox(&job.of(account), stop).map(|row| vec![row]),
    }
}

fn of_imap(job: &Job<'_, ImapAccount>, stop: &Stop) -> Result<Vec<MailboxRow>> {
    let account = job.account;
    let ground = Ground::look(job).map_err(|e| e.at(&account.name))?;
    let credentials = Credentials::new(job.secret);
    let pool = Pool::new(&account.imap, job.connectors, &credentials, Meter::default(), stop);
    let mut session = pool.take().map_err(|e| e.at(&account.name))?;
    let listing = session.list().map_err(|e| e.at(&account.name))?;
    session.logout();
    let mut rows: BTreeMap<MailboxName, MailboxRow> = BTreeMap::new();
    for (server, listed) in listing.mailboxes {
        let name = account.rename.local(&server);
        let row = MailboxRow {
            name: name.clone(),
            server: Some(server),
            special_use: listed.special_use,
            messages: listed.status.map(|s| s.messages),
            selectable: listed.selectable,
            local: false,
            selected: account.mailboxes.selects(&name),
        };
        rows.insert(name, row);
    }
    if let Some(store) = &ground.store {
        for name in store.mailboxes()?.into_keys() {
            let selected = account.mailboxes.selects(&name);
            let empty = MailboxRow {
                name: name.clone(),
                server: None,
                special_use: None,
                messages: None,
                selectable: true,
                local: false,
                selected,
            };
            rows.entry(name).or_insert(empty).local = true;
        }
    }
    Ok(rows.into_values().collect())
}
