//! NO, BAD and BYE at every command that a run sends (RFC 3501 §7.1), and response codes that say more than "failed".

use super::behaviour::{Behaviour, MODERN, May, PLAIN, USUAL, ends, hang_up, instead, row};

/// A command, who is asked, and the exit codes of a run in which each is answered NO and BAD.
struct Command {
    name: &'static str,
    at: &'static str,
    capability: &'static str,
    no: &'static [i32],
    bad: &'static [i32],
}

const fn command(
    name: &'static str,
    at: &'static str,
    capability: &'static str,
    no: &'static [i32],
    bad: &'static [i32],
) -> Command {
    Command { name, at, capability, no, bad }
}

/// What may be left out, what fails one mailbox or message, what ends the run.
const COMMANDS: &[Command] = &[
    command("LOGIN", "LOGIN", USUAL, &[4], &[5]),
    command("AUTHENTICATE", "AUTHENTICATE", "IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS MOVE LITERAL+", &[4], &[5]),
    command("NAMESPACE", "NAMESPACE", USUAL, &[0], &[0]),
    command("LIST", "LIST", USUAL, &[5], &[5]),
    command("LIST with RETURN", "LIST…RETURN", MODERN, &[5], &[0]),
    command("STATUS", "STATUS", USUAL, &[1], &[1]),
    command("ENABLE", "ENABLE", MODERN, &[0], &[0]),
    command("SELECT", "SELECT|EXAMINE", USUAL, &[1], &[1]),
    command("SELECT (QRESYNC)", "SELECT…QRESYNC|EXAMINE…QRESYNC", MODERN, &[1], &[0]),
    command("SELECT (CONDSTORE)", "SELECT…CONDSTORE|EXAMINE…CONDSTORE|SELECT…QRESYNC", MODERN, &[1], &[0]),
    command("UID FETCH of flags", "UID FETCH…FLAGS", USUAL, &[1], &[1]),
    command("UID FETCH of bodies", "UID FETCH…BODY.PEEK[]", USUAL, &[1], &[1]),
    command("UID STORE", "UID STORE", USUAL, &[1], &[1]),
    command("UID COPY", "UID COPY", USUAL, &[0, 1], &[0, 1]),
    command("UID MOVE", "UID MOVE", USUAL, &[0, 1], &[0, 1]),
    command("UID EXPUNGE", "UID EXPUNGE", USUAL, &[1], &[1]),
    command("UID SEARCH", "UID SEARCH", PLAIN, &[1], &[1]),
    command("EXPUNGE", "EXPUNGE", PLAIN, &[1], &[1]),
    command("APPEND", "APPEND", USUAL, &[1], &[1]),
    command("APPEND before its literal", "GOAHEAD APPEND", PLAIN, &[1], &[1]),
    command("CREATE", "CREATE", USUAL, &[1], &[1]),
    command("DELETE", "DELETE", USUAL, &[1], &[1]),
    command("LOGOUT", "LOGOUT", USUAL, &[0], &[0]),
];

const EVERY: &str = "RFC 3501 §7.1: a server may refuse any command";
const BYE: &str = "RFC 3501 §7.1.5: a server may close the connection at any time, telling so by BYE";

pub fn rows() -> Vec<Behaviour> {
    let mut rows = Vec::new();
    for Command { name, at, capability, no, bad } in COMMANDS {
        let refusing = |word: &str| instead(at, &format!("TAG {word} I will not {name}\n"));
        rows.push(
            row(format!("NO at {name}"), EVERY).speaks(capability).says(refusing("NO")).exits(no).may(May::BeTwice),
        );
        rows.push(
            row(format!("BAD at {name}"), EVERY).speaks(capability).says(refusing("BAD")).exits(bad).may(May::BeTwice),
        );
        if !at.starts_with("GOAHEAD") {
            let bye = hang_up(at, "* BYE going down for maintenance\n");
            // What ends the session at one message each time is that one's failure.
            let exit = match *name {
                "LOGOUT" => 0,
                "UID FETCH of bodies" => 1,
                _ => 5,
            };
            let row = row(format!("BYE at {name}"), BYE).speaks(capability).says(bye).exits(&[exit]);
            let row = if exit == 0 { row } else { row.tells(&["going down for maintenance"]) };
            let waits = ["APPEND", "UID COPY", "UID MOVE"].contains(name);
            rows.push(if waits { row.waits().may(May::BeTwice) } else { row.may(May::BeTwice) });
        }
    }
    rows.extend(codes());
    rows
}

