//! Servers that refuse, say goodbye, hang up, fall silent or never end: what the user is told, and whether to retry.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::error::Retry;

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
fn a_server_that_hangs_up_or_says_bye_is_not_at_the_wrong_port() {
    for play in [&[][..], &["S: * BYE Server shutting down."]] {
        let error = try_open(&options(&Server::playing(play), TlsMode::None), "secret").unwrap_err();
        assert_eq!((error.kind(), error.retry()), (Kind::Unreachable, Retry::Worthwhile), "{error}");
        let hint = error.hint_text().unwrap();
        assert!(hint.contains("later") && !hint.contains("port"), "{error}: {hint}");
    }
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
