//! Uploads: APPEND, pipelined where the server takes literals without a word of its own first (RFC 7888).
//!
//! A body is read and sent in pieces, and replies are taken meanwhile. A message that is refused is that message's
//! failure only; a body that fails midway leaves half a command on the wire, so the connection is over then.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use super::capability::Capability;
use super::command::Command;
use super::date;
use super::name::WireName;
use super::reply::{Code, Status, Untagged};
use super::session::Session;
use super::wire::{Job, Wire};
use crate::error::{Error, Kind, Result};
use crate::mail::{Flags, Uid, UidValidity, UnixSeconds};
use crate::remote::net::{Exchange, Until};

/// Uploads that may be unanswered.
const IN_FLIGHT: usize = 128;
/// Octets of the largest literal that LITERAL- lets go unasked (RFC 7888 §5).
const LITERAL_MINUS_MOST: u64 = 4096;
/// Octets read from a body at once.
const PIECE: usize = 64 * 1024;

/// One message to upload.
pub struct Append {
    /// Octets on the wire.
    pub size: u64,
    /// The flags it gets.
    pub flags: Flags,
    /// Its INTERNALDATE.
    pub date: UnixSeconds,
    /// Yields exactly `size` octets; anything else leaves the connection unusable.
    pub body: Box<dyn Read + Send>,
}

impl fmt::Debug for Append {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Append").field("size", &self.size).field("flags", &self.flags).finish_non_exhaustive()
    }
}

/// What is told of each message: its number, and where it went when the server says so.
type Done<'a> = dyn FnMut(usize, Result<Option<(UidValidity, Uid)>>) + 'a;

/// Takes the replies to uploads.
struct Replies<'a> {
    done: &'a mut Done<'a>,
    /// The message of each command that has not ended.
    messages: BTreeMap<usize, usize>,
    /// The command whose literal the server waits for.
    awaited: Option<usize>,
}

impl Job for Replies<'_> {
    fn next(&mut self) -> Option<Command> {
        None
    }

    fn untagged(&mut self, _current: usize, _data: Untagged<'_>) -> Result<()> {
        Ok(())
    }

    fn tagged(&mut self, which: usize, status: Status) -> Result<()> {
        let Some(message) = self.messages.remove(&which) else { return Ok(()) };
        let outcome = match &status {
            Status { code: Some(Code::AppendUid(validity, Some(uid))), .. } if status.is_ok() => {
                Ok(Some((*validity, *uid)))
            }
            _ if status.is_ok() => Ok(None),
            _ => Err(status.refusal("The message cannot be uploaded")),
        };
        (self.done)(message, outcome);
        Ok(())
    }

    fn go_ahead(&mut self, current: usize) {
        self.awaited = Some(current);
    }
}

impl Session {
    /// Uploads messages; what became of each goes to `done` with its number, counted from 0, in any order.
    ///
    /// # Errors
    /// The connection is over. What became of a message that `done` was not told about is unknown then.
    pub fn append(
        &mut self,
        mailbox: &WireName,
        messages: &mut dyn Iterator<Item = Append>,
        done: &mut dyn FnMut(usize, Result<Option<(UidValidity, Uid)>>),
    ) -> Result<()> {
        let limit = self.capabilities.append_limit();
        let unasked = if self.capabilities.has(Capability::LiteralPlus) {
            u64::MAX
        } else if self.capabilities.has(Capability::LiteralMinus) {
            LITERAL_MINUS_MOST
        } else {
            0
        };
        let start = Command::new("APPEND").mailbox(mailbox, self.eight_bit);
        let mut replies = Replies { done, messages: BTreeMap::new(), awaited: None };
        self.wire.guarded(|wire| {
            for (number, message) in messages.enumerate() {
                while !wire.has_room(IN_FLIGHT) {
                    hear(wire, &mut replies)?;
                }
                match limit.filter(|limit| message.size > *limit) {
                    Some(limit) => (replies.done)(number, Err(too_big(message.size, limit))),
                    None => upload(wire, &mut replies, &start, number, message, unasked)?,
                }
            }
            while wire.unanswered() > 0 {
                hear(wire, &mut replies)?;
            }
            Ok(())
        })
    }
}

/// Waits for a reply.
fn hear<E: Exchange>(wire: &mut Wire<E>, replies: &mut Replies<'_>) -> Result<()> {
    if wire.take(replies)? { Ok(()) } else { wire.pump(Until::InputArrives) }
}

fn upload<E: Exchange>(
    wire: &mut Wire<E>,
    replies: &mut Replies<'_>,
    start: &Command,
    number: usize,
    mut message: Append,
    unasked: u64,
) -> Result<()> {
    let flags = message.flags.imap_names().collect::<Vec<_>>().join(" ");
    let date = date::format(message.date).map_or_else(String::new, |date| format!(" \"{date}\""));
    let plus = if message.size <= unasked { "+" } else { "" };
    let command = start.clone().text(format_args!(" ({flags}){date} {{{}{plus}}}\r\n", message.size));
    let which = wire.begin(command.as_bytes());
    replies.messages.insert(which, number);
    if plus.is_empty() {
        while replies.awaited != Some(which) {
            if !replies.messages.contains_key(&which) {
                // Refused before a single octet of it went over the wire.
                return Ok(());
            }
            hear(wire, replies)?;
        }
    }
    let mut left = message.size;
    let mut piece = vec![0; usize::try_from(left).unwrap_or(PIECE).min(PIECE)];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let room = piece.get_mut(..most).unwrap_or_default();
        let read = match message.body.read(room) {
            Ok(0) => return Err(cut_short(number, "it is shorter than it was")),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(cut_short(number, &error.to_string())),
        };
        left -= read as u64;
        wire.put_body(room.get(..read).unwrap_or_default(), replies)?;
    }
    wire.put(b"\r\n");
    Ok(())
}

fn cut_short(number: usize, why: &str) -> Error {
    // Half a message must never be completed by anything: the connection ends here.
    Error::new(Kind::LocalTree, format!("Message {} of the upload cannot be read: {why}", number + 1))
        .hint("Run the same command again.")
}

fn too_big(size: u64, limit: u64) -> Error {
    Error::new(
        Kind::Refused,
        format!("The message has {size} octets, and the server takes {limit} at most; it was not sent"),
    )
    .hint("It stays where it is; move it out of the mailbox to be told no more.")
}
