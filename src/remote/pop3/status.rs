//! One-line answers: `+OK`, `-ERR`, `+`; response codes, and what a refusal means (RFC 1939 §3, RFC 2449 §8, RFC 3206).

use super::quirk;
use super::unstuff::LineEnd;
use crate::error::{Error, Kind};

/// What an answer begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// `+OK`
    Ok,
    /// `-ERR`
    Err,
    /// `+`, in a SASL dialog: go on.
    GoOn,
}

/// A one-line answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What it begins with.
    pub mark: Mark,
    /// What follows.
    pub words: String,
    /// How its line ended, and so how those of the answer behind it do.
    pub line_end: LineEnd,
}

impl Reply {
    /// Reads a line without its end; `None` for what is no answer.
    pub fn parse(line: &[u8], line_end: LineEnd) -> Option<Reply> {
        let text = String::from_utf8_lossy(line);
        let (word, rest) = text.split_once([' ', '\t']).unwrap_or((&text, ""));
        let mark = match word.to_ascii_uppercase().as_str() {
            "+OK" => Mark::Ok,
            // hmailserver/hmailserver#594 says `+ERR`.
            "-ERR" | "+ERR" => Mark::Err,
            "+" => Mark::GoOn,
            _ => return None,
        };
        Some(Reply { mark, words: rest.trim().to_owned(), line_end })
    }

    /// Whether it is `+OK`.
    pub fn is_ok(&self) -> bool {
        self.mark == Mark::Ok
    }

    /// The response code, upper case; empty without one.
    pub fn code(&self) -> String {
        let code = self.words.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        code.map(|(code, _)| code.trim().to_ascii_uppercase()).unwrap_or_default()
    }

    /// The error that a refusal is; `what` says what was refused, `otherwise` the kind when neither code nor words tell.
    pub fn refusal(&self, what: &str, otherwise: Kind) -> Error {
        let code = self.code();
        let kind = match code.as_str() {
            "IN-USE" | "LOGIN-DELAY" | "SYS/TEMP" => Kind::TryLater,
            "AUTH" => Kind::Auth,
            "SYS/PERM" => Kind::Refused,
            _ if quirk::is_busy(&self.words) => Kind::TryLater,
            _ => otherwise,
        };
        let error = Error::new(kind, what).server_said(self.said());
        match code.as_str() {
            "IN-USE" => error.hint("Another program reads the same maildrop; try again when it is done."),
            "LOGIN-DELAY" => error.hint("The server wants more time between two logins; run less often."),
            _ if kind == Kind::TryLater => error.hint("Try again later."),
            _ => error,
        }
    }

    /// The whole line, for a person.
    pub fn said(&self) -> String {
        let mark = match self.mark {
            Mark::Ok => "+OK",
            Mark::Err => "-ERR",
            Mark::GoOn => "+",
        };
        if self.words.is_empty() { mark.to_owned() } else { format!("{mark} {}", self.words) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(line: &str) -> Option<Reply> {
        Reply::parse(line.as_bytes(), LineEnd::CrLf)
    }

    #[test]
    fn marks_are_whole_words_in_any_case() {
        for (line, mark) in [
            ("+OK", Some(Mark::Ok)),
            ("+ok 2 320", Some(Mark::Ok)),
            ("+OK\t", Some(Mark::Ok)),
            ("-ERR no such message", Some(Mark::Err)),
            ("+ERR Server error", Some(Mark::Err)),
            ("+", Some(Mark::GoOn)),
            ("+ dGVzdA==", Some(Mark::GoOn)),
            ("+OKAY", None),
            ("-", None),
            ("", None),
            (" +OK", None),
            ("* OK IMAP4rev1", None),
            ("220 smtp", None),
        ] {
            assert_eq!(reply(line).map(|r| r.mark), mark, "{line}");
        }
        assert_eq!(reply("+OK  2 320 ").unwrap().words, "2 320");
        assert_eq!(Reply::parse(b"-ERR caf\xe9", LineEnd::Lf).unwrap().words, "caf\u{fffd}");
    }

    #[test]
    fn codes_and_words_tell_who_must_act() {
        for (line, kind) in [
            ("-ERR [IN-USE] Do you have another POP session running?", Kind::TryLater),
            ("-ERR [login-delay] minimum time between mail checks violation", Kind::TryLater),
            ("-ERR [SYS/TEMP] Temporary system problem.  Please try again later. 66mb6278551yxn", Kind::TryLater),
            ("-ERR [SYS/PERM] Your account is not enabled for POP access.", Kind::Refused),
            ("-ERR [AUTH] Username and password not accepted. already locked", Kind::Auth),
            ("-ERR maildrop already locked", Kind::TryLater),
            ("-ERR [X-ODD] lock busy!  Is another session active?", Kind::TryLater),
            ("-ERR authorization failed", Kind::Auth),
            ("-ERR [", Kind::Auth),
            ("-ERR", Kind::Auth),
        ] {
            let error = reply(line).unwrap().refusal("The login was refused", Kind::Auth);
            assert_eq!(error.kind(), kind, "{line}");
            assert_eq!(error.server_words(), Some(line));
            assert!(kind != Kind::TryLater || error.hint_text().is_some());
        }
    }
}
