//! Uploads, copies, moves, flags and expunges that are not what the server says they are.

use super::behaviour::{
    Behaviour, Does, MODERN, May, PLAIN, USUAL, after, at, before, crlf, ends, fall_silent, hang_up, instead, replace,
    row,
};

const APPENDUID: &str = "RFC 4315 §3; CVE-2021-3578 (mbsync): unexpected APPENDUID";
const COPYUID: &str = "RFC 4315 §3: COPYUID";
const LOST: &str = "RFC 3501 §7.1.5: the line ends, and what was done is unknown";

pub fn rows() -> Vec<Behaviour> {
    let mut rows = appends();
    rows.extend(copies());
    rows.extend(others());
    rows
}

fn appended(name: &'static str, code: &str) -> Behaviour {
    row(name, APPENDUID).says(ends("APPEND", &format!("TAG OK [APPENDUID {code}] stored\n"))).exits(&[0, 1])
}

fn appends() -> Vec<Behaviour> {
    vec![
        appended("APPENDUID of a message that exists", "1002 1"),
        appended("APPENDUID of another mailbox", "1001 1"),
        appended("APPENDUID of another generation", "9 1"),
        appended("APPENDUID of two messages", "1002 4:5"),
        appended("APPENDUID of everything", "1002 1:4294967295"),
        appended("APPENDUID 0", "1002 0"),
        appended("APPENDUID of 2^32", "1002 4294967296"),
        appended("APPENDUID far ahead", "1002 4294967295"),
        appended("APPENDUID without numbers", ""),
        row("no APPENDUID", "RFC 4315 §3: may be left out").says(ends("APPEND", "TAG OK stored\n")),
        row("OK for an upload that was not stored", "a server that drops mail: nothing may be deleted because of it")
            .says(instead("APPEND", "TAG OK stored\n"))
            .exits(&[0, 1]),
        row("OK and an APPENDUID for an upload that was not stored", "a server that drops mail")
            .says(instead("APPEND", "TAG OK [APPENDUID 1002 9] stored\n"))
            .exits(&[0, 1]),
        row("an upload's answer is lost, and it was stored", LOST).says(at("APPEND", Does::LoseReply)).exits(&[0]),
        row("an upload's answer is lost, and it was not stored", LOST).says(hang_up("APPEND", "")).exits(&[5]).waits(),
        row("no answer to an upload", LOST).says(fall_silent("APPEND", "")).exits(&[5]).tells(&["silent"]).waits(),
        row("an answer before the upload is there", "RFC 3501 §2.2.2: the server completes a command it has read")
            .speaks(PLAIN)
            .says(at("GOAHEAD APPEND", Does::Instead(crlf("TAG OK stored\n"))))
            .exits(&[1, 5])
            .may(May::BeTwice)
            .waits(),
        row("words and data before the go-ahead", "RFC 3501 §7.5")
            .speaks(PLAIN)
            .says(before("GOAHEAD APPEND", "* 9 EXISTS\n* OK wait\n")),
        row("go-aheads without end", "a continuation that never ends")
            .speaks(PLAIN)
            .says(at("GOAHEAD APPEND", Does::Endless(Vec::new(), crlf("+ go on\n"))))
            .exits(&[5])
            .waits()
            .may(May::BeTwice),
        row("EXISTS and EXPUNGE amid the uploads", "RFC 3501 §7")
            .says(before("APPEND", "* 99 EXISTS\n* 1 EXPUNGE\n* VANISHED 1\n")),
    ]
}

fn copied(name: &'static str, code: &str) -> Behaviour {
    row(name, COPYUID)
        .speaks("IMAP4rev1 UIDPLUS LITERAL+ NAMESPACE")
        .says(ends("UID COPY", &format!("TAG OK [COPYUID {code}] done\n")))
        .exits(&[0, 1])
}

