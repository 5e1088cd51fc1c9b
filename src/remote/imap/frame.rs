//! Framing: octets in any pieces → one response, that is a line with its literals (RFC 3501 §4.3).
//!
//! A response is collected in one [`Line`], whose buffer serves for all of them. When a line ends in `{n}`, the taker
//! decides where the literal goes: into the line, piece by piece to the taker, or nowhere. So memory depends neither on
//! the size of a message nor on what a server claims: [`LINE_MOST`] bounds a line with everything kept in it.

use crate::error::{Error, Kind, Result};

/// Octets one response may hold in memory.
pub const LINE_MOST: usize = 16 << 20;
/// Octets of a literal that is kept in the line unasked.
pub const INLINE_MOST: u64 = 1 << 20;
/// Capacity that a line keeps for the next response.
const LINE_KEPT: usize = 1 << 20;

/// One response without its final line end.
///
/// In place of `{n}` and the line end after it one blank stands in the text; that it is a literal, and not a blank,
/// [`Line::literal_at`] knows.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Line {
    text: Vec<u8>,
    literals: Vec<Literal>,
}

/// Where a literal stands in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal {
    /// Where its blank stands in the text; what was kept of it follows.
    pub at: usize,
    /// How many octets the server announced.
    pub octets: u64,
    /// Where they went.
    pub went: Went,
}

/// Where a literal's octets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Went {
    /// Into the line.
    Inline,
    /// To the taker, piece by piece.
    Streamed,
    /// Nowhere.
    Skipped,
}

impl Line {
    /// The text, literals that were kept included.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The literal that begins at `at`.
    pub fn literal_at(&self, at: usize) -> Option<Literal> {
        let n = self.literals.binary_search_by_key(&at, |l| l.at).ok()?;
        self.literals.get(n).copied()
    }

    /// Where the text goes on after the literal that came last.
    fn part(&self) -> usize {
        self.literals.last().map_or(0, |l| {
            let kept = if l.went == Went::Inline { usize::try_from(l.octets).unwrap_or(usize::MAX) } else { 0 };
            (l.at + 1).saturating_add(kept)
        })
    }

    fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(LINE_KEPT);
        self.literals.clear();
    }

    #[cfg(test)]
    pub fn of(bytes: &[u8]) -> Line {
        let mut framer = Framer::default();
        let fed = framer.feed(bytes, &mut KeepSmall).unwrap();
        assert!(fed.complete && fed.used == bytes.len(), "not one response: {bytes:?}");
        framer.line
    }
}

/// Decides over literals and takes those that are streamed.
pub trait Literals {
    /// Where a literal of `octets` goes that follows `line`; [`Went::Streamed`] means that the taker is ready for it.
    fn literal(&mut self, line: &Line, octets: u64) -> Result<Went>;
    /// The next piece of the literal being streamed.
    fn data(&mut self, bytes: &[u8]) -> Result<()>;
}

/// Keeps what is small, skips the rest.
pub struct KeepSmall;

impl Literals for KeepSmall {
    fn literal(&mut self, _line: &Line, octets: u64) -> Result<Went> {
        Ok(keep_small(octets))
    }

    fn data(&mut self, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// Where a literal goes that nobody waits for.
pub fn keep_small(octets: u64) -> Went {
    if octets <= INLINE_MOST { Went::Inline } else { Went::Skipped }
}

/// Puts responses together.
#[derive(Debug, Default)]
pub struct Framer {
    line: Line,
    /// The line given out last is cleared when the next one begins.
    complete: bool,
    /// Octets of the current literal still to come, and where they go.
    literal: Option<(u64, Went)>,
}

/// What became of a piece of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fed {
    /// How much of it was used.
    pub used: usize,
    /// Whether [`Framer::line`] is a whole response now.
    pub complete: bool,
}

impl Framer {
    /// The response, once it is complete.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// Uses `input` up to the end of a response.
    ///
    /// # Errors
    /// [`Kind::Protocol`] for a response beyond [`LINE_MOST`]; whatever the taker returns.
    pub fn feed(&mut self, input: &[u8], taker: &mut dyn Literals) -> Result<Fed> {
        if std::mem::take(&mut self.complete) {
            self.line.clear();
        }
        let mut rest = input;
        while !rest.is_empty() {
            if let Some((left, went)) = self.literal {
                let now = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                let (piece, after) = rest.split_at(now);
                match went {
                    Went::Inline => self.keep(piece)?,
                    Went::Streamed => taker.data(piece)?,
                    Went::Skipped => (),
                }
                let left = left - now as u64;
                self.literal = (left > 0).then_some((left, went));
                rest = after;
                continue;
            }
            let end = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
            let (piece, after) = rest.split_at(end);
            self.keep(piece)?;
            rest = after;
            if piece.ends_with(b"\n") && self.end_line(taker)? {
                self.complete = true;
                break;
            }
        }
        Ok(Fed { used: input.len() - rest.len(), complete: self.complete })
    }

    fn keep(&mut self, piece: &[u8]) -> Result<()> {
        if self.line.text.len() + piece.len() > LINE_MOST {
            return Err(Error::new(
                Kind::Protocol,
                format!("The server sent a response of more than {LINE_MOST} octets"),
            ));
        }
        self.line.text.extend_from_slice(piece);
        Ok(())
    }

