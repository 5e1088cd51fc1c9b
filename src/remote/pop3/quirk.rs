//! Providers whose POP3 is their own: where it is, and what is odd about it, each with its source.

use crate::remote::net::options::TlsMode;

/// A provider's POP3 service.
#[derive(Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name, for a person.
    pub name: &'static str,
    /// The domains of its addresses; more may be hosted there.
    pub domains: &'static [&'static str],
    /// The server.
    pub host: &'static str,
    /// The port that fits `tls`.
    pub port: u16,
    /// How the connection is protected.
    pub tls: TlsMode,
    /// What is odd, one sentence each for a person.
    pub odd: &'static [&'static str],
}

/// All providers that are known here.
pub const PROVIDERS: &[Provider] = &[];

/// The provider of an address, by its domain.
pub fn provider_of_address(address: &str) -> Option<&'static Provider> {
    let (_, domain) = address.rsplit_once('@')?;
    PROVIDERS.iter().find(|p| p.domains.iter().any(|d| d.eq_ignore_ascii_case(domain)))
}

/// The provider whose server `host` is.
pub fn provider_of_host(host: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|p| p.host.eq_ignore_ascii_case(host))
}

/// **Recent mode**: Gmail hides from POP what any client has fetched; a login as `recent:` and the address shows the last
/// 30 days all the same.
pub const GMAIL_RECENT: &str = "recent:";
