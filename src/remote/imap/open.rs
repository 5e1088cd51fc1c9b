//! Opening a session: connection, protection, greeting, login, capabilities. The only file that uses the `imap` crate.
//!
//! Invariant: a password is sent only when the connection is protected as the options demand and the server is the one
//! that they name; what the server said before TLS counts for nothing after it. The crate sees the dialog through a
//! [`Gate`], so the transport is taken over behind the login with nothing lost.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use imap::Client;

use super::capability::{Capabilities, Capability};
use super::gate::{Dialog, Gate, Status, Word, no_starttls};
use crate::error::{Error, Kind, Result};
use crate::remote::net::certificate::Doubt;
use crate::remote::net::conceal::Concealed;
use crate::remote::net::options::{ServerOptions, TlsMode};
use crate::remote::net::{Connector, Meter, Transport};
use crate::secret::Secret;
use crate::stop::Stop;

/// One IMAP login and how it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImapOptions {
    /// The server.
    pub server: ServerOptions,
    /// The login name.
    pub user: String,
    /// How many connections may be open at once.
    pub connections: usize,
    /// Whether COMPRESS=DEFLATE is used where it is offered.
    pub compress: bool,
    /// Capabilities that are not used although announced; upper case.
    pub disable: BTreeSet<String>,
}

/// A logged-in connection.
#[derive(Debug)]
pub struct Opened {
    /// The connection, nothing waiting to be sent.
    pub transport: Transport,
    /// What came after the last reply of the opening.
    pub leftover: Vec<u8>,
    /// What the server can do now.
    pub capabilities: Capabilities,
}

/// Connects, protects and logs in.
///
/// `connector` is the run's one for `options.server.trust`; `None` makes one here, which is right when there is no TLS.
///
/// # Errors
/// `Unreachable`, `Tls`, `Auth`, `TryLater`, `Refused`, `Protocol`, `Config` or `Interrupted`; each names `host:port`
/// and, where a person can do something, what.
pub fn open(
    options: &ImapOptions,
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
    let (mut dialog, greeting) = route.protected(connector).map_err(|e| at_server(e, &options.server))?;
    if options.server.tls == TlsMode::None && !dialog.peer_is_loopback() {
        log::warn!("{}: the password and all mail cross the network unprotected (`tls = \"none\"`)", options.server);
    }
    log_in(dialog, greeting, options, secret, meter).map_err(|e| at_server(e, &options.server))
}

/// Names the server unless the transport did.
fn at_server(error: Error, server: &ServerOptions) -> Error {
    if error.place().is_some() { error } else { error.at(server) }
}

/// How the server is reached.
struct Route<'a> {
    server: &'a ServerOptions,
    meter: &'a Meter,
    stop: &'a Stop,
}

impl Route<'_> {
    /// Connects, protects as the options demand, and hears the greeting.
    fn protected(&self, connector: Option<&Connector>) -> Result<(Dialog, Word)> {
        let result = self.shake_hands(connector);
        let Err(refused) = &result else { return result };
        let Some(doubt) = Doubt::behind(refused) else { return result };
        // Behind STARTTLS the transport cannot look at the certificate by itself.
        let second = Transport::connect(self.server, self.meter, self.stop);
        let shown = second.and_then(|t| Dialog::new(t).look_at_certificate(self.server.bare_host()));
        Err(doubt.refusal(self.server, shown.ok().as_ref()))
    }

    fn shake_hands(&self, connector: Option<&Connector>) -> Result<(Dialog, Word)> {
        let mut transport = Transport::connect(self.server, self.meter, self.stop)?;
        if let (TlsMode::Implicit, Some(connector)) = (self.server.tls, connector) {
            transport.start_tls(connector, self.server.bare_host())?;
        }
        let mut dialog = Dialog::new(transport);
        let greeting = dialog.greeting()?;
        if let (TlsMode::StartTls, Some(connector)) = (self.server.tls, connector) {
            if greeting == Word::Preauth {
                return Err(Error::new(
                    Kind::Tls,
                    "The server takes us for logged in before the connection is protected",
                )
                .hint("Use `tls = \"implicit\"` (usually port 993). Somebody on the way may be pretending."));
            }
            let offered = dialog.take_capabilities();
            if offered.is_some_and(|words| !Capabilities::new(&words, &BTreeSet::new()).says("STARTTLS")) {
                return Err(no_starttls());
            }
            self.meter.count_command();
            dialog.start_tls(connector, self.server.bare_host())?;
        }
        Ok((dialog, greeting))
    }
}

fn log_in(mut dialog: Dialog, greeting: Word, options: &ImapOptions, secret: &Secret, meter: &Meter) -> Result<Opened> {
    let concealed = Rc::new(Concealed::new(&options.user, secret));
    dialog.conceal(Rc::clone(&concealed));
    converse(dialog, greeting, options, secret, meter).map_err(|error| concealed.error(error))
}

fn converse(dialog: Dialog, greeting: Word, options: &ImapOptions, secret: &Secret, meter: &Meter) -> Result<Opened> {
    let dialog = RefCell::new(dialog);
    let capabilities = {
        let mut client = Client::new(Gate(&dialog));
        client.greeting_read = true;
        let login = Login { dialog: &dialog, options, secret, meter };
        let before = login.capabilities(|| client.capabilities().map(drop))?;
        if greeting == Word::Preauth {
            before
        } else {
            let mut session = login.run(client, &before)?;
            login.capabilities(|| session.run_command_and_check_ok("CAPABILITY"))?
        }
    };
    let (transport, leftover) = dialog.into_inner().into_parts();
    Ok(Opened { transport, leftover, capabilities })
}

