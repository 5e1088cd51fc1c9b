//! Each way to log in, word for word, and which one is gone.

use std::collections::BTreeSet;

use super::*;
use crate::remote::net::Meter;
use crate::remote::net::testing::{Authority, Server, accept, acceptor};
use crate::remote::pop3::Session;
use crate::stop::Stop;

fn attempt(options: &Pop3Options, secret: &str) -> Result<()> {
    Session::open(options, None, &Secret::new(secret.into()), &Meter::default(), &Stop::default()).map(drop)
}

/// Logs in without TLS; the server greets, tells `capa`, plays `dialog` and has nothing more to say after the login.
fn login(greeting: &str, capa: &[&str], auth: Pop3Auth, secret: &str, dialog: &[&str]) -> Result<()> {
    let mut script = vec![format!("S: {greeting}"), "C: CAPA".into(), "S: +OK".into()];
    // All that a second CAPA could tell.
    script.extend(["TOP", "UIDL", "PIPELINING"].iter().chain(capa).map(|line| format!("S: {line}")));
    script.push("S: .".into());
    script.extend(dialog.iter().map(|line| line.to_string()));
    script.push("hang".into());
    let script: Vec<&str> = script.iter().map(String::as_str).collect();
    let server = Server::playing(&script);
    let options =
        Pop3Options { server: server.options(TlsMode::None), user: "me".into(), auth, disable: BTreeSet::new() };
    attempt(&options, secret)
}

const OK: &str = "S: +OK in";

#[test]
fn the_way_is_chosen_by_what_is_offered() {
    let auto = |greeting, capa: &[&str], dialog: &[&str]| login(greeting, capa, Pop3Auth::Auto, "secret", dialog);
    let plain = ["C: AUTH PLAIN AG1lAHNlY3JldA==", OK];
    auto("+OK", &["SASL LOGIN PLAIN", "USER"], &plain).unwrap();
    auto("+OK", &["USER", "SASL LOGIN"], &["C: USER me", "S: +OK", "C: PASS secret", OK]).unwrap();
    auto(
        "+OK",
        &["SASL LOGIN"],
        &["C: AUTH LOGIN", "S: + VXNlcm5hbWU6", "C: bWU=", "S: + UGFzc3dvcmQ6", "C: c2VjcmV0", OK],
    )
    .unwrap();
    for (capa, hint) in [(&["STLS"][..], "\"stls\""), (&["SASL XOAUTH2"], "implicit")] {
        let error = auto("+OK", capa, &[]).unwrap_err();
        assert_eq!(error.kind(), Kind::Auth);
        assert!(error.hint_text().unwrap().contains(hint), "{error}");
    }
}

#[test]
fn without_tls_no_password_leaves_where_apop_can_be() {
    // RFC 1939 §7: the digest of `<1896.697170952@dbc.mtview.ca.us>tanstaaf`.
    let greeting = "+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>";
    let apop = "C: APOP me c4c9334bac560ecc979e58001b3e22fb";
    let capa = ["SASL PLAIN", "USER"];
    login(greeting, &capa, Pop3Auth::Auto, "tanstaaf", &[apop, OK]).unwrap();
    login(greeting, &capa, Pop3Auth::Apop, "tanstaaf", &[apop, OK]).unwrap();
    let error =
        login(greeting, &capa, Pop3Auth::Auto, "tanstaaf", &[apop, "S: -ERR authorization failed"]).unwrap_err();
    assert!(error.hint_text().unwrap().contains("`auth = \"user\"`"), "{error}");
    let plain = ["C: AUTH PLAIN AG1lAHRhbnN0YWFm", OK];
    login(greeting, &capa, Pop3Auth::Plain, "tanstaaf", &plain).unwrap();
    let error = login("+OK hi", &capa, Pop3Auth::Apop, "tanstaaf", &[]).unwrap_err();
    assert_eq!((error.kind(), error.what().contains("no timestamp")), (Kind::Auth, true));
}

#[test]
fn only_a_message_id_is_a_timestamp() {
    for (greeting, stamp) in [
        ("ready <1896.697170952@dbc.mtview.ca.us>", Some("<1896.697170952@dbc.mtview.ca.us>")),
        ("<1@h> ready", Some("<1@h>")),
        ("<a-b.c@[127.0.0.1]>", Some("<a-b.c@[127.0.0.1]>")),
        ("ready", None),
        ("<>", None),
        ("<1>", None),
        ("<@h>", None),
        ("<1@>", None),
        ("<1@a@b>", None),
        ("<1 2@h>", None),
        ("<1..2@h>", None),
        ("<1\u{1}@h>", None),
        ("<1\u{e9}@h>", None),
        ("> <1@h", None),
    ] {
        assert_eq!(timestamp(greeting), stamp, "{greeting}");
    }
}

