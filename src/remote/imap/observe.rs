//! What changed in mailboxes: the cheapest observation that the server allows, pipelined over all of them.
//!
//! | tier | commands | what it needs |
//! | --- | --- | --- |
//! | QRESYNC | SELECT (QRESYNC …), FETCH of new UIDs | a checkpoint with a modification sequence |
//! | CONDSTORE | SELECT (CONDSTORE), FETCH CHANGEDSINCE, FETCH of new UIDs, SEARCH for what went | the same |
//! | flags | SELECT, FETCH of all flags, FETCH of new UIDs | a checkpoint |
//! | everything | SELECT, FETCH of all that is known of a message | nothing |
//!
//! A tier is believed only when its numbers agree: what was known, less what went, plus what came, is what EXISTS says.
//! Otherwise the mailbox goes through a lower tier in a second flight. So a server that forgets, omits or rolls back
//! costs octets and never a message: "everything was listed" is said only when it was.

use std::collections::{BTreeMap, VecDeque};

use super::block::{Block, Search, Step, Tier, Verdict};
use super::capability::Capability;
use super::command::Command;
use super::name::WireName;
use super::reply::{Status, Untagged};
use super::select::Selected;
use super::session::Session;
use super::wire::Job;
use crate::error::{Error, Kind, Result};
use crate::mail::{Flags, RemoteCheckpoint, Uid, UidSet, UnixSeconds};

/// How often a mailbox may be gone through; each time in a lower tier or with a search.
const ROUNDS: usize = 5;

/// One mailbox to look into.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Its name.
    pub wire: WireName,
    /// The checkpoint up to which everything is known; `None` asks for everything.
    pub since: Option<RemoteCheckpoint>,
    /// The UIDs known to exist as of `since`; empty when `since` is `None`.
    pub known: UidSet,
    /// How it is opened.
    pub access: Access,
}

/// How a mailbox is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// EXAMINE: nothing in it can change; which flags it keeps is then not known and taken to be all.
    ReadOnly,
    /// SELECT.
    ReadWrite,
}

/// What was seen of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// How it stood when it was opened: what a later [`Ask::since`] takes.
    pub checkpoint: RemoteCheckpoint,
    /// The messages seen: all of them, or those that changed.
    pub messages: BTreeMap<Uid, SeenMessage>,
    /// What absence from `messages` means.
    pub coverage: SeenCoverage,
}

/// What it means that a UID is not among the messages seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenCoverage {
    /// All messages were listed: it is gone.
    Everything,
    /// Changes since the checkpoint were listed: it is gone when in `vanished`, unchanged otherwise.
    Changes {
        /// UIDs that went; a server's range may name UIDs that never were.
        vanished: UidSet,
    },
}

/// One message as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenMessage {
    /// Its flags.
    pub flags: Flags,
    /// RFC822.SIZE in octets; asked for messages that were not known.
    pub size: Option<u64>,
    /// INTERNALDATE; asked for messages that were not known.
    pub internal_date: Option<UnixSeconds>,
    /// EMAILID (RFC 8474 §5.1) or X-GM-MSGID, where the server has one; asked for messages that were not known.
    pub email_id: Option<String>,
}

/// One flight over some mailboxes.
struct Flight<'a> {
    blocks: Vec<Block<'a>>,
    commands: VecDeque<(usize, Step, Command)>,
    sent: Vec<(usize, Step)>,
    selected: Option<Selected>,
    enabled: bool,
    modseqs: ModSeqs,
}

/// Whether modification sequences may be used: servers send them with SELECT even where CONDSTORE is switched off here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ModSeqs {
    Used,
    Unused,
}

impl Flight<'_> {
    fn add(&mut self, step: Step, command: Command) {
        self.commands.push_back((self.blocks.len(), step, command));
    }
}

