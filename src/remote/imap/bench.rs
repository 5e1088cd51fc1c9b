//! A door for the benchmarks in `tests/bench`: framing and the FETCH parser, which nothing else outside may use. Only
//! what the program calls is linked into it, so the door costs it nothing.

use super::fetch::{Fetched, opens_body};
use super::frame::{Framer, Line, Literals, Went, keep_small};
use super::reply::{Reply, Untagged};
use crate::error::Result;

/// Takes bodies as a download does, without a place to put them.
#[derive(Default)]
struct Nowhere {
    octets: u64,
}

impl Literals for Nowhere {
    fn literal(&mut self, line: &Line, octets: u64) -> Result<Went> {
        Ok(if opens_body(line).is_some() { Went::Streamed } else { keep_small(octets) })
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.octets += bytes.len() as u64;
        Ok(())
    }
}

fn each(input: &[u8], piece: usize, mut response: impl FnMut(&Line)) -> Result<u64> {
    let (mut framer, mut taker) = (Framer::default(), Nowhere::default());
    for mut rest in input.chunks(piece.max(1)) {
        while !rest.is_empty() {
            let fed = framer.feed(rest, &mut taker)?;
            if fed.complete {
                response(framer.line());
            }
            rest = rest.get(fed.used..).unwrap_or_default();
        }
    }
    Ok(taker.octets)
}

/// Frames what a server sends, in pieces of so many octets; returns how many responses it was and how many octets of
/// bodies.
///
/// # Errors
/// Those of framing.
pub fn frame(input: &[u8], piece: usize) -> Result<(usize, u64)> {
    let mut responses = 0;
    let octets = each(input, piece, |_| responses += 1)?;
    Ok((responses, octets))
}

/// Responses that are framed already.
#[derive(Debug)]
pub struct Responses(Vec<Line>);

impl Responses {
    /// Frames them.
    ///
    /// # Errors
    /// Those of framing.
    pub fn of(input: &[u8]) -> Result<Responses> {
        let mut lines = Vec::new();
        each(input, usize::MAX, |line| lines.push(line.clone()))?;
        Ok(Responses(lines))
    }

    /// Parses each as FETCH data; returns how many had a UID and flags.
    #[must_use]
    pub fn fetched(&self) -> usize {
        let fetched = self.0.iter().filter_map(|line| match Reply::of(line) {
            Reply::Untagged(Untagged::Fetch(tokens)) => Some(Fetched::read(tokens)),
            _ => None,
        });
        fetched.filter(|f| f.uid.is_some() && f.flags.is_some()).count()
    }
}
