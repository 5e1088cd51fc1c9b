//! Opening a session: connection, protection, greeting, capabilities, login.
//!
//! Invariant: a password is sent only when the connection is protected as the options demand and the server is the one
//! that they name; what the server said before TLS counts for nothing after it.

use std::collections::BTreeSet;

use super::auth::{self, Pop3Auth};
use super::capability::Capabilities;
use super::status::{Mark, Reply};
use super::wire::Wire;
use crate::error::{Error, Kind, Result};
use crate::remote::net::certificate::Doubt;
use crate::remote::net::options::{ServerOptions, TlsMode};
use crate::remote::net::{Connector, Meter, Transport};
use crate::secret::Secret;
use crate::stop::Stop;

/// Lines of CAPA that are taken.
const CAPA_MOST: usize = 1000;

/// One POP3 login and how it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pop3Options {
    /// The server. [`TlsMode::StartTls`](crate::remote::TlsMode::StartTls) means STLS (RFC 2595).
    pub server: ServerOptions,
    /// The login name, as the server wants it.
    pub user: String,
    /// How the secret is shown to the server.
    pub auth: Pop3Auth,
    /// Capabilities that are not used although announced; upper case. A SASL mechanism is `AUTH=` and its name.
    pub disable: BTreeSet<String>,
}

/// A logged-in connection.
pub(super) struct Opened {
    pub wire: Wire<Transport>,
    pub capabilities: Capabilities,
}

/// Connects, protects and logs in; see [`Session::open`](super::Session::open).
pub(super) fn open(
    options: &Pop3Options,
    connector: Option<&Connector>,
    secret: &Secret,
    meter: &Meter,
    stop: &Stop,
) -> Result<Opened> {
    let route = Route { server: &options.server, meter, stop };
    let made;
    let connector = match connector {
        Some(connector) => Some(connector),
        None if options.server.tls == TlsMode::None => None,
        None => {
            made = Connector::new(&options.server.trust)?;
            Some(&made)
        }
    };
    let (mut wire, greeting) = route.protected(connector).map_err(|e| at_server(e, &options.server))?;
    if options.server.tls == TlsMode::None && !wire.exchange().peer_is_loopback() {
        log::warn!("{}: the password and all mail cross the network unprotected (`tls = \"none\"`)", options.server);
    }
    let capabilities = log_in(&mut wire, &greeting, options, secret).map_err(|e| at_server(e, &options.server))?;
    Ok(Opened { wire, capabilities })
}

/// Names the server unless the transport did.
fn at_server(error: Error, server: &ServerOptions) -> Error {
    if error.place().is_some() { error } else { error.at(server) }
}

fn log_in(
    wire: &mut Wire<Transport>,
    greeting: &Reply,
    options: &Pop3Options,
    secret: &Secret,
) -> Result<Capabilities> {
    let before = capabilities(wire, &options.disable)?;
    auth::log_in(wire, greeting, &before, options, secret)?;
    if !before.may_change_with_login() {
        return Ok(before);
    }
    let after = capabilities(wire, &options.disable)?;
    Ok(if after.are_known() { after } else { before })
}

/// Asks what the server can do; a server that does not know the question is no error.
fn capabilities(wire: &mut Wire<Transport>, disable: &BTreeSet<String>) -> Result<Capabilities> {
    let reply = wire.ask("CAPA")?;
    if !reply.is_ok() {
        return Ok(Capabilities::new(None, disable));
    }
    let mut lines = Vec::new();
    wire.list(reply.line_end, &mut |line| {
        let text = String::from_utf8_lossy(line);
        if text.starts_with("+OK") || text.starts_with("-ERR") || lines.len() >= CAPA_MOST {
            return Err(Error::new(Kind::Protocol, "The answer to CAPA has no end").server_said(text));
        }
        lines.push(text.trim().to_owned());
        Ok(())
    })?;
    Ok(Capabilities::new(Some(lines), disable))
}

/// How the server is reached.
struct Route<'a> {
    server: &'a ServerOptions,
    meter: &'a Meter,
    stop: &'a Stop,
}

impl Route<'_> {
    /// Connects, protects as the options demand, and hears the greeting.
    fn protected(&self, connector: Option<&Connector>) -> Result<(Wire<Transport>, Reply)> {
        let result = self.shake_hands(connector);
        let Err(refused) = &result else { return result };
        let Some(doubt) = Doubt::behind(refused) else { return result };
        // Behind STLS the transport cannot look at the certificate by itself.
        let second = self.connect().and_then(|mut wire| {
            greeting(&mut wire)?;
            ask_for_tls(&mut wire)?;
            wire.into_exchange().look_at_certificate(self.server.bare_host())
        });
        Err(doubt.refusal(self.server, second.ok().as_ref()))
    }

    fn connect(&self) -> Result<Wire<Transport>> {
        Ok(Wire::new(Transport::connect(self.server, self.meter, self.stop)?, self.meter.clone()))
    }

    fn shake_hands(&self, connector: Option<&Connector>) -> Result<(Wire<Transport>, Reply)> {
        let mut wire = self.connect()?;
        if let (TlsMode::Implicit, Some(connector)) = (self.server.tls, connector) {
            wire.exchange().start_tls(connector, self.server.bare_host())?;
        }
        let greeting = greeting(&mut wire)?;
        if let (TlsMode::StartTls, Some(connector)) = (self.server.tls, connector) {
            ask_for_tls(&mut wire)?;
            wire.exchange().start_tls(connector, self.server.bare_host())?;
        }
        Ok((wire, greeting))
    }
}

/// Reads the greeting.
fn greeting(wire: &mut Wire<Transport>) -> Result<Reply> {
    let (line, line_end) = wire.line().map_err(|error| {
        if error.kind() != Kind::Unreachable || !wire.unused().is_empty() {
            return error;
        }
        wire.exchange().ungreeted(&error, (995, 110))
    })?;
    match Reply::parse(&line, line_end) {
        Some(reply) if reply.is_ok() => Ok(reply),
        Some(reply) if reply.mark == Mark::Err => {
            Err(reply.refusal("The server turned the connection away", Kind::Unreachable).worth_retrying())
        }
        _ if matches!(line.as_slice(), [0x15 | 0x16, 0x03, ..]) => {
            Err(Error::new(Kind::Tls, "The server speaks TLS from the start on this port")
                .hint("Set `tls = \"implicit\"`, or `port` to the one without (usually 110)."))
        }
        _ => Err(Error::new(Kind::Protocol, "This is no POP3 server")
            .server_said(String::from_utf8_lossy(line.get(..200).unwrap_or(&line)))
            .hint("Check `host` and `port`: POP3 is usually on 995 with TLS from the start, else on 110.")),
    }
}

/// Asks for TLS (RFC 2595 §4); what the server said before counts for nothing from here on.
fn ask_for_tls(wire: &mut Wire<Transport>) -> Result<()> {
    let reply = wire.ask("STLS")?;
    if !reply.is_ok() {
        return Err(Error::new(Kind::Tls, "The server offers no STLS, so the connection cannot be protected")
            .server_said(reply.said())
            .hint("Set `tls = \"implicit\"` (usually port 995). Somebody on the way may also be hiding the offer."));
    }
    if !wire.unused().is_empty() {
        return Err(Error::new(Kind::Tls, "Unprotected data came between STLS and the TLS handshake")
            .server_said(String::from_utf8_lossy(wire.unused().get(..200).unwrap_or(wire.unused())))
            .hint("Somebody on the way may be injecting it: use `tls = \"implicit\"` (usually port 995)."));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
