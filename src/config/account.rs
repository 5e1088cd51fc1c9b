//! What the keys of an account mean that both kinds have, and which kind it is. The names are those of
//! `mailtide.toml(5)`.

use std::time::Duration;

use super::file::{Table, Value};
use super::{Account, imap, pop3, server};
use crate::error::{Error, Result};
use crate::local::{Layout, LocalOptions};
use crate::mail::MailboxName;
use crate::reconcile::guard::MaxDelete;

const TOP: &[&str] = &["accounts"];
const ACCOUNT: &[&str] = &[
    "maildir",
    "layout",
    "direction",
    "deletions",
    "mailboxes",
    "rename",
    "max-delete",
    "keywords",
    "trash",
    "imap",
    "pop3",
];

/// Every table and its keys, for the man page to be held to.
pub const KEYS: &[(&str, &[&str])] = &[
    ("accounts.NAME", ACCOUNT),
    ("accounts.NAME.imap", imap::KEYS),
    ("accounts.NAME.pop3", pop3::KEYS),
    ("accounts.NAME.imap.password", server::PASSWORD),
];

pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// What every account has, whatever its server speaks.
pub(super) struct Common {
    /// Its name.
    pub(super) name: String,
    /// The tree.
    pub(super) local: LocalOptions,
    /// When the guard refuses.
    pub(super) max_delete: MaxDelete,
}

/// Reads the top table.
pub(super) fn accounts(top: Table<'_>) -> Result<Vec<Account>> {
    top.only(TOP, &[])?;
    let Some(accounts) = top.get("accounts") else { return Ok(Vec::new()) };
    accounts.table()?.all().into_iter().map(|(name, value)| account(name, &value)).collect()
}

fn account(name: &str, value: &Value<'_>) -> Result<Account> {
    if name.is_empty() || name.starts_with('-') || name.contains(|c: char| c == '/' || c.is_control()) {
        return Err(value.fail("is no name for an account: it is empty, starts with `-`, or holds `/`"));
    }
    let table = value.table()?;
    table.only(ACCOUNT, &[])?;
    let path = table.need("maildir", "maildir = \"~/Mail\"")?.path()?;
    let layout =
        get(&table, "layout", |v| v.one_of(&[("nested", Layout::Nested), ("maildir++", Layout::MaildirPlusPlus)]))?;
    let common = Common {
        name: name.to_owned(),
        local: LocalOptions { root: path, layout: layout.unwrap_or(Layout::Nested) },
        max_delete: get(&table, "max-delete", max_delete)?.unwrap_or_default(),
    };
    match (table.get("imap"), table.get("pop3")) {
        (Some(server), None) => imap::account(common, &table, &server.table()?).map(Account::Imap),
        (None, Some(server)) => pop3::account(common, &table, &server.table()?).map(Account::Pop3),
        (Some(_), Some(second)) => Err(second
            .fail("stands beside `imap`, and an account has one server")
            .hint("Make two accounts of it; they may share the `maildir`.")),
        (None, None) => Err(table
            .fail(format!("`imap` is missing in [accounts.{name}]"))
            .hint(format!("Add a table `[accounts.{name}.imap]`, or `[accounts.{name}.pop3]` for a maildrop.",))),
    }
}

/// Reads the value of a key, if it is there.
pub(super) fn get<'a, T>(
    table: &Table<'a>,
    key: &str,
    read: impl FnOnce(&Value<'a>) -> Result<T>,
) -> Result<Option<T>> {
    table.get(key).map(|value| read(&value)).transpose()
}

fn max_delete(value: &Value<'_>) -> Result<MaxDelete> {
    let Some(text) = value.maybe_text() else { return value.integer(0..=u64::MAX).map(MaxDelete::Count) };
    if text == "off" {
        return Ok(MaxDelete::Unlimited);
    }
    let percent = text.strip_suffix('%').and_then(|n| n.trim().parse().ok()).filter(|n| *n <= 100);
    percent.map(MaxDelete::Percent).ok_or_else(|| {
        value.fail(format!(
            "must be a share such as \"50%\", a number of messages such as 100, or \"off\", not \"{text}\""
        ))
    })
}

/// Reads the name of a mailbox.
pub(super) fn mailbox(value: &Value<'_>, name: &str) -> Result<MailboxName> {
    MailboxName::parse(name).ok_or_else(|| {
        value.fail(format!("names no mailbox: \"{name}\"")).hint("A name is one or more words with `/` between them.")
    })
}

/// The error of a part, told at the value's line.
pub(super) fn explained(value: &Value<'_>, what: &str, error: &Error) -> Error {
    let told = value.fail(format!("{what}: {error}"));
    match error.hint_text() {
        Some(hint) => told.hint(hint),
        None => told,
    }
}
