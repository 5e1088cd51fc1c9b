//! Opening against servers that do it right, do it oddly, or attack.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openssl::ssl::SslAcceptor;

use super::*;
use crate::error::Retry;
use crate::remote::net::testing::{Authority, Peer, Server, accept, acceptor, issue};
use crate::remote::net::trust::{Pin, Trust};
use crate::remote::pop3::Capability;

fn options(server: &Server, tls: TlsMode) -> Pop3Options {
    Pop3Options { server: server.options(tls), user: "me".into(), auth: Pop3Auth::Auto, disable: BTreeSet::new() }
}

fn try_open(options: &Pop3Options) -> Result<(Opened, Meter)> {
    let meter = Meter::default();
    let opened = open(options, None, &Secret::new("secret".into()), &meter, &Stop::default())?;
    Ok((opened, meter))
}

fn refused(script: &[&str]) -> Error {
    let server = Server::playing(script);
    try_open(&options(&server, TlsMode::None)).map(|_| ()).unwrap_err()
}

const PLAIN: &str = "C: AUTH PLAIN AG1lAHNlY3JldA==";

#[test]
fn a_modern_server_takes_two_commands() {
    let server = Server::playing(&[
        "S: +OK Dovecot ready.",
        "C: CAPA",
        "S: +OK",
        "S: CAPA",
        "S: TOP",
        "S: UIDL",
        "S: PIPELINING",
        "S: SASL PLAIN LOGIN",
        "S: .",
        PLAIN,
        "S: +OK Logged in.",
        "hang",
    ]);
    let (opened, meter) = try_open(&options(&server, TlsMode::None)).unwrap();
    assert!(opened.capabilities.has(Capability::Pipelining));
    assert_eq!(meter.commands(), 2);
    drop(opened);
}

#[test]
fn a_server_that_tells_more_to_users_is_asked_again() {
    let server = Server::playing(&[
        "S: +OK hello",
        "C: CAPA",
        "S: +OK",
        "S: USER",
        "S: .",
        "C: USER me",
        "S: +OK",
        "C: PASS secret",
        "S: +OK",
        "C: CAPA",
        "S: +OK",
        "S: PIPELINING",
        "S: EXPIRE 30",
        "S: .",
        "hang",
    ]);
    let (opened, _) = try_open(&options(&server, TlsMode::None)).unwrap();
    assert!(opened.capabilities.has(Capability::Pipelining) && !opened.capabilities.says(Capability::User));
    drop(opened);
}

#[test]
fn a_server_of_1996_needs_no_capa() {
    let server = Server::playing(&[
        "S: +OK hello",
        "C: CAPA",
        "S: -ERR what?",
        "C: USER me",
        "S: +OK",
        "C: PASS secret",
        "S: +OK",
        "C: CAPA",
        "S: -ERR what?",
        "hang",
    ]);
    let (opened, _) = try_open(&options(&server, TlsMode::None)).unwrap();
    assert!(!opened.capabilities.are_known());
    drop(opened);
}

#[test]
fn each_refusal_leads_to_what_it_means() {
    for (reply, kind, hint) in [
        ("-ERR [AUTH] Username and password not accepted.", Kind::Auth, "app password"),
        ("-ERR authorization failed", Kind::Auth, "`password`"),
        ("-ERR [IN-USE] Do you have another POP session running?", Kind::TryLater, "Another program"),
        ("-ERR [LOGIN-DELAY] minimum time between mail checks", Kind::TryLater, "less often"),
        ("-ERR [SYS/TEMP] Temporary system problem.", Kind::TryLater, "later"),
        ("-ERR [SYS/PERM] Your account is not enabled for POP access.", Kind::Refused, "allow POP"),
        ("-ERR maildrop already locked", Kind::TryLater, "later"),
    ] {
        let error = refused(&[
            "S: +OK",
            "C: CAPA",
            "S: -ERR",
            "C: USER me",
            "S: +OK",
            "C: PASS secret",
            &format!("S: {reply}"),
        ]);
        assert_eq!(error.kind(), kind, "{reply}: {error}");
        assert!(error.hint_text().unwrap().contains(hint), "{reply}");
        assert_eq!(error.server_words(), Some(reply));
        assert!(error.place().unwrap().starts_with("localhost:"));
    }
    assert_eq!(refused(&["S: -ERR [SYS/TEMP] too busy"]).kind(), Kind::TryLater);
    let error = refused(&["S: -ERR go away"]);
    assert_eq!((error.kind(), error.retry()), (Kind::Unreachable, Retry::Worthwhile));
}

