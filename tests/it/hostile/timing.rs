//! Drips, silence and ends at every point of a run.

use std::time::Duration;

use super::behaviour::{Behaviour, Does, Twist, at, fall_silent, hang_up, row};

const DRIP: &str = "“Slowloris”: an octet a second keeps every rule about silence";
const STALL: &str = "a line that is dead and does not say so; mbsync's users wrap it in `timeout`";
const CUT: &str = "RFC 3501 §7.1.5 without the BYE: a line that is cut";

fn drip(at_: &'static str) -> Twist {
    at(at_, Does::Drip(Duration::from_secs(1)))
}

/// Where a line can break: a name, the command, and what has been said of the answer by then.
const PLACES: &[(&str, &str, &str)] = &[
    ("NAMESPACE", "NAMESPACE", "* NAMESPACE (("),
    ("LIST", "LIST", "* LIST (\\HasNoChildren) \"/\" INBOX\n* LIST (\\HasNoCh"),
    ("STATUS", "STATUS", "* STATUS INBOX (MESS"),
    ("SELECT", "SELECT|EXAMINE", "* 7 EXISTS\n* OK [UIDVAL"),
    ("a listing", "UID FETCH…FLAGS", "* 1 FETCH (UID 1 FLAGS (\\Seen"),
    ("a body", "UID FETCH…BODY.PEEK[]", "* 7 FETCH (UID 7 BODY[] {300}\nFrom: ann@exam"),
    ("a STORE", "UID STORE", ""),
    ("a MOVE", "UID MOVE", "* OK [COPY"),
    ("an EXPUNGE", "UID EXPUNGE", "* 3 EXP"),
    ("an APPEND", "APPEND", "* 4 EX"),
    ("a CREATE", "CREATE", ""),
];

pub fn rows() -> Vec<Behaviour> {
    let mut rows = vec![
        row("an octet a second in the greeting, and a deadline", DRIP)
            .with(&["--deadline", "3s"])
            .says(drip(""))
            .exits(&[130])
            .tells(&["deadline"]),
        row("an octet a second in LIST, and a deadline", DRIP)
            .with(&["--deadline", "3s"])
            .says(drip("LIST"))
            .exits(&[130])
            .tells(&["deadline"]),
        row("an octet a second in a body, and a deadline", DRIP)
            .with(&["--deadline", "3s"])
            .says(drip("UID FETCH…BODY.PEEK[]"))
            .exits(&[130])
            .tells(&["deadline"]),
        // Ten times the timeout.
        row("an octet a second in a body, to the end", DRIP)
            .says(drip("UID FETCH…BODY.PEEK[]"))
            .exits(&[5])
            .tells(&["of waiting"]),
        row("an octet every 20 ms is slow, not dead", DRIP).says(at("LIST", Does::Drip(Duration::from_millis(20)))),
    ];
    for (name, at, said) in PLACES {
        let exit = if *name == "a body" { 1 } else { 5 };
        let silence = row(format!("silence inside {name}"), STALL).says(fall_silent(at, said)).exits(&[exit]);
        let end = row(format!("the end inside {name}"), CUT).says(hang_up(at, said)).exits(&[exit]);
        let waits = ["a MOVE", "an APPEND"].contains(name);
        rows.extend([silence.tells(&["silent for 2 s"]), end].map(|row| if waits { row.waits() } else { row }));
        let once = row(format!("the end inside {name}, once"), CUT).says(hang_up(at, said).once());
        rows.push(if waits { once.waits() } else { once });
    }
    rows
}
