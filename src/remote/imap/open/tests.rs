//! Opening against servers that do it right, do it oddly, or attack.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openssl::ssl::SslAcceptor;

use super::*;
use crate::error::Retry;
use crate::remote::net::testing::{Authority, Peer, Server, accept, acceptor, issue};
use crate::remote::net::trust::{Pin, Trust};

fn options(server: &Server, tls: TlsMode) -> ImapOptions {
    let server = server.options(tls);
    ImapOptions { server, user: "me".into(), connections: 1, compress: false, disable: BTreeSet::new() }
}

fn try_open(options: &ImapOptions, password: &str) -> Result<(Opened, Meter)> {
    let meter = Meter::default();
    let opened = open(options, None, &Secret::new(password.into()), &meter, &Stop::default())?;
    Ok((opened, meter))
}

/// An opened session and its server; the session ends first.
struct Played {
    opened: Opened,
    meter: Meter,
    _server: Server,
}

/// Opens without TLS against a script; the password is `secret`.
fn played(script: &[&str]) -> Result<Played> {
    let _server = Server::playing(script);
    try_open(&options(&_server, TlsMode::None), "secret").map(|(opened, meter)| Played { opened, meter, _server })
}

fn refused(script: &[&str]) -> Error {
    played(script).map(|_| ()).unwrap_err()
}

// PLAIN of me and secret.
const PLAIN: &str = "AG1lAHNlY3JldA==";

#[test]
fn capabilities_in_the_greeting_and_sasl_ir_make_one_command() {
    let session = played(&[
        "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN] ready",
        &format!("C: a1 AUTHENTICATE PLAIN {PLAIN}"),
        "S: * CAPABILITY IMAP4rev1 CONDSTORE",
        "S: a1 OK [CAPABILITY IMAP4rev1 qresync LITERAL+] Logged in",
        "hang",
    ])
    .unwrap();
    assert!(
        session.opened.capabilities.has(Capability::Qresync)
            && session.opened.capabilities.has(Capability::LiteralPlus)
    );
    assert!(!session.opened.capabilities.has(Capability::SaslIr));
    assert_eq!((session.meter.commands(), session.opened.leftover.len()), (1, 0));
}

#[test]
fn a_silent_greeting_costs_a_capability_command_before_and_after() {
    let session = played(&[
        "S: * OK hello",
        "C: a1 CAPABILITY",
        "S: * CAPABILITY IMAP4rev1",
        "S: a1 OK done",
        "C: a2 LOGIN \"me\" \"secret\"",
        "S: a2 OK welcome",
        "C: a3 CAPABILITY",
        "S: * CAPABILITY IMAP4rev1 MOVE",
        "S: a3 OK done",
        "hang",
    ])
    .unwrap();
    assert!(session.opened.capabilities.has(Capability::Move));
    assert_eq!(session.meter.commands(), 3);
}

#[test]
fn what_login_cannot_carry_goes_by_plain_in_two_steps() {
    let server = Server::playing(&[
        "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready",
        "C: a1 AUTHENTICATE PLAIN",
        "S: + go ahead, \\xe4\\xf6\\xfc",
        "C: AG1lAHPDvMOf",
        "S: a1 OK [CAPABILITY IMAP4rev1] in",
        "hang",
    ]);
    try_open(&options(&server, TlsMode::None), "süß").unwrap();
}

#[test]
fn login_quotes_what_it_carries() {
    let server = Server::playing(&[
        "S: * OK [CAPABILITY IMAP4rev1] ready",
        "C: a1 LOGIN \"me\" \"a \\\"b\\\" c\\\\d {3}\"",
        "S: a1 OK [CAPABILITY IMAP4rev1] in",
        "hang",
    ]);
    try_open(&options(&server, TlsMode::None), "a \"b\" c\\d {3}").unwrap();
    let server = Server::playing(&["S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready", "hang"]);
    for password in ["a\r\nb", "a\0b"] {
        let error = try_open(&options(&server, TlsMode::None), password).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
    }
}

#[test]
fn sasl_ir_and_plain_can_be_switched_off() {
    let server = Server::playing(&[
        "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready",
        "C: a1 LOGIN \"me\" \"secret\"",
        "S: a1 OK [CAPABILITY IMAP4rev1 MOVE] in",
        "hang",
    ]);
    let mut options = options(&server, TlsMode::None);
    options.disable = ["AUTH=PLAIN", "MOVE"].map(String::from).into();
    assert!(!try_open(&options, "secret").unwrap().0.capabilities.has(Capability::Move));
}

#[test]
fn what_follows_the_login_is_left_for_the_session() {
    let mut session = played(&[
        "S: * OK [CAPABILITY IMAP4rev1] ready",
        "C: a1 LOGIN \"me\" \"secret\"",
        "say a1 OK [CAPABILITY IMAP4rev1] in\\r\\n* OK still here\\r\\n* 5 EXI",
        "C: x NOOP",
        "say STS\\r\\n",
        "hang",
    ])
    .unwrap();
    use crate::remote::net::{Exchange, OutBuffer, Until};
    let mut output = OutBuffer::new();
    output.push(b"x NOOP\r\n");
    while !session.opened.leftover.ends_with(b"STS\r\n") {
        session.opened.transport.exchange(&mut output, &mut session.opened.leftover, Until::InputArrives).unwrap();
    }
    assert_eq!(session.opened.leftover, b"* OK still here\r\n* 5 EXISTS\r\n");
}

