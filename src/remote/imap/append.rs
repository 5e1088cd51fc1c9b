//! Uploads: APPEND, pipelined where the server takes literals without a word of its own first (RFC 7888), and several
//! messages a command where it takes that (MULTIAPPEND, RFC 3502): it then writes them to its disk at once.
//!
//! A body is read and sent in pieces, and replies are taken meanwhile. A message that is refused alone is that message's
//! failure only; messages refused together are on the server in no part, and the caller sends each alone. A body that
//! fails midway leaves half a command on the wire, so the connection is over then.

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
/// Messages of one command, and octets after which no other joins: so much is sent again when one of them is refused,
/// and so much may turn up late and at once when a run breaks off.
const TOGETHER: u32 = 100;
const TOGETHER_OCTETS: u64 = 2 << 20;
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

/// How messages go up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// Several in one command, where the server takes that.
    Together,
    /// A command for each.
    Alone,
}

/// What became of an upload.
#[derive(Debug)]
pub enum Uploaded {
    /// It is on the server; the UID it got, when the server says so (UIDPLUS).
    Stored(Option<(UidValidity, Uid)>),
    /// The server does not take it.
    Refused(Error),
    /// It was refused together with others, and none of them is on the server: alone it will be told.
    RefusedTogether,
}

/// Takes the replies to uploads.
struct Replies<'a> {
    done: &'a mut dyn FnMut(usize, Uploaded),
    /// The messages of each command that has not ended.
    messages: BTreeMap<usize, Vec<usize>>,
    /// The command whose literal the server waits for.
    awaited: Option<usize>,
    /// The command that is not yet sent whole.
    unfinished: Option<usize>,
}

impl Job for Replies<'_> {
    fn next(&mut self) -> Option<Command> {
        None
    }

    fn untagged(&mut self, _current: usize, _data: Untagged<'_>) -> Result<()> {
        Ok(())
    }

    fn tagged(&mut self, which: usize, status: Status) -> Result<()> {
        if status.is_ok() && self.unfinished == Some(which) {
            let what = "The server says that it took a message of which it has not got all";
            return Err(Error::new(Kind::Protocol, what).server_said(status.words).worth_retrying());
        }
        let messages = self.messages.remove(&which).unwrap_or_default();
        let uids = match &status.code {
            Some(Code::AppendUid(validity, uids)) if uids.len() == messages.len() as u64 => Some((*validity, uids)),
            _ => None,
        };
        let mut uids = uids.map(|(validity, uids)| uids.iter().map(move |uid| (validity, uid)));
        let together = messages.len() > 1;
        for message in messages {
            let outcome = match (status.is_ok(), together) {
                (true, _) => Uploaded::Stored(uids.as_mut().and_then(Iterator::next)),
                (false, false) => Uploaded::Refused(refused(&status)),
                (false, true) => Uploaded::RefusedTogether,
            };
            (self.done)(message, outcome);
        }
        Ok(())
    }

    fn go_ahead(&mut self, current: usize) {
        self.awaited = Some(current);
    }
}

fn refused(status: &Status) -> Error {
    let error = status.refusal("The message cannot be uploaded");
    if error.hint_text().is_some() {
        return error;
    }
    error.hint("Look at the file: if it is no message, or too large for this server, move it out of the mailbox.")
}

/// The command that still takes messages.
struct Group {
    which: usize,
    messages: u32,
    octets: u64,
}

impl Session {
    /// How many messages one command uploads at most; the server may store them at one moment.
    pub fn together(&self) -> u32 {
        if self.capabilities.has(Capability::MultiAppend) { TOGETHER } else { 1 }
    }

