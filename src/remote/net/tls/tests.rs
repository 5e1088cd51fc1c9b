//! Certificates good and bad, pins, client certificates, and ports that do not speak TLS.

use std::io::{Read, Write};
use std::net::TcpStream;

use openssl::ssl::{SslAcceptor, SslAcceptorBuilder, SslVerifyMode, SslVersion};
use tempfile::TempDir;

use super::*;
use crate::error::Retry;
use crate::remote::net::options::{ServerOptions, TlsMode};
use crate::remote::net::testing::{Authority, Pair, Server, accept, acceptor, issue};
use crate::remote::net::{Exchange, Meter, OutBuffer, Transport, Until};

/// A server that greets inside TLS and then waits for the client to go.
fn greeting(acceptor: SslAcceptorBuilder) -> Server {
    let acceptor: SslAcceptor = acceptor.build();
    Server::start(move |_, connection| {
        if let Some(mut peer) = accept(&acceptor, connection) {
            peer.say("* OK\r\n");
            peer.hear();
        }
    })
}

/// Shakes hands and reads the greeting.
fn try_with(options: &ServerOptions, trust: &Trust) -> Result<Vec<u8>> {
    let mut transport = Transport::connect(options, &Meter::default(), &Stop::default())?;
    transport.start_tls(&Connector::new(trust)?, options.bare_host())?;
    let mut input = Vec::new();
    transport.exchange(&mut OutBuffer::new(), &mut input, Until::InputArrives)?;
    Ok(input)
}

fn doubt(pair: &Pair, trust: &Trust) -> Doubt {
    let server = greeting(acceptor(pair));
    // Not `Implicit`, where the doubt is put in words at once.
    let error = try_with(&server.options(TlsMode::StartTls), trust).unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::Tls, Retry::Pointless), "{error}");
    Doubt::behind(&error).unwrap_or_else(|| panic!("{error}")).clone()
}

#[test]
fn a_good_certificate_is_believed_by_name_and_by_address() {
    let authority = Authority::new();
    let server = greeting(acceptor(&authority.good()));
    let mut options = server.options(TlsMode::Implicit);
    for host in ["localhost", "127.0.0.1", "localhost."] {
        options.host = host.into();
        assert_eq!(try_with(&options, &authority.trust()).unwrap(), b"* OK\r\n", "{host}");
    }
}

#[test]
fn what_protects_a_connection_is_told() {
    let authority = Authority::new();
    let good = authority.good();
    let shown = Shown::from_der(&good.certificate.to_der().unwrap()).unwrap();
    for (newest, name) in [(SslVersion::TLS1_2, "TLS 1.2"), (SslVersion::TLS1_3, "TLS 1.3")] {
        let mut acceptor = acceptor(&good);
        acceptor.set_max_proto_version(Some(newest)).unwrap();
        let server = greeting(acceptor);
        let options = server.options(TlsMode::Implicit);
        let mut transport = Transport::connect(&options, &Meter::default(), &Stop::default()).unwrap();
        assert_eq!(transport.protection(), None);
        transport.start_tls(&Connector::new(&authority.trust()).unwrap(), options.bare_host()).unwrap();
        let told = transport.protection().unwrap();
        assert_eq!((told.version, told.certificate, told.public_key), (Some(name), shown.pin, shown.key_pin));
    }
}

#[test]
fn each_bad_certificate_is_told_apart() {
    let authority = Authority::new();
    let trust = authority.trust();
    assert_eq!(doubt(&authority.issue(&["localhost"], (-10, -1)), &trust), Doubt::Expired);
    assert_eq!(doubt(&authority.issue(&["localhost"], (1, 10)), &trust), Doubt::NotYetValid);
    assert_eq!(doubt(&authority.issue(&["imap.example.org"], (-1, 10)), &trust), Doubt::WrongName);
    assert_eq!(doubt(&authority.good(), &Trust::default()), Doubt::UnknownIssuer);
    assert_eq!(doubt(&issue("localhost", &["localhost"], (-1, 10), None), &trust), Doubt::SelfSigned);
}

#[test]
fn a_refused_certificate_is_described() {
    let own = issue("somebody", &["localhost"], (-1, 10), None);
    let pin = Shown::from_der(&own.certificate.to_der().unwrap()).unwrap().pin;
    let server = greeting(acceptor(&own));
    let error = try_with(&server.options(TlsMode::Implicit), &Trust::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("localhost:{}: The server's certificate is self-signed, so nobody vouches for it", server.port)
    );
    assert!(error.hint_text().unwrap().contains(&format!("`pin = \"{pin}\"`")), "{error:?}");
}

