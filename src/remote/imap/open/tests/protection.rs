//! STARTTLS, certificates, pins: no password before the connection is what was asked for.

use std::io::Read;
use std::time::Duration;

use openssl::ssl::SslAcceptor;

use super::*;
use crate::error::Retry;
use crate::remote::net::testing::{Authority, Peer, accept, acceptor, issue};
use crate::remote::net::trust::{Pin, Trust};

/// A server that plays `before`, shakes hands when that ends with STARTTLS's OK, and plays `inside`.
fn starttls(authority: &Authority, before: &'static [&'static str], inside: &'static [&'static str]) -> Server {
    let tls: SslAcceptor = acceptor(&authority.good()).build();
    Server::start(move |_, connection| {
        let mut peer = Peer::new(connection);
        peer.play(before);
        if let Some(mut peer) = accept(&tls, peer.into_inner()) {
            peer.play(inside);
        }
    })
}

fn trusting(server: &Server, tls: TlsMode, authority: &Authority) -> ImapOptions {
    let mut options = options(server, tls);
    options.server.trust = authority.trust();
    options
}

#[test]
fn starttls_forgets_what_was_said_before_it() {
    let authority = Authority::new();
    let server = starttls(
        &authority,
        &[
            "S: * OK [CAPABILITY IMAP4rev1 STARTTLS SASL-IR AUTH=PLAIN] hi",
            "C: s1 STARTTLS",
            "S: * CAPABILITY X",
            "S: s1 OK go",
        ],
        &[
            "C: a1 CAPABILITY",
            "S: * CAPABILITY IMAP4rev1",
            "S: a1 OK done",
            "C: a2 LOGIN \"me\" \"secret\"",
            "S: a2 OK [CAPABILITY IMAP4rev1 MOVE] in",
            "hang",
        ],
    );
    let (opened, meter) = try_open(&trusting(&server, TlsMode::StartTls, &authority), "secret").unwrap();
    assert!(opened.capabilities.has(Capability::Move));
    assert_eq!(meter.commands(), 3);
}

#[test]
fn data_injected_behind_starttls_is_refused() {
    let authority = Authority::new();
    for injected in ["* CAPABILITY IMAP4rev1 AUTH=PLAIN\\r\\n", "a1 OK [CAPABILITY IMAP4rev1] in\\r\\n", "x"] {
        let packet = format!("say s1 OK go\\r\\n{injected}");
        let server =
            Server::playing(&["S: * OK [CAPABILITY IMAP4rev1 STARTTLS] hi", "C: s1 STARTTLS", &packet, "hang"]);
        let error = try_open(&trusting(&server, TlsMode::StartTls, &authority), "secret").unwrap_err();
        assert_eq!((error.kind(), error.retry()), (Kind::Tls, Retry::Pointless), "{error}");
        assert_eq!(error.what(), "Unprotected data came between STARTTLS and the TLS handshake");
    }
}

#[test]
fn a_server_without_starttls_is_refused_before_any_password() {
    let offers = "C: s1 STARTTLS";
    for script in [
        &["S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi", "hang"][..],
        &["S: * OK hi", offers, "S: s1 BAD unknown command", "hang"],
        &["S: * OK hi", offers, "S: s1 NO not now", "hang"],
    ] {
        let error = try_open(&options(&Server::playing(script), TlsMode::StartTls), "secret").unwrap_err();
        assert_eq!((error.kind(), error.retry()), (Kind::Tls, Retry::Pointless));
        assert!(error.what().starts_with("The server offers no STARTTLS"), "{error}");
    }
}

#[test]
fn preauth_before_starttls_is_refused() {
    let server = Server::playing(&["S: * PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hi", "hang"]);
    let error = try_open(&options(&server, TlsMode::StartTls), "secret").unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::Tls, Retry::Pointless));
}

#[test]
fn a_goodbye_instead_of_starttls_is_told() {
    let server = Server::playing(&["S: * OK hi", "C: s1 STARTTLS", "S: * BYE [UNAVAILABLE] later"]);
    let error = try_open(&options(&server, TlsMode::StartTls), "secret").unwrap_err();
    assert_eq!(error.kind(), Kind::TryLater);
}