#[test]
fn untagged_lines_of_any_kind_do_no_harm() {
    let session = played(&[
        "S: * OK [CAPABILITY IMAP4rev1] \\xe4\\xf6 \\x1b[31m ready",
        "C: a1 LOGIN \"me\" \"secret\"",
        "S: * OK [ALERT] Gr\\xfc\\xdfe",
        "S: * X-UNKNOWN (((",
        "S: * 3 EXISTS",
        "S: * STATUS \"\" (SIZE 1)",
        "say a1 OK [CAPABILITY IMAP4rev1 MOVE] \\xe4\\n",
        "hang",
    ]);
    assert!(session.unwrap().opened.capabilities.has(Capability::Move));
}

#[test]
fn a_server_that_speaks_one_octet_at_a_time_is_understood() {
    let server = Server::start(|_, connection| {
        connection.set_nodelay(true).unwrap();
        let mut peer = Peer::new(connection);
        let slowly = |text: &str, peer: &mut Peer<_>| text.bytes().for_each(|octet| peer.say([octet]));
        slowly("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n", &mut peer);
        peer.hear();
        slowly("* 1 EXISTS\r\na1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n", &mut peer);
        peer.hear();
    });
    assert!(try_open(&options(&server, TlsMode::None), "secret").unwrap().0.capabilities.has(Capability::Idle));
}

#[test]
fn each_refusal_leads_to_what_it_means() {
    for (reply, kind, retry, hint) in [
        ("NO [AUTHENTICATIONFAILED] Invalid credentials", Kind::Auth, Retry::Pointless, "app password"),
        ("NO go away", Kind::Auth, Retry::Pointless, "`password`"),
        ("no [authorizationfailed] x", Kind::Auth, Retry::Pointless, "`user`"),
        ("NO [EXPIRED] x", Kind::Auth, Retry::Pointless, "new one"),
        ("NO [PRIVACYREQUIRED] x", Kind::Auth, Retry::Pointless, "starttls"),
        ("NO [UNAVAILABLE] LDAP is down", Kind::TryLater, Retry::Worthwhile, "later"),
        ("NO [INUSE] x", Kind::TryLater, Retry::Worthwhile, "later"),
        ("NO [LIMIT] Maximum number of connections", Kind::TryLater, Retry::Pointless, "`connections`"),
    ] {
        let error = refused(&[
            "S: * OK [CAPABILITY IMAP4rev1] ready",
            "C: a1 LOGIN \"me\" \"secret\"",
            &format!("S: a1 {reply}"),
            "hang",
        ]);
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{reply}: {error}");
        assert!(error.hint_text().unwrap().contains(hint), "{reply}: {error}");
        assert_eq!(error.server_words(), Some(reply));
        assert!(error.place().unwrap().starts_with("localhost:"));
    }
    let bad = refused(&["S: * OK [CAPABILITY IMAP4rev1] ready", "C: a1 LOGIN \"me\" \"secret\"", "S: a1 BAD what"]);
    assert_eq!(bad.kind(), Kind::Refused);
}

#[test]
fn the_servers_words_reach_the_user_without_reaching_the_terminal() {
    let error = refused(&[
        "S: * OK [CAPABILITY IMAP4rev1] ready",
        "C: a1 LOGIN \"me\" \"secret\"",
        "S: a1 NO \\x1b[31mfalsches Pa\\xdfwort \\xc3\\xbc\\x9b2J",
    ]);
    assert_eq!(error.kind(), Kind::Auth);
    let shown = error.to_string();
    assert!(shown.contains("NO \\u{1b}[31mfalsches Pa\u{fffd}wort ü\u{fffd}2J"), "{shown}");
    assert!(!shown.contains('\u{1b}'));
}

#[test]
fn a_goodbye_at_any_time_is_the_reason() {
    let error = refused(&["S: * BYE [UNAVAILABLE] maintenance"]);
    assert_eq!((error.kind(), error.retry()), (Kind::TryLater, Retry::Worthwhile));
    let error = refused(&["S: * BYE nobody here"]);
    assert_eq!((error.kind(), error.server_words()), (Kind::Unreachable, Some("BYE nobody here")));
    let error = refused(&[
        "S: * OK [CAPABILITY IMAP4rev1] ready",
        "C: a1 LOGIN \"me\" \"secret\"",
        "S: * BYE [LIMIT] too many",
        "hang",
    ]);
    assert_eq!((error.kind(), error.server_words()), (Kind::TryLater, Some("BYE [LIMIT] too many")));
}

