//! Where a server is and how it is spoken to, as the configuration resolves it.

use std::fmt;
use std::time::Duration;

use super::trust::Trust;

/// A server's address, the protection of the connection and how long silence may last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// Name or address; IPv6 with or without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: TlsMode,
    /// Which certificates are believed.
    pub trust: Trust,
    /// The longest time for name resolution, for connecting, for the TLS handshake, and without any octet either way.
    pub timeout: Duration,
}

impl ServerOptions {
    /// The host without the brackets of an IPv6 address and without the final dot of a full name.
    pub fn bare_host(&self) -> &str {
        let host = self.host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(&self.host);
        host.strip_suffix('.').unwrap_or(host)
    }
}

/// `host:port`, as messages name the server.
impl fmt::Display for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.bare_host();
        if host.contains(':') { write!(f, "[{host}]:{}", self.port) } else { write!(f, "{host}:{}", self.port) }
    }
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsMode {
    /// TLS from the first octet (RFC 8314).
    Implicit,
    /// STARTTLS before anything else; a server that cannot is refused.
    StartTls,
    /// No protection at all.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(host: &str) -> ServerOptions {
        let timeout = Duration::from_secs(1);
        ServerOptions { host: host.into(), port: 993, tls: TlsMode::Implicit, trust: Trust::default(), timeout }
    }

    #[test]
    fn a_server_is_named_by_host_and_port() {
        assert_eq!(server("imap.example.org.").to_string(), "imap.example.org:993");
        assert_eq!(server("::1").to_string(), "[::1]:993");
        assert_eq!(server("[::1]").to_string(), "[::1]:993");
        assert_eq!(server("[::1]").bare_host(), "::1");
    }
}
