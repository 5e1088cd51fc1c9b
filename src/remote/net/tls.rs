//! TLS: what to believe, the handshake, and its failures in words.
//!
//! Invariant: a stream that [`handshake`] gives was verified (authority, dates, name) or holds the pinned certificate.
//! TLS 1.2 is the oldest version; the rest is set up as OpenSSL's Rust crate does for its own connector.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    self, HandshakeError, Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslStream, SslVerifyMode,
    SslVersion,
};
use openssl::x509::verify::X509CheckFlags;
use openssl::x509::{X509, X509VerifyResult};

use super::authorities::Authorities;
use super::certificate::{Doubt, Shown};
use super::dial::seconds;
use super::protection::{self, Protection};
use super::socket::Socket;
use super::trust::{ClientCertificate, Pin, Trust};
use crate::error::{Error, Kind, Result};
use crate::stop::Stop;

/// A [`Trust`] made ready; cheap to clone. What it reads of the system's authorities it keeps: one a run is enough.
#[derive(Debug, Clone)]
pub struct Connector(Arc<Prepared>);

#[derive(Debug)]
struct Prepared {
    context: SslContext,
    authorities: Arc<Authorities>,
    pin: Option<Pin>,
}

/// What is asked of a certificate in the handshake.
enum Judge {
    Authorities(Arc<Authorities>),
    /// Nothing: somebody looks at it after the handshake.
    Later,
}

impl Connector {
    /// Reads the files that `trust` names.
    ///
    /// # Errors
    /// Kind `Config`, naming the file, when one is unreadable or holds no certificate or key.
    pub fn new(trust: &Trust) -> Result<Connector> {
        let more = trust.ca_file.as_deref().map(authorities).transpose()?.unwrap_or_default();
        let authorities = Arc::new(Authorities::new(more));
        let mut context = context().map_err(no_tls)?;
        context.set_cert_store(authorities.at_hand().map_err(no_tls)?);
        if let Some(client) = &trust.client {
            identify(&mut context, client)?;
        }
        Ok(Connector(Arc::new(Prepared { context: context.build(), authorities, pin: trust.pin })))
    }
}

fn context() -> Result<SslContextBuilder, ErrorStack> {
    const CIPHERS: &str = "DEFAULT:!aNULL:!eNULL:!MD5:!3DES:!DES:!RC4:!IDEA:!SEED:!aDSS:!SRP:!PSK";
    let mut context = SslContextBuilder::new(SslMethod::tls_client())?;
    context.set_options((SslOptions::ALL | SslOptions::NO_COMPRESSION) - SslOptions::DONT_INSERT_EMPTY_FRAGMENTS);
    context.set_mode(
        SslMode::AUTO_RETRY
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER
            | SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::RELEASE_BUFFERS,
    );
    context.set_cipher_list(CIPHERS)?;
    context.set_verify(SslVerifyMode::PEER);
    context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    Ok(context)
}

/// A connection to be: whom it has to be, and who judges that.
fn connection(context: &SslContext, host: &str, judge: Judge) -> Result<Ssl, ErrorStack> {
    let mut ssl = Ssl::new(context)?;
    let address = host.parse().ok();
    if address.is_none() {
        ssl.set_hostname(host)?;
    }
    match judge {
        Judge::Later => ssl.set_verify(SslVerifyMode::NONE),
        Judge::Authorities(authorities) => {
            let wanted = ssl.param_mut();
            wanted.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
            match address {
                Some(address) => wanted.set_ip(address)?,
                None => wanted.set_host(host)?,
            }
            ssl.set_verify_callback(SslVerifyMode::PEER, move |good, context| good || authorities.vouch(context));
        }
    }
    Ok(ssl)
}

fn no_tls(cause: ErrorStack) -> Error {
    Error::new(Kind::Tls, "TLS cannot be set up").because(cause)
}

fn authorities(path: &Path) -> Result<Vec<X509>> {
    let wrong = |what: String| {
        Error::new(Kind::Config, what)
            .at(path.display())
            .hint("Set `ca-file` to a PEM file with the authority's certificate.")
    };
    let pem = fs::read(path).map_err(|e| wrong("The file of authorities cannot be read".into()).because(e))?;
    let found = X509::stack_from_pem(&pem).map_err(|e| wrong("This is no PEM file".into()).because(e))?;
    if found.is_empty() { Err(wrong("The file holds no certificate".into())) } else { Ok(found) }
}

