//! How mailboxes stand: STATUS (RFC 3501 §6.3.10), alone or inside LIST (RFC 5819).

use std::borrow::Cow;
use std::collections::VecDeque;

use super::capability::{Capabilities, Capability};
use super::command::Command;
use super::name::WireName;
use super::reply::{self, Status, Untagged};
use super::session::Session;
use super::token::{Tokens, Value};
use super::wire::Job;
use crate::error::{Error, Kind, Result};
use crate::mail::{ModSeq, Uid, UidValidity};

/// How a mailbox stands (RFC 3501 §7.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxStatus {
    /// How many messages it holds.
    pub messages: u32,
    /// The UID the next message gets at least; `None` when the server did not say.
    pub uid_next: Option<Uid>,
    /// The generation of its UIDs.
    pub uid_validity: UidValidity,
    /// Its highest modification sequence; `None` without CONDSTORE and under NOMODSEQ.
    pub highest_modseq: Option<ModSeq>,
}

/// A mailbox's name. One that is neither quoted nor a literal goes on to ` (` or to the end, blanks included.
pub fn name<'a>(tokens: &mut Tokens<'a>) -> Option<Cow<'a, [u8]>> {
    if let Some(string) = tokens.string() {
        return match string {
            Value::Text(text) => Some(text),
            _ => None,
        };
    }
    Some(Cow::Borrowed(tokens.until(b" (").trim_ascii_end())).filter(|name| !name.is_empty())
}

/// One STATUS reply's items.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Numbers {
    messages: Option<u32>,
    uid_next: Option<Uid>,
    uid_validity: Option<UidValidity>,
    highest_modseq: Option<ModSeq>,
    /// MAILBOXID.
    pub object_id: Option<String>,
}

impl Numbers {
    /// Reads a name and its items.
    pub fn read(mut tokens: Tokens<'_>) -> Option<(Cow<'_, [u8]>, Numbers)> {
        let name = name(&mut tokens)?;
        let mut numbers = Numbers::default();
        tokens.skip(b'(');
        while !tokens.skip(b')') {
            let (Some(item), Some(value)) = (tokens.atom(), tokens.value()) else { break };
            let small = value.number().and_then(|n| u32::try_from(n).ok());
            match item.to_ascii_uppercase().as_slice() {
                b"MESSAGES" => numbers.messages = small,
                b"UIDNEXT" => numbers.uid_next = small.and_then(Uid::new),
                b"UIDVALIDITY" => numbers.uid_validity = small.map(UidValidity),
                b"HIGHESTMODSEQ" => numbers.highest_modseq = value.octets().and_then(reply::modseq),
                b"MAILBOXID" => {
                    let id = value.items().first().unwrap_or(&value).text();
                    numbers.object_id = id.map(Cow::into_owned);
                }
                _ => (),
            }
        }
        Some((name, numbers))
    }

    /// How the mailbox stands; `None` when the server left out what is needed.
    pub fn status(&self) -> Option<MailboxStatus> {
        Some(MailboxStatus {
            messages: self.messages?,
            uid_next: self.uid_next,
            uid_validity: self.uid_validity?,
            highest_modseq: self.highest_modseq,
        })
    }
}

/// Names that servers compare: INBOX has no case.
pub fn folded(raw: &[u8]) -> Vec<u8> {
    if raw.eq_ignore_ascii_case(b"INBOX") { b"INBOX".to_vec() } else { raw.to_vec() }
}

/// The items of STATUS that the server knows and that say something.
///
/// MAILBOXID is left to SELECT: Cyrus 3.6.1 now and then puts stray octets in its place here, a line end among them.
pub fn items(capabilities: &Capabilities) -> String {
    let modseq = if capabilities.has(Capability::CondStore) { " HIGHESTMODSEQ" } else { "" };
    format!("(MESSAGES UIDNEXT UIDVALIDITY{modseq})")
}

/// An answer to STATUS, or how it was refused; `None` when the server said neither.
pub type Answer = std::result::Result<Numbers, Option<Status>>;