#[test]
fn what_is_no_pop3_server_is_told_so() {
    for greeting in
        ["* OK IMAP4rev1 ready", "220 smtp.example.org ESMTP", "HTTP/1.1 400 Bad Request", "+", "", "\\x00\\xff"]
    {
        let error = refused(&[&format!("S: {greeting}")]);
        assert_eq!((error.kind(), error.what()), (Kind::Protocol, "This is no POP3 server"), "{greeting}");
        assert!(error.server_words().is_some() && error.hint_text().is_some());
    }
    let error = refused(&["say \\x15\\x03\\x01\\x00\\x02\\x02\\x46\\n"]);
    assert_eq!(error.kind(), Kind::Tls);
    assert!(error.hint_text().unwrap().contains("implicit"));
}

#[test]
fn lines_and_lists_without_end_are_cut_off() {
    for endless in ["x", "+OK\r\nnoise\r\n", "noise\r\n"] {
        let server = Server::start(move |_, mut connection| {
            let _ = connection.write_all(b"+OK ready\r\n+OK\r\n");
            let piece = endless.repeat(1000);
            while connection.write_all(piece.as_bytes()).is_ok() {}
        });
        let error = try_open(&options(&server, TlsMode::None)).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol, "{error}");
    }
}

#[test]
fn a_server_that_hangs_up_after_any_octet_is_an_error_worth_a_retry() {
    const SAID: [&str; 3] = ["+OK hi\r\n", "+OK\r\nTOP\r\nUIDL\r\nPIPELINING\r\nSASL PLAIN\r\n.\r\n", "+OK in\r\n"];
    let server = Server::start(move |n, connection| {
        let mut peer = Peer::new(connection);
        let mut left = n;
        for text in SAID {
            peer.say(&text[..left.min(text.len())]);
            let Some(rest) = left.checked_sub(text.len()) else { return };
            left = rest;
            peer.hear();
        }
    });
    let whole = SAID.concat().len();
    for n in 0..=whole {
        match try_open(&options(&server, TlsMode::None)) {
            Ok(_) => assert_eq!(n, whole),
            Err(error) => {
                assert!(n < whole, "{error}");
                assert_eq!((error.kind(), error.retry()), (Kind::Unreachable, Retry::Worthwhile), "{n}: {error}");
            }
        }
    }
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_told() {
    let server = Server::playing(&["hang"]);
    let mut options = options(&server, TlsMode::None);
    options.server.timeout = Duration::from_millis(300);
    let error = try_open(&options).map(|_| ()).unwrap_err();
    assert_eq!(error.what(), "The connection stands, but no greeting came");
    assert!(error.hint_text().unwrap().contains("995"));
}

#[test]
fn a_server_that_hangs_up_is_not_at_the_wrong_port() {
    let error = try_open(&options(&Server::playing(&[]), TlsMode::None)).map(|_| ()).unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::Unreachable, Retry::Worthwhile), "{error}");
    let hint = error.hint_text().unwrap();
    assert!(hint.contains("later") && !hint.contains("port"), "{error}: {hint}");
}

#[test]
fn a_wish_to_stop_ends_the_wait_for_a_login() {
    let server = Server::playing(&["S: +OK hi", "C: CAPA", "hang"]);
    let signalled = Arc::new(AtomicBool::new(false));
    let stop = Stop::new(signalled.clone(), None);
    let options = options(&server, TlsMode::None);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(150));
            signalled.store(true, Ordering::SeqCst);
        });
        let outcome = open(&options, None, &Secret::new("secret".into()), &Meter::default(), &stop);
        assert_eq!(outcome.map(|_| ()).unwrap_err().kind(), Kind::Interrupted);
    });
}

