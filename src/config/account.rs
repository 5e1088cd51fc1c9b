//! What the keys of an account mean: types, defaults, ranges. The names are those of `mailtide.toml(5)`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::file::{Table, Value};
use super::nearest::nearest;
use super::{Account, ImapAccount, MailboxFilter, PASSWORD_VARIABLE, Renames};
use crate::error::{Error, Result};
use crate::local::{Layout, LocalOptions};
use crate::mail::MailboxName;
use crate::reconcile::guard::MaxDelete;
use crate::reconcile::view::{Deletions, Direction, Keywords};
use crate::remote::imap::Capability;
use crate::remote::{ClientCertificate, ImapOptions, Pin, ServerOptions, TlsMode, Trust};
use crate::secret::SecretSource;

const TOP: &[&str] = &["accounts"];
const ACCOUNT: &[&str] =
    &["maildir", "layout", "direction", "deletions", "mailboxes", "rename", "max-delete", "keywords", "trash", "imap"];
const IMAP: &[&str] = &[
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
const PASSWORD: &[&str] = &["command", "file", "env", "prompt", "timeout"];

/// Every table and its keys, for the man page to be held to.
pub const KEYS: &[(&str, &[&str])] =
    &[("accounts.NAME", ACCOUNT), ("accounts.NAME.imap", IMAP), ("accounts.NAME.imap.password", PASSWORD)];

/// How many connections an account uses when nothing else is set: below every large provider's cap.
pub(super) const CONNECTIONS: usize = 4;
/// How long silence may last when nothing else is set.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

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
    table.only(ACCOUNT, &[("pop3", "this version synchronises IMAP accounts only; POP3 comes with a later one")])?;
    let path = table.need("maildir", "maildir = \"~/Mail\"")?.path()?;
    let layout =
        get(&table, "layout", |v| v.one_of(&[("nested", Layout::Nested), ("maildir++", Layout::MaildirPlusPlus)]))?;
    let imap = table.need("imap", &format!("[accounts.{name}.imap]"))?.table()?;
    imap.only(IMAP, &[])?;
    Ok(Account::Imap(ImapAccount {
        name: name.to_owned(),
        secret: password(&imap)?,
        imap: imap_options(&imap)?,
        local: LocalOptions { root: path, layout: layout.unwrap_or(Layout::Nested) },
        direction: get(&table, "direction", |v| {
            v.one_of(&[("both", Direction::Both), ("pull", Direction::Pull), ("push", Direction::Push)])
        })?
        .unwrap_or_default(),
        deletions: get(&table, "deletions", |v| {
            v.one_of(&[
                ("expunge", Deletions::Expunge),
                ("trash", Deletions::Trash),
                ("mark", Deletions::Mark),
                ("never", Deletions::Never),
            ])
        })?
        .unwrap_or_default(),
        keywords: get(&table, "keywords", Value::yes_no)?
            .map_or(Keywords::default(), |yes| if yes { Keywords::Synced } else { Keywords::Ignored }),
        max_delete: get(&table, "max-delete", max_delete)?.unwrap_or_default(),
        mailboxes: get(&table, "mailboxes", mailboxes)?.unwrap_or_default(),
        rename: get(&table, "rename", renames)?.unwrap_or_default(),
        trash: get(&table, "trash", |v| mailbox(v, v.text()?))?,
    }))
}

fn get<'a, T>(table: &Table<'a>, key: &str, read: impl FnOnce(&Value<'a>) -> Result<T>) -> Result<Option<T>> {
    table.get(key).map(|value| read(&value)).transpose()
}

fn imap_options(table: &Table<'_>) -> Result<ImapOptions> {
    let host = table.need("host", "host = \"imap.example.org\"")?;
    let user = table.need("user", "user = \"me@example.org\"")?.text()?.to_owned();
    let tls = get(table, "tls", |v| {
        v.one_of(&[("implicit", TlsMode::Implicit), ("starttls", TlsMode::StartTls), ("none", TlsMode::None)])
    })?
    .unwrap_or(TlsMode::Implicit);
    let port = get(table, "port", |v| v.integer(1..=65535))?.and_then(|n| u16::try_from(n).ok());
    let trust = Trust {
        ca_file: get(table, "ca-file", Value::path)?,
        pin: get(table, "pin", |v| v.text()?.parse::<Pin>().map_err(|e| explained(v, "is no pin", &e)))?,
        client: client(table)?,
    };
    Ok(ImapOptions {
        server: ServerOptions {
            host: host_name(&host)?,
            port: port.unwrap_or_else(|| usual_port(tls)),
            tls,
            trust,
            timeout: get(table, "timeout", |v| v.duration(SECOND..=HOUR))?.unwrap_or(TIMEOUT),
        },
        user,
        connections: get(table, "connections", |v| v.integer(1..=32))?
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(CONNECTIONS),
        compress: get(table, "compress", Value::yes_no)?.unwrap_or(false),
        disable: get(table, "disable", disabled)?.unwrap_or_default(),
    })
}

