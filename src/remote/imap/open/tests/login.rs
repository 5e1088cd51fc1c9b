//! Capabilities, and how a password is said.

use super::*;

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
