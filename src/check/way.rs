//! The way to a server, step by step: name, TCP, TLS.
//!
//! Each step is tried on its own, so that the first that fails is named; it costs a connection that a run does not make.

use std::net::SocketAddr;

use super::{Finding, Subject, found};
use crate::error::Result;
use crate::remote::net::{Connector, Meter, Protection, Transport, resolve};
use crate::remote::{ServerOptions, TlsMode};

/// What a session is opened with, once the server could be reached.
pub(super) struct Way {
    /// What TLS is made with; `None` where there is none.
    pub connector: Option<Connector>,
    addresses: Vec<SocketAddr>,
}

/// Goes as far as it can; `None` when that is not all the way.
pub(super) fn check(
    subject: &Subject<'_>,
    server: &ServerOptions,
    put: &mut dyn FnMut(Finding),
) -> Result<Option<Way>> {
    let addresses = match resolve(server.bare_host(), server.port, server.timeout, subject.stop) {
        Ok(addresses) => addresses,
        Err(error) => return found("name", error, put).map(|()| None),
    };
    let listed: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    put(Finding::ok("name", format!("{} is {}", server.bare_host(), listed.join(", "))));

    let mut transport = match Transport::connect(server, &Meter::default(), subject.stop) {
        Ok(transport) => transport,
        Err(error) => return found("tcp", error, put).map(|()| None),
    };
    put(Finding::ok("tcp", format!("Connected to {server}")));

    let connector = match connector(server) {
        Ok(connector) => connector,
        Err(error) => return found("tls", error, put).map(|()| None),
    };
    if let (Some(connector), TlsMode::Implicit) = (&connector, server.tls)
        && let Err(error) = transport.start_tls(connector, server.bare_host())
    {
        return found("tls", error, put).map(|()| None);
    }
    let seen = transport.protection();
    drop(transport);
    let way = Way { connector, addresses };
    if server.tls != TlsMode::StartTls {
        way.protection(server, seen.as_ref(), put);
    }
    Ok(Some(way))
}

fn connector(server: &ServerOptions) -> Result<Option<Connector>> {
    (server.tls != TlsMode::None).then(|| Connector::new(&server.trust)).transpose()
}

impl Way {
    /// Tells how the connection is protected; `seen` is what a TLS session shows of itself.
    pub(super) fn protection(&self, server: &ServerOptions, seen: Option<&Protection>, put: &mut dyn FnMut(Finding)) {
        const SUBJECT: &str = "tls";
        let how = match server.tls {
            TlsMode::Implicit => "from the first octet",
            TlsMode::StartTls => "on the open connection",
            TlsMode::None if self.addresses.iter().all(|address| address.ip().is_loopback()) => {
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
}
