//! TLS: what to believe, the handshake, and its failures in words.
//!
//! Invariant: a stream that [`handshake`] gives was verified (authority, dates, name) or holds the pinned certificate.
//! The trust store is read once a [`Connector`], beside whatever else there is to do; TLS 1.2 is the oldest version.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use native_tls::{Certificate, HandshakeError, Identity, Protocol, TlsConnector, TlsConnectorBuilder, TlsStream};
use openssl::pkey::PKey;
use openssl::x509::X509;

use super::certificate::{Doubt, Shown};
use super::dial::{LATER, seconds};
use super::protection::{self, Protection};
use super::socket::Socket;
use super::trust::{ClientCertificate, Pin, Trust};
use crate::error::{Error, Kind, Result};
use crate::stop::Stop;

/// A [`Trust`] made ready; cheap to clone. Making one may read the system's whole trust store (about 0.1 s,
/// see `cli::trust_store`): one a run is enough.
///
/// That goes on, on a thread of its own, while the connection is set up; the first handshake waits for it.
#[derive(Debug, Clone)]
pub struct Connector(Arc<Making>);

#[derive(Debug)]
struct Making {
    prepared: Arc<Prepared>,
    thread: Option<JoinHandle<()>>,
}

/// A program must not end while one of its threads is inside OpenSSL.
impl Drop for Making {
    fn drop(&mut self) {
        // It has nothing to tell: what it made, or why it could not, stands in `prepared`.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Prepared {
    builder: TlsConnectorBuilder,
    tls: OnceLock<std::result::Result<TlsConnector, String>>,
    pin: Option<Pin>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("pin", &self.pin).finish_non_exhaustive()
    }
}

impl Prepared {
    /// What is being made, as soon as it is.
    fn tls(&self) -> Result<&TlsConnector> {
        let made = self.tls.get_or_init(|| self.builder.build().map_err(|e| e.to_string()));
        made.as_ref().map_err(|why| set_up(why.clone()))
    }
}

impl Connector {
    /// Reads the files that `trust` names, and begins to read the system's trust store.
    ///
    /// # Errors
    /// Kind `Config`, naming the file, when one is unreadable or holds no certificate or key.
    pub fn new(trust: &Trust) -> Result<Connector> {
        let mut builder = builder();
        if let Some(path) = &trust.ca_file {
            for authority in authorities(path)? {
                builder.add_root_certificate(authority);
            }
        }
        if let Some(client) = &trust.client {
            builder.identity(identity(client)?);
        }
        if trust.pin.is_some() {
            // The pin decides alone, in `handshake`, before anything is sent through the stream.
            builder.danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true);
        }
        let prepared = Arc::new(Prepared { builder, tls: OnceLock::new(), pin: trust.pin });
        let making = Arc::clone(&prepared);
        // Without a thread the handshake makes it. An error is told there, too.
        let thread = std::thread::Builder::new().name("trust".into()).spawn(move || drop(making.tls())).ok();
        Ok(Connector(Arc::new(Making { prepared, thread })))
    }
}

fn builder() -> TlsConnectorBuilder {
    let mut builder = TlsConnector::builder();
    builder.min_protocol_version(Some(Protocol::Tlsv12));
    builder
}

fn set_up(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Kind::Tls, "TLS cannot be set up").because(why)
}

fn authorities(path: &Path) -> Result<Vec<Certificate>> {
    let wrong = |what: String| {
        Error::new(Kind::Config, what)
            .at(path.display())
            .hint("Set `ca-file` to a PEM file with the authority's certificate.")
    };
    let pem = fs::read(path).map_err(|e| wrong("The file of authorities cannot be read".into()).because(e))?;
    let found = Certificate::stack_from_pem(&pem).map_err(|e| wrong("This is no PEM file".into()).because(e))?;
    if found.is_empty() { Err(wrong("The file holds no certificate".into())) } else { Ok(found) }
}

fn identity(client: &ClientCertificate) -> Result<Identity> {
    let wrong = |path: &Path, what: &str, hint: &str| Error::new(Kind::Config, what).at(path.display()).hint(hint);
    let cert_hint = "Set `client-cert` to a PEM file with the certificate first.";
    let key_hint = "Set `client-key` to a PEM file with the private key, not encrypted, that belongs to `client-cert`.";
    let cert_pem = fs::read(&client.cert)
        .map_err(|e| wrong(&client.cert, "The client certificate cannot be read", cert_hint).because(e))?;
    let key_pem =
        fs::read(&client.key).map_err(|e| wrong(&client.key, "The client key cannot be read", key_hint).because(e))?;
    let certificate = X509::from_pem(&cert_pem)
        .map_err(|e| wrong(&client.cert, "This holds no PEM certificate", cert_hint).because(e))?;
    // The callback keeps OpenSSL from asking the terminal for the passphrase of an encrypted key.
    let key = PKey::private_key_from_pem_callback(&key_pem, |_| Ok(0))
        .map_err(|e| wrong(&client.key, "This holds no PEM private key, or an encrypted one", key_hint).because(e))?;
    if !certificate.public_key().is_ok_and(|public| public.public_eq(&key)) {
        return Err(wrong(&client.key, "The client certificate and its key do not belong together", key_hint));
    }
    // native-tls takes PKCS #8 only; many tools write `RSA PRIVATE KEY` or `EC PRIVATE KEY`.
    key.private_key_to_pem_pkcs8()
        .map_err(|e| wrong(&client.key, "The client key cannot be used", key_hint).because(e))
        .and_then(|key| {
            Identity::from_pkcs8(&cert_pem, &key)
                .map_err(|e| wrong(&client.cert, "The client certificate cannot be used", cert_hint).because(e))
        })
}