#[test]
fn a_self_signed_certificate_is_good_as_its_own_authority() {
    let own = issue("localhost", &["localhost"], (-1, 10), None);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("own.pem");
    std::fs::write(&file, own.certificate.to_pem().unwrap()).unwrap();
    let server = greeting(acceptor(&own));
    let trust = Trust { ca_file: Some(file), ..Trust::default() };
    assert_eq!(try_with(&server.options(TlsMode::Implicit), &trust).unwrap(), b"* OK\r\n");
}

#[test]
fn a_pin_decides_alone() {
    // Self-signed, expired and for another name: the pin says that it is right.
    let odd = issue("odd", &["imap.example.org"], (-10, -1), None);
    let shown = Shown::from_der(&odd.certificate.to_der().unwrap()).unwrap();
    let server = greeting(acceptor(&odd));
    let options = server.options(TlsMode::Implicit);
    for pin in [shown.pin, shown.key_pin] {
        let trust = Trust { pin: Some(pin), ..Trust::default() };
        assert_eq!(try_with(&options, &trust).unwrap(), b"* OK\r\n");
    }
}

#[test]
fn another_certificate_than_the_pinned_one_is_refused_although_it_verifies() {
    let authority = Authority::new();
    let good = authority.good();
    let shown = Shown::from_der(&good.certificate.to_der().unwrap()).unwrap();
    let server = greeting(acceptor(&good));
    let trust = Trust { pin: Some(Pin::new([7; 32])), ..authority.trust() };
    let error = try_with(&server.options(TlsMode::Implicit), &trust).unwrap_err();
    assert_eq!((error.kind(), error.what()), (Kind::Tls, "The server's certificate is not the pinned one"));
    let hint = error.hint_text().unwrap();
    for pin in [Pin::new([7; 32]), shown.pin, shown.key_pin] {
        assert!(hint.contains(&pin.to_string()), "{hint}");
    }
}

#[test]
fn a_pin_is_what_the_openssl_command_prints() {
    let good = Authority::new().good();
    let shown = Shown::from_der(&good.certificate.to_der().unwrap()).unwrap();
    let digest = good.certificate.digest(openssl::hash::MessageDigest::sha256()).unwrap();
    let fingerprint: Vec<String> = digest.iter().map(|octet| format!("{octet:02X}")).collect();
    assert_eq!(fingerprint.join(":").parse::<Pin>().unwrap(), shown.pin);
}

/// Files with a client's pair, its key as `pem`.
fn client_files(pair: &Pair, pem: &[u8]) -> (TempDir, ClientCertificate) {
    let dir = tempfile::tempdir().unwrap();
    let files = ClientCertificate { cert: dir.path().join("client.pem"), key: dir.path().join("client.key") };
    std::fs::write(&files.cert, pair.certificate.to_pem().unwrap()).unwrap();
    std::fs::write(&files.key, pem).unwrap();
    (dir, files)
}

#[test]
fn a_server_that_wants_a_client_certificate_gets_it_or_the_error_says_so() {
    let authority = Authority::new();
    let client = authority.issue(&["me"], (-1, 10));
    let foreign = issue("me", &["me"], (-1, 10), None);
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let mut wanting = acceptor(&authority.good());
        wanting.set_max_proto_version(Some(version)).unwrap();
        wanting.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        wanting.set_ca_file(authority.dir.path().join("ca.pem")).unwrap();
        let server = greeting(wanting);
        let options = server.options(TlsMode::Implicit);

        // A key as older tools write it: not PKCS #8.
        let (_dir, files) = client_files(&client, &client.key.ec_key().unwrap().private_key_to_pem().unwrap());
        let trust = Trust { client: Some(files), ..authority.trust() };
        assert_eq!(try_with(&options, &trust).unwrap(), b"* OK\r\n");

        let error = try_with(&options, &authority.trust()).unwrap_err();
        assert_eq!(error.kind(), Kind::Tls, "{version:?}: {error}");
        assert!(error.hint_text().unwrap().contains("client-cert"), "{version:?}: {error}");

        let (_dir, files) = client_files(&foreign, &foreign.key.private_key_to_pem_pkcs8().unwrap());
        let error = try_with(&options, &Trust { client: Some(files), ..authority.trust() }).unwrap_err();
        assert_eq!((error.kind(), error.what()), (Kind::Tls, "The server refused the client certificate"), "{error}");
    }
}