impl Job for Flight<'_> {
    fn next(&mut self) -> Option<Command> {
        let (block, step, command) = self.commands.pop_front()?;
        self.sent.push((block, step));
        Some(command)
    }

    fn untagged(&mut self, current: usize, data: Untagged<'_>) -> Result<()> {
        if let Some(&(block, step)) = self.sent.get(current)
            && let Some(block) = self.blocks.get_mut(block)
            && step != Step::Enable
            // After a refused SELECT, data is of no mailbox that we know.
            && (step == Step::Select || block.is_open())
        {
            block.take(step, data);
        }
        Ok(())
    }

    fn tagged(&mut self, which: usize, status: Status) -> Result<()> {
        let Some(&(at, step)) = self.sent.get(which) else { return Ok(()) };
        let Some(block) = self.blocks.get_mut(at) else { return Ok(()) };
        match step {
            Step::Enable => self.enabled = status.is_ok(),
            Step::Select => {
                block.then = block.opening.clone();
                if self.modseqs == ModSeqs::Unused {
                    block.then.highest_modseq = None;
                }
                let (wire, access) = (block.ask.wire.clone(), block.ask.access);
                let validity = block.opening.validity.filter(|_| status.is_ok());
                self.selected = validity.map(|validity| Selected { wire, access, validity });
                block.opened = Some(status);
            }
            Step::Known | Step::New | Step::Search => {
                if !status.is_ok() {
                    block.refused = Some(status);
                }
            }
        }
        Ok(())
    }
}

impl Session {
    /// Looks into mailboxes; the answers stand in the order of the asks.
    ///
    /// # Errors
    /// The outer error ends the connection. An inner one concerns that mailbox only: it was refused, or the server's
    /// numbers do not agree; nothing can be concluded of it.
    pub fn observe(&mut self, asks: &[Ask]) -> Result<Vec<Result<Seen>>> {
        let mut answers: BTreeMap<usize, Result<Seen>> = BTreeMap::new();
        let mut rounds: Vec<(usize, Tier, Search)> =
            asks.iter().enumerate().map(|(place, ask)| (place, self.tier(ask), Search::No)).collect();
        for round in 1..=ROUNDS {
            let mut again = Vec::new();
            for block in self.observe_once(asks, &rounds)? {
                let place = block.place;
                match block.verdict() {
                    Ok(Verdict::Again(tier, search)) if round < ROUNDS => again.push((place, tier, search)),
                    Ok(Verdict::Again(..)) => {
                        let error = Error::new(Kind::Protocol, "The server's numbers do not agree");
                        answers.insert(place, Err(error));
                    }
                    Ok(Verdict::Done(seen)) => {
                        answers.insert(place, Ok(seen));
                    }
                    Err(error) => {
                        answers.insert(place, Err(error));
                    }
                }
            }
            rounds = again.into_iter().map(|(place, tier, search)| (place, self.possible(tier), search)).collect();
            if rounds.is_empty() {
                break;
            }
        }
        Ok(answers.into_values().collect())
    }

    /// The cheapest tier for an ask.
    fn tier(&self, ask: &Ask) -> Tier {
        match &ask.since {
            None => Tier::Everything,
            Some(since) if since.uid_next.is_none() => Tier::Everything,
            Some(since) if since.highest_modseq.is_none() => Tier::Flags,
            Some(_) => self.possible(Tier::Qresync),
        }
    }

    /// `tier`, or the next one that the server has.
    fn possible(&self, tier: Tier) -> Tier {
        match tier {
            Tier::Qresync if self.qresync => Tier::Qresync,
            Tier::Qresync | Tier::CondStore if self.capabilities.has(Capability::CondStore) => Tier::CondStore,
            Tier::Qresync | Tier::CondStore | Tier::Flags => Tier::Flags,
            Tier::Everything => Tier::Everything,
        }
    }

