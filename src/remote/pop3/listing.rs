//! What is in the maildrop: STAT, LIST and UIDL, in one round trip where the server pipelines.
//!
//! Invariant: an [`Entry`] is a number that LIST gave a size, once, or UIDL a unique id. Whatever does not fit is left out
//! and named in [`Listing::odd`]; then, and when the counts differ, the listing is not [whole](Listing::is_whole), and
//! what is not in it is not known to be gone. A list has a limit in messages and octets.

use std::collections::BTreeSet;
use std::fmt;

use super::capability::Capability;
use super::session::Session;
use super::status::Reply;
use super::wire::{Command, Job, Wire};
use crate::error::{Error, Kind, Result, safe_text};
use crate::mail::{MessageNumber, Uidl};
use crate::remote::net::Exchange;

/// Messages that a list may name.
const MESSAGES_MOST: usize = 1 << 20;
/// Octets that a list may have.
const OCTETS_MOST: usize = 64 << 20;
/// Oddities that are told one by one.
const ODD_MOST: usize = 10;

/// The answer to STAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// How many messages.
    pub messages: u32,
    /// Their octets in all.
    pub octets: u64,
}

/// A message in the maildrop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number in this session.
    pub number: MessageNumber,
    /// Its octets as the server counts them; some count otherwise than they send. 0 when it does not tell.
    pub size: u64,
    /// Its unique id, as sent; may repeat. `None`: the server has none, or a wrong one for this message.
    pub uidl: Option<Uidl>,
}

/// What a server lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// What STAT said.
    pub stat: Stat,
    /// The messages, by number.
    pub entries: Vec<Entry>,
    /// What was left out of the lists, the first few.
    pub odd: Vec<Odd>,
    /// Lines of LIST that name no message, and for which UIDL names none either.
    pub unnamed: usize,
}

impl Listing {
    /// Whether the lists agree with STAT and nothing was left out: only then is what is absent gone.
    pub fn is_whole(&self) -> bool {
        self.odd.is_empty() && u32::try_from(self.entries.len()) == Ok(self.stat.messages)
    }
}

/// Something in a list that makes no sense; shows as a sentence without the final stop, safe for a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odd(String);

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The sizes of a listing, for whoever retrieves.
#[derive(Debug, Default)]
pub(super) struct Sizes(Vec<(MessageNumber, u64)>);

impl Sizes {
    /// The listed size of a message.
    pub fn of(&self, number: MessageNumber) -> Option<u64> {
        let at = self.0.binary_search_by_key(&number, |(n, _)| *n).ok()?;
        self.0.get(at).map(|(_, size)| *size).filter(|size| *size > 0)
    }
}

impl Session {
    /// How many messages there are and how large they are.
    ///
    /// # Errors
    /// Refused, nonsense, or the connection is over.
    pub fn stat(&mut self) -> Result<Stat> {
        stat(&self.wire.ask("STAT")?)
    }

    /// Numbers, sizes and unique ids.
    ///
    /// # Errors
    /// STAT or LIST was refused, a list is no list or too long, or the connection is over. A refused UIDL is none.
    pub fn listing(&mut self) -> Result<Listing> {
        let mut looking =
            Looking { uidl_wanted: !self.capabilities.is_disabled(Capability::Uidl), ..Looking::default() };
        self.wire.fly(self.window, &mut looking)?;
        let listing = looking.listing()?;
        self.sizes = Sizes(listing.entries.iter().map(|entry| (entry.number, entry.size)).collect());
        Ok(listing)
    }
}

fn stat(reply: &Reply) -> Result<Stat> {
    if !reply.is_ok() {
        return Err(reply.refusal("The server does not tell what is in the maildrop", Kind::Refused));
    }
    let mut words = reply.words.split([' ', '\t']).filter(|word| !word.is_empty());
    let messages = words.next().and_then(|word| word.parse().ok());
    let octets = words.next().and_then(|word| word.parse().ok());
    match (messages, octets) {
        (Some(messages), Some(octets)) => Ok(Stat { messages, octets }),
        _ => Err(Error::new(Kind::Protocol, "The answer to STAT is not two numbers").server_said(reply.said())),
    }
}