#[test]
fn inside_tls_the_password_is_sent_even_where_apop_can_be() {
    let authority = Authority::new();
    let tls = acceptor(&authority.good()).build();
    let server = Server::start(move |_, connection| {
        if let Some(mut peer) = accept(&tls, connection) {
            peer.play(&[
                "S: +OK <1@h>",
                "C: CAPA",
                "S: +OK",
                "S: TOP",
                "S: UIDL",
                "S: PIPELINING",
                "S: SASL PLAIN",
                "S: .",
                "C: AUTH PLAIN AG1lAHNlY3JldA==",
                OK,
            ]);
        }
    });
    let mut options = server.options(TlsMode::Implicit);
    options.trust = authority.trust();
    let options = Pop3Options { server: options, user: "me".into(), auth: Pop3Auth::Auto, disable: BTreeSet::new() };
    attempt(&options, "secret").unwrap();
}

#[test]
fn a_first_response_has_a_line_of_its_own_where_it_must() {
    let long = "p".repeat(200);
    let encoded = encode_block(format!("\0me\0{long}").as_bytes());
    let steps = ["C: AUTH PLAIN", "S: + ", &format!("C: {encoded}"), OK];
    login("+OK", &["SASL PLAIN"], Pop3Auth::Auto, &long, &steps).unwrap();
    // A server that overlooks it asks for it.
    let steps = ["C: AUTH PLAIN AG1lAHNlY3JldA==", "S: +", "C: AG1lAHNlY3JldA==", OK];
    login("+OK", &["SASL PLAIN"], Pop3Auth::Auto, "secret", &steps).unwrap();
    let steps = ["C: AUTH PLAIN AG1lAHNlY3JldA==", "S: +", "C: AG1lAHNlY3JldA==", "S: +"];
    let error = login("+OK", &["SASL PLAIN"], Pop3Auth::Auto, "secret", &steps).unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol);
}

#[test]
fn tokens_go_on_a_line_of_their_own_and_their_fault_is_told() {
    // developers.google.com/gmail/imap/xoauth2-protocol
    let xoauth2 = encode_block(b"user=me\x01auth=Bearer ya29.x\x01\x01");
    let line = format!("C: {xoauth2}");
    login("+OK", &[], Pop3Auth::XOAuth2, "ya29.x", &["C: AUTH XOAUTH2", "S: + ", &line, OK]).unwrap();
    let fault = format!("S: + {}", encode_block(br#"{"status":"401","schemes":"bearer"}"#));
    let steps = ["C: AUTH XOAUTH2", "S: + ", &line, &fault, "C: ", "S: -ERR [AUTH] Username and Password not accepted"];
    let error = login("+OK", &[], Pop3Auth::XOAuth2, "ya29.x", &steps).unwrap_err();
    assert_eq!(error.kind(), Kind::Auth);
    assert!(error.to_string().contains(r#"{"status":"401","schemes":"bearer"}"#), "{error}");
    let steps = ["C: AUTH XOAUTH2", "S: + ", &line, &fault, "C: ", &fault];
    assert_eq!(login("+OK", &[], Pop3Auth::XOAuth2, "ya29.x", &steps).unwrap_err().kind(), Kind::Protocol);
}

#[test]
fn oauthbearer_names_the_server() {
    let server = Server::start(|_, connection| {
        let port = connection.local_addr().unwrap().port();
        let message = format!("n,a=a=3Db=2Cc,\u{1}host=localhost\u{1}port={port}\u{1}auth=Bearer tok\u{1}\u{1}");
        crate::remote::net::testing::Peer::new(connection).play(&[
            "S: +OK",
            "C: CAPA",
            "S: -ERR",
            "C: AUTH OAUTHBEARER",
            "S: +",
            &format!("C: {}", encode_block(message.as_bytes())),
            "S: + e30=",
            "C: AQ==",
            "S: -ERR no",
        ]);
    });
    let options = Pop3Options {
        server: server.options(TlsMode::None),
        user: "a=b,c".into(),
        auth: Pop3Auth::OAuthBearer,
        disable: BTreeSet::new(),
    };
    assert_eq!(attempt(&options, "tok").unwrap_err().kind(), Kind::Auth);
}

#[test]
fn what_no_line_can_carry_is_no_password() {
    for secret in ["a\r\nDELE 1", "a\0b"] {
        let error = login("+OK", &["USER"], Pop3Auth::Auto, secret, &[]).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
    }
}

#[test]
fn a_mechanism_can_be_switched_off() {
    let server = Server::playing(&[
        "S: +OK",
        "C: CAPA",
        "S: +OK",
        "S: SASL PLAIN",
        "S: USER",
        "S: TOP",
        "S: UIDL",
        "S: PIPELINING",
        "S: .",
        "C: USER me",
        "S: +OK",
        "C: PASS secret",
        OK,
        "hang",
    ]);
    let disable = ["AUTH=PLAIN".to_owned()].into();
    let options =
        Pop3Options { server: server.options(TlsMode::None), user: "me".into(), auth: Pop3Auth::Auto, disable };
    attempt(&options, "secret").unwrap();
}

#[test]
fn every_way_has_a_name_of_its_own() {
    let names: BTreeSet<&str> = Pop3Auth::ALL.iter().map(|a| a.name()).collect();
    assert_eq!(names.len(), Pop3Auth::ALL.len());
}