#[test]
fn files_that_are_of_no_use_are_named() {
    let pair = Authority::new().good();
    let other = Authority::new().good();
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let empty = dir.path().join("empty");
    std::fs::write(&empty, "nothing here\n").unwrap();
    let cipher = openssl::symm::Cipher::aes_128_cbc();
    let encrypted = pair.key.private_key_to_pem_pkcs8_passphrase(cipher, b"secret").unwrap();
    let plain = pair.key.private_key_to_pem_pkcs8().unwrap();
    let (_d1, good) = client_files(&pair, &plain);
    let (_d2, locked) = client_files(&pair, &encrypted);
    let (_d3, mixed) = client_files(&pair, &other.key.private_key_to_pem_pkcs8().unwrap());
    let with = |client: ClientCertificate| Trust { client: Some(client), ..Trust::default() };
    assert!(Connector::new(&with(good.clone())).is_ok());
    for (trust, file, what) in [
        (Trust { ca_file: Some(missing.clone()), ..Trust::default() }, &missing, "cannot be read"),
        (Trust { ca_file: Some(empty.clone()), ..Trust::default() }, &empty, "holds no certificate"),
        (with(ClientCertificate { cert: missing.clone(), key: good.key.clone() }), &missing, "cannot be read"),
        (with(ClientCertificate { cert: good.cert.clone(), key: missing.clone() }), &missing, "cannot be read"),
        (with(ClientCertificate { cert: empty.clone(), key: good.key.clone() }), &empty, "no PEM certificate"),
        (with(locked.clone()), &locked.key, "an encrypted one"),
        (with(mixed.clone()), &mixed.key, "do not belong together"),
    ] {
        let error = Connector::new(&trust).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.what().contains(what), "{error}");
        assert_eq!(error.place(), Some(file.display().to_string().as_str()));
        assert!(error.hint_text().is_some());
    }
}

fn refused(timeout: Duration, script: impl FnMut(usize, TcpStream) + Send + 'static) -> Error {
    let server = Server::start(script);
    let mut options = server.options(TlsMode::Implicit);
    options.timeout = timeout;
    try_with(&options, &Trust::default()).unwrap_err()
}

const LONG: Duration = Duration::from_secs(10);

#[test]
fn a_plain_server_on_a_tls_port_is_told() {
    let error = refused(LONG, |_, mut connection| {
        connection.write_all(b"* OK IMAP4rev1 ready\r\n").unwrap();
        let _ = connection.read_to_end(&mut Vec::new());
    });
    assert_eq!((error.kind(), error.what()), (Kind::Tls, "The server does not speak TLS here"));
    assert!(error.hint_text().unwrap().contains("starttls"));
}

#[test]
fn a_handshake_that_stalls_or_is_cut_is_told() {
    let error = refused(Duration::from_millis(300), |_, mut connection| drop(connection.read_to_end(&mut Vec::new())));
    assert_eq!((error.kind(), error.retry()), (Kind::Unreachable, Retry::Worthwhile));
    assert_eq!(error.what(), "The TLS handshake was not over within 300 ms");
    let error = refused(LONG, |_, mut connection| drop(connection.read(&mut [0; 4096])));
    assert_eq!((error.kind(), error.retry()), (Kind::Unreachable, Retry::Worthwhile), "{error}");
    assert_eq!(error.what(), "The connection was cut in the TLS handshake");
    assert!(!error.hint_text().unwrap().contains("port"), "a server that shuts down is at the right one");
    // In the middle of the server's first record.
    let error = refused(LONG, |_, mut connection| {
        let _ = connection.read(&mut [0; 4096]);
        connection.write_all(b"\x16\x03\x03\x00\x7a\x02").unwrap();
    });
    assert_eq!((error.kind(), error.retry()), (Kind::Unreachable, Retry::Worthwhile), "{error}");
}

#[test]
fn tls_older_than_1_2_is_refused() {
    let mut old = SslAcceptor::mozilla_intermediate(openssl::ssl::SslMethod::tls()).unwrap();
    let good = Authority::new().good();
    old.set_certificate(&good.certificate).unwrap();
    old.set_private_key(&good.key).unwrap();
    old.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
    old.set_max_proto_version(Some(SslVersion::TLS1_1)).unwrap();
    let server = greeting(old);
    let error = try_with(&server.options(TlsMode::Implicit), &Trust::default()).unwrap_err();
    assert_eq!((error.kind(), error.what()), (Kind::Tls, "The TLS handshake failed"), "{error}");
    assert!(error.hint_text().unwrap().contains("TLS 1.2"));
}
