//! How a secret is shown to the server: SASL (RFC 5034), USER and PASS, or APOP.
//!
//! One way is tried, not one after the other: failed logins lock accounts. Without TLS a server that knows APOP gets no
//! password, unless the options ask for that.

use openssl::base64::{decode_block, encode_block};
use openssl::hash::{MessageDigest, hash};

use super::capability::{Capabilities, Capability};
use super::open::Pop3Options;
use super::status::{Mark, Reply};
use super::wire::{LogWords, Wire};
use crate::error::{Error, Kind, Result, safe_line};
use crate::remote::net::conceal::Concealed;
use crate::remote::net::options::TlsMode;
use crate::remote::net::{Exchange, Transport};
use crate::secret::Secret;

/// The longest command (RFC 2449 §4), line end included; a longer first response has a line of its own (RFC 5034 §4).
const COMMAND_MOST: usize = 255;

/// The way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pop3Auth {
    /// What the server offers, the fewest round trips first: AUTH PLAIN, USER and PASS, AUTH LOGIN. Without TLS, APOP
    /// when the server can, so that no password leaves.
    #[default]
    Auto,
    /// AUTH PLAIN (RFC 4616).
    Plain,
    /// AUTH LOGIN.
    Login,
    /// USER and PASS (RFC 1939 §7).
    User,
    /// APOP (RFC 1939 §7): the digest of the password and the greeting's timestamp.
    Apop,
    /// AUTH XOAUTH2; the secret is an access token.
    XOAuth2,
    /// AUTH OAUTHBEARER (RFC 7628); the secret is an access token.
    OAuthBearer,
}

impl Pop3Auth {
    /// Every way, in the order of the documentation.
    pub const ALL: [Pop3Auth; 7] = [
        Pop3Auth::Auto,
        Pop3Auth::Plain,
        Pop3Auth::Login,
        Pop3Auth::User,
        Pop3Auth::Apop,
        Pop3Auth::XOAuth2,
        Pop3Auth::OAuthBearer,
    ];

    /// The name in configurations and messages, lower case.
    pub fn name(self) -> &'static str {
        match self {
            Pop3Auth::Auto => "auto",
            Pop3Auth::Plain => "plain",
            Pop3Auth::Login => "login",
            Pop3Auth::User => "user",
            Pop3Auth::Apop => "apop",
            Pop3Auth::XOAuth2 => "xoauth2",
            Pop3Auth::OAuthBearer => "oauthbearer",
        }
    }
}

/// Logs in as the options and the server's offers say.
pub(super) fn log_in(
    wire: &mut Wire<Transport>,
    greeting: &Reply,
    offers: &Capabilities,
    options: &Pop3Options,
    secret: &Secret,
) -> Result<()> {
    let concealed = Concealed::new(&options.user, secret);
    wire.log_words(LogWords::Not);
    let login = Login { wire: &mut *wire, greeting, offers, options, user: &options.user, secret: secret.expose() };
    let outcome = login.run().map_err(|error| concealed.error(error));
    wire.log_words(LogWords::All);
    outcome
}

struct Login<'a, E> {
    wire: &'a mut Wire<E>,
    greeting: &'a Reply,
    offers: &'a Capabilities,
    options: &'a Pop3Options,
    user: &'a str,
    secret: &'a str,
}