/// A server that plays `before`, shakes hands, and plays `inside`.
fn stls(authority: &Authority, before: &'static [&'static str], inside: &'static [&'static str]) -> Server {
    let tls: SslAcceptor = acceptor(&authority.good()).build();
    Server::start(move |_, connection| {
        let mut peer = Peer::new(connection);
        peer.play(before);
        if let Some(mut peer) = accept(&tls, peer.into_inner()) {
            peer.play(inside);
        }
    })
}

fn trusting(server: &Server, tls: TlsMode, authority: &Authority) -> Pop3Options {
    let mut options = options(server, tls);
    options.server.trust = authority.trust();
    options
}

const INSIDE: [&str; 9] =
    ["C: CAPA", "S: +OK", "S: TOP", "S: UIDL", "S: PIPELINING", "S: SASL PLAIN", "S: .", PLAIN, "S: +OK in"];

#[test]
fn stls_comes_first_and_capabilities_are_asked_inside() {
    let authority = Authority::new();
    let server = stls(&authority, &["S: +OK hi <1.2@host>", "C: STLS", "S: +OK Begin TLS negotiation now."], &INSIDE);
    let (opened, meter) = try_open(&trusting(&server, TlsMode::StartTls, &authority)).unwrap();
    assert_eq!(meter.commands(), 3);
    drop(opened);
}

#[test]
fn data_injected_behind_stls_is_refused() {
    let authority = Authority::new();
    for injected in ["+OK\\r\\nSASL PLAIN\\r\\n.\\r\\n", "+OK in\\r\\n", "x"] {
        let packet = format!("say +OK go\\r\\n{injected}");
        let server = Server::playing(&["S: +OK hi", "C: STLS", &packet, "hang"]);
        let error = try_open(&trusting(&server, TlsMode::StartTls, &authority)).map(|_| ()).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (Kind::Tls, Retry::Pointless), "{error}");
        assert_eq!(error.what(), "Unprotected data came between STLS and the TLS handshake");
    }
}

#[test]
fn a_server_without_stls_is_refused_before_any_password() {
    let server = Server::playing(&["S: +OK hi", "C: STLS", "S: -ERR unknown command", "hang"]);
    let error = try_open(&options(&server, TlsMode::StartTls)).map(|_| ()).unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::Tls, Retry::Pointless));
    assert!(error.what().starts_with("The server offers no STLS"), "{error}");
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
                peer.play(&["S: +OK hi", "C: STLS", "S: +OK go"]);
            }
            if let Some(mut peer) = accept(&tls, peer.into_inner()) {
                if mode == TlsMode::Implicit {
                    peer.say("+OK hi\r\n");
                }
                // A password must not come here before the pin is right: a look at the certificate ends without a word.
                if peer.hear() == "CAPA" {
                    peer.play(&INSIDE[1..]);
                }
            }
        });
        let mut options = options(&server, mode);
        let error = try_open(&options).map(|_| ()).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (Kind::Tls, Retry::Pointless));
        assert!(error.to_string().contains("self-signed"), "{error}");
        let hint = error.hint_text().unwrap().to_owned();
        assert!(hint.contains(&format!("`pin = \"{pin}\"`")), "{hint}");
        options.server.trust = Trust { pin: Some(pin), ..Trust::default() };
        try_open(&options).unwrap();
    }
}

#[test]
fn a_tls_server_on_a_plain_port_is_suspected() {
    let authority = Authority::new();
    let tls: SslAcceptor = acceptor(&authority.good()).build();
    let server = Server::start(move |_, connection| drop(accept(&tls, connection)));
    for mode in [TlsMode::None, TlsMode::StartTls] {
        let mut options = options(&server, mode);
        options.server.timeout = Duration::from_millis(300);
        let error = try_open(&options).map(|_| ()).unwrap_err();
        assert!(error.hint_text().unwrap().contains("`tls = \"implicit\"`"), "{error}");
    }
}