fn copies() -> Vec<Behaviour> {
    let plus = "IMAP4rev1 UIDPLUS LITERAL+ NAMESPACE";
    vec![
        copied("COPYUID with sets of different length", "1002 4:5 4:9"),
        copied("COPYUID of messages that exist", "1002 4 1"),
        copied("COPYUID of another generation", "9 4 4"),
        copied("COPYUID of messages that were not copied", "1002 1:3 7:9"),
        copied("COPYUID with UIDs twice", "1002 4,4 5,5"),
        copied("COPYUID with the sets of the whole number range", "1002 1:4294967295 1:4294967295"),
        copied("COPYUID with 0 and *", "1002 0 *"),
        copied("COPYUID without sets", ""),
        row("no COPYUID", COPYUID).speaks(plus).says(ends("UID COPY", "TAG OK done\n")),
        row("no COPYUID and no UIDPLUS", "RFC 3501 §6.4.7").speaks(PLAIN),
        row("OK for a copy that was not made", "a server that drops mail: the original must stay")
            .speaks(plus)
            .says(instead("UID COPY", "TAG OK done\n"))
            .exits(&[0, 1])
            .may(May::BeTwice)
            .may(May::GoThere),
        row("OK and a COPYUID for a copy that was not made", "a server that drops mail")
            .speaks(plus)
            .says(instead("UID COPY 4", "TAG OK [COPYUID 1002 4 4] done\n"))
            .exits(&[0, 1])
            .may(May::BeTwice)
            .may(May::GoThere),
        row("OK for a move that was not made", "Exchange and others: MOVE that does nothing")
            .says(instead("UID MOVE", "TAG OK done\n"))
            .exits(&[0, 1])
            .may(May::Remain),
        row("a move without COPYUID", "RFC 6851 §4.3: SHOULD").says(at("UID MOVE", Does::Ends(crlf("TAG OK moved\n")))),
        row("a copy's answer is lost, and it was made", LOST)
            .speaks(plus)
            .says(at("UID COPY", Does::LoseReply))
            .may(May::BeTwice)
            .exits(&[0]),
        row("a move's answer is lost, and it was made", LOST).says(at("UID MOVE", Does::LoseReply)).exits(&[0]),
        row("a move's answer is lost, and it was not made", LOST).says(hang_up("UID MOVE", "")).exits(&[5]).waits(),
        row("a move tells of other messages", "RFC 6851 §4.4")
            .says(before(
                "UID MOVE",
                "* OK [COPYUID 1002 1:3 1:3] x\n* 1 EXPUNGE\n* 2 EXPUNGE\n* VANISHED 1:4294967295\n",
            ))
            .exits(&[0, 1]),
    ]
}

fn others() -> Vec<Behaviour> {
    vec![
        row("OK for flags that were not stored", "PERMANENTFLAGS that lie; Zimbra and Exchange drop keywords")
            .says(instead("UID STORE", "TAG OK done\n"))
            .exits(&[0, 1])
            .may(May::Remain),
        row("a STORE's answer is lost", LOST).says(at("UID STORE", Does::LoseReply)).exits(&[0, 5]),
        row("a STORE sets other flags", "RFC 3501 §7.4.2")
            .says(after("UID STORE", "* 1 FETCH (UID 1 FLAGS (\\Draft))\n")),
        row("OK for an expunge that was not done", "Gmail: Auto-Expunge settings decide what EXPUNGE does")
            .says(instead("UID EXPUNGE", "TAG OK done\n"))
            .exits(&[0, 1])
            .may(May::Remain),
        row("an expunge's answer is lost", LOST).says(at("UID EXPUNGE", Does::LoseReply)).exits(&[0]),
        row("OK for CREATE of a mailbox that was not made", "RFC 3501 §6.3.3")
            .says(instead("CREATE", "TAG OK done\n"))
            .exits(&[0, 1]),
        row("CREATE's answer is lost", LOST).says(at("CREATE", Does::LoseReply)).exits(&[0]),
        row("OK for DELETE of a mailbox that stays", "RFC 3501 §6.3.4: with children it becomes \\Noselect")
            .says(instead("DELETE", "TAG OK done\n"))
            .exits(&[0, 1])
            .may(May::Remain),
        row("DELETE's answer is lost", LOST).says(at("DELETE", Does::LoseReply)).exits(&[0]),
        row("OK for ENABLE, and nothing is enabled", "RFC 5161 §3.2")
            .speaks(MODERN)
            .says(instead("ENABLE", "* ENABLED\nTAG OK done\n")),
        row("PERMANENTFLAGS without anything", "RFC 3501 §7.1: no flag is kept")
            .speaks(USUAL)
            .says(replace("SELECT", "\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)]", ")]"))
            .exits(&[0, 1]),
    ]
}
