//! What the keys of a server mean, whichever protocol it speaks: address, protection, login.

use std::collections::BTreeSet;
use std::time::Duration;

use super::PASSWORD_VARIABLE;
use super::account::{HOUR, explained, get};
use super::file::{Table, Value};
use super::nearest::nearest;
use crate::error::Result;
use crate::remote::{ClientCertificate, Pin, ServerOptions, TlsMode, Trust};
use crate::secret::SecretSource;

pub(super) const PASSWORD: &[&str] = &["command", "file", "env", "prompt", "timeout"];

/// How long silence may last when nothing else is set.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

const SECOND: Duration = Duration::from_secs(1);

/// Where and how a server is found when its keys do not say.
pub(super) struct Usual {
    /// The host.
    pub(super) host: Option<String>,
    /// The port that goes with a protection.
    pub(super) port: fn(TlsMode) -> u16,
    /// The words for protection that begins in clear, which has to be had.
    pub(super) upgrade: &'static [&'static str],
    /// A host's name, for an example.
    pub(super) example: &'static str,
}

/// Reads the address of a server and how it is protected.
pub(super) fn options(table: &Table<'_>, usual: &Usual) -> Result<ServerOptions> {
    let host = match (table.get("host"), &usual.host) {
        (Some(value), _) => host_name(&value)?,
        (None, Some(host)) => host.clone(),
        (None, None) => host_name(&table.need("host", &format!("host = \"{}\"", usual.example))?)?,
    };
    let mut modes = vec![("implicit", TlsMode::Implicit)];
    modes.extend(usual.upgrade.iter().map(|word| (*word, TlsMode::StartTls)));
    modes.push(("none", TlsMode::None));
    let tls = get(table, "tls", |v| v.one_of(&modes))?.unwrap_or(TlsMode::Implicit);
    if tls == TlsMode::None {
        only_with_tls(table)?;
    }
    let port = get(table, "port", |v| v.integer(1..=65535))?.and_then(|n| u16::try_from(n).ok());
    let trust = Trust {
        ca_file: get(table, "ca-file", Value::path)?,
        pin: get(table, "pin", |v| v.text()?.parse::<Pin>().map_err(|e| explained(v, "is no pin", &e)))?,
        client: client(table)?,
    };
    Ok(ServerOptions {
        host,
        port: port.unwrap_or_else(|| (usual.port)(tls)),
        tls,
        trust,
        timeout: get(table, "timeout", |v| v.duration(SECOND..=HOUR))?.unwrap_or(TIMEOUT),
    })
}

/// Refuses what would be verified, or shown, in a TLS handshake that there is to be none of.
fn only_with_tls(table: &Table<'_>) -> Result<()> {
    let given = ["ca-file", "pin", "client-cert", "client-key"].into_iter().find_map(|key| table.get(key));
    match given {
        Some(value) => Err(value
            .fail("is not heeded with `tls = \"none\"`: nothing is verified there")
            .hint("Leave one of the two lines out.")),
        None => Ok(()),
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

/// Reads where the password comes from.
pub(super) fn password(server: &Table<'_>) -> Result<SecretSource> {
    let Some(value) = server.get("password") else { return Ok(unconfigured()) };
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

/// Reads the capabilities that are not to be used; `known` are those that could be.
pub(super) fn disabled(value: &Value<'_>, known: &[&'static str]) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for item in value.list()? {
        let name = item.text()?.to_ascii_uppercase();
        let known = || known.iter().copied();
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