    fn observe_once<'a>(&mut self, asks: &'a [Ask], rounds: &[(usize, Tier, Search)]) -> Result<Vec<Block<'a>>> {
        let mut flight = Flight {
            blocks: Vec::new(),
            commands: VecDeque::new(),
            sent: Vec::new(),
            selected: None,
            enabled: self.qresync,
            modseqs: if self.capabilities.has(Capability::CondStore) { ModSeqs::Used } else { ModSeqs::Unused },
        };
        for &(place, tier, search) in rounds {
            let Some(ask) = asks.get(place) else { continue };
            if let Some(enable) = self.enable() {
                flight.add(Step::Enable, enable);
            }
            let esearch = self.capabilities.has(Capability::Esearch);
            let search = if tier == Tier::CondStore && esearch { Search::All } else { search };
            for (step, command) in self.commands(ask, tier, search) {
                flight.add(step, command);
            }
            flight.blocks.push(Block::new(place, ask, tier, search));
        }
        self.selected = None;
        self.wire.fly(&mut flight)?;
        self.selected = flight.selected;
        self.qresync = flight.enabled;
        Ok(flight.blocks)
    }

    fn commands(&self, ask: &Ask, tier: Tier, search: Search) -> Vec<(Step, Command)> {
        let select = |parameters: &str| (Step::Select, self.select(&ask.wire, ask.access, parameters));
        let id = if self.capabilities.has(Capability::ObjectId) {
            " EMAILID"
        } else if self.capabilities.has(Capability::GmailExt) {
            " X-GM-MSGID"
        } else {
            ""
        };
        let items = format!("(UID FLAGS INTERNALDATE RFC822.SIZE{id})");
        let since = ask.since.as_ref();
        let first_new = since.and_then(|s| s.uid_next).map_or(1, Uid::get);
        let modseq = since.and_then(|s| s.highest_modseq).map_or(1, |m| m.0);
        // Nothing is known below the first UID.
        let known = |rest: &str| {
            let command = Command::new(format_args!("UID FETCH 1:{} (UID FLAGS){rest}", first_new.saturating_sub(1)));
            (first_new > 1).then_some((Step::Known, command))
        };
        let new = (Step::New, Command::new(format_args!("UID FETCH {first_new}:* {items}")));
        let mut commands = match tier {
            Tier::Qresync => {
                let validity = since.map_or(0, |s| s.uid_validity.0);
                vec![select(&format!(" (QRESYNC ({validity} {modseq}))")), new]
            }
            Tier::CondStore => [select(" (CONDSTORE)")]
                .into_iter()
                .chain(known(&format!(" (CHANGEDSINCE {modseq})")))
                .chain([new])
                .collect(),
            Tier::Flags => [select("")].into_iter().chain(known("")).chain([new]).collect(),
            Tier::Everything => vec![select(""), (Step::Known, Command::new(format_args!("UID FETCH 1:* {items}")))],
        };
        if search == Search::All {
            let esearch = self.capabilities.has(Capability::Esearch);
            let command = if esearch { "UID SEARCH RETURN (ALL) ALL" } else { "UID SEARCH ALL" };
            commands.push((Step::Search, Command::new(command)));
        }
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::play;
    use super::*;
    use crate::mail::{ModSeq, PermanentFlags, UidValidity};

    const QRESYNC: &str = "IMAP4rev1 ENABLE CONDSTORE QRESYNC ESEARCH UIDPLUS";
    const BARE: &str = "IMAP4rev1";

    fn uid(n: u32) -> Uid {
        Uid::new(n).unwrap()
    }

    fn since(validity: u32, uid_next: u32, modseq: u64, messages: u32) -> Option<RemoteCheckpoint> {
        Some(RemoteCheckpoint {
            uid_validity: UidValidity(validity),
            uid_next: Uid::new(uid_next),
            highest_modseq: Some(ModSeq(modseq)).filter(|m| m.0 > 0),
            messages,
            permanent: PermanentFlags::everything(),
            object_id: None,
        })
    }

    fn ask(name: &str, since: Option<RemoteCheckpoint>, known: &str) -> Ask {
        let known = UidSet::parse(known).unwrap_or_default();
        Ask { wire: WireName::new(name.as_bytes()).unwrap(), since, known, access: Access::ReadWrite }
    }

    /// `uid:flags` of each message, and what absence means.
    fn shown(seen: &Result<Seen>) -> String {
        match seen {
            Ok(seen) => {
                let messages: Vec<String> = seen.messages.iter().map(|(uid, m)| format!("{uid}:{}", m.flags)).collect();
                let coverage = match &seen.coverage {
                    SeenCoverage::Everything => "all".to_owned(),
                    SeenCoverage::Changes { vanished } => format!("-{vanished}"),
                };
                format!("{} {coverage}", messages.join(","))
            }
            Err(error) => error.to_string(),
        }
    }

    fn observed(capabilities: &str, script: &[(&str, &str)], asks: &[Ask]) -> Vec<String> {
        let (mut session, _) = play(capabilities, script);
        session.observe(asks).unwrap().iter().map(shown).collect()
    }

    #[test]
    fn a_refused_mailbox_in_the_middle_of_the_flight_is_its_own_failure_only() {
        // Some servers keep the mailbox before open after a refused SELECT: its data must not count for the refused one.
        let seen = observed(
            BARE,
            &[
                ("SELECT \"a\"", "* 1 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [UIDNEXT 5] x\nTAG OK [READ-WRITE] done\n"),
                (
                    "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)",
                    "* 1 FETCH (UID 4 FLAGS (\\Seen))\nTAG OK done\n",
                ),
                ("SELECT \"b\"", "TAG NO [NONEXISTENT] gone\n"),
                ("UID FETCH 1:*", "* 1 FETCH (UID 4 FLAGS (\\Seen))\nTAG OK done\n"),
                ("SELECT \"c\"", "* 1 EXISTS\n* OK [UIDVALIDITY 8] x\nTAG OK done\n"),
                ("UID FETCH 1:*", "* 1 FETCH (UID 9 FLAGS ())\nTAG OK done\n"),
            ],
            &[ask("a", None, ""), ask("b", None, ""), ask("c", None, "")],
        );
        assert_eq!(seen[0], "4:\\Seen all");
        assert!(seen[1].contains("not there any more") && seen[1].contains("[NONEXISTENT] gone"), "{}", seen[1]);
        assert_eq!(seen[2], "9: all");
    }

    #[test]
    fn qresync_is_one_flight_and_the_last_message_is_no_news() {
        let script = [
            ("ENABLE QRESYNC", "* ENABLED QRESYNC\nTAG OK done\n"),
            (
                "SELECT \"a\" (QRESYNC (7 100))",
                "* 9 EXISTS\n* OK [CLOSED] x\n* OK [UIDVALIDITY 7] x\n* OK [UIDNEXT 12] x\n* OK [HIGHESTMODSEQ 120] x\n* 4 EXISTS\n\
                 * VANISHED (EARLIER) 2,50:4294967295\n* 1 FETCH (UID 1 FLAGS (\\Flagged $Junk) MODSEQ (110))\nTAG OK done\n",
            ),
            (
                "UID FETCH 10:* (UID FLAGS INTERNALDATE RFC822.SIZE)",
                "* 4 FETCH (UID 11 RFC822.SIZE 10 FLAGS () INTERNALDATE \"01-Jan-1970 00:00:01 +0000\")\nTAG OK done\n",
            ),
            (
                "SELECT \"b\" (QRESYNC (7 5))",
                "* 1 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [UIDNEXT 4] x\n* OK [HIGHESTMODSEQ 5] x\nTAG OK done\n",
            ),
            ("UID FETCH 4:*", "* 1 FETCH (UID 3 FLAGS (\\Seen) RFC822.SIZE 9)\nTAG OK done\n"),
        ];
        let (mut session, _) = play(QRESYNC, &script);
        let seen =
            session.observe(&[ask("a", since(7, 10, 100, 4), "1,2,3,4"), ask("b", since(7, 4, 5, 1), "3")]).unwrap();
        assert_eq!(shown(&seen[0]), "1:\\Flagged $Junk,11: -2,50:4294967295");
        let first = seen[0].as_ref().unwrap();
        assert_eq!(first.checkpoint.highest_modseq, Some(ModSeq(120)));
        assert_eq!((first.checkpoint.messages, first.checkpoint.uid_next), (4, Uid::new(12)));
        assert_eq!(first.messages[&uid(11)].internal_date, Some(UnixSeconds(1)));
        assert_eq!(shown(&seen[1]), " -");
    }

    #[test]
    fn what_a_server_refuses_to_understand_goes_through_a_lower_tier() {
        let seen = observed(
            "IMAP4rev1 ENABLE QRESYNC",
            &[
                ("ENABLE QRESYNC", "TAG BAD what\n"),
                ("SELECT \"a\" (QRESYNC (7 100))", "TAG BAD what\n"),
                ("UID FETCH 10:*", "TAG BAD nothing selected\n"),
                ("SELECT \"a\" (CONDSTORE)", "TAG BAD what\n"),
                ("UID FETCH 1:9 (UID FLAGS) (CHANGEDSINCE 100)", "TAG BAD\n"),
                ("UID FETCH 10:*", "TAG BAD\n"),
                ("SELECT \"a\"", "* 1 EXISTS\n* OK [UIDVALIDITY 7] x\nTAG OK done\n"),
                ("UID FETCH 1:9 (UID FLAGS)", "* 1 FETCH (FLAGS (a) UID 2)\nTAG OK\n"),
                ("UID FETCH 10:* (UID FLAGS INTERNALDATE", "* 1 FETCH (UID 2 FLAGS (a))\nTAG OK\n"),
            ],
            &[ask("a", since(7, 10, 100, 2), "1,2")],
        );
        assert_eq!(seen, ["2:a all"]);
    }

    #[test]
    fn another_uidvalidity_starts_anew() {
        let seen = observed(
            QRESYNC,
            &[
                ("ENABLE", "TAG OK\n"),
                ("SELECT", "* 1 EXISTS\n* OK [UIDVALIDITY 8] x\n* OK [HIGHESTMODSEQ 3] x\nTAG OK done\n"),
                ("UID FETCH 10:*", "* 1 FETCH (UID 1 FLAGS ())\nTAG OK\n"),
                ("SELECT \"a\"", "* 1 EXISTS\n* OK [UIDVALIDITY 8] x\n* OK [HIGHESTMODSEQ 3] x\nTAG OK done\n"),
                ("UID FETCH 1:*", "* 1 FETCH (UID 1 FLAGS ())\nTAG OK\n"),
            ],
            &[ask("a", since(7, 10, 100, 2), "1,2")],
        );
        assert_eq!(seen, ["1: all"]);
    }

    #[test]
    fn condstore_without_esearch_searches_only_when_the_count_is_off() {
        let script = |exists: &'static str| {
            [
                ("SELECT \"a\" (CONDSTORE)", exists),
                (
                    "UID FETCH 1:9 (UID FLAGS) (CHANGEDSINCE 100)",
                    "* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (101))\nTAG OK\n",
                ),
                ("UID FETCH 10:*", "* 2 FETCH (UID 10 FLAGS () MODSEQ (102))\nTAG OK\n"),
            ]
        };
        let three = "* 3 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [HIGHESTMODSEQ 102] x\nTAG OK\n";
        let asks = [ask("a", since(7, 10, 100, 2), "1,2")];
        assert_eq!(observed("IMAP4rev1 CONDSTORE", &script(three), &asks), ["1:\\Seen,10: -"]);
        let two = "* 2 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [HIGHESTMODSEQ 102] x\nTAG OK\n";
        let mut both = [script(two).to_vec(), script(two).to_vec()].concat();
        both.push(("UID SEARCH ALL", "* SEARCH 10 1\nTAG OK\n"));
        assert_eq!(observed("IMAP4rev1 CONDSTORE", &both, &asks), ["1:\\Seen,10: -2"]);
    }

    #[test]
    fn numbers_that_do_not_agree_are_not_believed() {
        // A server that forgot an expunge: the flags of all messages tell.
        let opened = "* 1 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [UIDNEXT 10] x\n* OK [HIGHESTMODSEQ 101] x\nTAG OK\n";
        let seen = observed(
            QRESYNC,
            &[
                ("ENABLE", "TAG OK\n"),
                ("SELECT \"a\" (QRESYNC (7 100))", opened),
                ("UID FETCH 10:*", "TAG OK\n"),
                ("SELECT \"a\"", opened),
                ("UID FETCH 1:9 (UID FLAGS)", "* 1 FETCH (UID 2 FLAGS ())\nTAG OK\n"),
                ("UID FETCH 10:*", "TAG OK\n"),
            ],
            &[ask("a", since(7, 10, 100, 2), "1,2")],
        );
        assert_eq!(seen, ["2: all"]);
    }

    #[test]
    fn messages_that_cannot_be_described_are_not_gone() {
        let opened = "* 3 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [UIDNEXT 4] x\nTAG OK\n";
        let fetched = "* 1 FETCH (UID 1 FLAGS ())\nTAG NO some messages could not be fetched\n";
        let script = [
            ("SELECT", opened),
            ("UID FETCH 1:3 (UID FLAGS)", fetched),
            ("UID FETCH 4:*", "TAG OK\n"),
            ("SELECT", opened),
            ("UID FETCH 1:3 (UID FLAGS)", fetched),
            ("UID FETCH 4:*", "TAG OK\n"),
            ("UID SEARCH ALL", "* SEARCH 1 2 4\nTAG OK\n"),
        ];
        assert_eq!(observed(BARE, &script, &[ask("a", since(7, 4, 0, 3), "1,2,3")]), ["1: -3"]);
    }

    #[test]
    fn nothing_to_fetch_may_be_refused_and_news_come_at_any_time() {
        let seen = observed(
            "IMAP4rev1 X-GM-EXT-1",
            &[
                ("SELECT \"a\"", "* 0 EXISTS\n* OK [UIDVALIDITY 7] x\nTAG OK\n"),
                ("UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE X-GM-MSGID)", "TAG NO no messages\n"),
                ("SELECT \"b\"", "* 2 EXISTS\n* OK [UIDVALIDITY 7] x\nTAG OK\n"),
                (
                    "UID FETCH 1:*",
                    "* 1 FETCH (UID 1 FLAGS () X-GM-MSGID 1278455344230334865)\n* 5 FETCH (FLAGS (\\Seen))\n* 3 EXISTS\n\
                     * 2 FETCH (UID 2 FLAGS ())\n* 1 EXPUNGE\n* OK still here\n* XNEWS (\nTAG OK\n",
                ),
            ],
            &[ask("a", None, ""), ask("b", None, "")],
        );
        assert_eq!(seen, [" all", "1:,2: all"]);
    }

    #[test]
    fn a_read_only_mailbox_is_examined_and_a_server_without_uidvalidity_refused() {
        let (mut session, log) = play(
            BARE,
            &[("EXAMINE \"a\"", "* 0 EXISTS\n* OK [PERMANENTFLAGS ()] no\nTAG OK\n"), ("UID FETCH", "TAG OK\n")],
        );
        let mut only = ask("a", None, "");
        only.access = Access::ReadOnly;
        let seen = session.observe(&[only]).unwrap();
        assert!(shown(&seen[0]).contains("no UIDVALIDITY"));
        assert!(!log.lock().unwrap().contains("SELECT"));
    }

    #[test]
    fn a_connection_that_ends_is_the_outer_error() {
        let (mut session, _) = play(BARE, &[("SELECT", "* BYE timeout\n"), ("UID FETCH", "")]);
        let error = session.observe(&[ask("a", None, "")]).unwrap_err();
        assert!(error.to_string().contains("timeout") && session.is_broken());
    }
}
