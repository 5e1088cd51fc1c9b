//! For tests: scripted servers on 127.0.0.1, and an authority that issues certificates good and bad.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslAcceptorBuilder, SslMethod, SslStream};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Name};
use tempfile::TempDir;

use super::options::{ServerOptions, TlsMode};
use super::trust::Trust;

/// A server that runs one script for each connection, one after the other, until it is dropped.
pub(in crate::remote) struct Server {
    pub(in crate::remote) port: u16,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts it; `script` gets the number of the connection, from 0, and the connection.
    pub(in crate::remote) fn start(mut script: impl FnMut(usize, TcpStream) + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stopped = Arc::new(AtomicBool::new(false));
        let seen = stopped.clone();
        let thread = std::thread::spawn(move || {
            for (n, connection) in listener.incoming().enumerate() {
                if seen.load(Ordering::SeqCst) {
                    break;
                }
                let connection = connection.unwrap();
                // A script that waits for what never comes must not hang the test.
                connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                script(n, connection);
            }
        });
        Server { port, stopped, thread: Some(thread) }
    }

    /// A server that plays `lines` on each connection, see [`Peer::play`].
    pub(in crate::remote) fn playing(lines: &[&str]) -> Server {
        let lines: Vec<String> = lines.iter().map(|l| l.to_string()).collect();
        Server::start(move |_, connection| Peer::new(connection).play(&lines))
    }

    /// Options for a client of this server.
    pub(in crate::remote) fn options(&self, tls: TlsMode) -> ServerOptions {
        ServerOptions {
            host: "localhost".into(),
            port: self.port,
            tls,
            trust: Trust::default(),
            timeout: Duration::from_secs(10),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let outcome = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            outcome.expect("the script ran as written");
        }
    }
}

/// The server's end of a connection.
pub(in crate::remote) struct Peer<S: Read + Write>(BufReader<S>);

impl<S: Read + Write> Peer<S> {
    pub(in crate::remote) fn new(stream: S) -> Peer<S> {
        Peer(BufReader::new(stream))
    }

    /// Says something to a client that may have gone already.
    pub(in crate::remote) fn say(&mut self, octets: impl AsRef<[u8]>) {
        let _ = self.0.get_mut().write_all(octets.as_ref());
        let _ = self.0.get_mut().flush();
    }

    /// The next line without its end; empty when the client hung up.
    pub(in crate::remote) fn hear(&mut self) -> String {
        let mut line = String::new();
        let _ = self.0.read_line(&mut line);
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Plays a script: `S: text` says the line, `C: text` demands it, `say text` says it without a line end (with
    /// Rust's escapes for `\r`, `\n` and `\xNN`), `hang` waits for the client to hang up. Then the connection closes.
    pub(in crate::remote) fn play(&mut self, lines: &[impl AsRef<str>]) {
        for line in lines {
            match line.as_ref().split_once(' ').unwrap_or((line.as_ref(), "")) {
                ("S:", text) => self.say(unescape(&format!("{text}\\r\\n"))),
                ("say", text) => self.say(unescape(text)),
                ("C:", text) => assert_eq!(self.hear(), text),
                ("hang", _) => assert_eq!(self.hear(), ""),
                other => panic!("no step of a script: {other:?}"),
            }
        }
    }

    pub(in crate::remote) fn into_inner(self) -> S {
        self.0.into_inner()
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        (out, rest) = match (first, tail) {
            (b'\\', [b'r', tail @ ..]) => ([out, vec![b'\r']].concat(), tail),
            (b'\\', [b'n', tail @ ..]) => ([out, vec![b'\n']].concat(), tail),
            (b'\\', [b'x', high, low, tail @ ..]) => {
                let digits = [*high, *low];
                let octet = u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap();
                ([out, vec![octet]].concat(), tail)
            }
            _ => ([out, vec![*first]].concat(), tail),
        };
    }
    out
}

/// A certificate and its key.
pub(in crate::remote) struct Pair {
    pub(in crate::remote) certificate: X509,
    pub(in crate::remote) key: PKey<Private>,
}

/// A self-made certificate authority with a directory for PEM files.
pub(in crate::remote) struct Authority {
    pub(in crate::remote) own: Pair,
    pub(in crate::remote) dir: TempDir,
}

impl Authority {
    pub(in crate::remote) fn new() -> Authority {
        let own = issue("Mailtide test authority", &[], (-1, 10), None);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), own.certificate.to_pem().unwrap()).unwrap();
        Authority { own, dir }
    }

    /// A certificate for `localhost` and 127.0.0.1, valid today.
    pub(in crate::remote) fn good(&self) -> Pair {
        self.issue(&["localhost", "127.0.0.1"], (-1, 10))
    }

    /// A certificate for `names` (addresses too), valid from and until so many days from now.
    pub(in crate::remote) fn issue(&self, names: &[&str], days: (i64, i64)) -> Pair {
        issue("somebody", names, days, Some(&self.own))
    }

    /// Trust in this authority.
    pub(in crate::remote) fn trust(&self) -> Trust {
        Trust { ca_file: Some(self.dir.path().join("ca.pem")), ..Trust::default() }
    }
}

/// A certificate signed by `by`, or by itself.
pub(in crate::remote) fn issue(subject: &str, names: &[&str], days: (i64, i64), by: Option<&Pair>) -> Pair {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", subject).unwrap();
    let name = name.build();
    let mut serial = BigNum::new().unwrap();
    serial.rand(100, MsbOption::MAYBE_ZERO, false).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(by.map_or(&*name, |by| by.certificate.subject_name())).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let day = |days: i64| Asn1Time::from_unix(now + days * 86_400).unwrap();
    builder.set_not_before(&day(days.0)).unwrap();
    builder.set_not_after(&day(days.1)).unwrap();
    builder.set_pubkey(&key).unwrap();
    if names.is_empty() {
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    } else {
        let mut alternatives = SubjectAlternativeName::new();
        for name in names {
            if name.parse::<std::net::IpAddr>().is_ok() {
                alternatives.ip(name)
            } else {
                alternatives.dns(name)
            };
        }
        let context = builder.x509v3_context(by.map(|by| &*by.certificate), None);
        let alternatives = alternatives.build(&context).unwrap();
        builder.append_extension(alternatives).unwrap();
    }
    builder.sign(by.map_or(&key, |by| &by.key), MessageDigest::sha256()).unwrap();
    Pair { certificate: builder.build(), key }
}

/// A server's side of TLS, 1.3 and 1.2, still to be changed.
pub(in crate::remote) fn acceptor(pair: &Pair) -> SslAcceptorBuilder {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    builder.set_certificate(&pair.certificate).unwrap();
    builder.set_private_key(&pair.key).unwrap();
    builder
}

/// Accepts TLS; `None` when the client thinks better of it.
pub(in crate::remote) fn accept(acceptor: &SslAcceptor, connection: TcpStream) -> Option<Peer<SslStream<TcpStream>>> {
    acceptor.accept(connection).ok().map(Peer::new)
}
