//! Opening against servers that do it right, do it oddly, or attack.
//!
//! `login`: capabilities and how a password is said. `refusals`: servers that refuse, say goodbye, hang up or never end.
//! `protection`: STARTTLS, certificates and pins.

mod login;
mod protection;
mod refusals;

use std::io::Write;

use super::*;
use crate::remote::net::testing::{Peer, Server};

fn options(server: &Server, tls: TlsMode) -> ImapOptions {
    let server = server.options(tls);
    ImapOptions { server, user: "me".into(), connections: 1, compress: false, disable: BTreeSet::new() }
}

fn try_open(options: &ImapOptions, password: &str) -> Result<(Opened, Meter)> {
    let meter = Meter::default();
    let opened = open(options, None, &Secret::new(password.into()), &meter, &Stop::default())?;
    Ok((opened, meter))
}

/// An opened session and its server; the session ends first.
struct Played {
    opened: Opened,
    meter: Meter,
    _server: Server,
}

/// Opens without TLS against a script; the password is `secret`.
fn played(script: &[&str]) -> Result<Played> {
    let _server = Server::playing(script);
    try_open(&options(&_server, TlsMode::None), "secret").map(|(opened, meter)| Played { opened, meter, _server })
}

fn refused(script: &[&str]) -> Error {
    played(script).map(|_| ()).unwrap_err()
}

// PLAIN of me and secret.
const PLAIN: &str = "AG1lAHNlY3JldA==";
