//! What the keys of an IMAP account mean: types, defaults, ranges.

use super::account::{Common, explained, get, mailbox};
use super::file::{Table, Value};
use super::server::{self, Usual};
use super::{ImapAccount, MailboxFilter, Renames};
use crate::error::Result;
use crate::reconcile::view::{Deletions, Direction, Keywords};
use crate::remote::imap::Capability;
use crate::remote::{ImapOptions, TlsMode};

pub(super) const KEYS: &[&str] = &[
    "host",
    "port",
    "tls",
    "user",
    "password",
    "ca-file",
    "pin",
    "client-cert",
    "client-key",
    "connections",
    "compress",
    "timeout",
    "disable",
];

/// How many connections an account uses when nothing else is set: below every large provider's cap.
pub(super) const CONNECTIONS: usize = 4;

/// Reads what `account` and its table `imap` say.
pub(super) fn account(common: Common, account: &Table<'_>, imap: &Table<'_>) -> Result<ImapAccount> {
    imap.only(KEYS, &[])?;
    let Common { name, local, max_delete } = common;
    Ok(ImapAccount {
        name,
        secret: server::password(imap)?,
        imap: options(imap)?,
        local,
        direction: get(account, "direction", |v| {
            v.one_of(&[("both", Direction::Both), ("pull", Direction::Pull), ("push", Direction::Push)])
        })?
        .unwrap_or_default(),
        deletions: get(account, "deletions", |v| {
            v.one_of(&[
                ("expunge", Deletions::Expunge),
                ("trash", Deletions::Trash),
                ("mark", Deletions::Mark),
                ("never", Deletions::Never),
            ])
        })?
        .unwrap_or_default(),
        keywords: get(account, "keywords", Value::yes_no)?
            .map_or(Keywords::default(), |yes| if yes { Keywords::Synced } else { Keywords::Ignored }),
        max_delete,
        mailboxes: get(account, "mailboxes", mailboxes)?.unwrap_or_default(),
        rename: get(account, "rename", renames)?.unwrap_or_default(),
        trash: get(account, "trash", |v| mailbox(v, v.text()?))?,
    })
}

fn options(table: &Table<'_>) -> Result<ImapOptions> {
    let usual = Usual { host: None, port: usual_port, upgrade: &["starttls"], example: "imap.example.org" };
    let known: Vec<&'static str> = Capability::ALL.into_iter().map(Capability::name).collect();
    Ok(ImapOptions {
        server: server::options(table, &usual)?,
        user: table.need("user", "user = \"me@example.org\"")?.text()?.to_owned(),
        connections: get(table, "connections", |v| v.integer(1..=32))?
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(CONNECTIONS),
        compress: get(table, "compress", Value::yes_no)?.unwrap_or(false),
        disable: get(table, "disable", |v| server::disabled(v, &known))?.unwrap_or_default(),
    })
}

/// The port that a server listens on when nothing else is said (RFC 9051 section 2.1).
pub(super) fn usual_port(tls: TlsMode) -> u16 {
    match tls {
        TlsMode::Implicit => 993,
        TlsMode::StartTls | TlsMode::None => 143,
    }
}

fn mailboxes(value: &Value<'_>) -> Result<MailboxFilter> {
    let globs = value.list()?.iter().map(|item| item.text().map(str::to_owned)).collect::<Result<Vec<_>>>()?;
    if globs.is_empty() {
        return Err(value.fail("selects nothing").hint("Leave the line out to select all mailboxes."));
    }
    MailboxFilter::configured(&globs).map_err(|e| explained(value, "holds what is no pattern", &e))
}

fn renames(value: &Value<'_>) -> Result<Renames> {
    let pair = |(server, local): (&str, Value<'_>)| Ok((mailbox(&local, server)?, mailbox(&local, local.text()?)?));
    let pairs = value.table()?.all().into_iter().map(pair).collect::<Result<Vec<_>>>()?;
    Renames::new(pairs).map_err(|e| explained(value, "cannot be done", &e))
}