#[derive(Default)]
struct Looking {
    uidl_wanted: bool,
    asked: usize,
    stat: Option<Result<Stat>>,
    /// Why there is no list of messages.
    list_refused: Option<Error>,
    uidl_refused: Option<Error>,
    sizes: Vec<(MessageNumber, u64)>,
    /// Lines of LIST that make no sense.
    garbled: usize,
    uidls: Option<Vec<(MessageNumber, Uidl)>>,
    odd: Oddities,
}

impl<E: Exchange> Job<E> for Looking {
    fn next(&mut self) -> Option<Command> {
        // In lock-step, what STAT says is known before LIST is asked.
        let is_empty = matches!(self.stat, Some(Ok(Stat { messages: 0, .. })));
        let command = match self.asked {
            0 => "STAT",
            1 if !is_empty => "LIST",
            2 if self.uidl_wanted && !is_empty => "UIDL",
            _ => return None,
        };
        self.asked += 1;
        Some(Command::new(command))
    }

    fn answered(&mut self, which: usize, reply: Reply, wire: &mut Wire<E>) -> Result<()> {
        match which {
            0 => self.stat = Some(stat(&reply)),
            1 if reply.is_ok() => {
                let (sizes, garbled, odd, mut octets) = (&mut self.sizes, &mut self.garbled, &mut self.odd, 0);
                wire.list(reply.line_end, &mut |line| {
                    bounded(line, sizes.len(), &mut octets)?;
                    match split(line).and_then(|(number, rest)| Some((number, size(rest)?))) {
                        Some(entry) => sizes.push(entry),
                        None => {
                            *garbled += 1;
                            odd.add(|| format!("LIST says `{}`", shown(line)));
                        }
                    }
                    Ok(())
                })?;
            }
            1 => self.list_refused = Some(reply.refusal("The server does not list the messages", Kind::Refused)),
            _ if reply.is_ok() => {
                let (mut uidls, odd, mut octets) = (Vec::new(), &mut self.odd, 0);
                wire.list(reply.line_end, &mut |line| {
                    bounded(line, uidls.len(), &mut octets)?;
                    match split(line).and_then(|(number, rest)| Some((number, Uidl::new(rest)?))) {
                        Some(entry) => uidls.push(entry),
                        None => odd.add(|| format!("UIDL says `{}`", shown(line))),
                    }
                    Ok(())
                })?;
                self.uidls = Some(uidls);
            }
            _ => self.uidl_refused = Some(reply.refusal("The server does not tell the unique ids", Kind::Refused)),
        }
        Ok(())
    }
}

impl Looking {
    fn listing(mut self) -> Result<Listing> {
        let stat = self.stat.take().unwrap_or_else(|| Err(Error::new(Kind::Protocol, "STAT was not answered")))?;
        // Some servers refuse to list nothing.
        if let Some(refused) = self.list_refused.take().filter(|_| stat.messages > 0) {
            return Err(refused);
        }
        if let Some(later) = self.uidl_refused.take().filter(|e| e.kind() == Kind::TryLater && stat.messages > 0) {
            return Err(later);
        }
        let mut entries: Vec<Entry> = Vec::with_capacity(self.sizes.len());
        self.sizes.sort_by_key(|(number, _)| *number);
        for (number, size) in self.sizes {
            match entries.last() {
                Some(last) if last.number == number => self.odd.add(|| format!("LIST names message {number} twice")),
                _ => entries.push(Entry { number, size, uidl: None }),
            }
        }
        if let Some(uidls) = self.uidls {
            let added = add_unlisted(&mut entries, &uidls, stat.messages, &mut self.odd);
            self.garbled = self.garbled.saturating_sub(added);
            name(&mut entries, uidls, &mut self.odd);
        }
        if u32::try_from(entries.len()) != Ok(stat.messages) {
            let listed = entries.len();
            self.odd.add(|| format!("STAT says {} messages, LIST names {listed}", stat.messages));
        }
        Ok(Listing { stat, entries, odd: self.odd.told(), unnamed: self.garbled })
    }
}

