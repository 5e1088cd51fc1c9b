//! Greetings of other protocols and of none, and all that may go wrong before the login.

use super::behaviour::{Behaviour, Does, at, before, endless, fall_silent, hang_up, instead, replace, row};

const GREETING: &str = "RFC 3501 §7.1: the greeting is `* OK`, `* PREAUTH` or `* BYE`; CVE-2020-28896 (mutt went on)";

fn greets(name: &'static str, octets: impl Into<Vec<u8>>) -> Behaviour {
    row(name, GREETING).says(at("", Does::HangUp(octets.into()))).exits(&[5])
}

pub fn rows() -> Vec<Behaviour> {
    vec![
        greets("greets as SSH", b"SSH-2.0-OpenSSH_9.2\r\n").tells(&["SSH-2.0", "`port`"]),
        greets("greets as POP3", b"+OK POP3 ready <1896.697170952@x>\r\n").tells(&["POP3 ready"]),
        greets("greets as SMTP", b"220 mx.example.org ESMTP Postfix\r\n").tells(&["220 mx"]),
        greets("greets as HTTP", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").tells(&["HTTP/1.1 400"]),
        greets("greets as a managesieve server", b"\"IMPLEMENTATION\" \"Dovecot Pigeonhole\"\r\nOK \"ready.\"\r\n"),
        greets("greets as telnet", b"\xff\xfd\x18\xff\xfd\x20login: \r\n"),
        greets("greets with NUL octets", vec![0; 4096]),
        greets("greets with an escape sequence", b"* BYE \x1b]0;owned\x07\x1b[2J\xc2\x9b31m\r\n").tells(&["\\u{1b}"]),
        greets("greets with bidirectional text", "* BYE \u{202e}txet\u{2066}\r\n").tells(&["\\u{202e}"]),
        greets("greets with NO", b"* NO mailbox is locked\r\n").tells(&["mailbox is locked"]),
        greets("greets with a tagged OK", b"a1 OK ready\r\n"),
        greets("greets with an empty line", b"\r\n"),
        greets("greets with BYE", b"* BYE too many connections\r\n").tells(&["too many connections"]),
        greets("greets with BYE [UNAVAILABLE]", b"* BYE [UNAVAILABLE] upgrading\r\n").tells(&["come back later"]),
        greets("hangs up without a word", b"").tells(&["before its greeting"]),
        greets("hangs up inside the greeting", b"* OK [CAPABI"),
        row("says nothing at all", GREETING).says(fall_silent("", "")).exits(&[5]).tells(&["no greeting came"]),
        row("greets with a line without end", "RFC 9051 §4: clients must bound what they take")
            .says(endless("", "* OK ", "xxxxxxxxxxxxxxxx"))
            .exits(&[5])
            .tells(&["before the login"]),
        row("greets, and then never stops talking", "denial of service by a flood before the login")
            .says(endless("LOGIN", "", "* OK still here\n"))
            .exits(&[5])
            .tells(&["before the login"]),
        row(
            "greets in small letters and with a bare LF",
            "seen of home-made servers; RFC 3501 §9: keywords have no case",
        )
        .says(at("", Does::Instead(b"* ok [capability IMAP4rev1 UIDPLUS MOVE] ready\n".to_vec()))),
        row("greets without capabilities", "RFC 3501 §7.1: the code is optional")
            .says(instead("", "* OK ready\n"))
            .says(replace("LOGIN", "[CAPABILITY IMAP4rev1 UIDPLUS MOVE LITERAL+ NAMESPACE] ", "")),
        row("CAPABILITY answered without data", "RFC 3501 §6.1.1: the untagged reply is required")
            .says(instead("", "* OK ready\n"))
            .says(instead("CAPABILITY", "TAG OK done\n"))
            .exits(&[5])
            .tells(&["CAPABILITY"]),
        row("CAPABILITY refused", "RFC 3501 §6.1.1")
            .says(instead("", "* OK ready\n"))
            .says(instead("CAPABILITY", "TAG NO none of your business\n"))
            .exits(&[5])
            .tells(&["none of your business"]),
        row("capabilities of 60 kB", "denial of service by a list without end").says(at(
            "",
            Does::Instead(format!("* OK [CAPABILITY IMAP4rev1 {}] ready\r\n", "X-A ".repeat(15_000)).into()),
        )),
        row("no IMAP4rev1 among the capabilities", "RFC 3501 §6.1.1: it must be listed")
            .says(replace("LOGIN", "IMAP4rev1", "IMAP2"))
            .says(replace("", "IMAP4rev1", "IMAP2")),
        row("an ALERT in the greeting", "RFC 3501 §7.1: ALERT must be shown to the user")
            .says(replace("", "* OK", "* OK [ALERT] shutting\x1b[31m down at noon\n* OK"))
            .tells(&["alerts", "down at noon"]),
        row("an ALERT at the login", "RFC 3501 §7.1; Gmail: `NO [ALERT] Please log in via your web browser`")
            .says(instead("LOGIN", "TAG NO [ALERT] Please log in via your web browser\n"))
            .exits(&[4])
            .tells(&["alerts", "web browser"]),
        row("untagged garbage before the login's answer", "RFC 3501 §7: unknown untagged data")
            .says(before("LOGIN", "* X-UNKNOWN (((( \"\n* \n* 99 BOTTLES\n")),
        row("a challenge to LOGIN", "RFC 3501 §6.2.3: LOGIN has no challenge")
            .says(before("LOGIN", "+ tell me more\n"))
            .exits(&[0, 4, 5]),
        row("challenges to the login without end", "a continuation that never ends")
            .speaks("IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS MOVE LITERAL+ NAMESPACE")
            .says(endless("AUTHENTICATE", "", "+ bW9yZQ==\n"))
            .exits(&[5]),
        row("the login's answer under another tag", "RFC 3501 §2.2.1").says(instead("LOGIN", "zz OK in\n")).exits(&[5]),
        row("a literal in the login's answer", "RFC 3501 §9: resp-text has none")
            .says(instead("LOGIN", "TAG NO {4294967295}\n"))
            .exits(&[4]),
        row("hangs up at the login", "RFC 3501 §7.1.5, without the BYE").says(hang_up("LOGIN", "")).exits(&[5]),
        row("silent at the login", "a stalled line").says(fall_silent("LOGIN", "")).exits(&[5]).tells(&["silent"]),
    ]
}