struct Login<'a> {
    dialog: &'a RefCell<Dialog>,
    options: &'a ImapOptions,
    secret: &'a Secret,
    meter: &'a Meter,
}

impl<'a> Login<'a> {
    /// What the server said by itself, else what it answers to `ask`.
    fn capabilities(&self, ask: impl FnOnce() -> imap::Result<()>) -> Result<Capabilities> {
        let mut words = self.dialog.borrow_mut().take_capabilities();
        if words.is_none() {
            self.meter.count_command();
            if let Err(error) = ask() {
                let refused = |status: Status| {
                    Error::new(Kind::Refused, "The server does not tell what it can do").server_said(status.words)
                };
                return Err(self.reason(error, refused));
            }
            words = self.dialog.borrow_mut().take_capabilities();
        }
        let words = words.ok_or_else(|| {
            Error::new(Kind::Protocol, "The server answered CAPABILITY without telling what it can do")
        })?;
        Ok(Capabilities::new(&words, &self.options.disable))
    }

    /// Logs in the way that costs least: AUTHENTICATE PLAIN with its answer inside the command (RFC 4959), else LOGIN,
    /// else AUTHENTICATE PLAIN in two steps for what LOGIN cannot carry.
    fn run(&self, client: Client<Gate<'a>>, before: &Capabilities) -> Result<imap::Session<Gate<'a>>> {
        let (user, password) = (self.options.user.as_str(), self.secret.expose());
        if [user, password].iter().any(|text| text.contains(['\r', '\n', '\0'])) {
            return Err(Error::new(Kind::Config, "The user name or the password holds a line break or a NUL")
                .hint("Check `user` and `password`: only the first line of a command's output is taken."));
        }
        let plain = before.authenticates_by("PLAIN");
        let initial = before.has(Capability::SaslIr);
        let login = !before.says("LOGINDISABLED");
        let credentials = Plain { user, password };
        self.meter.count_command();
        let outcome = if plain && initial {
            client
                .authenticate(format!("PLAIN {}", openssl::base64::encode_block(&credentials.message())), &credentials)
        } else if login && (!plain || user.is_ascii() && password.is_ascii()) {
            client.login(user, password)
        } else if plain {
            client.authenticate("PLAIN", &credentials)
        } else {
            return Err(self.no_password(before));
        };
        outcome.map_err(|(error, _)| self.reason(error, |status| self.refused(status)))
    }

    fn no_password(&self, before: &Capabilities) -> Error {
        let ways: Vec<&str> = before.all_names().filter_map(|n| n.strip_prefix("AUTH=")).collect();
        let error = Error::new(Kind::Auth, "The server takes no password on this connection");
        match self.options.server.tls {
            TlsMode::None if before.says("STARTTLS") => {
                error.hint("It wants a protected connection: set `tls = \"starttls\"`.")
            }
            TlsMode::None => error.hint("It may want a protected connection: set `tls = \"implicit\"`."),
            TlsMode::Implicit | TlsMode::StartTls if ways.is_empty() => error.hint("Ask the provider how to log in."),
            TlsMode::Implicit | TlsMode::StartTls => error.hint(format!(
                "It offers {}; many providers give out an app password or have to allow IMAP first.",
                crate::error::safe_line(&ways.join(", "))
            )),
        }
    }

    /// Why the crate gave up: what broke the dialog, else the server's own reply.
    fn reason(&self, error: imap::Error, refused: impl FnOnce(Status) -> Error) -> Error {
        let mut dialog = self.dialog.borrow_mut();
        if let Some(failure) = dialog.take_failure() {
            return failure;
        }
        match dialog.take_tagged() {
            Some(status) if matches!(status.word, Word::No | Word::Bad) => refused(status),
            _ => Error::new(Kind::Protocol, "The server's answer does not fit the command").because(error.to_string()),
        }
    }

    /// A refused login, by its response code (RFC 5530).
    fn refused(&self, status: Status) -> Error {
        let error = match (status.word, status.code_name().as_str()) {
            (_, "UNAVAILABLE" | "INUSE") => Error::new(Kind::TryLater, "The server cannot log anybody in just now")
                .hint("Try again later.")
                .worth_retrying(),
            (_, "LIMIT") => Error::new(Kind::TryLater, "The server allows no further login just now")
                .hint("Close other mail programs or set a lower `connections`; then try again later."),
            (_, "PRIVACYREQUIRED") => Error::new(Kind::Auth, "The server wants a protected connection for the login")
                .hint("Set `tls = \"implicit\"` or `tls = \"starttls\"`."),
            (_, "EXPIRED") => Error::new(Kind::Auth, "The password has expired").hint("Set a new one at the provider."),
            (_, "AUTHORIZATIONFAILED") => Error::new(Kind::Auth, "The password is right, but this user may not log in")
                .hint("Check `user`; the provider may have to allow IMAP first."),
            (_, "CONTACTADMIN") => Error::new(Kind::Auth, "The server wants the user to contact its administrator"),
            (Word::Bad, _) => Error::new(Kind::Refused, "The server does not accept the login command"),
            _ => Error::new(Kind::Auth, "The login was refused")
                .hint("Check `user` and `password`; many providers want an app password for IMAP."),
        };
        error.server_said(status.words)
    }
}

/// SASL PLAIN (RFC 4616).
struct Plain<'a> {
    user: &'a str,
    password: &'a str,
}

impl Plain<'_> {
    fn message(&self) -> Vec<u8> {
        [b"\0", self.user.as_bytes(), b"\0", self.password.as_bytes()].concat()
    }
}

impl imap::Authenticator for Plain<'_> {
    type Response = Vec<u8>;

    fn process(&self, _challenge: &[u8]) -> Vec<u8> {
        self.message()
    }
}

#[cfg(test)]
mod tests;