/// STATUS of several mailboxes.
struct Asking {
    commands: VecDeque<Command>,
    names: Vec<WireName>,
    answers: Vec<Answer>,
}

impl Job for Asking {
    fn next(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn untagged(&mut self, current: usize, data: Untagged<'_>) -> Result<()> {
        if let Untagged::MailboxStatus(tokens) = data
            && let Some((name, numbers)) = Numbers::read(tokens)
        {
            // A server that writes the name in another way still answers the oldest question.
            let named = self.names.iter().position(|n| n.is(&name));
            if let Some(answer) = self.answers.get_mut(named.unwrap_or(current))
                && (named.is_some() || answer.is_err())
            {
                *answer = Ok(numbers);
            }
        }
        Ok(())
    }

    fn tagged(&mut self, which: usize, status: Status) -> Result<()> {
        if let Some(answer) = self.answers.get_mut(which)
            && !status.is_ok()
        {
            *answer = Err(Some(status));
        }
        Ok(())
    }
}

impl Session {
    /// Asks how mailboxes stand; the answers stand in the order of the names.
    ///
    /// # Errors
    /// The outer error ends the connection, an inner one concerns that mailbox only.
    pub fn status(&mut self, mailboxes: &[&WireName]) -> Result<Vec<Result<MailboxStatus>>> {
        let names: Vec<WireName> = mailboxes.iter().map(|name| (*name).clone()).collect();
        let told = |answer: Answer| match answer {
            Ok(numbers) => numbers.status().ok_or_else(untold),
            Err(Some(refused)) => Err(refused.refusal("The mailbox cannot be looked at")),
            Err(None) => Err(untold()),
        };
        Ok(self.ask(names)?.into_iter().map(told).collect())
    }

    /// How many messages a mailbox holds, or how the server refused to say.
    ///
    /// # Errors
    /// The connection is over, or the server said neither.
    pub(super) fn messages(&mut self, mailbox: &WireName) -> Result<std::result::Result<u32, Status>> {
        match self.ask(vec![mailbox.clone()])?.into_iter().next() {
            Some(Ok(Numbers { messages: Some(messages), .. })) => Ok(Ok(messages)),
            Some(Err(Some(refused))) => Ok(Err(refused)),
            _ => Err(untold()),
        }
    }

    /// Sends a STATUS for each name.
    ///
    /// # Errors
    /// The connection is over.
    pub(super) fn ask(&mut self, names: Vec<WireName>) -> Result<Vec<Answer>> {
        let items = items(&self.capabilities);
        let command = |name| Command::new("STATUS").mailbox(name, self.eight_bit).text(format_args!(" {items}"));
        let commands = names.iter().map(command).collect();
        let mut asking = Asking { commands, answers: names.iter().map(|_| Err(None)).collect(), names };
        self.wire.fly(&mut asking)?;
        Ok(asking.answers)
    }
}

fn untold() -> Error {
    Error::new(Kind::Protocol, "The server does not tell how the mailbox stands")
}

#[cfg(test)]
mod tests {
    use super::super::scripted::play;
    use super::*;

    #[test]
    fn status_answers_in_order_and_fails_alone() {
        let (mut session, _) = play(
            "IMAP4rev1 CONDSTORE",
            &[
                ("STATUS \"a\" (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)", "TAG NO [UNAVAILABLE] x\n"),
                ("STATUS \"b\"", "* STATUS b (MESSAGES 1 UIDVALIDITY 2 HIGHESTMODSEQ 3)\nTAG OK\n"),
                ("STATUS \"c\"", "TAG OK\n"),
            ],
        );
        let names = [b"a", b"b", b"c"].map(|n| WireName::new(n).unwrap());
        let answers = session.status(&names.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(answers[0].as_ref().unwrap_err().kind(), Kind::TryLater);
        assert_eq!(answers[1].as_ref().unwrap().highest_modseq, Some(ModSeq(3)));
        assert_eq!(answers[2].as_ref().unwrap_err().kind(), Kind::Protocol);
    }
}
