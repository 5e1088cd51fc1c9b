//! An account from the command line alone: `imaps://me@example.org@imap.example.org:993`, `pop3s://me@pop.example.org`.

use std::path::PathBuf;

use super::imap::CONNECTIONS;
use super::server::{TIMEOUT, unconfigured};
use super::{Account, Dedup, ImapAccount, LocalDeletion, MailboxFilter, Pop3Account, Renames, imap, pop3, roots};
use crate::error::{Error, Kind, Result, safe_line};
use crate::local::{Layout, LocalOptions};
use crate::mail::MailboxName;
use crate::maildrop::Policy;
use crate::reconcile::guard::MaxDelete;
use crate::reconcile::view::{Deletions, Direction, Keywords};
use crate::remote::pop3::Pop3Auth;
use crate::remote::{ImapOptions, Pop3Options, ServerOptions, TlsMode, Trust};
use crate::secret::SecretSource;

/// What stands beside the URL on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlOptions {
    /// The tree's root; a relative path starts at the working directory.
    pub maildir: PathBuf,
    /// How mailboxes become directories.
    pub layout: Layout,
    /// More authorities to believe.
    pub ca_file: Option<PathBuf>,
    /// The command that prints the password; $MAILTIDE_PASSWORD goes before it.
    pub password_command: Option<String>,
}