/// Shows the server a certificate of ours.
fn identify(context: &mut SslContextBuilder, client: &ClientCertificate) -> Result<()> {
    let wrong = |path: &Path, what: &str, hint: &str| Error::new(Kind::Config, what).at(path.display()).hint(hint);
    let cert_hint = "Set `client-cert` to a PEM file with the certificate first.";
    let key_hint = "Set `client-key` to a PEM file with the private key, not encrypted, that belongs to `client-cert`.";
    let cert_pem = fs::read(&client.cert)
        .map_err(|e| wrong(&client.cert, "The client certificate cannot be read", cert_hint).because(e))?;
    let key_pem =
        fs::read(&client.key).map_err(|e| wrong(&client.key, "The client key cannot be read", key_hint).because(e))?;
    let no_certificate = || wrong(&client.cert, "This holds no PEM certificate", cert_hint);
    let mut chain = X509::stack_from_pem(&cert_pem).map_err(|e| no_certificate().because(e))?.into_iter();
    let certificate = chain.next().ok_or_else(no_certificate)?;
    // The callback keeps OpenSSL from asking the terminal for the passphrase of an encrypted key.
    let key = PKey::private_key_from_pem_callback(&key_pem, |_| Ok(0))
        .map_err(|e| wrong(&client.key, "This holds no PEM private key, or an encrypted one", key_hint).because(e))?;
    if !certificate.public_key().is_ok_and(|public| public.public_eq(&key)) {
        return Err(wrong(&client.key, "The client certificate and its key do not belong together", key_hint));
    }
    let mut show = || -> Result<(), ErrorStack> {
        context.set_certificate(&certificate)?;
        context.set_private_key(&key)?;
        chain.try_for_each(|between| context.add_extra_chain_cert(between))
    };
    show().map_err(|e| wrong(&client.cert, "The client certificate cannot be used", cert_hint).because(e))
}

/// Turns the socket into a TLS stream to `host`, verified or pinned; the whole handshake takes `timeout` at the longest.
pub(super) fn handshake(
    socket: Socket,
    connector: &Connector,
    host: &str,
    timeout: Duration,
    stop: &Stop,
) -> Result<SslStream<Socket>> {
    let Prepared { context, authorities, pin } = &*connector.0;
    // The pin decides alone, and before anything is sent through the stream.
    let judge = if pin.is_some() { Judge::Later } else { Judge::Authorities(authorities.clone()) };
    let stream = shake(socket, connection(context, host, judge).map_err(no_tls)?, timeout, stop)?;
    if let Some(pin) = *pin {
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
pub(super) fn protection(stream: &SslStream<Socket>) -> Option<Protection> {
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
    let context = context().map_err(no_tls)?.build();
    certificate(&shake(socket, connection(&context, host, Judge::Later).map_err(no_tls)?, timeout, stop)?)
}

fn certificate(stream: &SslStream<Socket>) -> Result<Shown> {
    let der = stream.ssl().peer_certificate().and_then(|c| c.to_der().ok());
    Shown::from_der(&der.ok_or_else(|| Error::new(Kind::Tls, "The server showed no certificate"))?)
}

fn shake(mut socket: Socket, ssl: Ssl, timeout: Duration, stop: &Stop) -> Result<SslStream<Socket>> {
    let start = Instant::now();
    let first = socket.watch_first_octet();
    let mut state = ssl.connect(socket);
    loop {
        stop.check()?;
        match state {
            Ok(stream) => return Ok(stream),
            Err(HandshakeError::SetupFailure(error)) => return Err(no_tls(error)),
            Err(HandshakeError::Failure(halfway)) => {
                return Err(failure(halfway.error(), halfway.ssl().verify_result(), first.get().copied()));
            }
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
fn failure(error: &ssl::Error, verified: X509VerifyResult, first: Option<u8>) -> Error {
    const ALERT: u8 = 0x15;
    const HANDSHAKE: u8 = 0x16;
    let text = match verified {
        X509VerifyResult::OK => error.to_string(),
        refused => format!("{error} ({refused})"),
    };
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
            .hint("Does the server speak TLS on this port? Check `port` and `tls`.")
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
fn was_cut(error: &ssl::Error) -> bool {
    error.io_error().is_some() || error.to_string().to_lowercase().contains("unexpected eof")
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
