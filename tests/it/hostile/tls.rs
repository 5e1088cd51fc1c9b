//! STARTTLS stripped, refused, injected; PREAUTH; what is said before TLS and must count for nothing after it.

use super::behaviour::{Behaviour, Does, Protection, USUAL, after, at, before, hang_up, instead, replace, row};

const PAPER: &str = "“Why TLS Is Better Without STARTTLS” (USENIX Security 2021), nostarttls.secvuln.info";
const BUFFERED: &str = "CVE-2020-14954 (mutt), CVE-2021-33515 (Dovecot), CVE-2011-0411 (Postfix): text behind STARTTLS";

fn starttls(name: &'static str, source: &'static str) -> Behaviour {
    row(name, source).over(Protection::StartTls)
}

pub fn rows() -> Vec<Behaviour> {
    vec![
        starttls("STARTTLS stripped from the greeting", PAPER)
            .says(replace("", "STARTTLS LOGINDISABLED", "AUTH=PLAIN"))
            .exits(&[5])
            .tells(&["STARTTLS", "tls = \"implicit\""]),
        starttls("STARTTLS stripped, no capabilities told, and refused", PAPER)
            .says(instead("", "* OK ready\n"))
            .says(instead("STARTTLS", "TAG BAD unknown command\n"))
            .exits(&[5])
            .tells(&["STARTTLS"]),
        starttls("STARTTLS refused by NO", "RFC 3501 §6.2.1")
            .says(instead("STARTTLS", "TAG NO not today\n"))
            .exits(&[5])
            .tells(&["not today"]),
        starttls("a reply injected behind the OK of STARTTLS", BUFFERED)
            .says(after("STARTTLS", "* CAPABILITY IMAP4rev1 AUTH=PLAIN\n"))
            .exits(&[5])
            .tells(&["Unprotected data"]),
        starttls("the login's OK injected behind the OK of STARTTLS", BUFFERED)
            .says(after("STARTTLS", "a1 OK [CAPABILITY IMAP4rev1] logged in\n"))
            .exits(&[5])
            .tells(&["Unprotected data"]),
        starttls("half a line injected behind the OK of STARTTLS", BUFFERED)
            .says(after("STARTTLS", "* OK"))
            .exits(&[5])
            .tells(&["Unprotected data"]),
        starttls(
            "capabilities injected before the OK of STARTTLS",
            "RFC 3501 §6.2.1: clients must discard what they knew",
        )
        .says(before("STARTTLS", "* CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=EVIL\n"))
        .says(replace("", "[CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ", "")),
        starttls(
            "PREAUTH before STARTTLS",
            "CVE-2020-14093 (mutt), CVE-2020-14928 (evolution): PREAUTH skips STARTTLS",
        )
        .says(replace("", "* OK", "* PREAUTH"))
        .exits(&[5])
        .tells(&["before the connection is protected"]),
        starttls("PREAUTH injected before the OK of STARTTLS", PAPER)
            .says(before("STARTTLS", "* PREAUTH [CAPABILITY IMAP4rev1] you are in\n")),
        starttls("BYE instead of STARTTLS", "RFC 3501 §7.1.5")
            .says(hang_up("STARTTLS", "* BYE no\n"))
            .exits(&[5])
            .tells(&["`BYE no`"]),
        starttls("the OK of STARTTLS under another tag", "RFC 3501 §2.2.1")
            .says(instead("STARTTLS", "s2 OK go\n"))
            .exits(&[5]),
        starttls("plain text instead of the handshake", PAPER)
            .says(hang_up("STARTTLS", "TAG OK go\n* OK this is no TLS\n"))
            .exits(&[5]),
        starttls("the end instead of the handshake", PAPER).says(hang_up("STARTTLS", "TAG OK go\n")).exits(&[5]),
        starttls("silence instead of the handshake", PAPER)
            .says(at("STARTTLS", Does::FallSilent(b"TAG OK go\r\n".to_vec())))
            .exits(&[5]),
        starttls("TLS from the start where STARTTLS is expected", "RFC 8314 §3.3")
            .says(at("", Does::HangUp(b"\x16\x03\x03\x00\x02\x00\x00\n".to_vec())))
            .exits(&[5])
            .tells(&["tls = \"implicit\""]),
        starttls(
            "a referral of the login to another server",
            "RFC 2221; the paper above: credentials go where it says",
        )
        .says(instead("LOGIN", "TAG NO [REFERRAL imap://me;AUTH=*@evil.example.org/] over there\n"))
        .exits(&[4])
        .tells(&["REFERRAL"]),
        row("LOGINDISABLED inside TLS", "RFC 3501 §6.2.3: LOGIN must not be sent then")
            .over(Protection::Implicit)
            .speaks(USUAL)
            .says(replace("", "LITERAL+", "LITERAL+ LOGINDISABLED"))
            .exits(&[4])
            .tells(&["takes no password"]),
        row("PREAUTH inside TLS", "RFC 3501 §7.1.4: no login is needed").over(Protection::Implicit).says(replace(
            "",
            "* OK",
            "* PREAUTH",
        )),
        row("STARTTLS offered inside TLS", "RFC 3501 §6.2.1: must not be").over(Protection::Implicit).says(replace(
            "",
            "LITERAL+",
            "LITERAL+ STARTTLS",
        )),
        row("the end inside TLS without a close_notify", "RFC 8446 §6.1: a truncation attack")
            .over(Protection::Implicit)
            .says(at("UID FETCH…BODY.PEEK[]", Does::HangUp(b"* 7 FETCH (UID 7 BODY[] {99999}\r\nFrom: ann".to_vec())))
            .exits(&[1, 5]),
    ]
}
