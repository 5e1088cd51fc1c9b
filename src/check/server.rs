//! The way to the server, step by step: name, TCP, TLS, login, what it can, what it lists.
//!
//! Each step is tried on its own, so that the first that fails is named; it costs connections that a run does not make.

use std::net::SocketAddr;

use super::{Finding, Subject, capabilities, found};
use crate::config::{Deletions, ImapAccount};
use crate::error::{Kind, Result};
use crate::remote::imap::{Listing, Session, SpecialUse};
use crate::remote::net::{Connector, Meter, Protection, Transport, resolve};
use crate::remote::{ServerOptions, TlsMode};

/// Goes as far as it can.
pub(super) fn check(subject: &Subject<'_>, account: &ImapAccount, put: &mut dyn FnMut(Finding)) -> Result<()> {
    let imap = &account.imap;
    let server = &imap.server;
    let addresses = match resolve(server.bare_host(), server.port, server.timeout, subject.stop) {
        Ok(addresses) => addresses,
        Err(error) => return found("name", error, put),
    };
    let listed: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    put(Finding::ok("name", format!("{} is {}", server.bare_host(), listed.join(", "))));

    let meter = Meter::default();
    let mut transport = match Transport::connect(server, &meter, subject.stop) {
        Ok(transport) => transport,
        Err(error) => return found("tcp", error, put),
    };
    put(Finding::ok("tcp", format!("Connected to {server}")));

    let connector = match connector(server) {
        Ok(connector) => connector,
        Err(error) => return found("tls", error, put),
    };
    if let (Some(connector), TlsMode::Implicit) = (&connector, server.tls)
        && let Err(error) = transport.start_tls(connector, server.bare_host())
    {
        return found("tls", error, put);
    }
    let seen = transport.protection();
    drop(transport);
    if server.tls != TlsMode::StartTls {
        protection(server, &addresses, seen.as_ref(), put);
    }

    let secret = match (subject.secret)() {
        Ok(secret) => secret,
        Err(error) => return found("password", error, put),
    };
    let mut session = match Session::open(imap, connector.as_ref(), &secret, &meter, subject.stop) {
        Ok(session) => session,
        Err(error) => return found(if error.kind() == Kind::Tls { "tls" } else { "login" }, error, put),
    };
    if server.tls == TlsMode::StartTls {
        protection(server, &addresses, session.protection(), put);
    }
    put(Finding::ok("login", format!("Logged in as {}", imap.user)));
    capabilities::check(session.capabilities(), &imap.disable, put);
    match session.list() {
        Ok(listing) => mailboxes(account, &listing, put),
        Err(error) => return found("mailboxes", error, put),
    }
    session.logout();
    Ok(())
}

/// What TLS is made with; `None` where there is none.
fn connector(server: &ServerOptions) -> Result<Option<Connector>> {
    (server.tls != TlsMode::None).then(|| Connector::new(&server.trust)).transpose()
}

fn protection(
    server: &ServerOptions,
    addresses: &[SocketAddr],
    seen: Option<&Protection>,
    put: &mut dyn FnMut(Finding),
) {
    const SUBJECT: &str = "tls";
    let how = match server.tls {
        TlsMode::Implicit => "from the first octet",
        TlsMode::StartTls => "by STARTTLS",
        TlsMode::None if addresses.iter().all(|address| address.ip().is_loopback()) => {
            return put(Finding::ok(SUBJECT, "None, as configured; the server is on this machine"));
        }
        TlsMode::None => {
            return put(Finding::warn(
                SUBJECT,
                "None, as configured: everybody on the way can read the password and the mail",
                "Set `tls = \"implicit\"`, or `tls = \"starttls\"` if the server has nothing else.",
            ));
        }
    };
    let checked = match &server.trust {
        trust if trust.pin.is_some() => "is the pinned one",
        trust if trust.ca_file.is_some() => "is believed, with the help of `ca-file`",
        _ => "is believed",
    };
    let version = seen.and_then(|p| p.version).unwrap_or("TLS");
    let ends = seen.map(|p| format!("; it ends {}", p.ends)).unwrap_or_default();
    put(Finding::ok(SUBJECT, format!("{version} {how}; the certificate {checked}{ends}")));
    if let Some(Protection { certificate, public_key, .. }) = seen {
        put(Finding::ok("pin", format!("The public key is {public_key}, the certificate {certificate}")));
    }
}

fn mailboxes(account: &ImapAccount, listing: &Listing, put: &mut dyn FnMut(Finding)) {
    const SUBJECT: &str = "mailboxes";
    for unusable in listing.unusable.iter().take(5) {
        put(Finding::note(SUBJECT, unusable.as_str()));
    }
    let usable: Vec<_> = listing.mailboxes.iter().filter(|(_, listed)| listed.selectable).collect();
    if usable.is_empty() {
        put(Finding::warn(
            SUBJECT,
            "The server lists none",
            "Ask its operator; a run would not take that for \"all deleted\".",
        ));
        return;
    }
    let selected: Vec<_> =
        usable.iter().filter(|(name, _)| account.mailboxes.selects(&account.rename.local(name))).collect();
    let messages: u64 = selected.iter().filter_map(|(_, l)| l.status.as_ref()).map(|s| u64::from(s.messages)).sum();
    if selected.is_empty() {
        let names: Vec<_> = usable.iter().take(5).map(|(name, _)| name.path()).collect();
        put(Finding::warn(
            SUBJECT,
            format!("{} listed, none selected", usable.len()),
            format!("Change `mailboxes` or `--mailbox`; there are for example {}.", names.join(", ")),
        ));
    } else {
        let counts = format!("{} listed, {} selected with {messages} messages", usable.len(), selected.len());
        put(Finding::ok(SUBJECT, counts));
    }
    let has_trash = listing.mailboxes.values().any(|listed| listed.special_use == Some(SpecialUse::Trash));
    if account.deletions == Deletions::Trash && account.trash.is_none() && !has_trash {
        put(Finding::warn(
            SUBJECT,
            "`deletions = \"trash\"`, and the server says of no mailbox that it is the trash",
            "Name it in the account: `trash = \"Trash\"`.",
        ));
    }
}
