//! A POP3 server: the way to it, login, what it can, what its provider does otherwise.

use super::{Finding, Subject, found, way};
use crate::config::Pop3Account;
use crate::error::{Kind, Result};
use crate::remote::TlsMode;
use crate::remote::net::Meter;
use crate::remote::pop3::quirk::provider_of_host;
use crate::remote::pop3::{Capabilities, Capability, Expire, Session};

/// Goes as far as it can.
pub(super) fn check(subject: &Subject<'_>, account: &Pop3Account, put: &mut dyn FnMut(Finding)) -> Result<()> {
    let pop3 = &account.pop3;
    let Some(way) = way::check(subject, &pop3.server, put)? else { return Ok(()) };
    let secret = match (subject.secret)() {
        Ok(secret) => secret,
        Err(error) => return found("password", error, put),
    };
    let mut session = match Session::open(pop3, way.connector.as_ref(), &secret, &Meter::default(), subject.stop) {
        Ok(session) => session,
        Err(error) => return found(if error.kind() == Kind::Tls { "tls" } else { "login" }, error, put),
    };
    if pop3.server.tls == TlsMode::StartTls {
        way.protection(&pop3.server, None, put);
    }
    put(Finding::ok("login", format!("Logged in as {}", pop3.user)));
    capabilities(session.capabilities(), put);
    if let Some(provider) = provider_of_host(&pop3.server.host) {
        for odd in provider.odd {
            put(Finding::note("provider", format!("{}: {} ({})", provider.name, odd.what, odd.source)));
        }
    }
    match session.listing() {
        Ok(listing) => {
            let (messages, octets) = (listing.stat.messages, listing.stat.octets);
            put(Finding::ok("maildrop", format!("{messages} messages, {octets} octets")));
            for odd in &listing.odd {
                put(Finding::note("maildrop", odd.to_string()));
            }
            let without = listing.entries.iter().filter(|entry| entry.uidl.is_none()).count();
            if without > 0 {
                let what = format!("{without} messages have no unique id; they are known by size and header");
                put(Finding::note("maildrop", what));
            }
        }
        Err(error) => return found("maildrop", error, put),
    }
    if let Err(error) = session.quit() {
        put(Finding::note("maildrop", format!("The end of the session: {error}")));
    }
    Ok(())
}

fn capabilities(can: &Capabilities, put: &mut dyn FnMut(Finding)) {
    const SUBJECT: &str = "capability";
    if let Some(name) = can.implementation() {
        put(Finding::ok("server", name));
    }
    if !can.are_known() {
        put(Finding::note(SUBJECT, "The server does not say what it can (no CAPA); the usual commands are tried"));
        return;
    }
    let told = [
        (Capability::Pipelining, "many messages a round trip", "without it each message costs a round trip"),
        (
            Capability::Uidl,
            "messages are known by their unique ids",
            "without it messages are known by size and header",
        ),
        (Capability::Top, "headers without bodies", "without it a doubtful message is fetched to be compared"),
    ];
    for (capability, buys, lacks) in told {
        put(match (can.has(capability), can.is_disabled(capability)) {
            (true, _) => Finding::ok(SUBJECT, format!("{}: {buys}", capability.name())),
            (false, true) => {
                Finding::note(SUBJECT, format!("{} is switched off (`disable`): {lacks}", capability.name()))
            }
            (false, false) => Finding::note(SUBJECT, format!("{} is not offered: {lacks}", capability.name())),
        });
    }
    if let Some(delay) = can.login_delay().filter(|delay| !delay.is_zero()) {
        let what = format!("The server wants {} s between two logins", delay.as_secs());
        put(Finding::warn(SUBJECT, what, "Run no more often than that."));
    }
    match can.expire() {
        Some(Expire::Days(0)) => put(Finding::note(
            SUBJECT,
            "EXPIRE 0: the server may delete what was fetched at the end of the session, whatever `keep` says",
        )),
        Some(Expire::Days(days)) => {
            put(Finding::note(SUBJECT, format!("EXPIRE {days}: the server deletes mail after {days} days by itself")));
        }
        Some(Expire::Never) | None => {}
    }
}
