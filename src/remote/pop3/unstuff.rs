//! The end of a multi-line answer, and the dots that the protocol put before lines (RFC 1939 §3), in one pass.
//!
//! A line that begins with a dot travels with a second one; a line of one dot ends the answer. What ends a *line* is
//! decided by the status line before the answer ([`LineEnd`]): after `+OK …` CRLF only CRLF does, so that neither a bare
//! LF nor a bare CR in a message can make a false end; after `+OK …` LF every LF does, for servers that know no CR. All
//! other octets, NUL included, pass as they are.
//!
//! A dot at the start of a line that another octet than a dot follows was never put there by the protocol: it stays.
//! (The standard would drop it; servers that put no dots exist: python/cpython#95252, hmailserver/hmailserver#126.)

use memchr::memmem::Finder;

use crate::error::Result;

/// What ends a line of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// CRLF and nothing else.
    CrLf,
    /// LF, with or without a CR before it.
    Lf,
}

/// What became of a piece of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fed {
    /// How much of it belonged to the answer.
    pub used: usize,
    /// Whether the answer has ended.
    pub ended: bool,
}

/// Where in a line the last octet was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Anywhere; what came last is no CR.
    Text,
    /// Behind a CR.
    Cr,
    /// Nothing of the line has come yet.
    Start,
    /// Behind a dot that began the line; it is held back.
    Dot,
    /// Behind a dot and a CR; both are held back.
    DotCr,
}

/// Takes one multi-line answer in pieces of any size.
#[derive(Debug)]
pub struct Unstuffer {
    line_end: LineEnd,
    line_then_dot: Finder<'static>,
    at: At,
}

impl Unstuffer {
    /// For the answer after a status line that ended so.
    pub fn new(line_end: LineEnd) -> Unstuffer {
        let line_then_dot = match line_end {
            LineEnd::CrLf => Finder::new(b"\r\n."),
            LineEnd::Lf => Finder::new(b"\n."),
        };
        Unstuffer { line_end, line_then_dot, at: At::Start }
    }