/// Codes of RFC 5530 and others, each where it is said.
fn codes() -> Vec<Behaviour> {
    let code = |at, code: &str| instead(at, &format!("TAG NO [{code}] the server's own words\n"));
    let rfc = "RFC 5530 §3";
    vec![
        row("UNAVAILABLE at the login", rfc)
            .says(code("LOGIN", "UNAVAILABLE"))
            .exits(&[5])
            .tells(&["Try again later", "the server's own words"]),
        row("LIMIT at the login", rfc).says(code("LOGIN", "LIMIT")).exits(&[5]).tells(&["`connections`"]),
        row("EXPIRED at the login", rfc)
            .says(code("LOGIN", "EXPIRED"))
            .exits(&[4])
            .tells(&["The password has expired"]),
        row("PRIVACYREQUIRED at the login", rfc)
            .says(code("LOGIN", "PRIVACYREQUIRED"))
            .exits(&[4])
            .tells(&["tls = \"implicit\""]),
        row("CONTACTADMIN at the login", rfc).says(code("LOGIN", "CONTACTADMIN")).exits(&[4]).tells(&["administrator"]),
        row("AUTHORIZATIONFAILED at the login", rfc)
            .says(code("LOGIN", "AUTHORIZATIONFAILED"))
            .exits(&[4])
            .tells(&["may not log in"]),
        row("OVERQUOTA at an upload", "RFC 9208 §5.1.3: APPEND, COPY and MOVE over the quota are NO [OVERQUOTA]")
            .says(code("APPEND", "OVERQUOTA"))
            .exits(&[1])
            .tells(&["full"]),
        row("TOOBIG at an upload", "RFC 4469 §4.2").says(code("APPEND", "TOOBIG")).exits(&[1]).tells(&["too"]),
        row("TRYCREATE at an upload", "RFC 3501 §6.3.11").says(code("APPEND", "TRYCREATE")).exits(&[1]),
        row("TRYCREATE at a move", "RFC 6851 §3.3").says(code("UID MOVE", "TRYCREATE")).exits(&[0, 1]),
        row("OVERQUOTA at a copy", "RFC 9208 §5.1.3").says(code("UID COPY", "OVERQUOTA")).exits(&[0, 1]),
        row("NOPERM at a flag", rfc).says(code("UID STORE", "NOPERM")).exits(&[1]),
        row("READ-ONLY in every SELECT", "RFC 3501 §7.1: READ-ONLY")
            .says(ends("SELECT", "TAG OK [READ-ONLY] nothing can be changed\n"))
            .exits(&[0, 1]),
        row("INUSE at a SELECT", rfc).says(code("SELECT|EXAMINE", "INUSE")).exits(&[1, 5]),
        row("CORRUPTION at a SELECT", rfc).says(code("SELECT|EXAMINE", "CORRUPTION")).exits(&[1]),
        row("NONEXISTENT at a SELECT of what LIST has", rfc)
            .says(code("SELECT \"ARCHIVE\"|EXAMINE \"ARCHIVE\"", "NONEXISTENT"))
            .exits(&[1]),
        row("ALREADYEXISTS at CREATE of what LIST has not", rfc).says(code("CREATE", "ALREADYEXISTS")).exits(&[0, 1]),
        row("CANNOT at CREATE", "RFC 5530 §3: a name the server cannot have")
            .says(code("CREATE", "CANNOT"))
            .exits(&[1]),
        row("HASCHILDREN at DELETE", "RFC 5530 §3; Dovecot and Courier refuse so")
            .says(code("DELETE", "HASCHILDREN"))
            .exits(&[0, 1]),
        row("EXPUNGEISSUED and SERVERBUG at a fetch", rfc)
            .says(code("UID FETCH…BODY.PEEK[]", "SERVERBUG").once())
            .exits(&[0, 1]),
        row("a code that nobody knows, with escape sequences", "RFC 5530 §2: clients must ignore unknown codes")
            .says(instead("APPEND", "TAG NO [X-\x1b[2J\u{202e}] \x1b]0;owned\x07\u{9b}31m words\n"))
            .exits(&[1])
            .tells(&["\\u{1b}"]),
    ]
}