    /// Uploads messages; what became of each goes to `done` with its number, counted from 0, in any order.
    ///
    /// # Errors
    /// The connection is over. What became of a message that `done` was not told about is unknown then.
    pub fn append(
        &mut self,
        mailbox: &WireName,
        grouping: Grouping,
        messages: &mut dyn Iterator<Item = Append>,
        done: &mut dyn FnMut(usize, Uploaded),
    ) -> Result<()> {
        let limit = self.capabilities.append_limit();
        let unasked = if self.capabilities.has(Capability::LiteralPlus) {
            u64::MAX
        } else if self.capabilities.has(Capability::LiteralMinus) {
            LITERAL_MINUS_MOST
        } else {
            0
        };
        let together = match grouping {
            Grouping::Together => self.together(),
            Grouping::Alone => 1,
        };
        let start = Command::new("APPEND").mailbox(mailbox, self.eight_bit);
        let mut replies = Replies { done, messages: BTreeMap::new(), awaited: None, unfinished: None };
        self.wire.guarded(|wire| {
            let mut open: Option<Group> = None;
            for (number, message) in messages.enumerate() {
                if let Some(limit) = limit.filter(|limit| message.size > *limit) {
                    (replies.done)(number, Uploaded::Refused(too_big(message.size, limit)));
                    continue;
                }
                let takes = |group: &Group| {
                    group.messages < together
                        && group.octets.saturating_add(message.size) <= TOGETHER_OCTETS
                        && message.size <= unasked
                };
                // One that was answered already takes no more.
                if open.take_if(|group| !takes(group) || !replies.messages.contains_key(&group.which)).is_some() {
                    end(wire, &mut replies);
                }
                let mut group = match open.take() {
                    Some(group) => group,
                    None => {
                        while !wire.has_room(IN_FLIGHT) {
                            hear(wire, &mut replies)?;
                        }
                        let which = wire.begin(start.as_bytes());
                        replies.unfinished = Some(which);
                        Group { which, messages: 0, octets: 0 }
                    }
                };
                replies.messages.entry(group.which).or_default().push(number);
                group.messages += 1;
                group.octets += message.size;
                let last = together == 1 || message.size > unasked;
                open = match upload(wire, &mut replies, group.which, number, message, unasked)? {
                    Sent::Whole if last => {
                        end(wire, &mut replies);
                        None
                    }
                    Sent::Whole => Some(group),
                    Sent::Nothing => None,
                };
            }
            if open.is_some() {
                end(wire, &mut replies);
            }
            while wire.unanswered() > 0 {
                hear(wire, &mut replies)?;
            }
            Ok(())
        })
    }
}

/// Ends the command that takes messages.
fn end<E: Exchange>(wire: &mut Wire<E>, replies: &mut Replies<'_>) {
    wire.put(b"\r\n");
    replies.unfinished = None;
}

/// Waits for a reply.
fn hear<E: Exchange>(wire: &mut Wire<E>, replies: &mut Replies<'_>) -> Result<()> {
    if wire.take(replies)? { Ok(()) } else { wire.pump(Until::InputArrives) }
}

/// How far a message got.
#[derive(PartialEq, Eq)]
enum Sent {
    Whole,
    /// Refused before a single octet of it went over the wire; the command has ended with it.
    Nothing,
}

