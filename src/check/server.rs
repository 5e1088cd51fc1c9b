//! An IMAP server: the way to it, login, what it can, what it lists.

use super::{Finding, Subject, capabilities, found, way};
use crate::config::{Deletions, ImapAccount};
use crate::error::{Kind, Result};
use crate::remote::TlsMode;
use crate::remote::imap::{Listing, Session, SpecialUse};
use crate::remote::net::Meter;

/// Goes as far as it can.
pub(super) fn check(subject: &Subject<'_>, account: &ImapAccount, put: &mut dyn FnMut(Finding)) -> Result<()> {
    let imap = &account.imap;
    let server = &imap.server;
    let Some(way) = way::check(subject, server, put)? else { return Ok(()) };
    let secret = match (subject.secret)() {
        Ok(secret) => secret,
        Err(error) => return found("password", error, put),
    };
    let mut session = match Session::open(imap, way.connector.as_ref(), &secret, &Meter::default(), subject.stop) {
        Ok(session) => session,
        Err(error) => return found(if error.kind() == Kind::Tls { "tls" } else { "login" }, error, put),
    };
    if server.tls == TlsMode::StartTls {
        way.protection(server, session.protection(), put);
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