#[test]
fn a_refused_certificate_is_shown_with_the_pin_that_would_take_it() {
    let own = issue("localhost", &["localhost"], (-1, 10), None);
    let digest = own.certificate.digest(openssl::hash::MessageDigest::sha256()).unwrap();
    let pin = Pin::new(digest.as_ref().try_into().unwrap());
    for mode in [TlsMode::Implicit, TlsMode::StartTls] {
        let tls: SslAcceptor = acceptor(&own).build();
        let server = Server::start(move |_, connection| {
            let mut peer = Peer::new(connection);
            if mode == TlsMode::StartTls {
                peer.play(&["S: * OK hi", "C: s1 STARTTLS", "S: s1 OK go"]);
            }
            if let Some(mut peer) = accept(&tls, peer.into_inner()) {
                // A password must not come here: a look at the certificate ends without a word.
                peer.say("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n");
                let heard = peer.hear();
                assert!(heard.is_empty() || heard == "a1 AUTHENTICATE PLAIN AG1lAHBpbm5lZA==", "{heard}");
                peer.say("a1 OK [CAPABILITY IMAP4rev1] in\r\n");
                peer.hear();
            }
        });
        let mut options = options(&server, mode);
        let error = try_open(&options, "secret").unwrap_err();
        assert_eq!((error.kind(), error.retry()), (Kind::Tls, Retry::Pointless));
        assert!(error.to_string().contains("self-signed"), "{error}");
        let hint = error.hint_text().unwrap().to_owned();
        assert!(hint.contains(&format!("`pin = \"{pin}\"`")) && hint.contains("ca-file"), "{hint}");
        if mode == TlsMode::Implicit {
            options.server.trust = Trust { pin: Some(pin), ..Trust::default() };
            try_open(&options, "pinned").unwrap();
        }
    }
}

#[test]
fn a_wrong_name_is_told_with_the_names_that_are_right() {
    let authority = Authority::new();
    let tls: SslAcceptor = acceptor(&authority.issue(&["imap.example.org", "mail.example.org"], (-1, 10))).build();
    let server = Server::start(move |_, connection| drop(accept(&tls, connection)));
    let error = try_open(&trusting(&server, TlsMode::Implicit, &authority), "secret").unwrap_err();
    assert_eq!(
        error.what(),
        "The server's certificate is not for `localhost` but for `imap.example.org`, `mail.example.org`"
    );
    let tls: SslAcceptor = acceptor(&authority.issue(&["localhost"], (-9, -2))).build();
    let server = Server::start(move |_, connection| drop(accept(&tls, connection)));
    let error = try_open(&trusting(&server, TlsMode::Implicit, &authority), "secret").unwrap_err();
    assert!(error.what().starts_with("The server's certificate has expired, on "), "{error}");
}

#[test]
fn a_password_never_follows_a_wrong_pin() {
    let authority = Authority::new();
    let tls: SslAcceptor = acceptor(&authority.good()).build();
    let server = Server::start(move |_, connection| {
        if let Some(mut peer) = accept(&tls, connection) {
            peer.say("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n");
            let mut heard = Vec::new();
            let _ = peer.into_inner().read_to_end(&mut heard);
            assert!(heard.is_empty());
        }
    });
    let mut options = trusting(&server, TlsMode::Implicit, &authority);
    options.server.trust.pin = Some(Pin::new([1; 32]));
    assert_eq!(try_open(&options, "secret").unwrap_err().kind(), Kind::Tls);
}

#[test]
fn a_tls_server_on_a_plain_port_is_suspected() {
    let authority = Authority::new();
    let tls: SslAcceptor = acceptor(&authority.good()).build();
    let server = Server::start(move |_, connection| drop(accept(&tls, connection)));
    for mode in [TlsMode::None, TlsMode::StartTls] {
        let mut options = options(&server, mode);
        options.server.timeout = Duration::from_millis(300);
        let error = try_open(&options, "secret").unwrap_err();
        assert!(error.hint_text().unwrap().contains("`tls = \"implicit\"`"), "{error}");
    }
}