/// Goes on with command `which` by one message, without the line end that ends the command.
fn upload<E: Exchange>(
    wire: &mut Wire<E>,
    replies: &mut Replies<'_>,
    which: usize,
    number: usize,
    mut message: Append,
    unasked: u64,
) -> Result<Sent> {
    let flags = message.flags.imap_names().collect::<Vec<_>>().join(" ");
    let date = date::format(message.date).map_or_else(String::new, |date| format!(" \"{date}\""));
    let plus = if message.size <= unasked { "+" } else { "" };
    wire.put(format!(" ({flags}){date} {{{}{plus}}}\r\n", message.size).as_bytes());
    if plus.is_empty() {
        while replies.awaited != Some(which) {
            if !replies.messages.contains_key(&which) {
                return Ok(Sent::Nothing);
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
    Ok(Sent::Whole)
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

#[cfg(test)]
mod tests {
    use super::super::scripted::{Log, play};
    use super::*;

    fn message(body: &'static str) -> Append {
        let mut flags = Flags::none();
        flags.insert_imap("\\Seen");
        flags.insert_imap("Work");
        Append { size: body.len() as u64, flags, date: UnixSeconds(837_596_665), body: Box::new(body.as_bytes()) }
    }

    fn append(capabilities: &str, script: &[(&str, &str)], messages: Vec<Append>) -> (Result<()>, Vec<String>, Log) {
        let (mut session, log) = play(capabilities, script);
        let mut told = Vec::new();
        let mailbox = WireName::new(b"a").unwrap();
        let mut done = |number: usize, outcome: Uploaded| {
            told.push(match outcome {
                Uploaded::Stored(Some((validity, uid))) => format!("{number} {validity} {uid}"),
                Uploaded::Stored(None) => format!("{number} somewhere"),
                Uploaded::Refused(error) => format!("{number} {error}"),
                Uploaded::RefusedTogether => format!("{number} not with others"),
            });
        };
        let result = session.append(&mailbox, Grouping::Together, &mut messages.into_iter(), &mut done);
        assert_eq!(session.is_broken(), result.is_err());
        (result, told, log)
    }

    #[test]
    fn literal_plus_goes_in_one_flight() {
        let (result, told, log) = append(
            "IMAP4rev1 LITERAL+ UIDPLUS",
            &[
                ("APPEND \"a\" (\\Seen Work) \"17-Jul-1996 09:44:25 +0000\" {3+}", ""),
                ("one", "TAG OK [APPENDUID 7 41] done\n"),
                ("APPEND", ""),
                ("two2", "TAG NO [OVERQUOTA] full\n"),
                ("APPEND", ""),
                ("three", "TAG OK [APPENDUID 7 1:5] done\n"),
            ],
            vec![message("one"), message("two2"), message("three")],
        );
        result.unwrap();
        assert_eq!(told[0], "0 7 41");
        assert!(told[1].starts_with("1 The message cannot be uploaded: the account is full"));
        // More than one UID for one message is no answer (CVE-2021-3578).
        assert_eq!(told[2], "2 somewhere");
        assert_eq!(log.lock().unwrap().lines().count(), 6);
    }

    #[test]
    fn without_it_each_waits_and_a_refusal_comes_before_the_body() {
        let (result, told, log) = append(
            "IMAP4rev1",
            &[
                ("APPEND \"a\" (\\Seen Work) \"17-Jul-1996 09:44:25 +0000\" {3}", "+ go\n"),
                ("one", "TAG OK done\n"),
                ("APPEND", "TAG NO [TRYCREATE] no mailbox\n"),
                ("APPEND", "* 3 EXISTS\n+\n"),
                ("three", "TAG OK done\n"),
            ],
            vec![message("one"), message("two"), message("three")],
        );
        result.unwrap();
        assert_eq!((told[0].as_str(), told[2].as_str()), ("0 somewhere", "2 somewhere"));
        assert!(told[1].contains("not there any more"));
        assert!(!log.lock().unwrap().contains("two"));
    }

    #[test]
    fn literal_minus_is_for_small_ones_and_the_limit_is_known_before() {
        let large: &'static str = Box::leak("x".repeat(4097).into_boxed_str());
        let (result, told, _) = append(
            "IMAP4rev1 LITERAL- APPENDLIMIT=5000",
            &[
                ("APPEND \"a\" (\\Seen Work) \"17-Jul-1996 09:44:25 +0000\" {3+}", ""),
                ("one", "TAG OK\n"),
                ("APPEND \"a\" (\\Seen Work) \"17-Jul-1996 09:44:25 +0000\" {4097}", "+\n"),
                ("xxx", "TAG OK\n"),
            ],
            vec![message("one"), message(large), Append { size: 5001, ..message(large) }],
        );
        result.unwrap();
        assert_eq!(told.len(), 3);
        assert!(told.iter().any(|t| t.starts_with("2 ") && t.contains("5001") && t.contains("5000")), "{told:?}");
    }

    const START: &str = "APPEND \"a\" (\\Seen Work) \"17-Jul-1996 09:44:25 +0000\" {3+}";

    #[test]
    fn several_go_in_one_command_and_get_their_uids_in_order() {
        let next = " (\\Seen Work) \"17-Jul-1996 09:44:25 +0000\" {4+}";
        let one = format!("one{next}");
        let script = [(START, ""), (one.as_str(), ""), ("two2", "TAG OK [APPENDUID 7 41,43] done\n")];
        let messages = || vec![message("one"), message("two2")];
        let (result, told, log) = append("IMAP4rev1 LITERAL+ UIDPLUS MULTIAPPEND", &script, messages());
        result.unwrap();
        assert_eq!(told, ["0 7 41", "1 7 43"]);
        assert_eq!(log.lock().unwrap().matches("APPEND").count(), 1);
        // Not one for each, or not in the order of sending: whose they are is looked up.
        for uids in ["41", "41:43", "43,41", "41,41", "*", "0,1"] {
            let reply = format!("TAG OK [APPENDUID 7 {uids}] done\n");
            let script = [(START, ""), (one.as_str(), ""), ("two2", reply.as_str())];
            let (result, told, _) = append("IMAP4rev1 LITERAL+ UIDPLUS MULTIAPPEND", &script, messages());
            result.unwrap();
            assert_eq!(told, ["0 somewhere", "1 somewhere"], "{uids}");
        }
    }

    #[test]
    fn what_is_refused_together_is_told_so_and_large_ones_go_alone() {
        let large: &'static str = Box::leak("x".repeat(4097).into_boxed_str());
        let (result, told, _) = append(
            "IMAP4rev1 LITERAL- MULTIAPPEND",
            &[
                (START, ""),
                ("one", ""),
                ("two", "TAG NO [LIMIT] one of them\n"),
                ("APPEND \"a\" (\\Seen Work) \"17-Jul-1996 09:44:25 +0000\" {4097}", "+\n"),
                ("xxx", "TAG OK\n"),
                ("APPEND", ""),
                ("for", "TAG NO [OVERQUOTA] full\n"),
            ],
            vec![message("one"), message("two"), message(large), message("for")],
        );
        result.unwrap();
        assert_eq!(told[..3], ["0 not with others", "1 not with others", "2 somewhere"]);
        assert!(told[3].starts_with("3 The message cannot be uploaded"));
    }

    #[test]
    fn a_command_takes_so_much_and_no_more() {
        let mut script = vec![("APPEND", "")];
        script.extend((1..TOGETHER).map(|_| ("m (", "")));
        script.extend([("m", "TAG OK\n"), ("APPEND", ""), ("m", "TAG OK\n")]);
        let messages = (0..=TOGETHER).map(|_| message("m")).collect();
        let (result, told, _) = append("IMAP4rev1 LITERAL+ MULTIAPPEND", &script, messages);
        result.unwrap();
        assert_eq!(told.len(), TOGETHER as usize + 1);
    }

    #[test]
    fn an_ok_before_the_message_is_there_is_not_believed() {
        let (result, told, _) =
            append("IMAP4rev1", &[("APPEND", "TAG OK [APPENDUID 7 41] done\n")], vec![message("one"), message("two")]);
        assert_eq!(result.unwrap_err().kind(), Kind::Protocol);
        assert!(told.is_empty());
    }

    #[test]
    fn a_body_that_is_too_short_ends_the_connection() {
        let (result, told, _) = append(
            "IMAP4rev1 LITERAL+",
            &[("APPEND", ""), ("one", "TAG OK\n"), ("APPEND", ""), ("tw", "")],
            vec![message("one"), Append { size: 4, ..message("two") }, message("three")],
        );
        assert!(result.unwrap_err().to_string().contains("Message 2 of the upload cannot be read"));
        assert!(told.is_empty() || told == ["0 somewhere"]);
    }
}
