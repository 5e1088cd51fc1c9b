//! Opening a session: connection, protection, greeting, capabilities, login.

use std::collections::BTreeSet;

use super::auth::Pop3Auth;
use crate::remote::net::options::ServerOptions;

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
