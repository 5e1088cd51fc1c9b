//! What the keys of a POP3 account mean: types, defaults, ranges.
//!
//! The server of a provider whose POP3 is known need not be named: the address tells it.

use std::time::Duration;

use super::account::{Common, get, mailbox};
use super::file::{Table, Value};
use super::server::{self, Usual};
use super::{Dedup, LocalDeletion, MailboxFilter, Pop3Account, duration, fetched_before, size};
use crate::error::Result;
use crate::mail::MailboxName;
use crate::maildrop::{Keep, Order, Policy};
use crate::remote::pop3::quirk::{GMAIL_RECENT, provider_of_address, provider_of_host};
use crate::remote::pop3::{Capability, Pop3Auth};
use crate::remote::{Pop3Options, TlsMode};

pub(super) const KEYS: &[&str] = &[
    "host",
    "port",
    "tls",
    "user",
    "password",
    "auth",
    "ca-file",
    "pin",
    "client-cert",
    "client-key",
    "timeout",
    "disable",
    "mailbox",
    "keep",
    "max-size",
    "max-messages",
    "order",
    "delete-after-local-deletion",
    "dedup",
    "recent",
    "fetched-before",
];

/// Keys of an account that mean nothing where mail comes one way into one mailbox.
const OF_IMAP: &[(&str, &str)] = &[
    ("direction", "from a maildrop mail comes one way only"),
    ("deletions", "what is deleted from a maildrop is a matter of `keep` and `delete-after-local-deletion`"),
    ("mailboxes", "a maildrop has no mailboxes; where its mail goes says `mailbox` in the table `pop3`"),
    ("rename", "a maildrop has no mailboxes; where its mail goes says `mailbox` in the table `pop3`"),
    ("keywords", "a maildrop has no keywords"),
    ("trash", "a maildrop has no mailboxes, and so no trash"),
];

/// Reads what `account` and its table `pop3` say.
pub(super) fn account(common: Common, account: &Table<'_>, pop3: &Table<'_>) -> Result<Pop3Account> {
    account.only(&["maildir", "layout", "max-delete", "pop3"], OF_IMAP)?;
    pop3.only(KEYS, &[("connections", "a maildrop is open to one connection at a time")])?;
    let Common { name, local, max_delete } = common;
    let yes = |key| get(pop3, key, Value::yes_no).map(|yes| yes.unwrap_or(false));
    Ok(Pop3Account {
        name,
        secret: server::password(pop3)?,
        pop3: options(pop3)?,
        local,
        mailbox: get(pop3, "mailbox", |v| mailbox(v, v.text()?))?.unwrap_or_else(MailboxName::inbox),
        policy: Policy {
            keep: get(pop3, "keep", keep)?.unwrap_or_default(),
            max_size: get(pop3, "max-size", octets)?,
            max_messages: get(pop3, "max-messages", |v| v.integer(1..=u64::MAX))?,
            order: get(pop3, "order", |v| v.one_of(&[("oldest", Order::Oldest), ("newest", Order::Newest)]))?
                .unwrap_or_default(),
        },
        local_deletion: if yes("delete-after-local-deletion")? {
            LocalDeletion::Repeated
        } else {
            LocalDeletion::Ignored
        },
        dedup: if yes("dedup")? { Dedup::Once } else { Dedup::Each },
        fetched_before: get(pop3, "fetched-before", fetched_before::value)?,
        max_delete,
        mailboxes: MailboxFilter::default(),
    })
}

fn options(table: &Table<'_>) -> Result<Pop3Options> {
    let user = table.need("user", "user = \"me@example.org\"")?.text()?.to_owned();
    // Both words: hints that are the same for IMAP say "starttls", and so do many providers.
    let host = provider_of_address(&user).map(|provider| provider.host.to_owned());
    let usual = Usual { host, port: usual_port, upgrade: &["stls", "starttls"], example: "pop.example.org" };
    let known: Vec<&'static str> = Capability::ALL.into_iter().map(Capability::name).collect();
    let ways = Pop3Auth::ALL.map(|auth| (auth.name(), auth));
    let mut options = Pop3Options {
        server: server::options(table, &usual)?,
        user,
        auth: get(table, "auth", |v| v.one_of(&ways))?.unwrap_or_default(),
        disable: get(table, "disable", |v| server::disabled(v, &known))?.unwrap_or_default(),
    };
    if let Some(value) = table.get("recent")
        && value.yes_no()?
    {
        if provider_of_host(&options.server.host).is_none_or(|provider| provider.name != "Gmail") {
            return Err(value.fail("is something that only Gmail has").hint("Leave the line out."));
        }
        if !options.user.starts_with(GMAIL_RECENT) {
            options.user.insert_str(0, GMAIL_RECENT);
        }
    }
    Ok(options)
}

/// The port that a server listens on when nothing else is said (RFC 8314 section 7.2, RFC 1939 section 3).
pub(super) fn usual_port(tls: TlsMode) -> u16 {
    match tls {
        TlsMode::Implicit => 995,
        TlsMode::StartTls | TlsMode::None => 110,
    }
}

fn keep(value: &Value<'_>) -> Result<Keep> {
    let Some(text) = value.maybe_text() else {
        return match value.yes_no() {
            Ok(true) => Ok(Keep::Always),
            Ok(false) => Ok(Keep::Never),
            Err(_) => Err(value.fail("must be true, false, or a time such as \"14d\"")),
        };
    };
    match duration::parse_age(text) {
        Ok(time) if time > Duration::ZERO => Ok(Keep::For(time)),
        Ok(_) => {
            Err(value.fail("must be true, false, or a time such as \"14d\"").hint("Not at all is `keep = false`."))
        }
        Err(why) => Err(value.fail(format!("must be true, false, or a time such as \"14d\": {why}"))),
    }
}

fn octets(value: &Value<'_>) -> Result<u64> {
    let Some(text) = value.maybe_text() else { return value.integer(1..=u64::MAX) };
    size::parse(text).map_err(|why| value.fail(format!("is no size: {why}")))
}