/// See [`Account::from_url`].
pub(super) fn account(url: &str, options: UrlOptions) -> Result<Account> {
    let Address { protocol, tls, user, host, port } = parse(url)?;
    let root = roots::canonical(&options.maildir);
    let place = blake3::hash(root.as_os_str().as_encoded_bytes()).to_hex();
    let secret = match (unconfigured(), options.password_command) {
        (SecretSource::Prompt, Some(line)) => SecretSource::Command { line, timeout: SecretSource::COMMAND_TIMEOUT },
        (source, _) => source,
    };
    let usual_port = match protocol {
        Protocol::Imap => imap::usual_port,
        Protocol::Pop3 => pop3::usual_port,
    };
    let name = format!("{user}@{host}-{}", place.get(..8).unwrap_or_default());
    let server = ServerOptions {
        host,
        port: port.unwrap_or_else(|| usual_port(tls)),
        tls,
        trust: Trust { ca_file: options.ca_file, ..Trust::default() },
        timeout: TIMEOUT,
    };
    let local = LocalOptions { root, layout: options.layout };
    Ok(match protocol {
        Protocol::Imap => Account::Imap(ImapAccount {
            name,
            imap: ImapOptions { server, user, connections: CONNECTIONS, compress: false, disable: Default::default() },
            secret,
            local,
            direction: Direction::default(),
            deletions: Deletions::default(),
            keywords: Keywords::default(),
            max_delete: MaxDelete::default(),
            mailboxes: MailboxFilter::default(),
            rename: Renames::default(),
            trash: None,
        }),
        Protocol::Pop3 => Account::Pop3(Pop3Account {
            // A maildrop may be on the host of an IMAP account of the same user, and in the same tree.
            name: format!("{name}-pop3"),
            pop3: Pop3Options { server, user, auth: Pop3Auth::default(), disable: Default::default() },
            secret,
            local,
            mailbox: MailboxName::inbox(),
            policy: Policy::default(),
            local_deletion: LocalDeletion::Ignored,
            dedup: Dedup::Each,
            fetched_before: None,
            max_delete: MaxDelete::default(),
            mailboxes: MailboxFilter::default(),
        }),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Imap,
    Pop3,
}

#[derive(Debug, PartialEq, Eq)]
struct Address {
    protocol: Protocol,
    tls: TlsMode,
    user: String,
    host: String,
    port: Option<u16>,
}

fn parse(url: &str) -> Result<Address> {
    let usage = |what: String| {
        Error::new(Kind::Usage, what)
            .hint("Write it like `imaps://me@example.org@imap.example.org` or `imaps://me@localhost:1993`.")
    };
    let Some((scheme, rest)) = url.split_once("://") else { return Err(usage("This is no URL".into())) };
    let (protocol, tls) = match scheme.to_ascii_lowercase().as_str() {
        "imaps" => (Protocol::Imap, TlsMode::Implicit),
        "imap" => (Protocol::Imap, TlsMode::StartTls),
        "pop3s" => (Protocol::Pop3, TlsMode::Implicit),
        "pop3" => (Protocol::Pop3, TlsMode::StartTls),
        other => return Err(usage(format!("`{}://` is no scheme of a mail server", safe_line(other)))),
    };
    // Users are mail addresses more often than not: the host stands behind the last `@`.
    let (login, server) = rest.rsplit_once('@').unwrap_or(("", rest));
    if login.contains(':') {
        return Err(Error::new(
            Kind::Usage,
            "A password in the URL would be seen by everybody who lists processes, and kept in the shell's history",
        )
        .hint(
            "Leave it out: it is asked for on the terminal, or taken from $MAILTIDE_PASSWORD or `--password-command`.",
        ));
    }
    let user = decoded(login).ok_or_else(|| usage("The user in the URL is wrongly escaped".into()))?;
    if user.is_empty() {
        return Err(usage("The URL names no user".into()));
    }
    let (server, path) = server.split_once('/').unwrap_or((server, ""));
    if !path.is_empty() || server.contains(['?', '#']) {
        return Err(usage("The URL goes on after the host".into()).hint("Select mailboxes with `--mailbox GLOB`."));
    }
    let (host, port) =
        host_and_port(server).ok_or_else(|| usage("The URL names no host, or a port that is none".into()))?;
    Ok(Address { protocol, tls, user, host, port })
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
fn host_and_port(server: &str) -> Option<(String, Option<u16>)> {
    let (host, rest) = match server.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?,
        None => server.split_at(server.find(':').unwrap_or(server.len())),
    };
    let port = match rest {
        "" => None,
        _ => Some(rest.strip_prefix(':')?.parse().ok().filter(|port| *port != 0)?),
    };
    let fits = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control());
    fits.then(|| (host.to_owned(), port))
}

/// Undoes percent escapes; `None` for a broken one, for what is then not UTF-8, or holds control characters.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let digits = after.get(..2).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after.get(2..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok().filter(|t| !t.contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_user_host_and_port() {
        let (imap, pop3) = (Protocol::Imap, Protocol::Pop3);
        for (url, user, host, port, protocol, tls) in [
            ("imaps://me@host", "me", "host", None, imap, TlsMode::Implicit),
            ("IMAPS://me@example.org@host:1993/", "me@example.org", "host", Some(1993), imap, TlsMode::Implicit),
            ("imap://me%40example.org@[::1]:143", "me@example.org", "::1", Some(143), imap, TlsMode::StartTls),
            ("pop3s://recent%3Ame@example.org@host", "recent:me@example.org", "host", None, pop3, TlsMode::Implicit),
            ("POP3://me@host:1110", "me", "host", Some(1110), pop3, TlsMode::StartTls),
        ] {
            let expected = Address { protocol, tls, user: user.into(), host: host.into(), port };
            assert_eq!(parse(url).unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn what_is_no_login_is_refused() {
        for (url, part) in [
            ("work", "no URL"),
            ("https://me@host", "`https://` is no scheme"),
            ("imaps://host", "names no user"),
            ("imaps://me@", "names no host"),
            ("imaps://me@host:0", "a port that is none"),
            ("imaps://me@host:99999", "a port that is none"),
            ("imaps://me@host/INBOX", "goes on after the host"),
            ("imaps://m%zz@host", "wrongly escaped"),
        ] {
            let error = parse(url).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{url}");
            assert!(error.what().contains(part), "{url}: {error}");
        }
    }

    #[test]
    fn a_password_in_the_url_is_refused_and_not_repeated() {
        for url in ["imaps://me:hunter2@host", "imaps://me@example.org:hunter2@host:993"] {
            let error = parse(url).unwrap_err();
            assert!(error.what().contains("password"), "{url}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }
}