impl<E: Exchange> Login<'_, E> {
    fn run(mut self) -> Result<()> {
        if [self.user, self.secret].iter().any(|text| text.contains(['\r', '\n', '\0'])) {
            return Err(Error::new(Kind::Config, "The user name or the password holds a line break or a NUL")
                .hint("Check `user` and `password`: only the first line of a command's output is taken."));
        }
        let (user, secret) = (self.user, self.secret);
        match self.choose()? {
            // `choose` never says so.
            Pop3Auth::Auto | Pop3Auth::Plain => self.sasl("PLAIN", &[format!("\0{user}\0{secret}").as_bytes()]),
            Pop3Auth::Login => self.sasl("LOGIN", &[user.as_bytes(), secret.as_bytes()]),
            Pop3Auth::User => self.user_pass(),
            Pop3Auth::Apop => self.apop(),
            Pop3Auth::XOAuth2 => {
                let message = format!("user={user}\u{1}auth=Bearer {secret}\u{1}\u{1}");
                self.sasl("XOAUTH2", &[message.as_bytes()])
            }
            Pop3Auth::OAuthBearer => {
                let (host, port) = (self.options.server.bare_host(), self.options.server.port);
                // RFC 5801 §4: `,` and `=` have another form in a user name.
                let name = user.replace('=', "=3D").replace(',', "=2C");
                let message = format!("n,a={name},\u{1}host={host}\u{1}port={port}\u{1}auth=Bearer {secret}\u{1}\u{1}");
                self.sasl("OAUTHBEARER", &[message.as_bytes()])
            }
        }
    }

    /// The way that is gone; anything but `Auto`.
    fn choose(&self) -> Result<Pop3Auth> {
        let asked = self.options.auth;
        if asked != Pop3Auth::Auto {
            return Ok(asked);
        }
        let offered: Vec<String> = self.offers.mechanisms().collect();
        let sasl = |name: &str| offered.iter().any(|o| o == name);
        let user = !self.offers.is_disabled(Capability::User)
            && (self.offers.says(Capability::User) || !self.offers.are_known());
        if self.options.server.tls == TlsMode::None && timestamp(&self.greeting.words).is_some() {
            Ok(Pop3Auth::Apop)
        } else if sasl("PLAIN") {
            Ok(Pop3Auth::Plain)
        } else if user {
            Ok(Pop3Auth::User)
        } else if sasl("LOGIN") {
            Ok(Pop3Auth::Login)
        } else {
            Err(self.no_password(&offered))
        }
    }

    fn no_password(&self, offered: &[String]) -> Error {
        let error = Error::new(Kind::Auth, "The server takes no password on this connection");
        match self.options.server.tls {
            TlsMode::None if self.offers.says(Capability::Stls) => {
                error.hint("It wants a protected connection: set `tls = \"stls\"`.")
            }
            TlsMode::None => error.hint("It may want a protected connection: set `tls = \"implicit\"`."),
            TlsMode::Implicit | TlsMode::StartTls if offered.is_empty() => {
                error.hint("Ask the provider how to log in.")
            }
            TlsMode::Implicit | TlsMode::StartTls => error.hint(format!(
                "It offers {}; many providers give out an app password or have to allow POP first.",
                safe_line(&offered.join(", "))
            )),
        }
    }

    fn user_pass(&mut self) -> Result<()> {
        let reply = self.wire.ask(&format!("USER {}", self.user))?;
        if !reply.is_ok() {
            return Err(self.refused(&reply));
        }
        let reply = self.wire.ask(&format!("PASS {}", self.secret))?;
        if reply.is_ok() { Ok(()) } else { Err(self.refused(&reply)) }
    }

    fn apop(&mut self) -> Result<()> {
        let Some(timestamp) = timestamp(&self.greeting.words) else {
            return Err(Error::new(Kind::Auth, "The server's greeting has no timestamp, so it cannot do APOP")
                .server_said(self.greeting.said())
                .hint("Set another `auth`, and `tls` so that the password is protected."));
        };
        let digest = hash(MessageDigest::md5(), format!("{timestamp}{}", self.secret).as_bytes())
            .map_err(|e| Error::new(Kind::Auth, "APOP needs MD5, which this machine refuses").because(e))?;
        let digest: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
        let reply = self.wire.ask(&format!("APOP {} {digest}", self.user))?;
        if reply.is_ok() {
            return Ok(());
        }
        let error = self.refused(&reply);
        // Servers that greet with a timestamp and know no APOP exist (jstedfast/MailKit#395).
        let guessed = self.options.auth == Pop3Auth::Auto && error.kind() == Kind::Auth;
        Err(if guessed {
            error.hint(
                "This was APOP, so that no password crosses the network. If the server does not know it, set `auth = \
                 \"user\"`, or better `tls = \"implicit\"`.",
            )
        } else {
            error
        })
    }

    /// A SASL dialog in which the client says `responses`, one for each time the server says `+`.
    fn sasl(&mut self, mechanism: &str, responses: &[&[u8]]) -> Result<()> {
        let mut responses: Vec<String> = responses.iter().rev().map(|r| encode_block(r)).collect();
        let initial = responses.last().map(|first| format!("AUTH {mechanism} {first}"));
        // LOGIN has no first response; tokens are too long in practice, and Outlook.com wants them on a line of their
        // own whatever their length (getmail6/getmail6#256).
        let reply = match initial.filter(|line| mechanism == "PLAIN" && line.len() + 2 <= COMMAND_MOST) {
            Some(line) => self.wire.ask(&line)?,
            None => self.wire.ask(&format!("AUTH {mechanism}"))?,
        };
        // What ends a failed dialog: nothing for XOAUTH2, ^A for OAUTHBEARER (RFC 7628 §3.2.3).
        self.answer(reply, &mut responses, if mechanism == "XOAUTH2" { "" } else { "AQ==" })
    }

    fn answer(&mut self, mut reply: Reply, responses: &mut Vec<String>, last_words: &str) -> Result<()> {
        let mut challenge = String::new();
        loop {
            match reply.mark {
                Mark::Ok => return Ok(()),
                Mark::Err if challenge.is_empty() => return Err(self.refused(&reply)),
                // What is wrong with a token stands in the challenge, in JSON (RFC 7628 §3.2.2).
                Mark::Err => return Err(self.refused(&reply).because(safe_line(&challenge))),
                Mark::GoOn => {}
            }
            let line = match responses.pop() {
                Some(line) => line,
                None if challenge.is_empty() => {
                    let decoded = decode_block(&reply.words).unwrap_or_default();
                    challenge = String::from_utf8_lossy(&decoded).into_owned();
                    if challenge.is_empty() {
                        return Err(endless());
                    }
                    last_words.to_owned()
                }
                None => return Err(endless()),
            };
            reply = self.wire.guarded(|wire| {
                wire.line_out(&line);
                wire.reply()
            })?;
        }
    }

    /// A refused login in words.
    fn refused(&self, reply: &Reply) -> Error {
        let error = reply.refusal("The login was refused", Kind::Auth);
        match error.kind() {
            Kind::Auth => error.hint("Check `user` and `password`; many providers want an app password for POP."),
            Kind::Refused => error.hint("The provider may have to allow POP for this account first."),
            _ => error,
        }
    }
}

fn endless() -> Error {
    Error::new(Kind::Protocol, "The server asks on and on in the login")
}

/// The timestamp of a greeting (RFC 1939 §7): a message id, or the server's word is none.
///
/// What is no message id is not digested: with octets of his choice an attacker in the server's place could learn
/// the password bit by bit (CVE-2007-1558).
fn timestamp(greeting: &str) -> Option<&str> {
    let from = greeting.find('<')?;
    let to = from + greeting.get(from..)?.find('>')? + 1;
    let stamp = greeting.get(from..to)?;
    let inner = stamp.strip_prefix('<')?.strip_suffix('>')?;
    let (left, right) = inner.split_once('@')?;
    let atoms =
        |text: &str| !text.is_empty() && text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom));
    let literal = right.strip_prefix('[').and_then(|r| r.strip_suffix(']'));
    let is_address = literal.is_some_and(|l| l.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':')));
    (atoms(left) && (atoms(right) || is_address)).then_some(stamp)
}

fn is_atom(octet: u8) -> bool {
    octet.is_ascii_graphic() && !br#"()<>@,;:\".[]"#.contains(&octet)
}

#[cfg(test)]
mod tests;