    /// A physical line has ended: `true` when the response has, too; else a literal follows.
    fn end_line(&mut self, taker: &mut dyn Literals) -> Result<bool> {
        let start = self.line.part();
        let part = self.line.text.get(start..).unwrap_or_default();
        // A bare LF ends a line as well.
        let part = part.strip_suffix(b"\n").unwrap_or(part);
        let part = part.strip_suffix(b"\r").unwrap_or(part);
        let found = announced(part).filter(|_| start > 0 || !is_words(part));
        let Some((before, octets)) = found else {
            let end = start + part.len();
            self.line.text.truncate(end);
            return Ok(true);
        };
        let at = start + before;
        self.line.text.truncate(at);
        let went = taker.literal(&self.line, octets)?;
        self.line.text.push(b' ');
        self.line.literals.push(Literal { at, octets, went });
        self.literal = (octets > 0).then_some((octets, went));
        Ok(false)
    }
}

/// The literal that a line announces at its end, as `{n}`, `{n+}` or `~{n}`: where that begins, and how long it is.
fn announced(text: &[u8]) -> Option<(usize, u64)> {
    let inner = text.strip_suffix(b"}")?;
    let inner = inner.strip_suffix(b"+").unwrap_or(inner);
    let digits = inner.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (before, digits) = inner.split_at(inner.len() - digits);
    let before = before.strip_suffix(b"{")?;
    let before = before.strip_suffix(b"~").unwrap_or(before);
    Some((before.len(), std::str::from_utf8(digits).ok()?.parse().ok()?))
}

/// Whether a line ends in free text, which may well end in `{n}`: tagged replies, `+`, and `* OK` and its kind.
fn is_words(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"* ") else { return true };
    let word = rest.split(|b| *b == b' ').next().unwrap_or_default();
    [&b"OK"[..], b"NO", b"BAD", b"BYE", b"PREAUTH"].iter().any(|w| word.eq_ignore_ascii_case(w))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Streams what is longer than four octets, skips what is longer than nine, and writes down all it is told.
    #[derive(Default)]
    struct Recorder(Vec<Vec<u8>>);

    impl Literals for Recorder {
        fn literal(&mut self, line: &Line, octets: u64) -> Result<Went> {
            self.0.push(line.text().to_vec());
            self.0.push(Vec::new());
            Ok(match octets {
                0..=4 => Went::Inline,
                5..=9 => Went::Streamed,
                _ => Went::Skipped,
            })
        }

        fn data(&mut self, bytes: &[u8]) -> Result<()> {
            self.0.last_mut().unwrap().extend_from_slice(bytes);
            Ok(())
        }
    }

    fn frame(bytes: &[u8], cuts: &[usize]) -> (Vec<Line>, Vec<Vec<u8>>) {
        let (mut framer, mut taker, mut lines) = (Framer::default(), Recorder::default(), Vec::new());
        let mut ends: Vec<usize> = cuts.iter().map(|c| c % (bytes.len() + 1)).chain([0, bytes.len()]).collect();
        ends.sort_unstable();
        for w in ends.windows(2) {
            let mut piece = &bytes[w[0]..w[1]];
            while !piece.is_empty() {
                let fed = framer.feed(piece, &mut taker).unwrap();
                if fed.complete {
                    lines.push(framer.line().clone());
                }
                piece = &piece[fed.used..];
            }
        }
        (lines, taker.0)
    }

    const SAMPLE: &[u8] = b"* 1 FETCH (BODY[] {6}\r\nab\r\n{3 UID 7 X {2+}\r\n{1} Y ~{0}\r\n Z {10}\r\n0123456789)\r\n\
        * OK see {3}\r\nA1 OK done {5}\r\n+ go {1}\r\n* LIST () NIL {3}\r\na\n\x00\n* BYE\r\n";

    #[test]
    fn literals_go_where_the_taker_says_and_words_have_none() {
        let (lines, told) = frame(SAMPLE, &[]);
        let texts: Vec<&[u8]> = lines.iter().map(Line::text).collect();
        assert_eq!(
            texts,
            [
                &b"* 1 FETCH (BODY[]   UID 7 X  {1} Y   Z  )"[..],
                b"* OK see {3}",
                b"A1 OK done {5}",
                b"+ go {1}",
                b"* LIST () NIL  a\n\0",
                b"* BYE"
            ]
        );
        assert_eq!(told[1], b"ab\r\n{3");
        let at = lines[0].text().iter().position(|b| *b == b'{').unwrap() - 1;
        assert_eq!(lines[0].literal_at(at), Some(Literal { at, octets: 2, went: Went::Inline }));
        assert_eq!(lines[0].literal_at(18), Some(Literal { at: 18, octets: 6, went: Went::Streamed }));
        assert_eq!(lines[0].literal_at(19), None);
    }

    #[test]
    fn a_line_without_end_is_refused_and_a_huge_literal_costs_nothing() {
        let mut framer = Framer::default();
        let piece = vec![b'x'; 1 << 20];
        let over = (0..20).find_map(|_| framer.feed(&piece, &mut KeepSmall).err());
        assert_eq!(over.unwrap().kind(), Kind::Protocol);

        let mut framer = Framer::default();
        framer.feed(b"* 1 FETCH (X {18446744073709551615}\r\n", &mut KeepSmall).unwrap();
        (0..100).for_each(|_| assert!(!framer.feed(&piece, &mut KeepSmall).unwrap().complete));
        assert!(framer.line().text().len() < 100);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(cuts in prop::collection::vec(any::<usize>(), 0..40)) {
            prop_assert_eq!(frame(SAMPLE, &cuts), frame(SAMPLE, &[]));
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(prop::sample::select(b"{}+~019* OK\r\n(A".to_vec()), 0..200), cuts in prop::collection::vec(any::<usize>(), 0..10)) {
            prop_assert_eq!(frame(&bytes, &cuts), frame(&bytes, &[]));
        }
    }
}
