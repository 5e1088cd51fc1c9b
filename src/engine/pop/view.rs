//! What a maildrop holds, for whoever looks: `mailtide pop` message by message, `mailtide mailboxes` as one row.

use std::collections::BTreeMap;

use super::door::Door;
use super::ground::Ground;
use super::look::{Sources, look};
use super::{before, leave, recover};
use crate::config::Pop3Account;
use crate::engine::overview::MailboxRow;
use crate::engine::{Job, now};
use crate::error::Result;
use crate::mail::{MessageNumber, Serial, Uidl};
use crate::maildrop::policy::age;
use crate::maildrop::{Fetched, Left};
use crate::reconcile::guard::Rest;
use crate::stop::Stop;

/// A message in the maildrop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaildropRow {
    /// Its number in this session.
    pub number: MessageNumber,
    /// Octets, as the server counts them.
    pub size: u64,
    /// Its unique id.
    pub uidl: Option<Uidl>,
    /// Seconds since a run first saw it; `None`: none has.
    pub age: Option<u64>,
    /// What a run would make of it.
    pub standing: Standing,
}

/// What a run would make of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It would be fetched.
    New,
    /// It would be fetched, and deleted on the server then.
    NewAndDue,
    /// It would be fetched to see whether it is known.
    Doubtful,
    /// It would not be fetched.
    Left(Left),
    /// Nothing is done before a person has decided about deletions.
    Waits,
    /// It is in the tree and stays on the server.
    Kept,
    /// It is in the tree and would be deleted on the server.
    Due,
}

impl Standing {
    /// For a person and a program.
    pub fn word(self) -> &'static str {
        match self {
            Standing::New => "new",
            Standing::NewAndDue => "new, due for deletion",
            Standing::Doubtful => "to be compared",
            Standing::Left(Left::TooLarge) => "too large",
            Standing::Left(Left::Later) => "for a later run",
            Standing::Waits => "waits for a decision",
            Standing::Kept => "kept",
            Standing::Due => "due for deletion",
        }
    }
}

/// Lists the maildrop, by number. Changes nothing.
pub fn list(job: &Job<'_, Pop3Account>, stop: &Stop) -> Result<Vec<MaildropRow>> {
    let ground = Ground::look(job)?;
    let found = recover::look(job.account, &ground, stop)?;
    let before = before::read(job.account, &found)?;
    let mut door = Door::new(job, stop);
    let now = now();
    let sources = Sources {
        job,
        store: ground.store.as_ref(),
        state: ground.state.as_ref(),
        found: &found.known,
        fetched_before: &before,
        age: ground.age,
        fetched: 0,
        now,
    };
    let (session, looked) = look(&sources, &mut door, &|_| {})?;
    leave::without_deletions(session);
    let plan = &looked.plan;
    let fetched: BTreeMap<MessageNumber, _> = plan.fetch.iter().map(|fetch| (fetch.number, fetch)).collect();
    let first_seen: BTreeMap<_, _> =
        looked.known.values().filter_map(|known| Some((known.uidl?, known.first_seen))).collect();
    let waits = looked.refusals.iter().any(|refusal| refusal.rest == Rest::Waits);
    let of_serial = |serial: &Serial| looked.known.get(serial).map(|known| known.first_seen);
    let row = |entry: &crate::remote::pop3::Entry| {
        let number = entry.number;
        let standing = match (fetched.get(&number), plan.left.get(&number), plan.delete.get(&number)) {
            (Some(fetch), ..) if matches!(fetch.what, Fetched::Doubtful { .. }) => Standing::Doubtful,
            (Some(fetch), ..) if fetch.due => Standing::NewAndDue,
            (Some(_), ..) => Standing::New,
            (None, Some((why, _)), _) => Standing::Left(*why),
            (None, None, Some(_)) => Standing::Due,
            (None, None, None) if plan.held.contains(number) => Standing::Kept,
            (None, None, None) if waits => Standing::Waits,
            // Of these a plan says nothing more once they were seen.
            (None, None, None) => Standing::Left(Left::TooLarge),
        };
        let by_uidl =
            entry.uidl.as_ref().map(crate::mail::UidlHash::of).and_then(|uidl| first_seen.get(&uidl).copied());
        let since = plan.delete.get(&number).and_then(of_serial).or(by_uidl);
        let uidl = entry.uidl.clone();
        MaildropRow { number, size: entry.size, uidl, age: since.map(|since| age(since, now)), standing }
    };
    Ok(looked.entries.values().map(row).collect())
}

/// The one mailbox that the mail goes into.
pub(in crate::engine) fn mailbox(job: &Job<'_, Pop3Account>, stop: &Stop) -> Result<MailboxRow> {
    let account = job.account;
    let at = |error: crate::error::Error| error.at(&account.name);
    let ground = Ground::look(job).map_err(at)?;
    let mut session = Door::new(job, stop).open().map_err(at)?;
    let messages = session.stat().map_err(at)?.messages;
    leave::without_deletions(session);
    let there = match &ground.store {
        Some(store) => store.mailboxes()?.contains_key(&account.mailbox),
        None => false,
    };
    Ok(MailboxRow {
        name: account.mailbox.clone(),
        server: None,
        special_use: None,
        messages: Some(messages),
        selectable: true,
        local: there,
        selected: account.mailboxes.selects(&account.mailbox),
    })
}