/// Turns the socket into a TLS stream to `host`, verified or pinned; the whole handshake takes `timeout` at the longest.
pub(super) fn handshake(
    socket: Socket,
    connector: &Connector,
    host: &str,
    timeout: Duration,
    stop: &Stop,
) -> Result<TlsStream<Socket>> {
    let prepared = &connector.0.prepared;
    let stream = shake(socket, prepared.tls()?, host, timeout, stop)?;
    if let Some(pin) = prepared.pin {
        let shown = certificate(&stream)?;
        if pin != shown.pin && pin != shown.key_pin {
            return Err(Error::new(Kind::Tls, "The server's certificate is not the pinned one").hint(format!(
                "Configured is `pin = \"{pin}\"`; the server shows the certificate {} with the public key {}. If the \
                 server was given a new certificate, compare it there and change `pin`; if not, somebody stands between.",
                shown.pin, shown.key_pin
            )));
        }
    }
    Ok(stream)
}

/// What protects an established stream; `None` when its certificate cannot be read.
pub(super) fn protection(stream: &TlsStream<Socket>) -> Option<Protection> {
    let shown = certificate(stream).ok()?;
    Some(Protection {
        version: protection::version(stream.get_ref().beginning()),
        certificate: shown.pin,
        public_key: shown.key_pin,
        ends: shown.not_after,
    })
}

/// What certificate a server shows, believed or not; the connection ends with it, so that nothing is ever said on it.
pub(super) fn look(socket: Socket, host: &str, timeout: Duration, stop: &Stop) -> Result<Shown> {
    let mut blind = builder();
    blind.danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true);
    let blind = blind.build().map_err(set_up)?;
    certificate(&shake(socket, &blind, host, timeout, stop)?)
}

fn certificate(stream: &TlsStream<Socket>) -> Result<Shown> {
    let der = stream.peer_certificate().ok().flatten().and_then(|c| c.to_der().ok());
    Shown::from_der(&der.ok_or_else(|| Error::new(Kind::Tls, "The server showed no certificate"))?)
}

fn shake(
    mut socket: Socket,
    tls: &TlsConnector,
    host: &str,
    timeout: Duration,
    stop: &Stop,
) -> Result<TlsStream<Socket>> {
    let start = Instant::now();
    let first = socket.watch_first_octet();
    let mut state = tls.connect(host, socket);
    loop {
        stop.check()?;
        match state {
            Ok(stream) => return Ok(stream),
            Err(HandshakeError::Failure(error)) => return Err(failure(&error, first.get().copied())),
            Err(HandshakeError::WouldBlock(mut halfway)) => {
                let left = timeout.saturating_sub(start.elapsed());
                if left.is_zero() {
                    return Err(Error::new(
                        Kind::Unreachable,
                        format!("The TLS handshake was not over within {}", seconds(timeout)),
                    )
                    .hint(
                        "Does the server speak TLS from the start on this port (usually 993 for IMAP, 995 for POP3)? If \
                         not, set `tls = \"starttls\"`. Or set a longer `timeout`.",
                    )
                    .worth_retrying());
                }
                halfway
                    .get_mut()
                    .wait(stop.slice(left))
                    .map_err(|e| Error::new(Kind::Unreachable, "Waiting for the network failed").because(e))?;
                state = halfway.handshake();
            }
        }
    }
}

/// `first` is the first octet that came from the server since the handshake began.
fn failure(error: &native_tls::Error, first: Option<u8>) -> Error {
    const ALERT: u8 = 0x15;
    const HANDSHAKE: u8 = 0x16;
    let text = error.to_string();
    if let Some(doubt) = Doubt::from_openssl(&text) {
        return Error::new(Kind::Tls, "The server's certificate was refused").because(doubt);
    }
    if matches!(first, Some(octet) if octet != ALERT && octet != HANDSHAKE) {
        return Error::new(Kind::Tls, "The server does not speak TLS here").hint(
            "On this port it starts without TLS: set `tls = \"starttls\"` (usually port 143 for IMAP, 110 for POP3), or \
             `port` to the one with TLS from the start (usually 993 and 995).",
        );
    }
    if was_cut(error) {
        return Error::new(Kind::Unreachable, "The connection was cut in the TLS handshake")
            .because(text)
            .hint(LATER)
            .worth_retrying();
    }
    said_no(&text)
        .unwrap_or_else(|| {
            Error::new(Kind::Tls, "The TLS handshake failed").hint(
                "The server has to offer TLS 1.2 or 1.3; it may also want a client certificate (`client-cert`, \
                 `client-key`).",
            )
        })
        .because(text)
}

/// Whether the line ended, and not TLS.
fn was_cut(error: &native_tls::Error) -> bool {
    let io = std::error::Error::source(error).is_some_and(|cause| cause.is::<std::io::Error>());
    io || error.to_string().to_lowercase().contains("unexpected eof")
}

/// A server's refusal of the client's certificate, in the alert that its TLS sent.
pub(super) fn said_no(text: &str) -> Option<Error> {
    let text = text.to_lowercase();
    if !text.contains("alert") || !(text.contains("certificate") || text.contains("unknown ca")) {
        return None;
    }
    let what = if text.contains("certificate required") {
        "The server wants a client certificate"
    } else {
        "The server refused the client certificate"
    };
    Some(Error::new(Kind::Tls, what).hint("Set `client-cert` and `client-key` to a pair that the server accepts."))
}

#[cfg(test)]
mod tests;