    /// Uses `input` up to the end of the answer; `deliver` gets the octets without the protocol's dots, in pieces.
    ///
    /// # Errors
    /// Whatever `deliver` returns.
    pub fn feed(&mut self, input: &[u8], deliver: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<Fed> {
        // What lies between `from` and `at` is the message's and not delivered yet.
        let (mut from, mut at) = (0, 0);
        while let Some(&octet) = input.get(at) {
            match (self.at, octet) {
                (At::Text, _) => {
                    let rest = input.get(at..).unwrap_or_default();
                    match self.line_then_dot.find(rest) {
                        Some(line_end) => {
                            at += line_end + self.line_then_dot.needle().len() - 1;
                            pass(input, from, at, deliver)?;
                            at += 1;
                            from = at;
                            self.at = At::Dot;
                        }
                        None => {
                            at = input.len();
                            self.at = self.behind(rest);
                        }
                    }
                }
                (At::Cr, b'\n') => {
                    at += 1;
                    self.at = At::Start;
                }
                (At::Cr, b'\r') => at += 1,
                (At::Cr, _) => self.at = At::Text,
                (At::Start, b'.') => {
                    pass(input, from, at, deliver)?;
                    at += 1;
                    from = at;
                    self.at = At::Dot;
                }
                (At::Start, _) => self.at = At::Text,
                (At::Dot, b'.') => {
                    at += 1;
                    self.at = At::Text;
                }
                (At::Dot, b'\r') => {
                    at += 1;
                    from = at;
                    self.at = At::DotCr;
                }
                (At::Dot, b'\n') if self.line_end == LineEnd::Lf => return Ok(Fed { used: at + 1, ended: true }),
                (At::Dot, _) => {
                    deliver(b".")?;
                    self.at = At::Text;
                }
                (At::DotCr, b'\n') => return Ok(Fed { used: at + 1, ended: true }),
                (At::DotCr, _) => {
                    deliver(b".\r")?;
                    self.at = At::Cr;
                }
            }
        }
        pass(input, from, at, deliver)?;
        Ok(Fed { used: at, ended: false })
    }

    /// Where the end of `text` leaves us, which holds no line end with a dot behind it.
    fn behind(&self, text: &[u8]) -> At {
        match (self.line_end, text) {
            (LineEnd::CrLf, [.., b'\r', b'\n']) | (LineEnd::Lf, [.., b'\n']) => At::Start,
            (LineEnd::CrLf, [.., b'\r']) => At::Cr,
            _ => At::Text,
        }
    }
}

fn pass(input: &[u8], from: usize, to: usize, deliver: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    match input.get(from..to) {
        Some(piece) if !piece.is_empty() => deliver(piece),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes of `input` when it arrives in pieces of `piece` octets: the message, whether it ended, what is left.
    fn taken(line_end: LineEnd, input: &[u8], piece: usize) -> (Vec<u8>, bool, usize) {
        let mut unstuffer = Unstuffer::new(line_end);
        let (mut message, mut used) = (Vec::new(), 0);
        for chunk in input.chunks(piece) {
            let fed = unstuffer
                .feed(chunk, &mut |octets| {
                    assert!(!octets.is_empty());
                    message.extend_from_slice(octets);
                    Ok(())
                })
                .unwrap();
            used += fed.used;
            if fed.ended {
                return (message, true, input.len() - used);
            }
            assert_eq!(fed.used, chunk.len());
        }
        (message, false, 0)
    }

    /// The same by the letter of the rule, octet by octet.
    fn by_the_rule(line_end: LineEnd, input: &[u8]) -> (Vec<u8>, bool, usize) {
        let ends_line = |before: &[u8]| match line_end {
            LineEnd::CrLf => before.is_empty() || before.ends_with(b"\r\n"),
            LineEnd::Lf => before.is_empty() || before.ends_with(b"\n"),
        };
        let mut message = Vec::new();
        for at in 0..input.len() {
            let (before, rest) = input.split_at(at);
            if ends_line(before) {
                for end in [&b".\r\n"[..], b".\n"] {
                    if rest.starts_with(end) && (line_end == LineEnd::Lf || end.len() == 3) {
                        return (message, true, rest.len() - end.len());
                    }
                }
                if rest.starts_with(b"..") {
                    continue;
                }
                // Held back until it is known what follows.
                if rest == b"." || rest == b".\r" {
                    return (message, false, 0);
                }
            }
            message.push(input[at]);
        }
        (message, false, 0)
    }

    fn stuffed(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in message.split_inclusive(|b| *b == b'\n') {
            let starts = out.is_empty() || out.ends_with(b"\r\n");
            out.extend_from_slice(if starts && line.starts_with(b".") { b"." } else { b"" });
            out.extend_from_slice(line);
        }
        out
    }

    #[test]
    fn dots_at_the_start_of_lines_are_undone_at_every_border() {
        let message = b".\r\n..\r\n...x\r\n.x\r\na.b\r\n\r\n.\r.\r\n\n.\n.\r\rx\0\r\n\r\n.\r\n";
        let wire = [&stuffed(message)[..], b".\r\n+OK next"].concat();
        for piece in 1..=wire.len() {
            let (got, ended, left) = taken(LineEnd::CrLf, &wire, piece);
            assert_eq!(got.escape_ascii().to_string(), message.escape_ascii().to_string(), "pieces of {piece}");
            assert!(ended);
            assert!(left <= 8);
        }
    }

    #[test]
    fn the_rule_for_each_line_end() {
        let table: [(LineEnd, &[u8], &[u8], bool); 14] = [
            (LineEnd::CrLf, b".\r\n", b"", true),
            (LineEnd::CrLf, b"a\r\n.\r\n", b"a\r\n", true),
            (LineEnd::CrLf, b"a\n.\r\nb\r\n.\r\n", b"a\n.\r\nb\r\n", true),
            (LineEnd::CrLf, b"a\r\n.\nb\r\n.\r\n", b"a\r\n.\nb\r\n", true),
            (LineEnd::CrLf, b"a\r.\rb\r\n.\r\n", b"a\r.\rb\r\n", true),
            (LineEnd::CrLf, b"a\r\r\n.\r\n", b"a\r\r\n", true),
            (LineEnd::CrLf, b"a\n..\r\n.\r\n", b"a\n..\r\n", true),
            (LineEnd::CrLf, b"\r\n.x\r\n.\rx\r\n.\r\n", b"\r\n.x\r\n.\rx\r\n", true),
            (LineEnd::CrLf, b"\0\xff\r\n.", b"\0\xff\r\n", false),
            (LineEnd::CrLf, b"a\r\n.\r", b"a\r\n", false),
            (LineEnd::Lf, b"a\n.\n", b"a\n", true),
            (LineEnd::Lf, b"a\r\n..b\n.\r\n", b"a\r\n.b\n", true),
            (LineEnd::Lf, b".\rx\n.\n", b".\rx\n", true),
            (LineEnd::Lf, b".", b"", false),
        ];
        for (line_end, wire, message, ended) in table {
            for piece in 1..=wire.len() {
                let got = taken(line_end, wire, piece);
                assert_eq!(got, (message.to_vec(), ended, 0), "{} by {piece}", wire.escape_ascii());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn in_pieces_as_by_the_rule(
            line_end in prop::sample::select(&[LineEnd::CrLf, LineEnd::Lf][..]),
            wire in prop::collection::vec(prop::sample::select(&b"..\r\n\r\na\0"[..]), 0..40),
            piece in 1usize..9,
        ) {
            let (message, ended, left) = by_the_rule(line_end, &wire);
            let got = taken(line_end, &wire, piece);
            prop_assert_eq!((&got.0, got.1), (&message, ended));
            if ended {
                prop_assert_eq!(got.2, left);
            }
        }
    }
}