/// The port that a server listens on when nothing else is said (RFC 9051 section 2.1).
pub(super) fn usual_port(tls: TlsMode) -> u16 {
    match tls {
        TlsMode::Implicit => 993,
        TlsMode::StartTls | TlsMode::None => 143,
    }
}

fn host_name(value: &Value<'_>) -> Result<String> {
    let host = value.text()?;
    if host.contains("://") || host.contains(['/', '@', ' ']) {
        return Err(value.fail("must be a host name or an address alone").hint("Port and user have their own keys."));
    }
    Ok(host.to_owned())
}

fn client(table: &Table<'_>) -> Result<Option<ClientCertificate>> {
    match (table.get("client-cert"), table.get("client-key")) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some(ClientCertificate { cert: cert.path()?, key: key.path()? })),
        (Some(cert), None) => Err(cert.fail("needs `client-key` beside it")),
        (None, Some(key)) => Err(key.fail("needs `client-cert` beside it")),
    }
}

fn password(imap: &Table<'_>) -> Result<SecretSource> {
    let Some(value) = imap.get("password") else { return Ok(unconfigured()) };
    if value.maybe_text().is_some() {
        return Err(value.fail("must not be the password itself").hint(
            "Name where to get it: `{ command = \"pass show mail\" }`, `{ file = \"~/.mail-password\" }`, \
             `{ env = \"NAME\" }` or `{ prompt = true }`.",
        ));
    }
    let table = value.table()?;
    table.only(
        PASSWORD,
        &[("keyring", "this version cannot ask a keyring; `command` can, for example with secret-tool")],
    )?;
    let timeout = get(&table, "timeout", |v| v.duration(Duration::from_millis(100)..=HOUR))?;
    let mut sources = Vec::new();
    for (key, value) in table.all() {
        sources.push(match key {
            "command" => SecretSource::Command {
                line: value.text()?.to_owned(),
                timeout: timeout.unwrap_or(SecretSource::COMMAND_TIMEOUT),
            },
            "file" => SecretSource::File(value.path()?),
            "env" => SecretSource::Env(variable(&value)?),
            "prompt" if value.yes_no()? => SecretSource::Prompt,
            _ => continue,
        });
    }
    let Some(source) = sources.pop() else {
        return Err(value.fail("names no source").hint("Write one of `command`, `file`, `env` and `prompt = true`."));
    };
    if !sources.is_empty() {
        return Err(value.fail("names several sources").hint("One is enough."));
    }
    match table.get("timeout") {
        Some(limit) if !matches!(source, SecretSource::Command { .. }) => Err(limit.fail("belongs to `command` only")),
        _ => Ok(source),
    }
}

/// Where a password comes from that the configuration does not mention.
pub(super) fn unconfigured() -> SecretSource {
    match std::env::var_os(PASSWORD_VARIABLE) {
        Some(_) => SecretSource::Env(PASSWORD_VARIABLE.to_owned()),
        None => SecretSource::Prompt,
    }
}

fn variable(value: &Value<'_>) -> Result<String> {
    let name = value.text()?;
    if name.contains(['=', '$', ' ']) {
        return Err(value.fail("must be the name of a variable alone, such as \"MAIL_PASSWORD\""));
    }
    Ok(name.to_owned())
}

fn disabled(value: &Value<'_>) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for item in value.list()? {
        let name = item.text()?.to_ascii_uppercase();
        let known = || Capability::ALL.into_iter().map(Capability::name);
        if !name.starts_with("AUTH=") && !known().any(|k| k == name) {
            let error = item.fail(format!("names no capability that is used: \"{name}\""));
            return Err(match nearest(&name, known()) {
                Some(near) => error.hint(format!("Did you mean \"{near}\"?")),
                None => error.hint(format!("These can be switched off: {}.", known().collect::<Vec<_>>().join(", "))),
            });
        }
        names.insert(name);
    }
    Ok(names)
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

fn mailbox(value: &Value<'_>, name: &str) -> Result<MailboxName> {
    MailboxName::parse(name).ok_or_else(|| {
        value.fail(format!("names no mailbox: \"{name}\"")).hint("A name is one or more words with `/` between them.")
    })
}

/// The error of a part, told at the value's line.
fn explained(value: &Value<'_>, what: &str, error: &Error) -> Error {
    let told = value.fail(format!("{what}: {error}"));
    match error.hint_text() {
        Some(hint) => told.hint(hint),
        None => told,
    }
}