#[test]
fn what_is_no_imap_server_is_told_so() {
    for greeting in [
        "+OK POP3 ready",
        "220 smtp.example.org ESMTP",
        "HTTP/1.1 400 Bad Request",
        "* 5 EXISTS",
        "*",
        "",
        "\\x00\\xff",
    ] {
        let error = refused(&[&format!("S: {greeting}")]);
        assert_eq!((error.kind(), error.what()), (Kind::Protocol, "This is no IMAP server"), "{greeting}");
        assert!(error.server_words().is_some() && error.hint_text().is_some());
    }
    // A TLS alert, as some servers send when a client says nothing for long.
    let error = refused(&["say \\x15\\x03\\x01\\x00\\x02\\x02\\x46\\n"]);
    assert_eq!(error.kind(), Kind::Tls);
    assert!(error.hint_text().unwrap().contains("implicit"));
}

#[test]
fn answers_that_fit_no_command_are_refused() {
    let start = ["S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready"];
    let command = format!("C: a1 AUTHENTICATE PLAIN {PLAIN}");
    for answers in [
        &["S: a7 OK in"][..],
        &["S: a1 PREAUTH in"],
        &["S: a1 BYE in"],
        &["S: a1 YES"],
        &["S: whatever"],
        &["S: + ", "C: AG1lAHNlY3JldA==", "S: + "],
    ] {
        let script = [&start[..], &[&command], answers].concat();
        let error = refused(&script);
        assert_eq!(error.kind(), Kind::Protocol, "{answers:?}: {error}");
    }
    let error = refused(&["S: * OK hi", "C: a1 CAPABILITY", "S: a1 OK done"]);
    assert_eq!(error.kind(), Kind::Protocol);
    let error = refused(&["S: * OK hi", "C: a1 CAPABILITY", "S: a1 BAD what?"]);
    assert_eq!((error.kind(), error.server_words()), (Kind::Refused, Some("BAD what?")));
}

#[test]
fn a_server_without_end_is_cut_off() {
    for endless in ["x", "* OK noise\r\n"] {
        let server = Server::start(move |_, mut connection| {
            let _ = connection.write_all(b"* OK [CAPABILITY IMAP4rev1] ready\r\n");
            let piece = endless.repeat(1000);
            while connection.write_all(piece.as_bytes()).is_ok() {}
        });
        let error = try_open(&options(&server, TlsMode::None), "secret").unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol, "{error}");
        assert!(error.what().starts_with("The server says more than"), "{error}");
    }
}

#[test]
fn a_server_that_hangs_up_after_any_octet_is_an_error_worth_a_retry() {
    let greeting = "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n";
    let reply = "a1 OK in\r\n";
    let capability = "* CAPABILITY IMAP4rev1\r\na2 OK x\r\n";
    let whole = [greeting, reply, capability].concat();
    let server = Server::start(move |n, connection| {
        let mut peer = Peer::new(connection);
        let mut left = n;
        for text in [greeting, reply, capability] {
            peer.say(&text[..left.min(text.len())]);
            let Some(rest) = left.checked_sub(text.len()) else { return };
            left = rest;
            peer.hear();
        }
    });
    for n in 0..=whole.len() {
        match try_open(&options(&server, TlsMode::None), "secret") {
            Ok(_) => assert_eq!(n, whole.len()),
            Err(error) => {
                assert!(n < whole.len(), "{error}");
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
    let error = try_open(&options, "secret").unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::Unreachable, Retry::Worthwhile));
    assert_eq!(error.what(), "The connection stands, but no greeting came");
    assert!(error.hint_text().unwrap().contains("implicit"));
}

#[test]
fn a_wish_to_stop_ends_the_wait_for_a_login() {
    let server = Server::playing(&["S: * OK [CAPABILITY IMAP4rev1] hi", "C: a1 LOGIN \"me\" \"secret\"", "hang"]);
    let signalled = Arc::new(AtomicBool::new(false));
    let stop = Stop::new(signalled.clone(), None);
    let options = options(&server, TlsMode::None);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(150));
            signalled.store(true, Ordering::SeqCst);
        });
        let error = open(&options, None, &Secret::new("secret".into()), &Meter::default(), &stop).unwrap_err();
        assert_eq!(error.kind(), Kind::Interrupted);
    });
}

#[test]
fn preauth_is_a_login_where_no_tls_is_to_come() {
    let session = played(&["S: * PREAUTH [CAPABILITY IMAP4rev1 MOVE] hello root", "hang"]).unwrap();
    assert!(session.opened.capabilities.has(Capability::Move));
    assert_eq!(session.meter.commands(), 0);
    let session =
        played(&["S: * PREAUTH hello", "C: a1 CAPABILITY", "S: * CAPABILITY IMAP4rev1 IDLE", "S: a1 OK done", "hang"])
            .unwrap();
    assert!(session.opened.capabilities.has(Capability::Idle));
}

#[test]
fn a_server_that_takes_no_password_says_what_to_set() {
    let error = refused(&["S: * OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hi", "hang"]);
    assert_eq!(error.kind(), Kind::Auth);
    assert!(error.hint_text().unwrap().contains("starttls"), "{error}");
    let error = refused(&["S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2] hi", "hang"]);
    assert!(error.hint_text().unwrap().contains("implicit"), "{error}");
}

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