/// Adds the messages that the server counts and UIDL names, and LIST does not: they can be fetched all the same. Tells how
/// many.
fn add_unlisted(entries: &mut Vec<Entry>, uidls: &[(MessageNumber, Uidl)], counted: u32, odd: &mut Oddities) -> usize {
    let listed: BTreeSet<MessageNumber> = entries.iter().map(|entry| entry.number).collect();
    let mut added = BTreeSet::new();
    for (number, _) in uidls {
        if number.get() <= counted && !listed.contains(number) && added.insert(*number) {
            odd.add(|| format!("LIST gives message {number} no size"));
            entries.push(Entry { number: *number, size: 0, uidl: None });
        }
    }
    entries.sort_by_key(|entry| entry.number);
    added.len()
}

/// Gives each message its unique id.
fn name(entries: &mut [Entry], mut uidls: Vec<(MessageNumber, Uidl)>, odd: &mut Oddities) {
    uidls.sort_by_key(|(number, _)| *number);
    let mut uidls = uidls.into_iter().peekable();
    for entry in entries {
        while let Some((unlisted, _)) = uidls.next_if(|(number, _)| *number < entry.number) {
            odd.add(|| format!("UIDL names message {unlisted}, which LIST does not"));
        }
        while let Some((number, uidl)) = uidls.next_if(|(number, _)| *number == entry.number) {
            match &entry.uidl {
                None => entry.uidl = Some(uidl),
                Some(other) if *other == uidl => odd.add(|| format!("UIDL names message {number} twice")),
                Some(_) => {
                    odd.add(|| format!("UIDL gives message {number} two unique ids"));
                    entry.uidl = None;
                    while uidls.next_if(|(other, _)| *other == number).is_some() {}
                }
            }
        }
        if entry.uidl.is_none() {
            odd.add(|| format!("UIDL gives message {} no unique id", entry.number));
        }
    }
    for (unlisted, _) in uidls {
        odd.add(|| format!("UIDL names message {unlisted}, which LIST does not"));
    }
}

/// A line's number and the rest; blanks may be many (thunderbird/thunderbird-android#323).
fn split(line: &[u8]) -> Option<(MessageNumber, &[u8])> {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let line = line.trim_ascii_start();
    let end = line.iter().position(blank)?;
    let (number, rest) = line.split_at(end);
    let number: u32 = std::str::from_utf8(number).ok()?.parse().ok()?;
    let start = rest.iter().position(|b| !blank(b))?;
    Some((MessageNumber::new(number)?, rest.get(start..)?.trim_ascii_end()))
}

/// The size; more words may follow (RFC 1939 §5 lets servers add some).
fn size(rest: &[u8]) -> Option<u64> {
    let word = rest.split(|b| matches!(b, b' ' | b'\t')).next()?;
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Refuses what is no line of a list, and lists without end.
fn bounded(line: &[u8], messages: usize, octets: &mut usize) -> Result<()> {
    *octets += line.len() + 2;
    if line.starts_with(b"+OK") || line.starts_with(b"-ERR") {
        return Err(Error::new(Kind::Protocol, "An answer begins inside a list, which has no end")
            .server_said(String::from_utf8_lossy(line))
            .worth_retrying());
    }
    if messages >= MESSAGES_MOST || *octets > OCTETS_MOST {
        return Err(Error::new(
            Kind::Protocol,
            format!("The server lists more than {MESSAGES_MOST} messages or {} MB", OCTETS_MOST >> 20),
        ));
    }
    Ok(())
}

fn shown(line: &[u8]) -> String {
    safe_text(&String::from_utf8_lossy(line), 60)
}

/// The first oddities, and how many there were.
#[derive(Debug, Default)]
struct Oddities {
    first: Vec<Odd>,
    all: usize,
}

impl Oddities {
    fn add(&mut self, what: impl FnOnce() -> String) {
        self.all += 1;
        if self.first.len() < ODD_MOST {
            self.first.push(Odd(what()));
        }
    }

    fn told(mut self) -> Vec<Odd> {
        let more = self.all - self.first.len();
        if more > 0 {
            self.first.push(Odd(format!("{more} more lines make no sense")));
        }
        self.first
    }
}

#[cfg(test)]
mod tests;
